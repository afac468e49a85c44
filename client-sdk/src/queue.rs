//! The durable queue: SQLite, one folder, one owner.
//!
//! An event's number is taken in the transaction that stores it, together with the place in the ring it came from. So
//! numbers have no gaps, and a kill between commit and release neither loses an event nor stores it twice. What was
//! sent is on the disk before it is sent ([`Queue::sync`]): a power loss cannot hand a delivered number to a new event.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use footpath_proto::v1;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use salvage::Lost;

use crate::block::{self, Builder, Number, Owner};
use crate::clock::{Era, Randomness, random_uuid};
use crate::error::QueueError;
use crate::folder::Life;
use crate::profile::Profile;
use crate::record::{Record, Wish};
use crate::ring::{Consumer, Position};
use crate::seal::{Sealed, Sealer};

pub(crate) mod detached;
mod salvage;

const FORMAT: i64 = 3;
/// Events of one commit: enough to spread its cost, few enough to keep it short.
const MAX_COMMIT: usize = 2_000;
/// Loss ranges and wishes that a batch carries; the rest goes with the next one.
const MAX_RIDERS: u32 = 100;
/// Receipts that are kept once they are final.
const MAX_RECEIPTS: u32 = 10_000;

const TOO_OLD: &str = "SELECT id FROM blocks WHERE class > 1 AND at_us < ?1 ORDER BY id";
const LEAST_IMPORTANT: &str = "SELECT id FROM blocks WHERE class > 1 AND at_us < ?1 ORDER BY class DESC, id";

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
}

/// How a queue was found.
pub(crate) struct Opened {
    pub(crate) queue: Queue,
    /// The last profile, where there was one.
    pub(crate) profile: Option<Profile>,
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
        // the disk on Apple's systems, too, and says nothing elsewhere.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA fullfsync = 1; PRAGMA cache_size = -512; PRAGMA journal_size_limit = 4194304;
             PRAGMA secure_delete = ON;",
        )?;
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(SCHEMA)?;
        let format: i64 = get_meta(&tx, "format")?.unwrap_or(FORMAT);
        if format != FORMAT {
            return Err(QueueError::Format { found: format, known: FORMAT });
        }
        set_meta(&tx, "format", FORMAT)?;
        let mut salvaged = false;
        for path in broken {
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
        let absorbed = position(&tx)?;
        let era = last_era(&tx)?;
        tx.commit()?;
        let person = profile.as_ref().map(|profile| profile.key.clone()).unwrap_or_default();
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
        };
        Ok(Opened { queue, profile, absorbed, era, salvaged, intact })
    }

    /// Whether every part of a database can be read; slow.
    pub(crate) fn is_sound(path: &Path) -> bool {
        let check =
            |db: &Connection| db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        Connection::open(path).and_then(|db| check(&db)).is_ok_and(|found| found == "ok")
    }

    /// Begins all numbers anew: nobody knows which ones were given out.
    pub(crate) fn begin_epoch(&mut self, random: &dyn Randomness) -> Result<(), QueueError> {
        let tx = self.db.transaction()?;
        let epoch = start_epoch(&tx, random)?;
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
        self.sync()
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

    /// Moves what waits in the ring into the database, all or nothing. Where there is a critical event, it is on the disk
    /// when this returns.
    pub(crate) fn absorb(
        &mut self,
        ring: &mut Consumer,
        now_us: i64,
        random: &dyn Randomness,
    ) -> Result<Absorbed, QueueError> {
        let mut draft = Draft::new(&self.person);
        let mut torn = false;
        while draft.events < MAX_COMMIT {
            match ring.next() {
                Ok(None) => break,
                Ok(Some(bytes)) => draft.take(bytes, &self.streams),
                Err(crate::ring::Damaged) => {
                    torn = true;
                    break;
                }
            }
        }
        let more = draft.events >= MAX_COMMIT;
        if draft.is_empty() && !torn {
            return Ok(Absorbed::default());
        }
        if torn {
            ring.skip_damage();
        }
        let stored = self.store(&draft, ring.position(), now_us, random);
        if let Err(error) = stored {
            ring.rewind();
            return Err(error);
        }
        ring.release(torn || self.sealer.encrypts());
        self.streams.extend(draft.numbers);
        for size in draft.blocks.iter().map(|(class, _, builder)| (*class, builder)) {
            let total = &mut self.sizes[place(size.0)];
            total.events += size.1.count() as u64;
            total.bytes += size.1.bytes() as u64;
        }
        self.person = draft.person;
        Ok(Absorbed { events: draft.events as u64, critical: draft.critical.len() as u64, more, torn })
    }

    fn store(
        &mut self,
        draft: &Draft,
        position: Position,
        now_us: i64,
        random: &dyn Randomness,
    ) -> Result<(), QueueError> {
        let durable = !draft.critical.is_empty() || !draft.wishes.is_empty();
        synchronous(&self.db, durable)?;
        let tx = self.db.transaction()?;
        for era in &draft.eras {
            let mut insert =
                tx.prepare_cached("INSERT OR REPLACE INTO eras (id, boot, base_us) VALUES (?1, ?2, ?3)")?;
            insert.execute(params![era.id.cast_signed(), era.boot, era.base_us])?;
            set_meta(&tx, "era", era.id.cast_signed())?;
        }
        for ((class, lane), last) in &draft.numbers {
            let mut update =
                tx.prepare_cached("INSERT OR REPLACE INTO streams (class, lane, last) VALUES (?1, ?2, ?3)")?;
            update.execute(params![class, lane, last.cast_signed()])?;
        }
        for (class, (era, person), builder) in &draft.blocks {
            let owner = Owner {
                install: self.install.clone(),
                epoch: self.epoch,
                era: *era,
                class: (*class).into(),
                key: key_of(person, &self.sealer).to_owned(),
            };
            insert_block(&tx, &owner, person, builder, &self.sealer, now_us, random)?;
        }
        for id in &draft.critical {
            set_receipt(&tx, id, &Receipt::Queued)?;
        }
        for wish in &draft.wishes {
            insert_wish(&tx, wish, &self.sealer, random)?;
        }
        if let Some(profile) = &draft.profile {
            store_profile(&tx, profile, &self.sealer, random)?;
        }
        note_position(&tx, position)?;
        tx.commit()?;
        (self.unsynced, self.fresh) = (!durable, !durable && (self.fresh || draft.events > 0));
        Ok(())
    }

    /// Everything before this place in the ring is in the queue.
    pub(crate) fn note_absorbed(&self, position: Position) -> Result<(), QueueError> {
        note_position(&self.db, position)
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

    /// The most important and oldest events that `skip` does not name: at most `max_events` (at least one), at most
    /// `max_bytes`, all of one install, epoch and clock era. A block that can never be read becomes a loss.
    pub(crate) fn gather(
        &mut self,
        skip: impl Fn(u64, i32, Number) -> bool,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Gathered, QueueError> {
        loop {
            let mut unreadable = None;
            let found = self.try_gather(&skip, max_events, max_bytes, &mut unreadable)?;
            let Some((block, word)) = unreadable else { return Ok(found) };
            self.unreadable += self.give_up(block, word)?;
        }
    }

    fn try_gather(
        &self,
        skip: &impl Fn(u64, i32, Number) -> bool,
        max_events: usize,
        max_bytes: usize,
        unreadable: &mut Option<(i64, &'static str)>,
    ) -> Result<Gathered, QueueError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, class, install, epoch, era, key, numbers, body FROM blocks ORDER BY class, id",
        )?;
        let mut rows = query.query([])?;
        let mut found = Gathered::default();
        let mut not_now = None;
        let mut closed = None;
        while let Some(row) = rows.next()? {
            let (id, owner) = (row.get(0)?, read_owner(row)?);
            let same = (&*found.install, found.epoch, found.era) == (&*owner.install, owner.epoch, owner.era);
            // Nothing overtakes within a class; a less important class may still have what fits.
            if closed == Some(owner.class) || !found.events.is_empty() && !same {
                closed = Some(owner.class);
                continue;
            }
            let blob = |at: usize| row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from);
            let (body, entries) = match block::open(&owner, blob(6)?, blob(7)?, &self.sealer) {
                Ok(opened) => opened,
                Err(Sealed::NotNow(error)) => {
                    not_now = Some(error);
                    continue;
                }
                Err(Sealed::NoKey) => {
                    *unreadable = Some((id, "undecryptable"));
                    return Ok(found);
                }
                Err(Sealed::Damaged) => {
                    *unreadable = Some((id, "corrupt"));
                    return Ok(found);
                }
            };
            for entry in entries {
                if skip(owner.epoch, owner.class, entry.at) {
                    continue;
                }
                let full = found.events.len() >= max_events.max(1)
                    || found.body.len() + entry.span.len() > max_bytes;
                if full && !found.events.is_empty() {
                    return Ok(found);
                }
                if found.events.is_empty() {
                    found.install.clone_from(&owner.install);
                    (found.epoch, found.era) = (owner.epoch, owner.era);
                }
                let start = found.body.len();
                found.body.extend_from_slice(&body[entry.span]);
                let span = start..found.body.len();
                found.events.push(Queued { block: id, class: owner.class, at: entry.at, span });
            }
        }
        match not_now {
            Some(error) if found.events.is_empty() => Err(QueueError::Key(error)),
            _ => Ok(found),
        }
    }

    /// Ends a batch: every event with a fate leaves the queue; losses and wishes the server knows of go, too.
    pub(crate) fn settle(
        &mut self,
        sent: &Gathered,
        fates: &[(usize, Fate)],
        reported: &[Loss],
        granted: &[String],
        random: &dyn Randomness,
    ) -> Result<(), QueueError> {
        let mut sizes = self.sizes;
        synchronous(&self.db, false)?;
        let tx = self.db.transaction()?;
        // Reported losses go first: a new loss must not widen a range that is about to be deleted.
        for loss in reported {
            forget_loss(&tx, loss)?;
        }
        for id in granted {
            tx.prepare_cached("DELETE FROM wishes WHERE id = ?1")?.execute([id])?;
        }
        let mut by_block: HashMap<i64, Vec<&Queued>> = HashMap::new();
        for (index, fate) in fates {
            let event = &sent.events[*index];
            if event.block == GONE {
                continue;
            }
            by_block.entry(event.block).or_default().push(event);
            if let Fate::Lost { word, .. } = fate {
                add_loss(&tx, &sent.install, sent.epoch, event.class, event.at, word)?;
            }
            note_fate(&tx, event.class, block::event_id(sent.field(event)), fate)?;
        }
        for (id, gone) in by_block {
            shrink_block(&tx, id, &gone, &self.sealer, &mut sizes, random)?;
        }
        tx.commit()?;
        self.sizes = sizes;
        self.unsynced = true;
        Ok(())
    }

    /// A block that cannot be read, or must go, becomes losses.
    fn give_up(&mut self, id: i64, word: &str) -> Result<u64, QueueError> {
        let mut sizes = self.sizes;
        let tx = self.db.transaction()?;
        let lost = lose_block(&tx, id, word, &mut sizes)?;
        tx.commit()?;
        self.sizes = sizes;
        self.unsynced = true;
        Ok(lost)
    }

    /// Lets go of what is over the limits: the oldest lossy events first, then normal ones. The blocks `out` may be on the
    /// server already: they stay, and do not count, or newer and more important events would have to go in their place.
    /// Returns how many.
    pub(crate) fn evict(
        &mut self,
        limits: &Limits,
        now_us: i64,
        out: &HashSet<i64>,
    ) -> Result<u64, QueueError> {
        let mut lost = 0;
        let oldest_us = now_us.saturating_sub(crate::clock::micros(limits.age));
        while let Some(id) = self.first_block(TOO_OLD, oldest_us, out)? {
            lost += self.give_up(id, "expired")?;
        }
        let others = limits.bytes.saturating_sub(limits.critical_bytes);
        let leaving = self.size_of(out)?;
        loop {
            let [critical, normal, lossy] = self.sizes;
            let rest = (normal.bytes + lossy.bytes).saturating_sub(leaving.bytes);
            let events = (critical.events + normal.events + lossy.events).saturating_sub(leaving.events);
            if rest <= others && rest + critical.bytes <= limits.bytes && events <= limits.events {
                return Ok(lost);
            }
            let Some(id) = self.first_block(LEAST_IMPORTANT, i64::MAX, out)? else { return Ok(lost) };
            lost += self.give_up(id, "evicted")?;
        }
    }

    /// Events and bytes of the blocks that are not critical.
    fn size_of(&self, blocks: &HashSet<i64>) -> Result<Size, QueueError> {
        let mut query =
            self.db.prepare_cached("SELECT count, bytes FROM blocks WHERE id = ?1 AND class > 1")?;
        let mut total = Size::default();
        for id in blocks {
            let size = query.query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
            let (events, bytes) = size.optional()?.unwrap_or_default();
            total.events += events.cast_unsigned();
            total.bytes += bytes.cast_unsigned();
        }
        Ok(total)
    }

    /// The first block of a query that is older than `before_us` and not out.
    fn first_block(
        &self,
        query: &str,
        before_us: i64,
        out: &HashSet<i64>,
    ) -> Result<Option<i64>, QueueError> {
        let mut query = self.db.prepare_cached(query)?;
        let ids = query.query_map([before_us], |row| row.get(0))?;
        for id in ids {
            let id = id?;
            if !out.contains(&id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// A person no longer wants to be followed: their key goes, and their events become losses.
    pub(crate) fn destroy(&mut self, person: &str) -> Result<u64, QueueError> {
        self.sealer.destroy(person).map_err(QueueError::Key)?;
        let mut sizes = self.sizes;
        let tx = self.db.transaction()?;
        let ids: Vec<i64> = {
            let mut query = tx.prepare_cached("SELECT id FROM blocks WHERE person = ?1 ORDER BY id")?;
            query.query_map([person], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        let mut lost = 0;
        for id in ids {
            lost += lose_block(&tx, id, "consent_withdrawn", &mut sizes)?;
        }
        tx.execute("DELETE FROM detached", [])?;
        tx.commit()?;
        self.sizes = sizes;
        self.unsynced = true;
        Ok(lost)
    }

    /// Takes over everything that another queue holds. Done twice, events are sent twice, which their numbers make harmless.
    pub(crate) fn adopt(&mut self, other: &Self) -> Result<(), QueueError> {
        const TABLES: [(&str, &str); 5] = [
            ("eras", "id, boot, base_us"),
            ("blocks", "class, install, epoch, era, key, person, at_us, count, bytes, numbers, body"),
            ("losses", "install, epoch, class, lane, first, last, reason"),
            ("receipts", "event, state, reason, changed"),
            ("wishes", "id, sealed, key"),
        ];
        synchronous(&self.db, true)?;
        let tx = self.db.transaction()?;
        for (table, columns) in TABLES {
            let mut query = other.db.prepare(&format!("SELECT {columns} FROM {table}"))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                insert_row(&tx, table, columns, row)?;
            }
        }
        let sizes = read_sizes(&tx)?;
        tx.commit()?;
        self.sizes = sizes;
        Ok(())
    }

    /// Takes over what can be read of a broken database.
    pub(crate) fn salvage(&mut self, path: &Path) -> Result<(), QueueError> {
        synchronous(&self.db, true)?;
        let tx = self.db.transaction()?;
        salvage_once(&tx, path, &self.sealer)?;
        let sizes = read_sizes(&tx)?;
        tx.commit()?;
        self.sizes = sizes;
        Ok(())
    }

    /// The newest block; 0 when there was never one.
    pub(crate) fn last_block(&self) -> Result<i64, QueueError> {
        Ok(self.db.query_row("SELECT coalesce(max(id), 0) FROM blocks", [], |row| row.get(0))?)
    }

    /// Whether an event of a block up to `id` still waits.
    pub(crate) fn waits_until(&self, id: i64) -> Result<bool, QueueError> {
        let mut query = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM blocks WHERE id <= ?1)")?;
        Ok(query.query_row([id], |row| row.get(0))?)
    }

    /// Losses to report: of one install and epoch, the given one or the oldest loss's.
    pub(crate) fn losses(&self, of: Option<(&str, u64)>) -> Result<Vec<Loss>, QueueError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, install, epoch, class, lane, first, last, reason FROM losses
             WHERE install = coalesce(?1, (SELECT install FROM losses ORDER BY id LIMIT 1))
               AND epoch = coalesce(?2, (SELECT epoch FROM losses ORDER BY id LIMIT 1)) ORDER BY id LIMIT ?3",
        )?;
        let (install, epoch) = of.unzip();
        let losses = query.query_map(params![install, epoch.map(u64::cast_signed), MAX_RIDERS], read_loss)?;
        Ok(losses.collect::<Result<_, _>>()?)
    }

    /// Whether there are losses or wishes that the server does not know of.
    pub(crate) fn has_riders(&self) -> Result<bool, QueueError> {
        let mut query = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM losses) OR EXISTS (SELECT 1 FROM wishes)")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }

    /// Wishes that the server does not know of.
    pub(crate) fn wishes(&self) -> Result<Vec<Wish>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT sealed, key FROM wishes ORDER BY id LIMIT ?1")?;
        let rows =
            query.query_map([MAX_RIDERS], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?)))?;
        let mut wishes = Vec::new();
        for row in rows {
            let (sealed, key) = row?;
            let opened = self.sealer.open(&key, &sealed, b"wish");
            if let Some(Record::Wish(wish)) = opened.ok().as_deref().and_then(Record::read) {
                wishes.push(wish);
            }
        }
        Ok(wishes)
    }

    /// How far an event has come; `None` for one that has no receipt, or had one long ago.
    pub(crate) fn receipt(&self, event: &[u8; 16]) -> Result<Option<Receipt>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT state, reason FROM receipts WHERE event = ?1")?;
        let found = query.query_row([event], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        Ok(found.optional()?.map(|(state, reason)| match state {
            0 => Receipt::Queued,
            1 => Receipt::Acked,
            _ => Receipt::Rejected(reason),
        }))
    }

    /// The clock era of that id.
    pub(crate) fn era(&self, id: u64) -> Result<Option<Era>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT id, boot, base_us FROM eras WHERE id = ?1")?;
        Ok(query.query_row([id.cast_signed()], read_era).optional()?)
    }

    /// Ends the queue in order.
    pub(crate) fn close(mut self) -> Result<(), QueueError> {
        self.sync()?;
        self.db.close().map_err(|(_, error)| error.into())
    }
}

/// What one transaction will store.
struct Draft {
    person: String,
    numbers: HashMap<(u8, u8), u64>,
    /// By class, and by era and person within it.
    blocks: Vec<(u8, (u64, String), Builder)>,
    eras: Vec<Era>,
    profile: Option<Profile>,
    wishes: Vec<Wish>,
    /// Ids of critical events.
    critical: Vec<[u8; 16]>,
    events: usize,
}

impl Draft {
    fn new(person: &str) -> Self {
        Self {
            person: person.to_owned(),
            numbers: HashMap::new(),
            blocks: Vec::new(),
            eras: Vec::new(),
            profile: None,
            wishes: Vec::new(),
            critical: Vec::new(),
            events: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.events == 0 && self.eras.is_empty() && self.profile.is_none() && self.wishes.is_empty()
    }

    fn take(&mut self, record: &[u8], streams: &HashMap<(u8, u8), u64>) {
        match Record::read(record) {
            Some(Record::Event { class, lane, era, event }) => self.event(class, lane, era, event, streams),
            Some(Record::Era(era)) => self.eras.push(era),
            Some(Record::Profile(bytes)) => {
                if let Some(profile) = Profile::decode(bytes) {
                    self.person.clone_from(&profile.key);
                    self.profile = Some(profile);
                }
            }
            Some(Record::Wish(wish)) => self.wishes.push(wish),
            None => tracing::error!("a record of the ring is of no known kind; it is skipped"),
        }
    }

    fn event(&mut self, class: u8, lane: u8, era: u64, event: &[u8], streams: &HashMap<(u8, u8), u64>) {
        let last = streams.get(&(class, lane)).copied().unwrap_or(0);
        let number = self.numbers.entry((class, lane)).or_insert(last);
        *number += 1;
        let at = Number { lane, number: *number };
        let owner = (era, self.person.clone());
        let fits = |block: &&mut (u8, (u64, String), Builder)| block.0 == class;
        let open = self.blocks.iter_mut().rev().find(fits);
        let builder = match open {
            Some((_, same, builder)) if *same == owner && !builder.is_full() => builder,
            _ => {
                self.blocks.push((class, owner, Builder::default()));
                let Some((.., builder)) = self.blocks.last_mut() else { return };
                builder
            }
        };
        builder.push(event, class.into(), at);
        self.events += 1;
        if i32::from(class) == v1::DeliveryClass::Critical as i32
            && let Some(id) = crate::wire::first_bytes(event, 2)
        {
            self.critical.push(id);
        }
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

fn stored_profile(tx: &Transaction<'_>, sealer: &Sealer) -> Result<Option<Profile>, QueueError> {
    let key: String = get_meta(tx, "profile_key")?.unwrap_or_default();
    let Some(sealed) = get_meta::<Vec<u8>>(tx, "profile")? else { return Ok(None) };
    match sealer.open(&key, &sealed, b"profile") {
        Ok(bytes) => Ok(Profile::decode(&bytes)),
        Err(Sealed::NotNow(error)) => Err(QueueError::Key(error)),
        Err(Sealed::NoKey | Sealed::Damaged) => Ok(None),
    }
}

fn store_profile(
    tx: &Transaction<'_>,
    profile: &Profile,
    sealer: &Sealer,
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let key = sealer.install_key();
    let sealed = sealer.seal(key, &profile.encode(), b"profile", random).map_err(QueueError::Key)?;
    set_meta(tx, "profile", sealed)?;
    set_meta(tx, "profile_key", key)
}

fn insert_wish(
    tx: &Transaction<'_>,
    wish: &Wish,
    sealer: &Sealer,
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let key = sealer.install_key();
    let sealed = sealer.seal(key, &wish.put(), b"wish", random).map_err(QueueError::Key)?;
    let mut insert =
        tx.prepare_cached("INSERT OR REPLACE INTO wishes (id, sealed, key) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![wish.id, sealed, key])?;
    Ok(())
}

fn insert_block(
    tx: &Transaction<'_>,
    owner: &Owner,
    person: &str,
    builder: &Builder,
    sealer: &Sealer,
    now_us: i64,
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let (numbers, body) = builder.seal(owner, sealer, random).map_err(QueueError::Key)?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO blocks (class, install, epoch, era, key, person, at_us, count, bytes, numbers, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    insert.execute(params![
        owner.class,
        owner.install,
        owner.epoch.cast_signed(),
        owner.era.cast_signed(),
        owner.key,
        person,
        now_us,
        builder.count() as i64,
        builder.bytes() as i64,
        numbers,
        body
    ])?;
    Ok(())
}

/// Takes events out of a block; an empty one goes.
fn shrink_block(
    tx: &Transaction<'_>,
    id: i64,
    gone: &[&Queued],
    sealer: &Sealer,
    sizes: &mut [Size; 3],
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let mut query = tx.prepare_cached(
        "SELECT id, class, install, epoch, era, key, numbers, body, count, bytes FROM blocks WHERE id = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let (numbers, body): (Vec<u8>, Vec<u8>) = (row.get(6)?, row.get(7)?);
        Ok((read_owner(row)?, numbers, body, row.get::<_, i64>(8)?, row.get::<_, i64>(9)?))
    };
    let Some((owner, numbers, body, count, bytes)) = query.query_row([id], read).optional()? else {
        return Ok(()); // Given up meanwhile.
    };
    let mut rest = Builder::default();
    if gone.len() < count as usize {
        let opened = block::open(&owner, &numbers, &body, sealer);
        let (body, entries) = match opened {
            Ok(opened) => opened,
            Err(Sealed::NotNow(error)) => return Err(QueueError::Key(error)),
            Err(Sealed::NoKey | Sealed::Damaged) => return Ok(()), // The next look at it makes it a loss.
        };
        for entry in entries.iter().filter(|entry| !gone.iter().any(|event| event.at == entry.at)) {
            rest.copy(&body[entry.span.clone()], entry.at);
        }
    }
    let size = &mut sizes[place_of(owner.class)];
    size.events = size.events.saturating_sub(count as u64 - rest.count() as u64);
    size.bytes = size.bytes.saturating_sub((bytes as u64).saturating_sub(rest.bytes() as u64));
    if rest.is_empty() {
        tx.prepare_cached("DELETE FROM blocks WHERE id = ?1")?.execute([id])?;
        return Ok(());
    }
    let (numbers, body) = rest.seal(&owner, sealer, random).map_err(QueueError::Key)?;
    let mut update =
        tx.prepare_cached("UPDATE blocks SET count = ?2, bytes = ?3, numbers = ?4, body = ?5 WHERE id = ?1")?;
    update.execute(params![id, rest.count() as i64, rest.bytes() as i64, numbers, body])?;
    Ok(())
}

/// Deletes a block and names its numbers as lost; how many.
fn lose_block(tx: &Transaction<'_>, id: i64, word: &str, sizes: &mut [Size; 3]) -> Result<u64, QueueError> {
    let mut query = tx.prepare_cached(
        "SELECT id, class, install, epoch, era, key, numbers, count, bytes FROM blocks WHERE id = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((read_owner(row)?, row.get::<_, Vec<u8>>(6)?, row.get::<_, i64>(7)?, row.get::<_, i64>(8)?))
    };
    let Some((owner, numbers, count, bytes)) = query.query_row([id], read).optional()? else { return Ok(0) };
    match block::read_numbers(&numbers) {
        Some(numbers) => {
            for at in numbers {
                add_loss(tx, &owner.install, owner.epoch, owner.class, at, word)?;
            }
        }
        None => salvage::lose_unknown(tx, id, &owner)?,
    }
    tx.prepare_cached("DELETE FROM blocks WHERE id = ?1")?.execute([id])?;
    let size = &mut sizes[place_of(owner.class)];
    size.events = size.events.saturating_sub(count.cast_unsigned());
    size.bytes = size.bytes.saturating_sub(bytes.cast_unsigned());
    Ok(count.cast_unsigned())
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

fn add_loss(
    tx: &Transaction<'_>,
    install: &str,
    epoch: u64,
    class: i32,
    at: Number,
    word: &str,
) -> Result<(), QueueError> {
    let lost = Lost { install, epoch, class, lane: at.lane, first: at.number, last: at.number };
    add_losses(tx, &lost, word)
}

/// Neighbouring losses of a stream become one range.
fn add_losses(tx: &Transaction<'_>, lost: &Lost<'_>, word: &str) -> Result<(), QueueError> {
    let Lost { install, class, lane, .. } = *lost;
    let (epoch, first, last) = (lost.epoch.cast_signed(), lost.first.cast_signed(), lost.last.cast_signed());
    let mut widen = tx.prepare_cached(
        "UPDATE losses SET last = ?6 WHERE install = ?1 AND epoch = ?2 AND class = ?3 AND lane = ?4
           AND last = ?5 - 1 AND reason = ?7",
    )?;
    if widen.execute(params![install, epoch, class, lane, first, last, word])? == 0 {
        let mut insert = tx.prepare_cached(
            "INSERT INTO losses (install, epoch, class, lane, first, last, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        insert.execute(params![install, epoch, class, lane, first, last, word])?;
    }
    Ok(())
}

/// The server knows of a loss now; but not of what its range was widened by while it was told.
fn forget_loss(tx: &Transaction<'_>, loss: &Loss) -> Result<(), QueueError> {
    let told = loss.range.to.cast_signed();
    let mut narrow = tx.prepare_cached("UPDATE losses SET first = ?2 + 1 WHERE id = ?1 AND last > ?2")?;
    if narrow.execute([loss.id, told])? == 0 {
        tx.prepare_cached("DELETE FROM losses WHERE id = ?1")?.execute([loss.id])?;
    }
    Ok(())
}

/// A critical event has a receipt from the start; any other one when it was rejected.
fn note_fate(tx: &Transaction<'_>, class: i32, id: Option<[u8; 16]>, fate: &Fate) -> Result<(), QueueError> {
    let critical = class == v1::DeliveryClass::Critical as i32;
    let receipt = match fate {
        Fate::Acked if critical => Receipt::Acked,
        Fate::Acked => return Ok(()),
        Fate::Lost { why, .. } => Receipt::Rejected(why.clone()),
    };
    id.map_or(Ok(()), |id| set_receipt(tx, &id, &receipt))
}

fn set_receipt(tx: &Transaction<'_>, id: &[u8; 16], receipt: &Receipt) -> Result<(), QueueError> {
    let (state, reason) = match receipt {
        Receipt::Queued => (0, ""),
        Receipt::Acked => (1, ""),
        Receipt::Rejected(reason) => (2, &**reason),
    };
    let next = "(SELECT coalesce(max(changed), 0) + 1 FROM receipts)";
    let mut insert = tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO receipts (event, state, reason, changed) VALUES (?1, ?2, ?3, {next})"
    ))?;
    insert.execute(params![id, state, reason])?;
    let mut prune = tx.prepare_cached(
        "DELETE FROM receipts WHERE state > 0 AND changed <= (SELECT max(changed) FROM receipts) - ?1",
    )?;
    prune.execute([MAX_RECEIPTS])?;
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

fn read_loss(row: &rusqlite::Row<'_>) -> rusqlite::Result<Loss> {
    let range = v1::LossRange {
        delivery_class: row.get(3)?,
        lane: row.get(4)?,
        from: row.get::<_, i64>(5)?.cast_unsigned(),
        to: row.get::<_, i64>(6)?.cast_unsigned(),
        reason: row.get(7)?,
    };
    Ok(Loss { id: row.get(0)?, install: row.get(1)?, epoch: row.get::<_, i64>(2)?.cast_unsigned(), range })
}

fn get_meta<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> Result<Option<T>, QueueError> {
    Ok(db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

fn set_meta(db: &Connection, key: &str, value: impl rusqlite::ToSql) -> Result<(), QueueError> {
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

#[cfg(test)]
#[path = "queue_tests.rs"]
pub(crate) mod tests;
