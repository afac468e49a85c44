//! The newest ids, exactly, in memory.

use hashbrown::HashTable;

/// A project and an id, in the order of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) [u8; 20]);

impl Key {
    pub(crate) fn new(project: u32, id: [u8; 16]) -> Self {
        let mut key = [0; 20];
        key[..4].copy_from_slice(&project.to_be_bytes());
        key[4..].copy_from_slice(&id);
        Self(key)
    }

    /// Seeded, so that nobody can choose ids that collide.
    pub(crate) fn hash(&self, seed: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(&self.0, seed)
    }
}

/// A stored id and the hour of log time in which it was stored last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) hour: u32,
}

/// A set of stored ids with their hours.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    table: HashTable<Entry>,
}

impl Memtable {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, hash: u64, key: &Key) -> Option<u32> {
        self.table.find(hash, |entry| entry.key == *key).map(|entry| entry.hour)
    }

    /// Sets the hour of an id and returns the one it had.
    pub(crate) fn set(&mut self, hash: u64, entry: Entry, seed: u64) -> Option<u32> {
        if let Some(known) = self.table.find_mut(hash, |one| one.key == entry.key) {
            return Some(std::mem::replace(&mut known.hour, entry.hour));
        }
        self.table.insert_unique(hash, entry, |one| one.key.hash(seed));
        None
    }

    pub(crate) fn remove(&mut self, hash: u64, key: &Key) {
        if let Ok(found) = self.table.find_entry(hash, |entry| entry.key == *key) {
            found.remove();
        }
    }

    /// Forgets what was stored before `hour`.
    pub(crate) fn forget_before(&mut self, hour: u32) {
        self.table.retain(|entry| entry.hour >= hour);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    pub(crate) fn sorted(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.table.iter().copied().collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        entries
    }

    /// Takes everything out and leaves room for as much again: growing a large table in steps would stall.
    pub(crate) fn take(&mut self) -> Self {
        let next = HashTable::with_capacity(self.table.len());
        Self { table: std::mem::replace(&mut self.table, next) }
    }
}
