//! What a process that forks has to do: pre-forking servers, Python's `multiprocessing`.
//!
//! A child has a copy of every lock and only one of the threads. A queue's thread that is inside SQLite at that moment
//! holds locks of the whole process (SQLite's own, the allocator of its pages), which nobody in the child would ever
//! release. So queues pause while the process forks.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Read by queues that work, written by a fork.
static GATE: RwLock<()> = RwLock::new(());

/// All queues of the process stand still.
#[derive(Debug)]
pub struct Still {
    _gate: RwLockWriteGuard<'static, ()>,
}

/// Waits until no queue is at work, for the length of a commit at most, and keeps them so: to be called right before the
/// process forks, by the thread that does. Not in a callback of a queue's thread, which is at work.
pub fn before() -> Still {
    Still { _gate: GATE.write().unwrap_or_else(PoisonError::into_inner) }
}

/// To be called right after, in both processes. In the child, clients made before must neither be used nor dropped: their
/// threads exist in the parent only.
pub fn after(still: Still, in_child: bool) {
    drop(still);
    if in_child {
        #[allow(clippy::disallowed_methods)] // The child would go on with the parent's random numbers.
        let _ = rand::rng().reseed();
    }
}

/// Held while a queue works.
pub(crate) fn gate() -> RwLockReadGuard<'static, ()> {
    GATE.read().unwrap_or_else(PoisonError::into_inner)
}
