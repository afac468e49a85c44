//! The durable queue: SQLite, one folder, one owner.
//!
//! An event's number is taken in the transaction that commits it, so numbers have no gaps: not after a
//! failed commit, not after a kill. The epoch rotates when the last start was not closed cleanly, because a
//! power loss may have taken committed rows whose numbers were already delivered.

use std::path::Path;
use std::time::Duration;

use footpath_proto::v1;
use prost::Message as _;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, params};

use crate::clock::{Randomness, random_uuid};
use crate::error::QueueError;

const FORMAT: i64 = 1;
const FILE: &str = "queue.sqlite";
/// Loss ranges a batch carries; the rest goes with the next one.
const MAX_LOSSES: u32 = 100;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS streams (class INTEGER, lane INTEGER, last INTEGER NOT NULL,
        PRIMARY KEY (class, lane)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL,
        era INTEGER NOT NULL, class INTEGER NOT NULL, lane INTEGER NOT NULL, number INTEGER NOT NULL,
        event BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS losses (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, class INTEGER NOT NULL,
        lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL);
";

/// An event on its way into the queue: everything but its number.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub(crate) class: v1::DeliveryClass,
    pub(crate) lane: u8,
    pub(crate) event: v1::Event,
}

/// An event in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) epoch: u64,
    pub(crate) era: u64,
    pub(crate) class: i32,
    pub(crate) lane: u8,
    pub(crate) number: u64,
    /// `None` when the stored bytes cannot be read any more.
    pub(crate) event: Option<v1::Event>,
    pub(crate) bytes: usize,
}

/// A loss that the server does not know of yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    pub(crate) id: i64,
    pub(crate) epoch: u64,
    pub(crate) range: v1::LossRange,
}

/// The queue. Every method that changes it is one transaction.
pub(crate) struct Queue {
    db: Connection,
    install: String,
    epoch: u64,
    pending: u64,
    pending_bytes: u64,
}

impl Queue {
    /// Opens or makes the queue in `folder`.
    pub(crate) fn open(folder: &Path, random: &dyn Randomness) -> Result<Self, QueueError> {
        std::fs::create_dir_all(folder).map_err(|error| QueueError::Folder(folder.to_owned(), error))?;
        Self::start(Connection::open(folder.join(FILE))?, random).map_err(in_use)
    }

    /// A queue that lives as long as its client.
    pub(crate) fn in_memory(random: &dyn Randomness) -> Result<Self, QueueError> {
        Self::start(Connection::open_in_memory()?, random)
    }

    fn start(mut db: Connection, random: &dyn Randomness) -> Result<Self, QueueError> {
        db.busy_timeout(Duration::from_millis(200))?;
        // EXCLUSIVE keeps a second process out and is freed by the system when this one dies. FULL syncs each
        // commit: a number that was sent must not be given again after a power loss.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA cache_size = -512; PRAGMA journal_size_limit = 4194304;",
        )?;
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(SCHEMA)?;
        let found: i64 = get_meta(&tx, "format")?.unwrap_or(FORMAT);
        if found > FORMAT {
            return Err(QueueError::Newer { found, known: FORMAT });
        }
        set_meta(&tx, "format", FORMAT)?;
        let install = match get_meta::<String>(&tx, "install")? {
            Some(install) => install,
            None => random_uuid(random),
        };
        set_meta(&tx, "install", &install)?;
        let epoch = start_epoch(&tx, random)?;
        let (pending, pending_bytes) =
            tx.query_row("SELECT count(*), coalesce(sum(length(event)), 0) FROM events", [], |row| {
                Ok((from_sql(row.get(0)?), from_sql(row.get(1)?)))
            })?;
        tx.commit()?;
        Ok(Self { db, install, epoch, pending, pending_bytes })
    }

    /// Nothing more fits, as on a full disk.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        let pages = if full { 1 } else { 1 << 20 };
        self.db.pragma_update(None, "max_page_count", pages).ok();
    }

    pub(crate) fn install(&self) -> &str {
        &self.install
    }

    /// Events in the queue.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    /// Their size in bytes.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Numbers and keeps `events`, all or none.
    pub(crate) fn commit(&mut self, events: &[NewEvent], era: u64) -> Result<(), QueueError> {
        let tx = self.db.transaction()?;
        let mut bytes = 0u64;
        {
            let mut number = tx.prepare_cached(
                "INSERT INTO streams (class, lane, last) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
            )?;
            let mut insert = tx.prepare_cached(
                "INSERT INTO events (epoch, era, class, lane, number, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for new in events {
                let class = new.class as i32;
                let number: i64 = number.query_row(params![class, new.lane], |row| row.get(0))?;
                let mut event = new.event.clone();
                event.delivery_class = class;
                event.lane = Some(u32::from(new.lane));
                event.number = from_sql(number);
                let blob = event.encode_to_vec();
                insert.execute(params![to_sql(self.epoch), to_sql(era), class, new.lane, number, blob])?;
                bytes += blob.len() as u64;
            }
        }
        tx.commit()?;
        self.pending += events.len() as u64;
        self.pending_bytes += bytes;
        Ok(())
    }

    /// The oldest events that `skip` does not name: at most `max_events` (at least one), at most `max_bytes`, all
    /// of one epoch and one clock era.
    pub(crate) fn oldest(
        &self,
        skip: impl Fn(i64) -> bool,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Row>, QueueError> {
        let mut query = self
            .db
            .prepare_cached("SELECT seq, epoch, era, class, lane, number, event FROM events ORDER BY seq")?;
        let mut found: Vec<Row> = Vec::new();
        let mut bytes = 0;
        for row in query.query_map([], read_row)? {
            let row = row?;
            if skip(row.seq) {
                continue;
            }
            let fits = found.len() < max_events.max(1) && bytes + row.bytes <= max_bytes;
            let same = found.first().is_none_or(|first| (first.epoch, first.era) == (row.epoch, row.era));
            if !(found.is_empty() || fits && same) {
                break;
            }
            bytes += row.bytes;
            found.push(row);
        }
        Ok(found)
    }

    /// The newest event's place in the queue; 0 when there was never one.
    pub(crate) fn last_seq(&self) -> Result<i64, QueueError> {
        let last = self.db.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
        Ok(last)
    }

    /// Whether an event at or before `seq` still waits.
    pub(crate) fn waits_until(&self, seq: i64) -> Result<bool, QueueError> {
        let mut query = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE seq <= ?1)")?;
        Ok(query.query_row([seq], |row| row.get(0))?)
    }

    /// Losses to report: of `epoch`, or of the oldest loss's epoch.
    pub(crate) fn losses(&self, epoch: Option<u64>) -> Result<Vec<Loss>, QueueError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, epoch, class, lane, first, last, reason FROM losses
             WHERE epoch = coalesce(?1, (SELECT epoch FROM losses ORDER BY id LIMIT 1)) ORDER BY id LIMIT ?2",
        )?;
        let losses = query.query_map(params![epoch.map(to_sql), MAX_LOSSES], read_loss)?;
        Ok(losses.collect::<Result<_, _>>()?)
    }

    /// Ends a batch: `done` rows and `reported` losses go, `lost` rows go too and leave a loss with a reason.
    pub(crate) fn settle(
        &mut self,
        done: &[&Row],
        lost: &[(&Row, &str)],
        reported: &[i64],
    ) -> Result<(), QueueError> {
        let tx = self.db.transaction()?;
        let mut gone = (0u64, 0u64);
        {
            // Reported losses go first: a new loss must not widen a range that is about to be deleted.
            let mut forget = tx.prepare_cached("DELETE FROM losses WHERE id = ?1")?;
            for id in reported {
                forget.execute([id])?;
            }
            let mut delete = tx.prepare_cached("DELETE FROM events WHERE seq = ?1")?;
            for row in done.iter().copied().chain(lost.iter().map(|(row, _)| *row)) {
                if delete.execute([row.seq])? == 1 {
                    gone = (gone.0 + 1, gone.1 + row.bytes as u64);
                }
            }
        }
        for (row, reason) in lost {
            add_loss(&tx, row, reason)?;
        }
        tx.commit()?;
        self.pending = self.pending.saturating_sub(gone.0);
        self.pending_bytes = self.pending_bytes.saturating_sub(gone.1);
        Ok(())
    }

    /// Notes that everything was saved: the next start goes on with this epoch.
    pub(crate) fn close(self) -> Result<(), QueueError> {
        set_meta(&self.db, "clean", 1)?;
        self.db.close().map_err(|(_, error)| error.into())
    }
}

/// The epoch of this start. A start counts as unclean until `close`.
fn start_epoch(tx: &Transaction<'_>, random: &dyn Randomness) -> Result<u64, QueueError> {
    let kept: Option<i64> = get_meta(tx, "epoch")?;
    let clean = get_meta::<i64>(tx, "clean")? == Some(1);
    set_meta(tx, "clean", 0)?;
    match kept {
        Some(epoch) if clean => Ok(from_sql_bits(epoch)),
        _ => {
            let epoch = random.next_u64();
            set_meta(tx, "epoch", to_sql(epoch))?;
            tx.execute("DELETE FROM streams", [])?;
            Ok(epoch)
        }
    }
}

/// Neighbouring losses of a stream become one range.
fn add_loss(tx: &Transaction<'_>, row: &Row, reason: &str) -> Result<(), QueueError> {
    let (epoch, number) = (to_sql(row.epoch), to_sql(row.number));
    let mut widen = tx.prepare_cached(
        "UPDATE losses SET last = ?4 WHERE epoch = ?1 AND class = ?2 AND lane = ?3 AND last = ?4 - 1 AND reason = ?5",
    )?;
    if widen.execute(params![epoch, row.class, row.lane, number, reason])? == 0 {
        let mut insert = tx.prepare_cached(
            "INSERT INTO losses (epoch, class, lane, first, last, reason) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        )?;
        insert.execute(params![epoch, row.class, row.lane, number, reason])?;
    }
    Ok(())
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let blob = row.get_ref(6)?.as_blob()?;
    Ok(Row {
        seq: row.get(0)?,
        epoch: from_sql_bits(row.get(1)?),
        era: from_sql_bits(row.get(2)?),
        class: row.get(3)?,
        lane: row.get(4)?,
        number: from_sql(row.get(5)?),
        event: v1::Event::decode(blob).ok(),
        bytes: blob.len(),
    })
}

fn read_loss(row: &rusqlite::Row<'_>) -> rusqlite::Result<Loss> {
    let range = v1::LossRange {
        delivery_class: row.get(2)?,
        lane: row.get(3)?,
        from: from_sql(row.get(4)?),
        to: from_sql(row.get(5)?),
        reason: row.get(6)?,
    };
    Ok(Loss { id: row.get(0)?, epoch: from_sql_bits(row.get(1)?), range })
}

fn get_meta<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn set_meta(db: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

/// SQLite's integers are signed: random 64-bit ids keep their bits.
fn to_sql(bits: u64) -> i64 {
    bits.cast_signed()
}

fn from_sql_bits(value: i64) -> u64 {
    value.cast_unsigned()
}

/// Counts and numbers, which are never negative.
fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn in_use(error: QueueError) -> QueueError {
    match error {
        QueueError::Database(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            QueueError::InUse
        }
        other => other,
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
