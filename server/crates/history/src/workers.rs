//! Work of one question on more than one processor, without holding up those who take events in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use footpath_log::lower_priority;

/// How much less urgent a helper is than the thread that asks: as the chunk writer, so that where processors are short it is
/// the question that waits.
const NICE: i32 = 10;

/// Helpers for all questions together: one less than there are processors. A question that finds none is answered by its own thread
/// alone.
#[derive(Debug)]
pub struct Workers {
    free: AtomicUsize,
}

impl Workers {
    /// As many as this machine has use for.
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { free: AtomicUsize::new(processors - 1) }
    }

    /// Calls `work` once for each number below `count`, on this thread and on the helpers that are free. Each thread has an
    /// `A` of its own, made by `make`; all of them come back, in no order.
    pub fn share<A: Send>(
        &self,
        count: usize,
        make: impl Fn() -> A + Sync,
        work: impl Fn(&mut A, usize) + Sync,
    ) -> Vec<A> {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut own = make();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return own;
                }
                work(&mut own, number);
            }
        };
        let helpers = self.take(count.saturating_sub(1));
        thread::scope(|scope| {
            let help = || {
                lower_priority(NICE);
                run()
            };
            // Where no thread can be started this one does it all.
            let start = || thread::Builder::new().name("query-helper".into()).spawn_scoped(scope, help).ok();
            let helping: Vec<_> = (0..helpers.0).filter_map(|_| start()).collect();
            let own = run();
            let others = helping.into_iter().map(|helper| match helper.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            others.chain([own]).collect()
        })
    }

    /// Takes up to `most` of those that are free.
    fn take(&self, most: usize) -> Taken<'_> {
        let mut taken = 0;
        let less = |free: usize| {
            taken = free.min(most);
            Some(free - taken)
        };
        let _ = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        Taken(taken, &self.free)
    }
}

/// Helpers that are given back when dropped, also by a panic.
struct Taken<'w>(usize, &'w AtomicUsize);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.1.fetch_add(self.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_done_once_whoever_helps() {
        for helpers in 0..4 {
            let workers = Workers { free: AtomicUsize::new(helpers) };
            let found = workers.share(1000, Vec::new, |own, number| own.push(number));
            assert!(found.len() <= helpers + 1);
            let mut all = found.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..1000));
            assert_eq!(workers.free.load(Ordering::Relaxed), helpers);
        }
    }

    #[test]
    fn helpers_come_back_from_a_panic() {
        let workers = Workers { free: AtomicUsize::new(2) };
        let fail = || workers.share(9, || (), |(), number| assert_ne!(number, 5));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(fail)).is_err());
        assert_eq!(workers.free.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_finds_no_helper_works_alone() {
        let workers = Workers { free: AtomicUsize::new(1) };
        let held = workers.take(1);
        assert_eq!(workers.share(3, || 0, |own, number| *own += number), [3]);
        drop(held);
        assert_eq!(workers.take(9).0, 1);
    }
}
