//! The durable queue: SQLite, one folder, one owner.
//!
//! An event's number is taken in the transaction that stores it, together with the place in the ring it came from. So
//! numbers have no gaps, and a kill between commit and release neither loses an event nor stores it twice. What was
//! sent is on the disk before it is sent ([`Queue::sync`]): a power loss cannot hand a delivered number to a new event.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use footpath_proto::v1;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::block::{Number, Owner};
use crate::clock::{Era, Randomness, random_uuid};
use crate::error::QueueError;
use crate::folder::Life;
use crate::profile::Profile;
use crate::ring::Position;
use crate::seal::{Sealed, Sealer};

mod absorb;
pub(crate) mod detached;
pub(crate) mod gather;
mod ledger;
mod salvage;
mod settle;

const FORMAT: i64 = 4;
/// A commit is no longer than this takes.
const COMMIT_BYTES: usize = 512 << 10;
/// On a full disk.
const TIGHT_COMMIT_BYTES: usize = 128 << 10;
/// In `meta`, before the name of a person whose events have still to be destroyed.
const WITHDRAWN: &str = "withdrawn ";

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS streams (class INTEGER, lane INTEGER, last INTEGER NOT NULL,
        PRIMARY KEY (class, lane)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS eras (id INTEGER PRIMARY KEY, boot TEXT, base_us INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL,
        install TEXT NOT NULL, epoch INTEGER NOT NULL, era INTEGER NOT NULL, key TEXT NOT NULL, person TEXT NOT NULL,
        at_us INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL, numbers BLOB NOT NULL,
        body BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS blocks_by_class ON blocks (class, id);
    CREATE TABLE IF NOT EXISTS losses (id INTEGER PRIMARY KEY, install TEXT NOT NULL, epoch INTEGER NOT NULL,
        class INTEGER NOT NULL, lane INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        reason TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS receipts (event BLOB PRIMARY KEY, state INTEGER NOT NULL, reason TEXT NOT NULL,
        changed INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS receipts_by_change ON receipts (changed);
    CREATE TABLE IF NOT EXISTS wishes (id TEXT PRIMARY KEY, sealed BLOB NOT NULL, key TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS detached (id TEXT PRIMARY KEY, batch BLOB NOT NULL) WITHOUT ROWID;
";

/// How far an event has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// On this device's disk.
    Queued,
    /// On the server's disk.
    Acked,
    /// The server will never take it, or it was given up here; why.
    Rejected(String),
}

/// The block of an event that was sent and is not in the queue any more.
pub(crate) const GONE: i64 = 0;

/// What an event is to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) block: i64,
    pub(crate) class: i32,
    pub(crate) at: Number,
    /// Its place in the gathered body.
    pub(crate) span: Range<usize>,
}

/// Events that may travel together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) install: String,
    pub(crate) epoch: u64,
    pub(crate) era: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) events: Vec<Queued>,
}

impl Gathered {
    pub(crate) fn field(&self, event: &Queued) -> &[u8] {
        &self.body[event.span.clone()]
    }
}

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server has it.
    Acked,
    /// It will never be sent again: the ledger's word, and why.
    Lost { word: &'static str, why: String },
}

/// A loss that the server does not know of yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    pub(crate) id: i64,
    pub(crate) install: String,
    pub(crate) epoch: u64,
    pub(crate) range: v1::LossRange,
}

/// How much may wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of events; beyond it the oldest of the least important class go.
    pub bytes: u64,
    /// Events.
    pub events: u64,
    /// Age; older events of the classes lossy and normal go.
    pub age: Duration,
    /// Bytes kept free for critical events: the others are evicted down to `bytes` less this.
    pub critical_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let age = Duration::from_secs(90 * 24 * 60 * 60);
        Self { bytes: 256 << 20, events: 1_000_000, age, critical_bytes: 8 << 20 }
    }
}

/// What one look into the ring brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Absorbed {
    pub(crate) events: u64,
    /// Critical events, and wishes: they do not wait for company.
    pub(crate) critical: u64,
    /// There may be more.
    pub(crate) more: bool,
    /// Bytes of the ring that could not be read.
    pub(crate) torn: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Size {
    events: u64,
    bytes: u64,
}

/// The queue. Every method that changes it is one transaction.
pub(crate) struct Queue {
    db: Connection,
    sealer: Sealer,
    install: String,
    epoch: u64,
    /// Names the person whose events come now, and their key; empty: a backend's.
    person: String,
    streams: HashMap<(u8, u8), u64>,
    sizes: [Size; 3],
    /// There are commits that a power loss may take.
    unsynced: bool,
    /// Among them are new events.
    fresh: bool,
    /// Events that were given up because nobody can read them.
    unreadable: u64,
    /// Its epoch was begun in this run.
    is_new: bool,
    /// A commit stores so many bytes of events, and one event more at most.
    commit_bytes: usize,
}

/// How a queue was found.
pub(crate) struct Opened {
    pub(crate) queue: Queue,
    /// How far the ring was absorbed.
    pub(crate) absorbed: Option<Position>,
    pub(crate) era: Option<Era>,
    /// It was put together from a broken one: events get other numbers than before.
    pub(crate) salvaged: bool,
    /// It is as its last process left it, or new: its numbers may go on. Otherwise a new event needs a new epoch
    /// ([`Queue::begin_epoch`]).
    pub(crate) intact: bool,
}

impl Queue {
    /// Opens or makes the queue's database. What can be saved of the databases `broken` is in it then.
    pub(crate) fn open(
        path: &Path,
        sealer: Sealer,
        found: Option<&Life>,
        broken: &[PathBuf],
        random: &dyn Randomness,
    ) -> Result<Opened, QueueError> {
        Self::start(Connection::open(path)?, sealer, found, broken, random)
    }

    /// A queue that lives as long as its client.
    pub(crate) fn in_memory(sealer: Sealer, random: &dyn Randomness) -> Result<Opened, QueueError> {
        Self::start(Connection::open_in_memory()?, sealer, None, &[], random)
    }

    fn start(
        mut db: Connection,
        sealer: Sealer,
        found: Option<&Life>,
        broken: &[PathBuf],
        random: &dyn Randomness,
    ) -> Result<Opened, QueueError> {
        db.busy_timeout(Duration::from_millis(200))?;
        // The folder's lock keeps others out; EXCLUSIVE spares the shared memory of WAL. `fullfsync` makes a sync reach
        // the disk on Apple's systems, too, and says nothing elsewhere. What the log of writes has and the database has not
        // needs room there: on a full disk the folder's ballast gives it.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = 200; PRAGMA fullfsync = 1; PRAGMA cache_size = -512; PRAGMA journal_size_limit = 4194304;
             PRAGMA secure_delete = ON;",
        )?;
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(SCHEMA)?;
        check_schema(&tx)?;
        set_meta(&tx, "format", FORMAT)?;
        let mut salvaged = false;
        // Whoever was the person last is in the newest of them.
        for path in broken.iter().rev() {
            salvaged |= salvage_once(&tx, path, &sealer)?;
        }
        // An unreadable profile is an error before anything is made: a locked device must not become a new install.
        let profile = stored_profile(&tx, &sealer)?;
        let install = get_meta::<String>(&tx, "install")?.unwrap_or_else(|| random_uuid(random));
        set_meta(&tx, "install", &install)?;
        let left = get_meta::<String>(&tx, "life")?;
        let known = get_meta::<i64>(&tx, "epoch")?.map(i64::cast_unsigned);
        let intact = known.is_none() || found.is_some_and(|found| left.as_deref() == Some(found.as_str()));
        let epoch = known.map_or_else(|| start_epoch(&tx, random), Ok)?;
        let streams = read_streams(&tx)?;
        let sizes = read_sizes(&tx)?;
        if get_meta::<String>(&tx, "totals")?.is_some_and(|noted| noted != totals(&sizes, &streams)) {
            return Err(QueueError::Incomplete);
        }
        note_totals(&tx, &sizes, &streams)?;
        let absorbed = position(&tx)?;
        let era = last_era(&tx)?;
        tx.commit()?;
        let person = profile.map(|profile| profile.key).unwrap_or_default();
        let queue = Self {
            db,
            sealer,
            install,
            epoch,
            person,
            streams,
            sizes,
            unsynced: true,
            fresh: false,
            unreadable: 0,
            is_new: known.is_none(),
            commit_bytes: COMMIT_BYTES,
        };
        Ok(Opened { queue, absorbed, era, salvaged, intact })
    }

    /// Whether the database at `path` is proven to be broken; slow.
    pub(crate) fn is_broken_at(path: &Path) -> bool {
        Connection::open(path).is_ok_and(|db| {
            let _ = db.execute_batch("PRAGMA locking_mode = EXCLUSIVE;");
            is_broken(&db)
        })
    }

    /// The same of this one.
    pub(crate) fn is_broken(&self) -> bool {
        is_broken(&self.db)
    }

    /// Begins all numbers anew: nobody knows which ones were given out.
    pub(crate) fn begin_epoch(&mut self, random: &dyn Randomness) -> Result<(), QueueError> {
        let tx = self.db.transaction()?;
        let epoch = start_epoch(&tx, random)?;
        note_totals(&tx, &self.sizes, &HashMap::new())?;
        tx.commit()?;
        self.epoch = epoch;
        self.streams.clear();
        self.unsynced = true;
        Ok(())
    }

    /// Notes how the folder is to be found by the next process. Until then, it would not go on with these numbers.
    pub(crate) fn set_life(&mut self, life: Option<&Life>) -> Result<(), QueueError> {
        set_meta(&self.db, "life", life.map(Life::as_str))?;
        self.unsynced = true;
        self.sync()?;
        if std::mem::take(&mut self.is_new) {
            // From now on a log of writes that breaks takes neither who the install is nor where in the ring it has begun.
            self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// Takes as little of the disk as it can from now on: commits are small, and its log of writes stays short.
    pub(crate) fn spare_the_disk(&mut self) {
        self.commit_bytes = TIGHT_COMMIT_BYTES;
        let tight = self.db.pragma_update(None, "wal_autocheckpoint", 64);
        let emptied =
            tight.and_then(|()| self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = emptied {
            tracing::warn!(%error, "the queue's log of writes cannot be emptied");
        }
    }

    /// Who the install is.
    pub(crate) fn install(&self) -> &str {
        &self.install
    }

    /// What waits for one project's key must not go out with another's.
    pub(crate) fn check_project(&self, project: &str) -> Result<(), QueueError> {
        match get_meta::<String>(&self.db, "project")? {
            Some(own) if own != project => Err(QueueError::Project(own)),
            Some(_) => Ok(()),
            None => set_meta(&self.db, "project", project),
        }
    }

    /// A new queue goes on for an install, with an epoch of its own.
    pub(crate) fn belong_to(&mut self, install: &str) -> Result<(), QueueError> {
        if self.is_new {
            set_meta(&self.db, "install", install)?;
            install.clone_into(&mut self.install);
        }
        Ok(())
    }

    /// Nothing more fits, as on a full disk.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        let pages = if full { 1 } else { 1 << 20 };
        self.db.pragma_update(None, "max_page_count", pages).ok();
    }

    /// Events in the queue.
    pub(crate) fn pending(&self) -> u64 {
        self.sizes.iter().map(|size| size.events).sum()
    }

    /// Their size in bytes.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.sizes.iter().map(|size| size.bytes).sum()
    }

    /// Whether a power loss would take events.
    pub(crate) fn is_at_risk(&self) -> bool {
        self.fresh
    }

    /// Events that were given up because nobody can read them.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Critical events and their size in bytes.
    pub(crate) fn critical(&self) -> (u64, u64) {
        (self.sizes[0].events, self.sizes[0].bytes)
    }

    /// A power loss takes nothing of what was stored until now.
    pub(crate) fn sync(&mut self) -> Result<(), QueueError> {
        if self.unsynced {
            synchronous(&self.db, true)?;
            set_meta(&self.db, "synced", 1)?;
            (self.unsynced, self.fresh) = (false, false);
        }
        Ok(())
    }

    /// Takes over everything that another queue holds, and who has withdrawn there. Done twice, events are sent twice, which
    /// their numbers make harmless.
    pub(crate) fn take_over(&mut self, other: &Self) -> Result<(), QueueError> {
        synchronous(&self.db, true)?;
        let tx = self.db.transaction()?;
        let tables = salvage::COPIED.iter().map(|(table, columns, _)| (*table, *columns));
        for (table, columns) in tables.chain([("blocks", BLOCK)]) {
            let mut query = other.db.prepare(&format!("SELECT {columns} FROM {table}"))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                insert_row(&tx, table, columns, row)?;
            }
        }
        for person in other.withdrawn()? {
            set_meta(&tx, &format!("{WITHDRAWN}{person}"), 1)?;
        }
        let sizes = read_sizes(&tx)?;
        note_totals(&tx, &sizes, &self.streams)?;
        tx.commit()?;
        self.sizes = sizes;
        self.unreadable += other.unreadable;
        Ok(())
    }

    /// Takes over what can be read of a broken database.
    pub(crate) fn salvage(&mut self, path: &Path) -> Result<(), QueueError> {
        synchronous(&self.db, true)?;
        let tx = self.db.transaction()?;
        salvage_once(&tx, path, &self.sealer)?;
        let sizes = read_sizes(&tx)?;
        note_totals(&tx, &sizes, &self.streams)?;
        tx.commit()?;
        self.sizes = sizes;
        Ok(())
    }

    /// The clock era of that id.
    pub(crate) fn era(&self, id: u64) -> Result<Option<Era>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT id, boot, base_us FROM eras WHERE id = ?1")?;
        Ok(query.query_row([id.cast_signed()], read_era).optional()?)
    }

    /// The last profile that was stored.
    pub(crate) fn profile(&self) -> Result<Option<Profile>, QueueError> {
        stored_profile(&self.db, &self.sealer)
    }

    /// Ends the queue in order.
    pub(crate) fn close(mut self) -> Result<(), QueueError> {
        self.sync()?;
        self.db.close().map_err(|(_, error)| error.into())
    }
}

/// The name of the key that seals a person's events; a backend's are the install's.
fn key_of<'a>(person: &'a str, sealer: &Sealer) -> &'a str {
    if sealer.encrypts() && !person.is_empty() { person } else { sealer.install_key() }
}

fn place(class: u8) -> usize {
    usize::from(class.clamp(1, 3)) - 1
}

fn place_of(class: i32) -> usize {
    place(u8::try_from(class).unwrap_or(3))
}

/// FULL syncs the log of writes with each commit, NORMAL only now and then.
fn synchronous(db: &Connection, full: bool) -> Result<(), QueueError> {
    db.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    Ok(())
}

fn start_epoch(tx: &Transaction<'_>, random: &dyn Randomness) -> Result<u64, QueueError> {
    let epoch = random.next_u64();
    set_meta(tx, "epoch", epoch.cast_signed())?;
    tx.execute("DELETE FROM streams", [])?;
    Ok(epoch)
}

fn read_streams(tx: &Transaction<'_>) -> Result<HashMap<(u8, u8), u64>, QueueError> {
    let mut query = tx.prepare("SELECT class, lane, last FROM streams")?;
    let rows =
        query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, i64>(2)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_sizes(tx: &Transaction<'_>) -> Result<[Size; 3], QueueError> {
    let mut query = tx.prepare("SELECT class, sum(count), sum(bytes) FROM blocks GROUP BY class")?;
    let mut sizes = [Size::default(); 3];
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let size = &mut sizes[place_of(row.get(0)?)];
        size.events += row.get::<_, i64>(1)?.cast_unsigned();
        size.bytes += row.get::<_, i64>(2)?.cast_unsigned();
    }
    Ok(sizes)
}

/// The tables are those of this format. Their definitions lie on a page that can be damaged as any other, and then SQLite
/// may find no fault with what it reads.
fn check_schema(tx: &Transaction<'_>) -> Result<(), QueueError> {
    let tables = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut query =
            db.prepare("SELECT type || name || sql FROM sqlite_master WHERE sql <> '' ORDER BY name")?;
        query.query_map([], |row| row.get(0))?.collect()
    };
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    match get_meta::<i64>(tx, "format") {
        Ok(Some(found)) if found != FORMAT => Err(QueueError::Format { found, known: FORMAT }),
        Ok(_) if tables(tx)? == tables(&fresh)? => Ok(()),
        _ => Err(QueueError::Incomplete),
    }
}

/// How much there is, and how many numbers were given out, as a text to be compared.
fn totals(sizes: &[Size; 3], streams: &HashMap<(u8, u8), u64>) -> String {
    let given: u64 = streams.values().fold(0, |sum, last| sum.wrapping_add(*last));
    let [critical, normal, lossy] = sizes.map(|size| format!("{} {}", size.events, size.bytes));
    format!("{critical} {normal} {lossy} {given}")
}

/// Notes how much there is. A damaged page can take rows away without an error of SQLite's: the next start notices.
fn note_totals(
    tx: &Transaction<'_>,
    sizes: &[Size; 3],
    streams: &HashMap<(u8, u8), u64>,
) -> Result<(), QueueError> {
    set_meta(tx, "totals", totals(sizes, streams))
}

fn position(tx: &Transaction<'_>) -> Result<Option<Position>, QueueError> {
    let generation = get_meta::<i64>(tx, "ring")?;
    let at = get_meta::<i64>(tx, "ring_at")?;
    Ok(generation
        .zip(at)
        .map(|(generation, at)| Position { generation: generation.cast_unsigned(), at: at.cast_unsigned() }))
}

fn note_position(db: &Connection, position: Position) -> Result<(), QueueError> {
    set_meta(db, "ring", position.generation.cast_signed())?;
    set_meta(db, "ring_at", position.at.cast_signed())
}

fn last_era(tx: &Transaction<'_>) -> Result<Option<Era>, QueueError> {
    // Of eras that nothing refers to, only the last one may go on.
    tx.execute(
        "DELETE FROM eras WHERE id NOT IN (SELECT era FROM blocks)
           AND id <> coalesce((SELECT value FROM meta WHERE key = 'era'), 0)",
        [],
    )?;
    let mut query = tx.prepare(
        "SELECT id, boot, base_us FROM eras WHERE id = (SELECT value FROM meta WHERE key = 'era')",
    )?;
    Ok(query.query_row([], read_era).optional()?)
}

fn read_era(row: &rusqlite::Row<'_>) -> rusqlite::Result<Era> {
    Ok(Era { id: row.get::<_, i64>(0)?.cast_unsigned(), boot: row.get(1)?, base_us: row.get(2)? })
}

fn stored_profile(db: &Connection, sealer: &Sealer) -> Result<Option<Profile>, QueueError> {
    let key: String = get_meta(db, "profile_key")?.unwrap_or_default();
    let Some(sealed) = get_meta::<Vec<u8>>(db, "profile")? else { return Ok(None) };
    match sealer.open(&key, &sealed, b"profile") {
        Ok(bytes) => Ok(Profile::decode(&bytes)),
        Err(Sealed::NotNow(error)) => Err(QueueError::Key(error)),
        Err(Sealed::NoKey | Sealed::Damaged) => Ok(None),
    }
}

fn is_broken(db: &Connection) -> bool {
    match db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) => found != "ok",
        Err(error) => QueueError::from(error).is_corrupt(),
    }
}

/// Takes over what can be read of a broken database, unless that was done before; whether it was done now.
fn salvage_once(tx: &Transaction<'_>, path: &Path, sealer: &Sealer) -> Result<bool, QueueError> {
    let done = format!("salvaged {}", path.file_name().unwrap_or_default().display());
    if get_meta::<i64>(tx, &done)?.is_some() {
        return Ok(false);
    }
    set_meta(tx, &done, 1)?;
    let events = salvage::salvage(tx, path, sealer)?;
    tracing::warn!(events, path = %path.display(), "events of a broken database were saved");
    Ok(true)
}

/// The columns of a block but its id.
const BLOCK: &str = "class, install, epoch, era, key, person, at_us, count, bytes, numbers, body";

/// A block as it is stored.
struct BlockRow<'a> {
    owner: &'a Owner,
    person: &'a str,
    at_us: i64,
    count: usize,
    bytes: usize,
    numbers: &'a [u8],
    body: &'a [u8],
}

fn insert_block(tx: &Transaction<'_>, block: &BlockRow<'_>) -> Result<(), QueueError> {
    let BlockRow { owner, person, at_us, count, bytes, numbers, body } = block;
    let Owner { install, epoch, era, class, key } = owner;
    let (epoch, era) = (epoch.cast_signed(), era.cast_signed());
    let (count, bytes) = (*count as i64, *bytes as i64);
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO blocks ({BLOCK}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    ))?;
    insert.execute(params![class, install, epoch, era, key, person, at_us, count, bytes, numbers, body])?;
    Ok(())
}

/// Copies a row of another queue's table.
fn insert_row(
    tx: &Transaction<'_>,
    table: &str,
    columns: &str,
    row: &rusqlite::Row<'_>,
) -> Result<(), QueueError> {
    let count = columns.split(", ").count();
    let values = (0..count).map(|at| row.get::<_, rusqlite::types::Value>(at));
    let places = vec!["?"; count].join(", ");
    let mut insert =
        tx.prepare_cached(&format!("INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})"))?;
    insert.execute(rusqlite::params_from_iter(values.collect::<Result<Vec<_>, _>>()?))?;
    Ok(())
}

fn read_owner(row: &rusqlite::Row<'_>) -> rusqlite::Result<Owner> {
    Ok(Owner {
        class: row.get(1)?,
        install: row.get(2)?,
        epoch: row.get::<_, i64>(3)?.cast_unsigned(),
        era: row.get::<_, i64>(4)?.cast_unsigned(),
        key: row.get(5)?,
    })
}

fn get_meta<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> Result<Option<T>, QueueError> {
    // A null is none, too: not every system tells what a life is named by.
    let found = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

fn set_meta(db: &Connection, key: &str, value: impl rusqlite::ToSql) -> Result<(), QueueError> {
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

#[cfg(test)]
#[path = "queue_tests.rs"]
pub(crate) mod tests;
