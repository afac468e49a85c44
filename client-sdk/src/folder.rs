//! The queue's place on the disk: one folder per process under one of its project.
//!
//! ```text
//! base/main/     the process that came first; base is <queue folder>/<project>
//! base/<uuid>/   every other one, and what such a process left behind; <uuid>.gone while it is deleted
//!   lock           held as long as the process lives
//!   queue.sqlite   the database
//!   ring           what was tracked and is not in the database yet
//!   ballast        bytes to let go of when the disk is full, so that what waits can be sent and deleted
//!   life           says whether the folder was turned back (see `Life`)
//!   queue.broken-* databases that were put aside; what could be saved of them is in the database
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::clock::{Clock, Randomness, random_uuid};
use crate::error::QueueError;

const MAIN: &str = "main";
const LOCK: &str = "lock";
const LIFE: &str = "life";
const BROKEN: &str = "queue.broken-";
const BALLAST: &str = "ballast";
/// What the database does not have yet of its log of writes (0.8 MiB, and a commit), and what the settling of a batch of the
/// usual size writes.
const BALLAST_BYTES: usize = 3 << 20;
/// Of a folder that was taken over and is being deleted.
const GONE: &str = "gone";

/// A folder that no other process uses.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Freed by the system when the process dies.
    lock: File,
}

impl Drop for Folder {
    /// A child that is being started has a copy of the file until it becomes another program; closing would not do.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

impl Folder {
    /// The main folder, or a new one where another process has it.
    pub(crate) fn claim(base: &Path, random: &dyn Randomness) -> Result<Self, QueueError> {
        if let Some(main) = Self::try_claim(&base.join(MAIN))? {
            return Ok(main);
        }
        let other = base.join(random_uuid(random));
        let claimed = Self::try_claim(&other)?;
        claimed.ok_or_else(|| QueueError::Folder(other, io::Error::from(io::ErrorKind::WouldBlock)))
    }

    /// Folders of processes that are gone. Only the main folder's process takes them.
    pub(crate) fn orphans(&self) -> Vec<Self> {
        let Some(base) = self.path.parent().filter(|_| self.is_main()) else { return Vec::new() };
        let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
        let others = entries.flatten().map(|entry| entry.path()).filter(|path| *path != self.path);
        let (gone, others): (Vec<_>, Vec<_>) =
            others.partition(|path| path.extension().is_some_and(|extension| extension == GONE));
        gone.iter().for_each(|path| drop(fs::remove_dir_all(path))); // A kill may have come between.
        others
            .iter()
            .filter(|path| is_queue(path))
            .filter_map(|path| Self::try_claim(path).ok().flatten())
            .collect()
    }

    fn try_claim(path: &Path) -> Result<Option<Self>, QueueError> {
        let failed = |error| QueueError::Folder(path.to_owned(), error);
        fs::create_dir_all(path).map_err(failed)?;
        let lock =
            File::options().write(true).create(true).truncate(false).open(path.join(LOCK)).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), lock })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Whether it is still where it was: neither it nor its database was deleted or put somewhere else.
    pub(crate) fn is_there(&self) -> bool {
        let same = || {
            let (held, found) = (self.lock.metadata()?, fs::metadata(self.path.join(LOCK))?);
            Ok::<_, io::Error>((held.dev(), held.ino()) == (found.dev(), found.ino()))
        };
        same().unwrap_or(false) && self.database().exists()
    }

    /// Whether an earlier process had a database here, and there is none.
    pub(crate) fn misses_database(&self) -> bool {
        let is_empty = |path: PathBuf| fs::metadata(path).map_or(true, |found| found.len() == 0);
        let log = with_suffix(&self.database(), "-wal");
        self.path.join(LIFE).exists() && is_empty(self.database()) && is_empty(log)
    }

    /// Everything in it is in the database.
    pub(crate) fn remove_ring(&self) {
        let _ = fs::remove_file(self.ring());
    }

    pub(crate) fn ballast(&self) -> PathBuf {
        self.path.join(BALLAST)
    }

    /// Keeps bytes of the disk for the time when it is full, where it is not.
    pub(crate) fn reserve(&self) {
        let ballast = self.ballast();
        if fs::metadata(&ballast).is_ok_and(|found| found.len() == BALLAST_BYTES as u64) {
            return;
        }
        if fs::write(&ballast, vec![0; BALLAST_BYTES]).is_err() {
            let _ = fs::remove_file(&ballast);
        }
    }

    /// Whether it is that of the process that came first. Any other one nobody opens again as its own.
    pub(crate) fn is_main(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == MAIN)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("queue.sqlite")
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.path.join("ring")
    }

    /// Puts a broken database aside, with its log, into the folder `into`; answers where it is now.
    pub(crate) fn quarantine(&self, into: &Path, now_us: i64) -> io::Result<PathBuf> {
        // Two in one microsecond: no name is taken twice.
        let free = (0..).map(|more| into.join(format!("{BROKEN}{}", now_us.saturating_add(more))));
        let aside = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
        for suffix in ["-wal", "-shm"] {
            let from = self.path.join(format!("queue.sqlite{suffix}"));
            if from.exists() {
                fs::rename(from, with_suffix(&aside, suffix))?;
            }
        }
        fs::rename(self.database(), &aside)?;
        Ok(aside)
    }

    /// Databases that were put aside into this folder.
    pub(crate) fn broken(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let is_broken = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(BROKEN).is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut broken: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_broken).collect();
        broken.sort();
        broken
    }

    /// Deletes the databases that were put aside into this folder.
    pub(crate) fn remove_broken(&self) -> io::Result<()> {
        for path in self.broken() {
            // What a salvage that was killed may have left, too.
            let suffixes = ["", "-wal", "-shm", ".mended", ".mended-wal"];
            for file in suffixes.map(|suffix| with_suffix(&path, suffix)) {
                if file.exists() {
                    fs::remove_file(file)?;
                }
            }
        }
        Ok(())
    }

    /// Deletes the folder and everything in it. For whoever looks it goes at once: half of it would look damaged.
    pub(crate) fn remove(self) -> io::Result<()> {
        let gone = self.path.with_added_extension(GONE);
        fs::rename(&self.path, &gone)?;
        fs::remove_dir_all(gone)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_queue(path: &Path) -> bool {
    path.join(LOCK).exists()
}

/// Says whether a folder is as its last process left it: on the same start of the machine, so that no power loss took
/// anything, and not copied or restored from a backup, so that no number is given twice.
///
/// The file system keeps two things that a copy cannot bring along: the file's inode and the time its inode was changed.
/// The file is written anew at every start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life(String);

impl Life {
    /// As the folder is found. `None` where the system does not tell its start.
    pub(crate) fn found(folder: &Folder, clock: &dyn Clock) -> Option<Self> {
        Self::of(&folder.path.join(LIFE), &clock.boot_id()?).ok()
    }

    /// A new one.
    pub(crate) fn begin(
        folder: &Folder,
        clock: &dyn Clock,
        random: &dyn Randomness,
    ) -> io::Result<Option<Self>> {
        let path = folder.path.join(LIFE);
        fs::write(&path, random_uuid(random))?;
        clock.boot_id().map(|boot| Self::of(&path, &boot)).transpose()
    }

    #[cfg(unix)]
    fn of(path: &Path, boot: &str) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self(format!("{boot} {} {} {}.{}", meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SeededRandom};

    #[test]
    fn each_process_has_a_folder_and_the_main_one_takes_what_is_left() {
        let base = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let main = Folder::claim(base.path(), &random).unwrap();
        let second = Folder::claim(base.path(), &random).unwrap();
        assert!(main.path.ends_with("main") && second.path != main.path);
        assert!(main.orphans().is_empty(), "its process lives");
        let path = second.path.clone();
        drop(second);
        let orphans = main.orphans();
        assert_eq!(orphans.iter().map(|orphan| &orphan.path).collect::<Vec<_>>(), [&path]);
        assert!(orphans[0].orphans().is_empty(), "only the main one adopts");
        for orphan in orphans {
            orphan.remove().unwrap();
        }
        assert!(!path.exists() && main.orphans().is_empty());
        // A kill came while one was being deleted.
        let gone = path.with_added_extension(GONE);
        fs::create_dir(&gone).unwrap();
        fs::write(gone.join("lock"), "").unwrap();
        fs::write(gone.join("ring"), [1; 8_192]).unwrap();
        assert!(main.orphans().is_empty() && !gone.exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn is_free_as_soon_as_its_process_leaves_it() {
        let base = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let main = Folder::claim(base.path(), &random).unwrap();
        let _of_a_child = main.lock.try_clone().unwrap();
        drop(main);
        assert!(Folder::claim(base.path(), &random).unwrap().path.ends_with("main"));
    }

    #[test]
    fn a_copied_or_restored_folder_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let (clock, random) = (ManualClock::at(0), SeededRandom::new(1));
        let folder = Folder::claim(base.path(), &random).unwrap();
        assert_eq!(Life::found(&folder, &clock), None, "there was none");
        let life = Life::begin(&folder, &clock, &random).unwrap();
        assert_eq!(Life::found(&folder, &clock), life);
        // The same bytes, written back.
        let path = folder.path.join(LIFE);
        let bytes = fs::read(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, bytes).unwrap();
        assert_ne!(Life::found(&folder, &clock), life);
    }
}
