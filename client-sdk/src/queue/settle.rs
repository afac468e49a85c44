//! What leaves the queue: delivered, refused, let go.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::ledger::{add_loss, loss_told, note_fate};
use super::{
    Fate, GONE, Gathered, Limits, Loss, Queue, QueueError, Queued, Size, WITHDRAWN, note_totals, place_of,
    read_owner, salvage, set_meta, synchronous,
};
use crate::block::{self, Builder};
use crate::clock::{Clock, Randomness};
use crate::seal::{Sealed, Sealer};

const TOO_OLD: &str = "SELECT id FROM blocks WHERE class > 1 AND at_us < ?1 AND era = ?2 ORDER BY id";
const LEAST_IMPORTANT: &str = "SELECT id FROM blocks WHERE class > 1 ORDER BY class DESC, id";

impl Queue {
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
            loss_told(&tx, loss)?;
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
        note_totals(&tx, &sizes, &self.streams)?;
        tx.commit()?;
        self.sizes = sizes;
        self.unsynced = true;
        Ok(())
    }

    /// A block that cannot be read, or must go, becomes losses.
    pub(super) fn give_up(&mut self, id: i64, word: &str) -> Result<u64, QueueError> {
        let mut sizes = self.sizes;
        let tx = self.db.transaction()?;
        let lost = lose_block(&tx, id, word, &mut sizes)?;
        note_totals(&tx, &sizes, &self.streams)?;
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
        clock: &dyn Clock,
        out: &HashSet<i64>,
    ) -> Result<u64, QueueError> {
        let mut lost = 0;
        for era in self.eras()? {
            // A clock that was set makes nothing old: each era goes by its own, as long as the machine runs.
            let known = self.era(era)?.and_then(|era| era.shows(clock));
            let now_us = known.unwrap_or_else(|| clock.wall_us());
            let oldest_us = now_us.saturating_sub(crate::clock::micros(limits.age));
            while let Some(id) = self.first_block(TOO_OLD, params![oldest_us, era.cast_signed()], out)? {
                lost += self.give_up(id, "expired")?;
            }
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
            let Some(id) = self.first_block(LEAST_IMPORTANT, [], out)? else { return Ok(lost) };
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

    /// The clock eras of what may grow old.
    fn eras(&self) -> Result<Vec<u64>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT DISTINCT era FROM blocks WHERE class > 1")?;
        let eras = query.query_map([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
        Ok(eras.collect::<Result<_, _>>()?)
    }

    /// The first block of a query that is not out.
    fn first_block(
        &self,
        query: &str,
        of: impl rusqlite::Params,
        out: &HashSet<i64>,
    ) -> Result<Option<i64>, QueueError> {
        let mut query = self.db.prepare_cached(query)?;
        let ids = query.query_map(of, |row| row.get(0))?;
        for id in ids {
            let id = id?;
            if !out.contains(&id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// A person no longer wants to be followed: their key goes, and their events become losses. Done again if it was not
    /// done to its end.
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
        // Which events they were can be read no more; once no critical one is left, those without an end are among them.
        if sizes[0].events == 0 {
            tx.execute("UPDATE receipts SET state = 2, reason = 'consent_withdrawn' WHERE state = 0", [])?;
        }
        note_totals(&tx, &sizes, &self.streams)?;
        tx.commit()?;
        self.sizes = sizes;
        self.unsynced = true;
        // The log of writes has copies of what was deleted.
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.db.execute("DELETE FROM meta WHERE key = ?1", [format!("{WITHDRAWN}{person}")])?;
        Ok(lost)
    }

    /// Notes who has withdrawn, until [`Queue::destroy`] is done.
    pub(crate) fn note_withdrawn(&self, person: &str) -> Result<(), QueueError> {
        set_meta(&self.db, &format!("{WITHDRAWN}{person}"), 1)
    }

    /// The same of everybody whose events are here, also those that other processes left.
    pub(crate) fn note_all_withdrawn(&self) -> Result<(), QueueError> {
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) SELECT DISTINCT ?1 || person, 1 FROM blocks",
            [WITHDRAWN],
        )?;
        Ok(())
    }

    /// Who has withdrawn and whose events are not destroyed yet: the process was killed, or the key could not be destroyed.
    pub(crate) fn withdrawn(&self) -> Result<Vec<String>, QueueError> {
        let mut query = self
            .db
            .prepare_cached("SELECT substr(key, length(?1) + 1) FROM meta WHERE key GLOB ?1 || '*'")?;
        let people = query.query_map([WITHDRAWN], |row| row.get(0))?;
        Ok(people.collect::<Result<_, _>>()?)
    }
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
    // Its numbers carry a checksum, `count` does not.
    if block::read_numbers(&numbers).is_none_or(|numbers| gone.len() < numbers.len()) {
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
    size.events = size.events.saturating_sub((count as u64).saturating_sub(rest.count() as u64));
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
