//! A sorted run of ids on disk.
//!
//! ```text
//! block 0   magic [8] | version u32 | kind u32 | hour u32 | ids u64 | from u64 | to u64 | oldest u32
//!           | newest u32 | zeros | crc32c u32
//! block n   up to 170 ids of 24 bytes (key [20], log hour u32), sorted by key | zeros | crc32c u32
//! ```
//! Blocks of 4096 bytes, integers little endian. A reader refuses a newer version. The first key of each
//! block is held in memory (0.5 % of the file), so that a confirmation is one read of one block.

use std::sync::Arc;

use super::io::{DedupeError, Reader, named};
use super::memtable::{Entry, Key};
use crate::disk::{Disk, DiskFile, read_whole, write_new};

const MAGIC: &[u8; 8] = b"FPIDRUN\0";
const VERSION: u32 = 1;
const BLOCK: usize = 4096;
const ENTRY: usize = 24;
const PER_BLOCK: usize = (BLOCK - 4) / ENTRY;

/// What a run holds, besides its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunMeta {
    /// The ids' own hour, or `None` for the run of ids that are not kept by their own hour.
    pub(crate) hour: Option<u32>,
    /// How many ids.
    pub(crate) ids: u64,
    /// The log positions whose ids it carries: after `from`, up to `to`.
    pub(crate) from: u64,
    /// See `from`.
    pub(crate) to: u64,
    /// The log hours in which its ids were stored, both inclusive.
    pub(crate) oldest: u32,
    /// See `oldest`.
    pub(crate) newest: u32,
}

/// An open run.
pub(crate) struct Run {
    pub(crate) meta: RunMeta,
    pub(crate) name: String,
    file: Arc<dyn DiskFile>,
    fences: Vec<Key>,
}

impl Run {
    /// Writes sorted `entries` durably and opens them.
    pub(crate) fn write(
        disk: &dyn Disk,
        name: String,
        meta: RunMeta,
        entries: &[Entry],
    ) -> Result<Self, DedupeError> {
        let mut bytes = Vec::with_capacity((1 + entries.len().div_ceil(PER_BLOCK)) * BLOCK);
        put_head(&mut bytes, &meta);
        for chunk in entries.chunks(PER_BLOCK) {
            let start = bytes.len();
            for entry in chunk {
                bytes.extend_from_slice(&entry.key.0);
                bytes.extend_from_slice(&entry.hour.to_le_bytes());
            }
            seal_block(&mut bytes, start);
        }
        let written = write_new(disk, &name, &bytes).and_then(|file| disk.sync_dir().map(|()| file));
        // What a run takes that nobody will name is needed elsewhere; if removing fails too, the next start does it.
        let written = written.inspect_err(|_| drop(disk.remove(&name)));
        let file = written.map_err(named(&name))?;
        let fences = entries.chunks(PER_BLOCK).map(|chunk| chunk[0].key).collect();
        Ok(Self { meta, name, file, fences })
    }

    /// Opens a run, verifies all of it, and shows each id to `each`.
    pub(crate) fn open(
        disk: &dyn Disk,
        name: String,
        mut each: impl FnMut(Entry),
    ) -> Result<Self, DedupeError> {
        let file = disk.open(&name).map_err(named(&name))?;
        let bytes = read_whole(disk, &name).map_err(named(&name))?;
        let corrupt = |what| DedupeError::corrupt(&name, what);
        let (head, body) = bytes.split_at_checked(BLOCK).ok_or_else(|| corrupt("too short"))?;
        let meta = read_head(&name, head)?;
        if body.len() as u64 != meta.ids.div_ceil(PER_BLOCK as u64).saturating_mul(BLOCK as u64) {
            return Err(corrupt("length"));
        }
        let mut left = meta.ids as usize;
        let mut fences = Vec::with_capacity(body.len() / BLOCK);
        for block in body.chunks_exact(BLOCK) {
            if !is_sound(block) {
                return Err(corrupt("checksum"));
            }
            let count = left.min(PER_BLOCK);
            left -= count;
            fences.push(entry_at(block, 0).key);
            (0..count).for_each(|at| each(entry_at(block, at)));
        }
        Ok(Self { meta, name, file, fences })
    }

    /// The log hour in which `key` was stored, if the run holds it.
    pub(crate) fn find(&self, key: &Key) -> Result<Option<u32>, DedupeError> {
        let after = self.fences.partition_point(|fence| fence <= key);
        let Some(block_index) = after.checked_sub(1) else { return Ok(None) };
        let mut block = [0_u8; BLOCK];
        let read = self.file.read_at(&mut block, ((1 + block_index) * BLOCK) as u64);
        read.map_err(named(&self.name))?;
        if !is_sound(&block) {
            return Err(DedupeError::corrupt(&self.name, "checksum"));
        }
        let before = block_index * PER_BLOCK;
        let (mut low, mut high) = (0, (self.meta.ids as usize - before).min(PER_BLOCK));
        while low < high {
            let middle = usize::midpoint(low, high);
            let entry = entry_at(&block, middle);
            match entry.key.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(entry.hour)),
            }
        }
        Ok(None)
    }
}

fn put_head(bytes: &mut Vec<u8>, meta: &RunMeta) {
    let start = bytes.len();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::from(meta.hour.is_some()).to_le_bytes());
    bytes.extend_from_slice(&meta.hour.unwrap_or(0).to_le_bytes());
    for number in [meta.ids, meta.from, meta.to] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&meta.oldest.to_le_bytes());
    bytes.extend_from_slice(&meta.newest.to_le_bytes());
    seal_block(bytes, start);
}

fn read_head(name: &str, head: &[u8]) -> Result<RunMeta, DedupeError> {
    let corrupt = |what| DedupeError::corrupt(name, what);
    let mut reader = Reader(head);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(corrupt("not a run of ids"));
    }
    let found = reader.u32().unwrap_or(0);
    if found > VERSION {
        return Err(DedupeError::NewerVersion { file: name.to_owned(), found, known: VERSION });
    }
    if !is_sound(head) {
        return Err(corrupt("checksum of the header"));
    }
    let mut fields = || {
        let kept_by_hour = reader.u32()? == 1;
        let hour = reader.u32()?;
        Some(RunMeta {
            hour: kept_by_hour.then_some(hour),
            ids: reader.u64()?,
            from: reader.u64()?,
            to: reader.u64()?,
            oldest: reader.u32()?,
            newest: reader.u32()?,
        })
    };
    fields().ok_or_else(|| corrupt("header"))
}

fn seal_block(bytes: &mut Vec<u8>, start: usize) {
    bytes.resize(start + BLOCK - 4, 0);
    let crc = crc32c::crc32c(&bytes[start..]);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

fn is_sound(block: &[u8]) -> bool {
    let (content, crc) = block.split_at(BLOCK - 4);
    crc == crc32c::crc32c(content).to_le_bytes()
}

fn entry_at(block: &[u8], at: usize) -> Entry {
    let mut reader = Reader(&block[at * ENTRY..]);
    let key = Key(reader.array().unwrap_or_default());
    Entry { key, hour: reader.u32().unwrap_or_default() }
}
