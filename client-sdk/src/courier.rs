//! The end of a client that whoever carries its batches holds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Sender, sync_channel};
use std::task::Waker;

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
        let (give, given) = sync_channel(1);
        let take = Command::Take(Box::new(move |batch| drop(give.send(batch))));
        self.commands.send(take).ok()?;
        given.recv().ok()?
    }

    /// As [`Courier::take`], for async callers.
    pub fn next(&self) -> Answer<Option<Outgoing>> {
        let (give, answer) = Answer::pair();
        if self.commands.send(Command::Take(give)).is_err() {
            return Answer::ready(None);
        }
        answer
    }

    /// Gives the batch `id`, which is out, away to something that outlives the process, as a phone's system does for uploads
    /// in the background. Its outcome may be reported in a later run; until then its events are not sent, for a day at
    /// most in each run. The next batch may be taken at once. `false`: it was not noted, and is to be sent and reported as
    /// any other.
    ///
    /// Of at most 64 batches this can be said at a time.
    pub fn detach(&self, id: &str) -> bool {
        let (give, given) = sync_channel(1);
        let reply = Box::new(move |detached| {
            let _ = give.send(detached);
        });
        self.commands.send(Command::Detach(id.to_owned(), reply)).is_ok() && given.recv().unwrap_or(false)
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
            self.report(&batch.id, transport.send(&batch));
        }
    }
}

/// What is not there yet; awaiting it can be given up at any time.
pub struct Answer<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

struct Slot<T> {
    value: Option<T>,
    /// Nobody will give it any more.
    dropped: bool,
    waker: Option<Waker>,
}

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

struct Giver<T>(Arc<Mutex<Slot<T>>>);

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        slot.dropped = true;
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }
}

impl<T: Send + 'static> Answer<T> {
    pub(crate) fn pair() -> (Box<dyn FnOnce(T) + Send>, Self) {
        let slot = Arc::new(Mutex::new(Slot { value: None, dropped: false, waker: None }));
        let giver = Giver(Arc::clone(&slot));
        (Box::new(move |value| giver.0.lock().value = Some(value)), Self { slot })
    }

    pub(crate) fn ready(value: T) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot { value: Some(value), dropped: true, waker: None })) }
    }
}

impl<T: Default> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.slot.lock();
        if let Some(value) = slot.value.take() {
            return Poll::Ready(value);
        }
        if slot.dropped {
            return Poll::Ready(T::default());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
