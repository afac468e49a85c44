//! What goes out next.

use super::{Gathered, Queue, QueueError, Queued, read_owner};
use crate::block::{self, Number};
use crate::intake::Class;
use crate::seal::Sealed;

/// How much goes out at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// Events; at least one goes.
    pub(crate) events: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// The least important class that may go.
    pub(crate) class: Class,
}

impl Queue {
    /// The most important and oldest events that `skip` does not name, within `most`, all of one install, epoch and clock
    /// era. A block that can never be read becomes a loss.
    pub(crate) fn gather(
        &mut self,
        skip: impl Fn(u64, i32, Number) -> bool,
        most: Most,
    ) -> Result<Gathered, QueueError> {
        loop {
            let mut unreadable = None;
            let found = self.try_gather(&skip, most, &mut unreadable)?;
            let Some((block, word)) = unreadable else { return Ok(found) };
            self.unreadable += self.give_up(block, word)?;
        }
    }

    /// Blocks that can never be read become losses.
    pub(crate) fn give_up_unreadable(&mut self) -> Result<(), QueueError> {
        match self.gather(|_, _, _| true, Most { events: 1, bytes: 0, class: Class::Lossy }) {
            Ok(_) | Err(QueueError::Key(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn try_gather(
        &self,
        skip: &impl Fn(u64, i32, Number) -> bool,
        most: Most,
        unreadable: &mut Option<(i64, &'static str)>,
    ) -> Result<Gathered, QueueError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, class, install, epoch, era, key, numbers, body FROM blocks WHERE class <= ?1 ORDER BY class, id",
        )?;
        let mut rows = query.query([most.class.code()])?;
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
                let full = found.events.len() >= most.events.max(1)
                    || found.body.len() + entry.span.len() > most.bytes;
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

    /// The newest block; 0 when there was never one.
    pub(crate) fn last_block(&self) -> Result<i64, QueueError> {
        Ok(self.db.query_row("SELECT coalesce(max(id), 0) FROM blocks", [], |row| row.get(0))?)
    }

    /// Whether an event of a block up to `id` still waits.
    pub(crate) fn waits_until(&self, id: i64) -> Result<bool, QueueError> {
        let mut query = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM blocks WHERE id <= ?1)")?;
        Ok(query.query_row([id], |row| row.get(0))?)
    }
}
