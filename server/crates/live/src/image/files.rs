//! Images in their folder: written on a thread of their own, named by position, the newest one loaded.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use footpath_log::disk::{Disk, Replacement, UNFINISHED, read_whole};

use super::{END, Image, Wanted};
use crate::LiveError;

/// Pieces of an image that may wait for the disk before copying pauses.
const QUEUE: usize = 64;

/// What the image's thread is told.
enum Piece {
    Begin(u64),
    Bytes(Vec<u8>),
    End,
    Abort,
}

/// Writes images on a thread of its own; an image counts once it is on disk.
pub struct ImageWriter {
    pieces: Option<Sender<Piece>>,
    thread: Option<JoinHandle<()>>,
}

impl ImageWriter {
    /// Starts the thread. `durable` is told the position of every image that is on disk.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(disk: Arc<dyn Disk>, durable: Arc<AtomicU64>) -> io::Result<Self> {
        let (sender, receiver) = crossbeam_channel::bounded(QUEUE);
        let work = move || write_all(disk.as_ref(), &receiver, &durable);
        let thread = std::thread::Builder::new().name("images".into()).spawn(work)?;
        Ok(Self { pieces: Some(sender), thread: Some(thread) })
    }

    /// Whether the disk keeps up.
    pub fn is_ready(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.len() < QUEUE / 2)
    }

    /// Begins the image of a position.
    pub fn begin(&self, position: u64, head: Vec<u8>) {
        self.send(Piece::Begin(position));
        self.send(Piece::Bytes(head));
    }

    /// Adds a block.
    pub fn add(&self, block: Vec<u8>) {
        self.send(Piece::Bytes(block));
    }

    /// The image is whole.
    pub fn end(&self) {
        self.send(Piece::End);
    }

    /// The image will not be finished.
    pub fn abort(&self) {
        self.send(Piece::Abort);
    }

    fn send(&self, piece: Piece) {
        if let Some(pieces) = &self.pieces {
            let _ = pieces.send(piece); // The thread ends only with the writer.
        }
    }
}

impl Drop for ImageWriter {
    fn drop(&mut self) {
        self.pieces = None; // Ends the thread once all is written.
        footpath_log::join(self.thread.take());
    }
}

/// One image that is being written.
struct Open<'a> {
    position: u64,
    file: Replacement<'a>,
    crc: u32,
}

impl<'a> Open<'a> {
    fn create(disk: &'a dyn Disk, position: u64) -> io::Result<Self> {
        Ok(Self { position, file: Replacement::begin(disk, &name(position))?, crc: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.file.append(bytes)
    }

    fn finish(mut self) -> io::Result<u64> {
        self.write(&END.to_le_bytes())?;
        let crc = self.crc.to_le_bytes();
        self.file.append(&crc)?;
        self.file.finish()?;
        Ok(self.position)
    }
}

const PREFIX: &str = "live-";

fn name(position: u64) -> String {
    format!("{PREFIX}{position:020}.img")
}

fn write_all(disk: &dyn Disk, pieces: &Receiver<Piece>, durable: &AtomicU64) {
    remove(disk, |name| name.ends_with(UNFINISHED)); // Left by a crash.
    let mut open: Option<Open<'_>> = None;
    for piece in pieces {
        let done = match piece {
            Piece::Begin(position) => Open::create(disk, position).map(|new| open = Some(new)),
            Piece::Bytes(bytes) => open.as_mut().map_or(Ok(()), |open| open.write(&bytes)),
            Piece::Abort => {
                open = None;
                Ok(())
            }
            Piece::End => match open.take() {
                Some(image) => image.finish().map(|position| {
                    durable.store(position, Ordering::Release);
                    // Older ones, and those of another log.
                    remove(disk, |other| other != name(position));
                }),
                None => Ok(()),
            },
        };
        if let Err(error) = done {
            tracing::warn!(%error, "an image of the live state could not be written; the next one is tried");
            open = None;
        }
    }
}

/// Whatever lies in the folder of ours, newest first.
fn ours(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let mut names = disk.list()?;
    names.retain(|name| name.starts_with(PREFIX));
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

fn remove(disk: &dyn Disk, unwanted: impl Fn(&str) -> bool) {
    for name in ours(disk).unwrap_or_default().into_iter().filter(|name| unwanted(name)) {
        if let Err(error) = disk.remove(&name) {
            tracing::warn!(%error, name, "an image that is of no use could not be removed");
        }
    }
}

/// The newest image that can be read (a crash may have left an older one) and whose position lies in `first..=end`.
pub fn load_newest(
    disk: &dyn Disk,
    incarnation: u64,
    (first, end): (u64, u64),
    now_us: i64,
    wanted: Wanted<'_>,
) -> Option<Image> {
    // A killed process can have left a name that never reached the disk; it is synced before it is believed.
    let names = disk.sync_dir().and_then(|()| ours(disk));
    let names =
        names.inspect_err(|error| tracing::warn!(%error, "images cannot be read")).unwrap_or_default();
    names.into_iter().filter(|name| !name.ends_with(UNFINISHED)).find_map(|name| {
        let read = read_whole(disk, &name).map_err(LiveError::from);
        match read.and_then(|bytes| Image::decode(&bytes, incarnation, now_us, wanted)) {
            Ok(image) if (first..=end).contains(&image.at.position) => Some(image),
            Ok(image) => {
                tracing::warn!(
                    name,
                    position = image.at.position,
                    first,
                    end,
                    "the image is not of this log"
                );
                None
            }
            Err(error) => {
                tracing::warn!(%error, name, "the image is left aside");
                None
            }
        }
    })
}
