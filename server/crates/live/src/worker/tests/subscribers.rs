//! However many subscribe, the numbers are computed once.

use std::sync::atomic::AtomicUsize;

use footpath_engine::Moved;
use tokio::sync::watch::Receiver;

use super::*;
use crate::reconciliation::Figures;
use crate::shape::Shape;
use crate::view::Seen;
use crate::view::Wants;

/// A view that counts how often its numbers are asked for.
struct Probe {
    counted: Counted,
    events: u64,
    changed: bool,
    computed: Arc<AtomicUsize>,
}

impl View for Probe {
    fn counted(&self) -> Counted {
        self.counted.clone()
    }

    fn wants(&self) -> Wants {
        Wants::all(Default::default())
    }

    fn take(&mut self, _name: usize, _seen: &Seen<'_>) {
        self.events += 1;
        self.changed = true;
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn revision(&self) -> u64 {
        self.events
    }

    fn numbers(&self) -> Numbers {
        self.computed.fetch_add(1, Ordering::Relaxed);
        let Counted::Funnel(funnel) = &self.counted else { return Numbers::None };
        let nothing = FunnelNumbers::nothing(&funnel.definition);
        Numbers::Funnel(Box::new(FunnelNumbers { reached: vec![self.events], ..nothing }))
    }

    fn answer(&self, _shape: &Shape, _now_us: i64) -> Option<Numbers> {
        Some(self.numbers())
    }

    fn complete(&self, read: Progress) -> Progress {
        read
    }

    fn stale(&self) -> Vec<(u64, Progress)> {
        Vec::new()
    }

    fn copy_slice(&mut self, _units: usize, _out: &mut Vec<u8>) -> bool {
        false
    }

    fn restore(&mut self, _copied: &[u8]) -> Option<()> {
        None
    }

    fn figures(&self, _now_us: i64) -> Figures {
        Figures::new()
    }

    fn flush(&mut self, _at: Progress) {}
    fn follow(&mut self, _moved: &Moved, _at: Progress) {}
    fn advance(&mut self, _now_us: i64, _at: Progress) {}
    fn mark_stale(&mut self, _unit: u64, _since: Progress) {}
    fn begin_copy(&mut self) {}
    fn end_copy(&mut self) {}
    fn touch(&mut self) {}
}

/// How often a view's numbers are computed while some events come one by one, for so many who watch it as it is, and as many
/// in each of two shapes; everybody sees each change.
fn computed(subscribers: usize) -> usize {
    let mut bench = Bench::new();
    bench.run(&Op::Event { anonymous: 0, user: 0, name: 0, second: 0 });
    bench.settle();
    let computed = Arc::new(AtomicUsize::new(0));
    let counted = Counted::Funnel(Box::new(counted(0, 0, 1)));
    let key = counted.key();
    let probe = Probe { counted, events: 0, changed: true, computed: Arc::clone(&computed) };
    bench.worker.projects.get_mut(&1).unwrap().put(Box::new(probe));
    bench.run(&Op::Step);
    let shape = |n| {
        let range = Range::Last { n, unit: RollingUnit::Days };
        Shape { metric: None, range, zone: String::new(), unit: None, top: 10 }
    };
    let plain = || bench.hub.view(1, &key).unwrap();
    let shaped = |n| bench.hub.shape(1, key.clone(), shape(n)).unwrap();
    let mut watches: Vec<Vec<Receiver<Arc<Shown>>>> = vec![(0..subscribers).map(|_| plain()).collect()];
    watches.extend([1, 2].map(|n| (0..subscribers).map(|_| shaped(n)).collect()));
    bench.run(&Op::Step);
    let before = computed.load(Ordering::Relaxed);
    for second in 1..=5 {
        watches.iter_mut().flatten().for_each(Receiver::mark_unchanged);
        bench.run(&Op::Event { anonymous: 0, user: 0, name: 0, second });
        bench.run(&Op::Step);
        for watch in watches.iter().flatten() {
            assert!(watch.has_changed().unwrap());
            let Numbers::Funnel(numbers) = &watch.borrow().numbers else { panic!("no numbers") };
            assert_eq!(numbers.reached, [second as u64]);
        }
    }
    computed.load(Ordering::Relaxed) - before
}

#[test]
fn a_thousand_subscribers_cost_one_computation() {
    let [one, thousand] = [1, 1_000].map(computed);
    assert_eq!(one, 5 * 3, "once for each event and each way to look at it");
    assert_eq!(thousand, one);
}
