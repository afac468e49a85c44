//! A chunk file while it is written: in large pieces as they are ready, its checksum on the way.

use std::io::{self, Write};
use std::sync::Arc;

use footpath_log::disk::{AlignedBuf, BLOCK, Disk, DiskFile, create_anew};

/// Bytes written at a time. Whole blocks, so that they may go past the page cache: nobody reads the file
/// soon, and the copy would cost more than the encoding of some columns.
const PIECE: usize = 64 * BLOCK;

/// A file that nothing refers to yet; removed again unless it is finished.
pub(crate) struct Output<'a> {
    disk: &'a dyn Disk,
    path: &'a str,
    file: Arc<dyn DiskFile>,
    piece: AlignedBuf,
    filled: usize,
    /// Bytes of the pieces that are written.
    written: u64,
    crc: u32,
    /// What the disk said, before a library made a text of it.
    error: Option<io::Error>,
    finished: bool,
}

impl<'a> Output<'a> {
    /// Begins the file, in place of what a failed attempt left under its path.
    pub(crate) fn begin(disk: &'a dyn Disk, path: &'a str) -> io::Result<Self> {
        let file = create_anew(disk, path)?;
        Ok(Self {
            disk,
            path,
            file,
            piece: AlignedBuf::default(),
            filled: 0,
            written: 0,
            crc: 0,
            error: None,
            finished: false,
        })
    }

    /// The disk's error, if there was one.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Makes the content durable; returns its length and checksum. The name is durable after the next `sync_dir`.
    pub(crate) fn finish(mut self) -> io::Result<(u64, u32)> {
        self.put()?;
        self.file.sync()?;
        self.finished = true;
        Ok((self.written, self.crc))
    }

    fn put(&mut self) -> io::Result<()> {
        let bytes = &self.piece.bytes()[..self.filled];
        self.file.write_at(bytes, self.written)?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = &mut self.piece.reset(PIECE)[self.filled..];
        let taken = room.len().min(bytes.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == PIECE
            && let Err(error) = self.put()
        {
            let told = io::Error::from(error.kind());
            self.error = Some(error);
            return Err(told);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // Only whole pieces before the end.
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.disk.remove(self.path).ok(); // What it takes is needed elsewhere; the next start would do it, too.
        }
    }
}
