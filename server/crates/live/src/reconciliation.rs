//! Live numbers compared with stored events: what was compared, and what differed.

use std::collections::{BTreeMap, VecDeque};

use footpath_engine::metric::Table;
use parking_lot::Mutex;

use crate::view::ViewKey;

/// Comparisons that found a difference and are remembered.
const DRIFTS_KEPT: usize = 1_000;

/// One comparison of a view's numbers with those folded anew from stored events, both at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The project's number.
    pub project: u32,
    /// What was compared.
    pub view: ViewKey,
    /// The definition's version.
    pub version: u64,
    /// When, microseconds since 1970.
    pub checked_us: i64,
    /// The log position that both are of.
    pub position: u64,
    /// How many numbers were compared.
    pub compared: u64,
    /// How many of them differed: expected to be none.
    pub drift: u64,
    /// The first that differed, live and stored; empty if none did.
    pub example: String,
    /// Whether the live numbers were put right.
    pub repaired: bool,
}

/// Numbers of a view by what they are, as text that is equal when the numbers are.
pub type Figures = BTreeMap<String, String>;

/// The figures of a table; those of single values only while all are kept apart.
pub fn of_table(prefix: &str, table: &Table, figures: &mut Figures) {
    let rows = table.rows.iter().flatten().filter(|_| !table.overflow);
    for series in rows.chain([&table.total]) {
        let name = series.value.as_ref().map_or_else(String::new, |value| format!(" {value:?}"));
        figures.insert(format!("{prefix}{name}"), format!("{:?}", series.total));
        for (start_us, value) in &series.buckets {
            figures.insert(format!("{prefix}{name} at {start_us}"), format!("{value:?}"));
        }
    }
}

/// Compares figures: how many there are, how many differ, and the first that does.
pub fn compare(live: &Figures, stored: &Figures) -> (u64, u64, String) {
    let absent = "nothing".to_owned();
    let names: std::collections::BTreeSet<&String> = live.keys().chain(stored.keys()).collect();
    let differs = |name: &&&String| live.get(**name) != stored.get(**name);
    let different: Vec<&&String> = names.iter().filter(differs).collect();
    let example = different.first().map(|name| {
        let (live, stored) = (live.get(**name).unwrap_or(&absent), stored.get(**name).unwrap_or(&absent));
        format!("{name}: live {live}, stored {stored}")
    });
    (names.len() as u64, different.len() as u64, example.unwrap_or_default())
}

/// What was compared since the start.
#[derive(Debug, Default)]
pub struct Reconciliations(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    newest: BTreeMap<(u32, ViewKey), Reconciliation>,
    drifts: VecDeque<Reconciliation>,
    checks: u64,
    drift: u64,
}

impl Reconciliations {
    /// Remembers one.
    pub(crate) fn record(&self, done: Reconciliation) {
        let mut known = self.0.lock();
        known.checks += 1;
        known.drift += done.drift;
        if done.drift > 0 {
            known.drifts.push_back(done.clone());
            if known.drifts.len() > DRIFTS_KEPT {
                known.drifts.pop_front();
            }
        }
        known.newest.insert((done.project, done.view.clone()), done);
    }

    /// Forgets a view that is gone; what it drifted by stays.
    pub(crate) fn forget(&self, project: u32, view: &ViewKey) {
        self.0.lock().newest.remove(&(project, view.clone()));
    }

    /// The newest one of each view of a project, and all that found a difference (the last 1,000); the newest first.
    pub fn of(&self, project: u32) -> Vec<Reconciliation> {
        let known = self.0.lock();
        let newest = known.newest.values().filter(|one| one.drift == 0);
        let mut all: Vec<_> =
            newest.chain(&known.drifts).filter(|one| one.project == project).cloned().collect();
        all.sort_by(|a, b| b.checked_us.cmp(&a.checked_us).then_with(|| a.view.cmp(&b.view)));
        all
    }

    /// How many comparisons there were, and how many numbers differed.
    pub fn totals(&self) -> (u64, u64) {
        let known = self.0.lock();
        (known.checks, known.drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let figures = |all: &[(&str, &str)]| -> Figures {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let live = figures(&[("step 1", "5"), ("step 2", "3")]);
        assert_eq!(compare(&live, &live), (2, 0, String::new()));
        let stored = figures(&[("step 1", "5"), ("step 2", "2"), ("step 3", "1")]);
        assert_eq!(compare(&live, &stored), (3, 2, "step 2: live 3, stored 2".into()));
    }

    #[test]
    fn a_drift_is_remembered_behind_a_later_comparison() {
        let known = Reconciliations::default();
        let one = |checked_us, drift| Reconciliation {
            project: 1,
            view: ViewKey::Funnel("f".into()),
            version: 1,
            checked_us,
            position: 0,
            compared: 1,
            drift,
            example: String::new(),
            repaired: drift > 0,
        };
        known.record(one(1, 0));
        known.record(one(2, 1));
        known.record(one(3, 0));
        let times: Vec<_> = known.of(1).iter().map(|one| (one.checked_us, one.drift)).collect();
        assert_eq!((times, known.totals()), (vec![(3, 0), (2, 1)], (3, 1)));
        assert!(known.of(2).is_empty());
    }
}
