//! The end of a client that whoever carries its batches holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;

use crate::answer::{self, Answer};
use crate::outcome::Outcome;
use crate::transport::{Outgoing, Transport};
use crate::worker::Command;

/// Asks for batches and reports what became of them. It does not keep the client alive.
///
/// One batch is out at a time. What is asked for while another call still waits replaces that call, which then gets
/// nothing.
#[derive(Debug, Clone)]
pub struct Courier {
    commands: Sender<Command>,
}

impl Courier {
    pub(crate) fn new(commands: Sender<Command>) -> Self {
        Self { commands }
    }

    /// Waits for the next batch; `None` when the client has ended. The thread sleeps until there is something to send.
    pub fn take(&self) -> Option<Outgoing> {
        self.next().wait().flatten()
    }

    /// As [`Courier::take`], for async callers. Dropped, it takes none.
    pub fn next(&self) -> Answer<Option<Outgoing>> {
        let (giver, answer) = answer::pair();
        let _ = self.commands.send(Command::Take(giver)); // If the client has ended, nobody will answer.
        answer
    }

    /// Gives the batch `id`, which is out, away to something that outlives the process, as a phone's system does for uploads
    /// in the background. Its outcome may be reported in a later run; until then its events are not sent, for a day at
    /// most in each run. The next batch may be taken at once. `false`: it was not noted, and is to be sent and reported as
    /// any other.
    ///
    /// Of at most 64 batches this can be said at a time.
    pub fn detach(&self, id: &str) -> bool {
        let (giver, answer) = answer::pair();
        let _ = self.commands.send(Command::Detach(id.to_owned(), giver));
        answer.wait().unwrap_or(false)
    }

    /// Of the batches that were given away, in this run or an earlier one, only these are still on their way: the events of
    /// the others are sent again. To be said after a start, once it is known.
    pub fn keep(&self, ids: Vec<String>) {
        let _ = self.commands.send(Command::Keep(ids));
    }

    /// Says how the send of the batch `id` ended. For a batch that is not out any more it says nothing.
    pub fn report(&self, id: &str, outcome: Outcome) {
        // A client that is gone keeps the batch in its queue; nobody needs the answer.
        let _ = self.commands.send(Command::Report(id.to_owned(), Box::new(outcome)));
    }

    /// Carries batches until the client ends.
    pub(crate) fn carry(&self, transport: &dyn Transport) {
        while let Some(batch) = self.take() {
            let sent = catch_unwind(AssertUnwindSafe(|| transport.send(&batch)));
            let outcome = sent.unwrap_or_else(|_| Outcome::Broken("the transport panicked".into()));
            self.report(&batch.id, outcome);
        }
    }
}
