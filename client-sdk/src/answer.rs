//! What another thread will say, to be waited for or awaited. Whoever stops waiting is not told.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

thread_local!(static GIVES: Cell<bool> = const { Cell::new(false) });

/// This thread gives answers: waiting for one, it would wait for itself.
pub(crate) fn give_here() {
    GIVES.set(true);
}

/// A thread waits in real time, whatever clock the client has.
#[allow(clippy::disallowed_methods)]
fn real_now() -> Instant {
    Instant::now()
}

/// What is not there yet; awaiting it can be given up at any time.
pub struct Answer<T>(Arc<Mutex<Slot<T>>>);

/// The other end of an [`Answer`].
pub(crate) struct Giver<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    value: Option<T>,
    /// Nobody will give it any more.
    over: bool,
    /// Nobody waits for it any more.
    unwanted: bool,
    waker: Option<Waker>,
}

/// An answer, and whoever gives it.
pub(crate) fn pair<T>() -> (Giver<T>, Answer<T>) {
    let slot = Slot { value: None, over: false, unwanted: false, waker: None };
    let slot = Arc::new(Mutex::new(slot));
    (Giver(Arc::clone(&slot)), Answer(slot))
}

impl<T> Giver<T> {
    /// Gives the answer; back it comes if nobody waits for it.
    pub(crate) fn give(self, value: T) -> Result<(), T> {
        let mut slot = self.0.lock();
        if slot.unwanted {
            return Err(value);
        }
        slot.value = Some(value);
        Ok(())
    }

    /// Whether somebody waits.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.0.lock().unwanted
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.lock();
            slot.over = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.lock().unwanted = true;
    }
}

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

impl<T> std::fmt::Debug for Giver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Giver")
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Answer<T> {
    /// Waits with this thread; `None` if nobody will answer, and on the thread that gives answers, as in a callback of it.
    pub(crate) fn wait(self) -> Option<T> {
        if GIVES.get() { self.0.lock().value.take() } else { self.wait_anyway() }
    }

    /// The same, but not longer than `time`: whoever gives answers may be kept busy.
    pub(crate) fn wait_for(self, time: Duration) -> Option<T> {
        if GIVES.get() { self.0.lock().value.take() } else { self.wait_until(real_now().checked_add(time)) }
    }

    /// As [`Answer::wait`], for what another such thread gives.
    pub(crate) fn wait_anyway(self) -> Option<T> {
        self.wait_until(None)
    }

    fn wait_until(self, end: Option<Instant>) -> Option<T> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match self.look(&mut context) {
                Poll::Ready(value) => return value,
                Poll::Pending => match end.map(|end| end.saturating_duration_since(real_now())) {
                    Some(Duration::ZERO) => return None,
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                },
            }
        }
    }

    /// What is there already.
    #[cfg(test)]
    pub(crate) fn there(&self) -> Option<T> {
        self.0.lock().value.take()
    }

    fn look(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        if slot.value.is_some() || slot.over {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T: Default> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.look(context).map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_given_to_who_waits_and_back_to_the_giver_otherwise() {
        let (giver, answer) = pair();
        let waits = std::thread::spawn(move || answer.wait());
        assert_eq!(giver.give(7), Ok(()));
        assert_eq!(waits.join().unwrap(), Some(7));
        let (giver, answer) = pair::<u8>();
        drop(giver);
        assert_eq!(answer.wait(), None);
        let (giver, answer) = pair();
        assert!(giver.is_wanted());
        drop(answer);
        assert!(!giver.is_wanted());
        assert_eq!(giver.give(7), Err(7));
        give_here();
        let (_giver, answer) = pair::<u8>();
        assert_eq!(answer.wait(), None, "it would wait for ever");
    }
}
