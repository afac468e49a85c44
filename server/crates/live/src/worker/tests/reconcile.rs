//! Reconciliation finds nothing where nothing is wrong, and whatever is.

use super::*;
use crate::reconciliation::Reconciliation;
use crate::view::Seen;

impl Bench {
    /// Compares every view once.
    pub fn compare_all(&mut self) -> Vec<Reconciliation> {
        self.settle();
        let views = self.worker.projects.values_mut().map(|project| project.views().count()).sum::<usize>();
        let (before, _) = self.hub.reconciliations().totals();
        self.worker.checks = Checks::new(Some(Duration::from_micros(1)), self.now_us - SECOND);
        while self.hub.reconciliations().totals().0 < before + views as u64 {
            self.worker.step().unwrap();
            self.now_us += 1_000;
            self.clock.set(self.now_us);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.worker.checks = Checks::default();
        self.hub.reconciliations().of(1)
    }

    pub fn reconcile_all(&mut self) {
        let all = self.compare_all();
        assert!(all.iter().all(|one| one.drift == 0), "{all:?}");
    }

    /// Counts an event in one view that is not in the log: a fault.
    fn inject(&mut self, key: &ViewKey, name: &str) {
        let at = self.worker.progress;
        let actor = ActorKey(actor_key(PROJECT, b"nobody"));
        let properties = details(1);
        let facts = Facts { order: (self.now_us, 77), properties: &properties, ..Facts::default() };
        let seen = Seen { person: actor, name, facts, actor, stored_us: self.now_us };
        let view = self.worker.view(1, key).unwrap();
        let number = view.wants().names.map_or(0, |names| names.iter().position(|own| own == name).unwrap());
        view.take(number, &seen);
        view.flush(at);
    }
}

#[test]
fn an_injected_fault_is_found_named_and_repaired() {
    let mut bench = Bench::new();
    bench.run(&Op::Settings { gap_minutes: 1 });
    bench.run(&Op::Put { funnel: 0, shape: 0 });
    bench.run(&Op::PutMetric { metric: 0, kind: 0 });
    bench.run(&Op::PutMetric { metric: 1, kind: 1 });
    bench.run(&Op::PutMetric { metric: 2, kind: 4 });
    for second in 0..60 {
        bench.run(&Op::Event { anonymous: (second % 5) as u8, user: 0, name: (second % 4) as u8, second });
    }
    let _active = bench.hub.demand(1, ViewKey::Active(String::new())).unwrap();
    bench.reconcile_all();
    let views = [
        (ViewKey::Funnel("f0".into()), "n0", "step 1"),
        (ViewKey::Metric("m0".into()), "n1", "Some(Day)"),
        (ViewKey::Metric("m1".into()), "n1", "Some(Day)"),
        (ViewKey::Sessions { internal: false }, "n2", "m2 Some(Day)"),
        (ViewKey::Active(String::new()), "n2", "30 minutes"),
    ];
    for (key, name, what) in views {
        bench.inject(&key, name);
        let all = bench.compare_all();
        let found = all.iter().find(|one| one.view == key && one.drift > 0).unwrap();
        assert!(found.repaired && found.example.starts_with(what), "{found:?}");
        let later = bench.compare_all();
        let newest = later.iter().filter(|one| one.view == key).max_by_key(|one| one.checked_us).unwrap();
        assert_eq!(newest.drift, 0, "{newest:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn nothing_drifts_whatever_comes(ops in prop::collection::vec(metrics::with_metrics(), 1..150)) {
        let mut bench = Bench::new();
        for (i, op) in ops.iter().enumerate() {
            bench.run(op);
            if i == ops.len() / 2 {
                bench.reconcile_all();
            }
        }
        bench.reconcile_all();
    }
}
