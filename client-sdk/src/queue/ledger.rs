//! What the server has to know of beside events: losses and wishes; and how far critical events have come.

use footpath_proto::v1;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Fate, Loss, Queue, QueueError, Receipt};
use crate::block::Number;
use crate::record::{Record, Wish};
use crate::seal::Sealed;

/// Loss ranges and wishes that a batch carries; the rest goes with the next one.
const MAX_RIDERS: u32 = 100;
/// Receipts that are kept once they are final.
const MAX_RECEIPTS: u32 = 10_000;

impl Queue {
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

    /// Whether there are losses that the server does not know of.
    pub(crate) fn has_losses(&self) -> Result<bool, QueueError> {
        let mut query = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM losses)")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }

    /// Whether there are wishes that the server does not know of.
    pub(crate) fn has_wishes(&self) -> Result<bool, QueueError> {
        let mut query = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM wishes)")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }

    /// Wishes that the server does not know of. One that nobody can ever read goes: nothing would end that waits for it.
    pub(crate) fn wishes(&self) -> Result<Vec<Wish>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT id, sealed, key FROM wishes ORDER BY id LIMIT ?1")?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows: Vec<(String, Vec<u8>, String)> =
            query.query_map([MAX_RIDERS], read)?.collect::<Result<_, _>>()?;
        let mut wishes = Vec::new();
        for (id, sealed, key) in rows {
            match self.sealer.open(&key, &sealed, b"wish").as_deref().map(Record::read) {
                Ok(Some(Record::Wish(wish))) => wishes.push(wish),
                Err(Sealed::NotNow(_)) => {}
                Ok(_) | Err(Sealed::NoKey | Sealed::Damaged) => {
                    tracing::error!(id, "a privacy request can never be read; it is given up");
                    self.db.execute("DELETE FROM wishes WHERE id = ?1", [id])?;
                }
            }
        }
        Ok(wishes)
    }

    /// An event was not taken after all.
    pub(crate) fn note_rejected(&mut self, event: &[u8; 16], why: &str) -> Result<(), QueueError> {
        let tx = self.db.transaction()?;
        set_receipt(&tx, event, &Receipt::Rejected(why.to_owned()))?;
        Ok(tx.commit()?)
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
}

/// Numbers that will never come.
pub(super) struct Lost<'a> {
    pub(super) install: &'a str,
    pub(super) epoch: u64,
    pub(super) class: i32,
    pub(super) lane: u8,
    pub(super) first: u64,
    pub(super) last: u64,
}

pub(super) fn add_loss(
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
pub(super) fn add_losses(tx: &Transaction<'_>, lost: &Lost<'_>, word: &str) -> Result<(), QueueError> {
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
pub(super) fn loss_told(tx: &Transaction<'_>, loss: &Loss) -> Result<(), QueueError> {
    let range = &loss.range;
    // An answer may be late, and its row's id have gone to another loss.
    const SAME: &str = "id = ?1 AND epoch = ?2 AND class = ?3 AND lane = ?4 AND first = ?5";
    let (first, told) = (range.from.cast_signed(), range.to.cast_signed());
    let row = params![loss.id, loss.epoch.cast_signed(), range.delivery_class, range.lane, first, told];
    let mut narrow =
        tx.prepare_cached(&format!("UPDATE losses SET first = ?6 + 1 WHERE {SAME} AND last > ?6"))?;
    if narrow.execute(row)? == 0 {
        let mut delete = tx.prepare_cached(&format!("DELETE FROM losses WHERE {SAME} AND last <= ?6"))?;
        delete.execute(row)?;
    }
    Ok(())
}

/// A critical event has a receipt from the start; any other one when it was rejected.
pub(super) fn note_fate(
    tx: &Transaction<'_>,
    class: i32,
    id: Option<[u8; 16]>,
    fate: &Fate,
) -> Result<(), QueueError> {
    let critical = class == v1::DeliveryClass::Critical as i32;
    let receipt = match fate {
        Fate::Acked if critical => Receipt::Acked,
        Fate::Acked => return Ok(()),
        Fate::Lost { why, .. } => Receipt::Rejected(why.clone()),
    };
    id.map_or(Ok(()), |id| set_receipt(tx, &id, &receipt))
}

pub(super) fn set_receipt(tx: &Transaction<'_>, id: &[u8; 16], receipt: &Receipt) -> Result<(), QueueError> {
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

pub(super) fn read_loss(row: &rusqlite::Row<'_>) -> rusqlite::Result<Loss> {
    let range = v1::LossRange {
        delivery_class: row.get(3)?,
        lane: row.get(4)?,
        from: row.get::<_, i64>(5)?.cast_unsigned(),
        to: row.get::<_, i64>(6)?.cast_unsigned(),
        reason: row.get(7)?,
    };
    Ok(Loss { id: row.get(0)?, install: row.get(1)?, epoch: row.get::<_, i64>(2)?.cast_unsigned(), range })
}
