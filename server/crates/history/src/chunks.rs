//! The chunk folder: its manifest, and who still reads an earlier one.
//!
//! Order of a change: the files, whole and synced; their names; the new manifest under a temporary name, synced;
//! its name. So at any moment the manifest with the highest number names whole files only, and what no manifest
//! names is left over from a crash.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use footpath_log::disk::{Disk, DiskFile, UNFINISHED, read_whole, replace};
use parking_lot::Mutex;

use crate::cache::ColumnCache;
use crate::error::HistoryError;
use crate::heads::{Heads, Name};
use crate::identity::KnownGraphs;
use crate::manifest::{self, ChunkFile, Manifest};
use crate::output::Output;
use crate::read::{self, Input, Wanted};
use crate::stop::Stop;
use crate::stored::{ScanStats, StoredRow};
use crate::workers::Workers;

/// Bytes read at a time to compare a checksum.
const CHECK_BYTES: u64 = 1 << 20;
/// Bytes of decoded columns that are kept unless told otherwise.
const CACHE_BYTES: usize = 256 << 20;

/// The chunk folder. One writer, many readers.
pub struct Chunks {
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
    /// The number of the next manifest; one is never used twice, also when writing it failed.
    next: Mutex<u64>,
    /// Paths of the files whose checksum was found right since the start. Reading a file in full once is cheap beside
    /// decoding it; before every scan it would not be.
    verified: Mutex<HashSet<String>>,
    cache: ColumnCache,
    graphs: KnownGraphs,
    workers: Workers,
}

struct State {
    manifest: Arc<Manifest>,
    /// How many living pins hold a manifest that ends at a position.
    pins: BTreeMap<u64, usize>,
}

/// Holds one manifest, and keeps the log from being trimmed above its end for as long as it lives.
pub struct Pin {
    chunks: Arc<Chunks>,
    manifest: Arc<Manifest>,
}

impl Chunks {
    /// Opens the folder, or makes an empty history for the log of this `incarnation`, and removes what a crash left.
    ///
    /// # Errors
    /// [`HistoryError::Newer`], [`HistoryError::Damaged`] and [`HistoryError::OtherLog`] say what to do.
    pub fn open(disk: Arc<dyn Disk>, incarnation: u64) -> Result<Self, HistoryError> {
        let names = disk.list()?;
        let newest = names.iter().filter_map(|name| manifest::number_of(name)).max();
        let manifest = match newest {
            Some(number) => read_manifest(disk.as_ref(), number)?,
            None if names.iter().any(|name| is_chunk(name)) => {
                return Err(HistoryError::damaged("the chunk folder", "it has chunks but no manifest"));
            }
            None => Manifest { incarnation, ..Manifest::default() },
        };
        if manifest.incarnation != incarnation {
            return Err(HistoryError::OtherLog);
        }
        check_files(disk.as_ref(), &manifest)?;
        remove_leftovers(disk.as_ref(), &names, &manifest)?;
        if newest.is_none() {
            put_manifest(disk.as_ref(), &manifest)?;
        }
        // A killed process can have left a name that never reached the disk; it is synced before it is believed.
        disk.sync_dir()?;
        let next = Mutex::new(manifest.number + 1);
        Ok(Self {
            disk,
            next,
            verified: Mutex::default(),
            cache: ColumnCache::new(CACHE_BYTES),
            graphs: KnownGraphs::default(),
            workers: Workers::new(),
            state: Mutex::new(State { manifest: Arc::new(manifest), pins: BTreeMap::new() }),
        })
    }

    /// Keeps up to so many bytes of decoded columns for the next question; 0 keeps none.
    #[must_use]
    pub fn with_cache(self, bytes: usize) -> Self {
        Self { cache: ColumnCache::new(bytes), ..self }
    }

    /// The decoded columns that are kept now, in bytes.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// The newest manifest.
    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.state.lock().manifest)
    }

    /// Pins the newest manifest.
    pub fn pin(self: &Arc<Self>) -> Pin {
        let mut state = self.state.lock();
        let manifest = Arc::clone(&state.manifest);
        *state.pins.entry(manifest.upto).or_default() += 1;
        Pin { chunks: Arc::clone(self), manifest }
    }

    /// The lowest position that must stay in the log: what no chunk covers, or what a living pin reads there.
    pub fn trim_floor(&self) -> u64 {
        let state = self.state.lock();
        let pinned = state.pins.keys().next().copied();
        pinned.map_or(state.manifest.upto, |pinned| pinned.min(state.manifest.upto))
    }

    /// Reads every file in full and compares length and checksum: for backups and tests.
    ///
    /// # Errors
    /// [`HistoryError::Damaged`] names the first bad file.
    pub fn verify(&self) -> Result<(), HistoryError> {
        for file in &self.manifest().files {
            check_content(self.disk.open(&file.path)?.as_ref(), file)?;
        }
        Ok(())
    }

    /// Checks that the log begins where chunks end, or below: what is in neither is lost.
    ///
    /// # Errors
    /// [`HistoryError::Gap`] when positions below `first` are in no chunk.
    pub fn check_log(&self, first: u64) -> Result<(), HistoryError> {
        let upto = self.manifest().upto;
        if upto < first { Err(HistoryError::Gap { upto, first }) } else { Ok(()) }
    }

    /// Opens a file. The first time since the start its checksum is compared: a flipped bit can decode as other events.
    fn open_file(&self, file: &ChunkFile) -> Result<Arc<dyn DiskFile>, HistoryError> {
        let open = self.disk.open(&file.path)?;
        if !self.verified.lock().contains(&file.path) {
            check_content(open.as_ref(), file)?;
            self.verified.lock().insert(file.path.clone());
        }
        Ok(open)
    }

    /// Begins a chunk file. It is no part of history before it joins.
    pub(crate) fn begin<'a>(&'a self, path: &'a str) -> io::Result<Output<'a>> {
        Output::begin(self.disk.as_ref(), path)
    }

    /// Makes written files part of history, and `upto` its end. Durable on return; after an error it may be called
    /// again with the same files, which must not be written again: a manifest on disk may name them already.
    pub(crate) fn join(
        &self,
        files: &[ChunkFile],
        upto: u64,
        upto_append_us: i64,
    ) -> Result<(), HistoryError> {
        let old = self.manifest();
        let mut manifest = Manifest { upto, upto_append_us, ..Manifest::clone(&old) };
        manifest.files.extend(files.iter().cloned().map(Arc::new));
        manifest.number = {
            let mut next = self.next.lock();
            *next += 1;
            *next - 1
        };
        self.disk.sync_dir()?;
        put_manifest(self.disk.as_ref(), &manifest)?;
        self.state.lock().manifest = Arc::new(manifest);
        // If this fails, the next start does it.
        self.disk.remove(&manifest::name(old.number)).ok();
        Ok(())
    }
}

impl Pin {
    /// The pinned manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gives the wanted events of one of the manifest's files.
    pub(crate) fn read(
        &self,
        file: &ChunkFile,
        wanted: &Wanted,
        stats: &mut ScanStats,
        each: &mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, HistoryError> {
        read::scan(self.input(file)?, file, wanted, stats, each)
    }

    /// Decodes the heads of each of these selections of a file's events.
    pub(crate) fn heads(
        &self,
        file: &ChunkFile,
        names: &[Name],
        stop: &Stop,
    ) -> Result<Vec<Heads>, HistoryError> {
        read::heads(self.input(file)?, file, names, stop)
    }

    /// Decodes the ids of a selection of a file's events.
    pub(crate) fn ids(&self, file: &ChunkFile, name: &Name, stop: &Stop) -> Result<Vec<u128>, HistoryError> {
        read::ids(self.input(file)?, file, name, stop)
    }

    fn input(&self, file: &ChunkFile) -> Result<Input, HistoryError> {
        Ok(Input::new(self.chunks.open_file(file)?)?)
    }

    pub(crate) fn cache(&self) -> &ColumnCache {
        &self.chunks.cache
    }

    pub(crate) fn graphs(&self) -> &KnownGraphs {
        &self.chunks.graphs
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.chunks.workers
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.chunks.state.lock();
        if let Some(count) = state.pins.get_mut(&self.manifest.upto) {
            *count -= 1;
            if *count == 0 {
                state.pins.remove(&self.manifest.upto);
            }
        }
    }
}

/// Whether a file has the name of a chunk, as [`crate::file::path`] makes it.
fn is_chunk(name: &str) -> bool {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let parts: Vec<_> = name.split('/').collect();
    let [project, day, file] = parts[..] else { return false };
    let range = file.strip_suffix(".parquet").and_then(|range| range.split_once('-'));
    digits(project, 10)
        && day.starts_with("day=")
        && range.is_some_and(|(from, to)| digits(from, 20) && digits(to, 20))
}

fn read_manifest(disk: &dyn Disk, number: u64) -> Result<Manifest, HistoryError> {
    let name = manifest::name(number);
    let manifest = Manifest::decode(&name, &read_whole(disk, &name)?)?;
    if manifest.number != number {
        return Err(HistoryError::damaged(&name, "it was written under another name"));
    }
    Ok(manifest)
}

/// Every file is there and as long as it should be; what is in it is checked when it is read.
fn check_files(disk: &dyn Disk, manifest: &Manifest) -> Result<(), HistoryError> {
    for file in &manifest.files {
        let length = disk.open(&file.path).and_then(|open| open.len());
        match length {
            Ok(length) if length == file.bytes => {}
            Ok(length) => {
                let problem = format!("it has {length} bytes instead of {}", file.bytes);
                return Err(HistoryError::damaged(&file.path, problem));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(HistoryError::damaged(&file.path, "it is missing"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads a file in full and compares its length and checksum with the manifest's.
fn check_content(open: &dyn DiskFile, file: &ChunkFile) -> Result<(), HistoryError> {
    let mut buffer = vec![0; CHECK_BYTES.min(file.bytes) as usize];
    let (mut at, mut crc) = (0, 0);
    let whole = open.len()? == file.bytes;
    while whole && at < file.bytes {
        let part = &mut buffer[..CHECK_BYTES.min(file.bytes - at) as usize];
        open.read_at(part, at)?;
        crc = crc32c::crc32c_append(crc, part);
        at += part.len() as u64;
    }
    if whole && crc == file.crc32c {
        return Ok(());
    }
    Err(HistoryError::damaged(&file.path, "its checksum does not fit"))
}

/// Removes files of ours that are not part of history; others are left alone.
fn remove_leftovers(disk: &dyn Disk, names: &[String], manifest: &Manifest) -> io::Result<()> {
    let current = manifest::name(manifest.number);
    let mut kept: HashSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    kept.insert(&current);
    for name in names {
        let finished = name.strip_suffix(UNFINISHED).unwrap_or(name);
        let ours = is_chunk(name) || manifest::number_of(finished).is_some();
        if ours && !kept.contains(name.as_str()) {
            tracing::info!(file = name, "removed what an interrupted write left");
            disk.remove(name)?;
        }
    }
    Ok(())
}

fn put_manifest(disk: &dyn Disk, manifest: &Manifest) -> Result<(), HistoryError> {
    Ok(replace(disk, &manifest::name(manifest.number), &manifest.encode()?)?)
}

#[cfg(test)]
mod tests;
