//! What can be saved of a broken database, and what has to be named as lost.
//!
//! SQLite gives up at the first page that makes no sense. Here every table is read as far as it goes, and blocks are asked
//! for one by one: what lies on whole pages and carries its checksum is as good as ever. Every other number that was given
//! out is named as lost; some of them the server has, which makes that no less true for the rest.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, params};

use super::ledger::{Lost, add_losses};
use super::{
    BlockRow, SCHEMA, WITHDRAWN, get_meta, insert_block, insert_row, read_era, read_owner, set_meta,
};
use crate::block::{self, Number, Owner};
use crate::error::QueueError;
use crate::seal::{Sealed, Sealer};

/// SQLite's usual size of a page, which is the queue's.
const PAGE: usize = 4096;
/// On the first page, where the header ends and the tables are named.
const TABLES: usize = 100;
/// Between damaged pages, blocks are looked for this far.
const MAX_BLOCKS: i64 = 200_000;
/// Tables that are taken over as they are, and whether a row of theirs can be read again. One that cannot would hold up
/// whatever reads its table, and make the new database as broken as the old one.
pub(super) const COPIED: [(&str, &str, Fits); 4] = [
    ("eras", "id, boot, base_us", |row| read_era(row).map(drop)),
    ("losses", "install, epoch, class, lane, first, last, reason", |row| {
        text(row, 0).and(number(row, 1)).and(row.get::<_, i32>(2)).and(row.get::<_, u32>(3))?;
        number(row, 4).and(number(row, 5)).and(text(row, 6)).map(drop)
    }),
    ("receipts", "event, state, reason, changed", |row| {
        row.get::<_, [u8; 16]>(0).and(number(row, 1)).and(text(row, 2)).and(number(row, 3)).map(drop)
    }),
    ("wishes", "id, sealed, key", |row| {
        text(row, 0).and(row.get::<_, Vec<u8>>(1)).and(text(row, 2)).map(drop)
    }),
];

pub(super) type Fits = fn(&Row<'_>) -> rusqlite::Result<()>;

fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    row.get(at)
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<i64> {
    row.get(at)
}

/// Takes over what can be read of the broken database at `path`: how many events. Whatever goes wrong while reading
/// is skipped.
///
/// # Errors
/// When the queue's own database cannot be written.
pub(super) fn salvage(tx: &Transaction<'_>, path: &Path, sealer: &Sealer) -> Result<u64, QueueError> {
    let mended = mend_first_page(path).unwrap_or_else(|error| {
        tracing::warn!(%error, "the first page of a broken database cannot be mended");
        None
    });
    let saved = salvage_from(tx, mended.as_deref().unwrap_or(path), sealer);
    mended.as_deref().into_iter().flat_map(with_log).for_each(|file| drop(std::fs::remove_file(file)));
    saved
}

fn salvage_from(tx: &Transaction<'_>, path: &Path, sealer: &Sealer) -> Result<u64, QueueError> {
    let Ok(broken) = Connection::open(path) else { return Ok(0) };
    // The folder's lock keeps others out; without EXCLUSIVE it would need shared memory beside it.
    let _ = broken.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;");
    if get_meta::<String>(tx, "install")?.is_none() {
        copy_meta(tx, &broken)?;
    }
    for (table, columns, fits) in COPIED {
        each_row(&broken, &format!("SELECT {columns} FROM {table}"), |row| {
            if fits(row).is_ok() { insert_row(tx, table, columns, row) } else { Ok(()) }
        })?;
    }
    let (mut events, mut left) = (0, Left::default());
    for id in ids(&broken)? {
        events += take_block(tx, &broken, id, sealer, &mut left)?;
    }
    let install = get_meta::<String>(&broken, "install").ok().flatten();
    let epoch = get_meta::<i64>(&broken, "epoch").ok().flatten().map(i64::cast_unsigned);
    // Where the page that says it is damaged, the newest block says whose numbers these are.
    if let Some(own) = install.zip(epoch).or_else(|| left.newest.take()) {
        left.read_streams(&broken, own)?;
    }
    left.name(tx)?;
    Ok(events)
}

/// The first page says where the tables begin. It is the same in every database of this format, but for the number of pages:
/// where it is damaged, a copy of the database gets a whole one.
fn mend_first_page(path: &Path) -> Result<Option<PathBuf>, std::io::Error> {
    let mut page = first_page(&path.with_added_extension("model"))?;
    let mut found = vec![0; page.len()];
    File::open(path)?.read_exact(&mut found)?;
    if found.get(TABLES..) == page.get(TABLES..) && found.get(..16) == page.get(..16) {
        return Ok(None);
    }
    let copy = path.with_added_extension("mended");
    for (from, to) in with_log(path).into_iter().zip(with_log(&copy)).filter(|(from, _)| from.exists()) {
        std::fs::copy(from, to)?;
    }
    let pages = std::fs::metadata(path)?.len() / PAGE as u64;
    if let Some(count) = page.get_mut(28..32) {
        count.copy_from_slice(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes());
    }
    File::options().write(true).open(&copy)?.write_all(&page)?;
    Ok(Some(copy))
}

/// The first page of a new database, made at `model` and deleted again.
fn first_page(model: &Path) -> Result<Vec<u8>, std::io::Error> {
    let made = Connection::open(model).and_then(|db| {
        db.execute_batch(&format!("PRAGMA page_size = {PAGE}; {SCHEMA}"))?;
        db.close().map_err(|(_, error)| error)
    });
    let page = made.map_err(std::io::Error::other).and_then(|()| std::fs::read(model));
    let _ = std::fs::remove_file(model);
    Ok(page?.get(..PAGE).unwrap_or_default().to_vec())
}

/// A database and its log of writes.
fn with_log(path: &Path) -> [PathBuf; 2] {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path.to_owned(), log.into()]
}

/// A block of which not even the numbers can be read is about to go: every number of its class that was given out and is in
/// no other block is named as lost. Some of them the server has.
pub(super) fn lose_unknown(tx: &Transaction<'_>, block: i64, owner: &Owner) -> Result<(), QueueError> {
    let mut left = Left::default();
    let own = (owner.install.clone(), owner.epoch);
    let is_own = get_meta::<String>(tx, "install")?.as_ref() == Some(&own.0)
        && get_meta::<i64>(tx, "epoch")? == Some(own.1.cast_signed());
    if is_own {
        left.read_streams(tx, own.clone())?;
    }
    let mut query = tx.prepare_cached(
        "SELECT numbers FROM blocks WHERE class = ?1 AND install = ?2 AND epoch = ?3 AND id <> ?4",
    )?;
    let mut rows = query.query(params![owner.class, owner.install, owner.epoch.cast_signed(), block])?;
    while let Some(row) = rows.next()? {
        let numbers: Vec<u8> = row.get(0)?;
        left.see(owner, &block::read_numbers(&numbers).unwrap_or_default(), true);
    }
    left.streams.values_mut().for_each(|streams| streams.retain(|(class, _), _| *class == owner.class));
    left.name(tx)
}

/// Who the install and the person are, and how far the ring was read. Not the epoch: nobody knows which numbers were given.
fn copy_meta(tx: &Transaction<'_>, broken: &Connection) -> Result<(), QueueError> {
    use rusqlite::types::Type::{Blob, Integer, Text};
    for (key, kind) in [
        ("install", Text),
        ("profile", Blob),
        ("profile_key", Text),
        ("era", Integer),
        ("ring", Integer),
        ("ring_at", Integer),
    ] {
        if let Ok(Some(value)) = get_meta::<Value>(broken, key)
            && value.data_type() == kind
        {
            set_meta(tx, key, value)?;
        }
    }
    each_row(broken, &format!("SELECT key FROM meta WHERE key GLOB '{WITHDRAWN}*'"), |row| {
        text(row, 0).map_or(Ok(()), |key| set_meta(tx, &key, 1))
    })?;
    Ok(())
}

/// Gives every row that can be read; whether that was all.
fn each_row(
    broken: &Connection,
    query: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), QueueError>,
) -> Result<bool, QueueError> {
    let Ok(mut query) = broken.prepare(query) else { return Ok(false) };
    let Ok(mut rows) = query.query([]) else { return Ok(false) };
    loop {
        match rows.next() {
            Ok(Some(row)) => take(row)?,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
}

/// Every id that a block may have: what a look from either end finds, and what may lie between, where both end at damage.
fn ids(broken: &Connection) -> Result<BTreeSet<i64>, QueueError> {
    const ASCENDING: &str = "SELECT id FROM blocks NOT INDEXED ORDER BY id";
    let read = |query: &str| {
        let mut ids = Vec::new();
        let whole = each_row(broken, query, |row| {
            ids.push(row.get(0)?);
            Ok(())
        })?;
        Ok::<_, QueueError>((ids, whole))
    };
    let (up, whole) = read(ASCENDING)?;
    let mut ids: BTreeSet<i64> = up.iter().copied().collect();
    if whole {
        return Ok(ids);
    }
    let (down, _) = read(&format!("{ASCENDING} DESC"))?;
    ids.extend(&down);
    let first = up.last().map_or(1, |last| last.saturating_add(1));
    let last = down.last().copied().unwrap_or(i64::MAX).min(first.saturating_add(MAX_BLOCKS));
    ids.extend(first..last);
    Ok(ids)
}

/// Copies a block that is whole; how many events it has.
fn take_block(
    tx: &Transaction<'_>,
    broken: &Connection,
    id: i64,
    sealer: &Sealer,
    left: &mut Left,
) -> Result<u64, QueueError> {
    let Ok(mut query) = broken.prepare_cached(
        "SELECT id, class, install, epoch, era, key, numbers, body, person, at_us FROM blocks WHERE id = ?1",
    ) else {
        return Ok(0);
    };
    let Ok(mut rows) = query.query([id]) else { return Ok(0) };
    let Ok(Some(row)) = rows.next() else { return Ok(0) };
    let (Ok(owner), Ok(numbers), Ok(body)) =
        (read_owner(row), row.get::<_, Vec<u8>>(6), row.get::<_, Vec<u8>>(7))
    else {
        return Ok(0);
    };
    let bytes = match block::open(&owner, &numbers, &body, sealer) {
        Ok((plain, _)) => Some(plain.len()),
        Err(Sealed::NotNow(_)) => Some(body.len()),
        Err(Sealed::NoKey | Sealed::Damaged) => None,
    };
    let found = block::read_numbers(&numbers).unwrap_or_default();
    left.see(&owner, &found, bytes.is_some());
    let Some(bytes) = bytes else { return Ok(0) };
    // No checksum covers these: they are counted anew, and a time that makes no sense makes no event old.
    let person = text(row, 8).unwrap_or_else(|_| owner.key.clone());
    let at_us = number(row, 9).unwrap_or(i64::MAX);
    let (owner, person, numbers, body) = (&owner, &*person, &*numbers, &*body);
    insert_block(tx, &BlockRow { owner, person, at_us, count: found.len(), bytes, numbers, body })?;
    Ok(found.len() as u64)
}

/// What is known of the numbers of each stream.
#[derive(Default)]
struct Left {
    streams: HashMap<(String, u64), HashMap<(i32, u8), Stream>>,
    /// Install and epoch of the block that was seen last.
    newest: Option<(String, u64)>,
}

#[derive(Default)]
struct Stream {
    /// The last number that is known to have been given out.
    last: u64,
    /// Numbers of events that were saved.
    kept: BTreeSet<u64>,
}

impl Left {
    /// A block has these numbers, and is kept or not.
    fn see(&mut self, owner: &Owner, numbers: &[Number], kept: bool) {
        self.newest = Some((owner.install.clone(), owner.epoch));
        let streams = self.streams.entry((owner.install.clone(), owner.epoch)).or_default();
        for at in numbers {
            let stream = streams.entry((owner.class, at.lane)).or_default();
            stream.last = stream.last.max(at.number);
            if kept {
                stream.kept.insert(at.number);
            }
        }
    }

    /// How far the numbers of the queue's own streams have come.
    fn read_streams(&mut self, db: &Connection, own: (String, u64)) -> Result<(), QueueError> {
        let own = self.streams.entry(own).or_default();
        each_row(db, "SELECT class, lane, last FROM streams", |row| {
            if let (Ok(class), Ok(lane), Ok(last)) = (row.get(0), row.get(1), number(row, 2)) {
                let stream = own.entry((class, lane)).or_default();
                stream.last = stream.last.max(last.cast_unsigned());
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Names as lost what was given out and not kept.
    fn name(&self, tx: &Transaction<'_>) -> Result<(), QueueError> {
        for ((install, epoch), streams) in &self.streams {
            for ((class, lane), stream) in streams {
                for (first, last) in stream.missing() {
                    let lost = Lost { install, epoch: *epoch, class: *class, lane: *lane, first, last };
                    add_losses(tx, &lost, "corrupt")?;
                }
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Ranges up to the last number without those that were saved.
    fn missing(&self) -> Vec<(u64, u64)> {
        let mut ranges = Vec::new();
        let mut next = 1;
        for kept in self.kept.iter().copied().chain([self.last.saturating_add(1)]) {
            if next < kept {
                ranges.push((next, kept - 1));
            }
            next = kept.saturating_add(1);
        }
        ranges
    }
}
