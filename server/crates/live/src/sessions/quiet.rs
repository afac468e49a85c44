//! Room: so many persons are kept with their sessions. Of more, those that were quiet the longest are forgotten, which changes no
//! number; when something happens to one of them its sessions are read again from stored events.

use footpath_engine::ActorKey;

use super::SessionsView;
use crate::hub::Progress;
use crate::table::{State, decode};

/// Persons that are forgotten at a time, so that nobody waits.
const AT_ONCE: usize = 4096;

/// A person without its sessions.
#[derive(Debug)]
pub(super) struct Quiet;

impl State for Quiet {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn warm(&self) -> i64 {
        0
    }
}

impl SessionsView {
    /// Forgets the sessions of the quietest persons, unless they are in one, until there are no more than there may be.
    pub(super) fn make_room(&mut self) {
        for _ in 0..self.units.len().saturating_sub(self.most_units).min(AT_ONCE) {
            let Some(unit) = self.units.take_quietest(|unit| !unit.open) else { return };
            self.quiet.change(unit.key, || Quiet);
        }
    }

    /// Whether a person is there, and without its sessions.
    #[inline]
    pub(super) fn is_quiet(&self, person: u64) -> bool {
        !self.quiet.is_empty() && self.quiet.slot(person).is_some()
    }

    /// Two persons became one, and the sessions of one of them are not known.
    pub(super) fn join_quiet(&mut self, loser: ActorKey, winner: ActorKey, ids: &[ActorKey], at: Progress) {
        self.quiet.remove(loser.0);
        if let Some(lost) = self.units.remove(loser.0) {
            self.book.leave(&lost.state);
        }
        self.join_wrong(loser, winner, ids, at);
    }

    pub(super) fn restore_quiet(&mut self, copied: &[u8]) -> Option<()> {
        decode(copied, |_| Some(Quiet), |person, quiet| _ = self.quiet.change(person, || quiet))
    }
}
