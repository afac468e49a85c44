//! A disk in memory that forgets like a real one: by seed, sector by sector.

use super::{Disk, DiskFile};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// Drives write sectors whole; 512 bytes is the smallest unit in use, so the harshest to survive.
const SECTOR: usize = 512;

/// A simulated folder. Clones share it; handles opened before a power loss stop working.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    folder: usize,
}

type Names = BTreeMap<String, usize>;

/// The names of one folder: as they are, as they are on disk, and the changes between the two.
#[derive(Default)]
struct Folder {
    names: Names,
    durable: Names,
    pending: Vec<Names>,
}

struct State {
    random: u64,
    files: Vec<Content>,
    folders: Vec<Folder>,
    capacity: u64,
    failing_syncs: u32,
    good_names: Option<u64>,
    power_left: Option<u64>,
    boots: u64,
}

#[derive(Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl SimDisk {
    /// An empty disk whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            files: Vec::new(),
            folders: vec![Folder::default()],
            capacity: u64::MAX,
            failing_syncs: 0,
            good_names: None,
            power_left: None,
            boots: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), folder: 0 }
    }

    /// Another folder of the same machine, empty: they lose power together.
    pub fn new_folder(&self) -> Self {
        let mut state = self.state.lock();
        state.folders.push(Folder::default());
        Self { state: Arc::clone(&self.state), folder: state.folders.len() - 1 }
    }

    /// From now on files together may hold `bytes`; growing beyond that is `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// The next `count` file syncs fail, and lose what they should have written, as Linux does.
    pub fn fail_syncs(&self, count: u32) {
        self.state.lock().failing_syncs = count;
    }

    /// After `good` more of them, removes, renames, creates and syncs of the folder fail; `None` heals it.
    pub fn fail_names_after(&self, good: Option<u64>) {
        self.state.lock().good_names = good;
    }

    /// The power goes after `operations` more writes, syncs and renames; then all fail until [`SimDisk::power_loss`].
    pub fn cut_power_after(&self, operations: u64) {
        self.state.lock().power_left = Some(operations);
    }

    /// The machine comes back: any subset of unsynced sectors survived, and a prefix of unsynced name changes
    /// (file systems journal them in order).
    pub fn power_loss(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.power_left = None;
        state.failing_syncs = 0;
        state.good_names = None;
        state.boots += 1;
        let share = next(&mut state.random) % 5;
        for file in &mut state.files {
            lose_sectors(file, &mut state.random, share);
        }
        for folder in &mut state.folders {
            lose_names(folder, &mut state.random);
        }
    }

    /// Flips one bit of durable data, as a rotting medium would.
    pub fn flip_bit(&self, name: &str, at: usize) {
        let mut state = self.state.lock();
        if let Some(&id) = state.folders[self.folder].names.get(name) {
            let file = &mut state.files[id];
            for bytes in [&mut file.current, &mut file.durable] {
                if let Some(byte) = <[u8]>::get_mut(bytes, at) {
                    *byte ^= 1;
                }
            }
        }
    }

    /// Overwrites durable bytes behind the log's back; for tests of damage and of newer formats.
    pub fn overwrite(&self, name: &str, at: usize, data: &[u8]) {
        let mut state = self.state.lock();
        if let Some(&id) = state.folders[self.folder].names.get(name) {
            let file = &mut state.files[id];
            file.current[at..at + data.len()].copy_from_slice(data);
            file.durable[at..at + data.len()].copy_from_slice(data);
        }
    }

    fn change_names<T>(
        &self,
        change: impl FnOnce(&mut Names, &mut Vec<Content>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.spend_power()?;
        state.spend_name()?;
        let folder = &mut state.folders[self.folder];
        let result = change(&mut folder.names, &mut state.files)?;
        folder.pending.push(folder.names.clone());
        Ok(result)
    }

    fn handle(&self, id: usize) -> Arc<dyn DiskFile> {
        let boot = self.state.lock().boots;
        Arc::new(SimFile { state: Arc::clone(&self.state), id, boot })
    }
}

impl State {
    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.power_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the simulated power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn spend_name(&mut self) -> io::Result<()> {
        match &mut self.good_names {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the simulated folder fails")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn used(&self) -> u64 {
        let names = self.folders.iter().flat_map(|folder| folder.names.values());
        names.map(|&id| self.files[id].current.len() as u64).sum()
    }
}

fn find(names: &Names, name: &str) -> io::Result<usize> {
    names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))
}

/// File systems journal names in order, so a prefix of the changes is kept.
fn lose_names(folder: &mut Folder, random: &mut u64) {
    let kept = (next(random) % (folder.pending.len() as u64 + 1)) as usize;
    if kept > 0 {
        folder.durable = folder.pending[kept - 1].clone();
    }
    folder.pending.clear();
    folder.names = folder.durable.clone();
}

/// Keeps each dirty sector with a chance of `share` quarters (0: none, 4: all).
fn lose_sectors(file: &mut Content, random: &mut u64, share: u64) {
    for sector in std::mem::take(&mut file.dirty) {
        if next(random) % 4 < share {
            persist(file, sector);
        }
    }
    file.current = file.durable.clone();
}

fn persist(file: &mut Content, sector: usize) {
    let from = sector * SECTOR;
    let to = (from + SECTOR).min(file.current.len());
    if file.durable.len() < to {
        file.durable.resize(to, 0);
    }
    file.durable[from..to].copy_from_slice(&file.current[from..to]);
}

/// splitmix64: small, seeded, good enough to choose sectors.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.change_names(|names, files| {
            if names.contains_key(name) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, name.to_owned()));
            }
            files.push(Content::default());
            names.insert(name.to_owned(), files.len() - 1);
            Ok(files.len() - 1)
        })?;
        Ok(self.handle(id))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = find(&self.state.lock().folders[self.folder].names, name)?;
        Ok(self.handle(id))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.lock().folders[self.folder].names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(|names, _| {
            find(names, name)?;
            names.remove(name);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_names(|names, _| {
            let id = find(names, from)?;
            names.remove(from);
            names.insert(to.to_owned(), id);
            Ok(())
        })
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.spend_power()?;
        state.spend_name()?;
        let folder = &mut state.folders[self.folder];
        folder.durable = folder.names.clone();
        folder.pending.clear();
        Ok(())
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    id: usize,
    boot: u64,
}

impl SimFile {
    fn check_boot(&self, state: &State) -> io::Result<()> {
        if state.boots == self.boot {
            return Ok(());
        }
        Err(io::Error::other("this handle is from before the power loss"))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.state.lock();
        self.check_boot(&state)?;
        let bytes = &state.files[self.id].current;
        let at = at as usize;
        let source = bytes.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(source);
        Ok(())
    }

    fn write_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        self.check_boot(&state)?;
        state.spend_power()?;
        let end = at as usize + data.len();
        let growth = end.saturating_sub(state.files[self.id].current.len()) as u64;
        if growth > 0 && state.used() + growth > state.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut state.files[self.id];
        if file.current.len() < end {
            file.current.resize(end, 0);
        }
        file.current[at as usize..end].copy_from_slice(data);
        file.dirty.extend(at as usize / SECTOR..end.div_ceil(SECTOR));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.check_boot(state)?;
        state.spend_power()?;
        let file = &mut state.files[self.id];
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            let share = next(&mut state.random) % 4;
            let dirty = std::mem::take(&mut file.dirty);
            for sector in dirty {
                if next(&mut state.random) % 4 < share {
                    persist(file, sector);
                }
            }
            return Err(io::Error::other("simulated sync failure"));
        }
        for sector in std::mem::take(&mut file.dirty) {
            persist(file, sector);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        self.check_boot(&state)?;
        Ok(state.files[self.id].current.len() as u64)
    }
}
