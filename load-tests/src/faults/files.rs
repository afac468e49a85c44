//! What happens to a queue's files while no process uses them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::crash::source::PROJECT;

/// Where a ring's events begin, and where it says how far they go.
const RING_DATA: u64 = 4096;
const RING_TAIL_AT: usize = 128;

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The database of the main folder.
    Database,
    /// The database's log of writes.
    Log,
    /// The database that another process left.
    Orphan,
    /// The ring's events.
    Ring,
    /// The ring's header.
    RingHeader,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Database, Self::Log, Self::Orphan, Self::Ring, Self::RingHeader];

    /// Does it; answers what was changed.
    ///
    /// # Errors
    /// If the file is not there.
    pub fn strike(self, base: &Path, rng: &mut StdRng) -> anyhow::Result<String> {
        let main = base.join(PROJECT).join("main");
        match self {
            Self::Database => overwrite(&main.join("queue.sqlite"), rng),
            Self::Log => overwrite(&main.join("queue.sqlite-wal"), rng),
            Self::Orphan => overwrite(&orphan(base)?.join("queue.sqlite"), rng),
            Self::Ring => {
                let path = main.join("ring");
                let bytes = fs::read(&path)?;
                let tail = bytes.get(RING_TAIL_AT..RING_TAIL_AT + 8).context("no ring")?;
                let tail = tail.try_into().map(u64::from_le_bytes)?;
                let at = RING_DATA + rng.random_range(0..tail.clamp(1, bytes.len() as u64 - RING_DATA));
                flip(&path, at as usize, 1, rng)
            }
            Self::RingHeader => flip(&main.join("ring"), rng.random_range(0..RING_TAIL_AT + 8), 8, rng),
        }
    }
}

/// The folder that another process left.
fn orphan(base: &Path) -> anyhow::Result<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(base.join(PROJECT))?.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.into_iter().find(|path| !path.ends_with("main")).context("nobody left a folder")
}

/// Random bytes in a few places.
fn overwrite(path: &Path, rng: &mut StdRng) -> anyhow::Result<String> {
    let size = fs::metadata(path).with_context(|| path.display().to_string())?.len() as usize;
    let mut places = Vec::new();
    for _ in 0..rng.random_range(1..=6) {
        let count = rng.random_range(1..=256);
        // The first page is what a database cannot do without; it is hit often enough to be seen.
        let most = if rng.random_bool(0.2) { size.min(4096) } else { size };
        places.push(flip(path, rng.random_range(0..most.max(1)), count, rng)?);
    }
    Ok(places.join(", "))
}

fn flip(path: &Path, at: usize, count: usize, rng: &mut StdRng) -> anyhow::Result<String> {
    let mut bytes = fs::read(path)?;
    let end = (at + count).min(bytes.len());
    ensure!(at < end, "{} has no byte {at}", path.display());
    for byte in &mut bytes[at..end] {
        *byte ^= rng.random_range(1..=255);
    }
    fs::write(path, bytes)?;
    Ok(format!("{} bytes {at}..{end}", path.file_name().unwrap_or_default().display()))
}

/// Copies a folder with everything in it.
///
/// # Errors
/// If a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Puts a copy in a folder's place.
///
/// # Errors
/// If a file cannot be read or written.
pub fn restore(backup: &Path, to: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(to)?;
    copy(backup, to)
}

/// Folders of a queue beside the main one.
///
/// # Errors
/// If it cannot be listed.
pub fn left_beside_main(base: &Path) -> anyhow::Result<usize> {
    Ok(fs::read_dir(base.join(PROJECT))?.flatten().filter(|entry| entry.file_name() != "main").count())
}
