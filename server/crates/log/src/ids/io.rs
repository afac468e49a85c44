//! The few file operations of snapshots and runs, in one place: everything is written whole, beside its
//! final name, and becomes visible by a rename after it is on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Why a file of the duplicate index could not be used. None of these is ever taken for "not seen".
#[derive(Debug, thiserror::Error)]
pub enum DedupeError {
    /// The operating system refused; the same call may succeed once the cause is gone.
    #[error("{}: {source}: make the file accessible or free space, then retry", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checksum or a length does not fit: the file was damaged after it was written.
    #[error("{} is damaged ({what}): restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// A newer release wrote the file.
    #[error("{} has format version {found}, this release reads up to {known}: use the newer release", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this release reads.
        known: u32,
    },
    /// The file covers more of the log than there is: it belongs to another log.
    #[error("{} covers the log up to {covers}, which ends at {log_end}: restore log and index together", path.display())]
    AheadOfLog {
        /// The file.
        path: PathBuf,
        /// The position it covers.
        covers: u64,
        /// Where the log ends.
        log_end: u64,
    },
    /// A snapshot was asked for in the middle of a group.
    #[error("a group is staged: commit or roll it back, then take the snapshot")]
    GroupStaged,
}

/// Turns an IO error into one that names the file.
pub(crate) fn named(path: &Path) -> impl FnOnce(io::Error) -> DedupeError + '_ {
    move |source| DedupeError::Io { path: path.to_owned(), source }
}

/// Replaces `path` by `bytes`, durably: after an `Ok` it survives a power loss, after an error or a crash
/// the old content is still there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DedupeError> {
    let beside = path.with_extension("tmp");
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| sync_folder(path));
    written.map_err(named(path))
}

/// The content of a file, `None` if there is none.
pub(crate) fn read_whole(path: &Path) -> Result<Option<Vec<u8>>, DedupeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path)(error)),
    }
}

/// Fills `bytes` from `offset` on.
pub(crate) fn read_at(file: &File, path: &Path, bytes: &mut [u8], offset: u64) -> Result<(), DedupeError> {
    file.read_exact_at(bytes, offset).map_err(named(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A reader over bytes whose lengths cannot be trusted; each read is `None` past the end.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
