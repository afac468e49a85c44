//! Room: so many persons are kept with their sessions. Of more, those that were quiet the longest are forgotten, which changes no
//! number; when something happens to one of them its sessions are read again from stored events.

use footpath_engine::ActorKey;

use super::SessionsView;
use crate::hub::Progress;
use crate::table::{State, decode};

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
        self.units.make_room(|unit| !unit.open, |_, _| Some(Quiet));
    }

    /// Two persons became one, and the sessions of one of them are not known.
    pub(super) fn join_quiet(&mut self, loser: ActorKey, winner: ActorKey, ids: &[ActorKey], at: Progress) {
        self.units.quiet.remove(loser.0);
        if let Some(lost) = self.units.awake.remove(loser.0) {
            self.book.leave(&lost.state);
        }
        self.join_wrong(loser, winner, ids, at);
    }

    pub(super) fn restore_quiet(&mut self, copied: &[u8]) -> Option<()> {
        decode(copied, |_| Some(Quiet), |person, quiet| _ = self.units.quiet.change(person, || quiet))
    }
}
