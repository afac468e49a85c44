//! One unit's events, in order, with the part and the moment that each belongs to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use footpath_engine::general::{Parts, Ties};
use footpath_engine::{FunnelEvent, Plan, fold_sessions};
use footpath_history::Scan;
use footpath_model::definition::Counting;

use crate::QueryError;
use crate::funnel::{Folds, Prepared, times};
use crate::ids::actors_of;
use crate::sessions::EventNames;

/// Events of one part make a chain: the beginning of their session, and the hash of what is held constant.
pub(super) type PartKey = (i64, u64);

/// An event.
pub(super) struct One {
    pub(super) event: FunnelEvent,
    pub(super) part: PartKey,
    /// The moment it belongs to, by its first event's time.
    pub(super) moment_us: i64,
    name: u32,
}

impl One {
    /// Whether it is a step or excluded.
    pub(super) fn matches(&self) -> bool {
        self.event.steps != 0 || self.event.exclusions != 0
    }

    pub(super) fn is(&self, step: usize) -> bool {
        self.event.steps & (1 << step) != 0
    }
}

/// The events of a unit, and by what they are folded.
pub(super) struct Seen<'a> {
    pub(super) folds: &'a Folds,
    /// In their order.
    pub(super) all: Vec<One>,
    /// Events of one moment and part.
    pub(super) moments: BTreeMap<(i64, PartKey), Vec<usize>>,
    pub(super) looked_at: u64,
    names: EventNames,
    within_us: (i64, i64),
}

impl<'a> Seen<'a> {
    /// Reads a unit's events of all times that can matter to the funnel.
    pub(super) fn read(prepared: &Prepared<'_>, folds: &'a Folds, unit: u64) -> Result<Self, QueryError> {
        let is_group = matches!(prepared.definition().counting, Counting::Groups(_));
        let actors: HashSet<u64> = actors_of(&prepared.graph, [unit]).into_keys().collect();
        let scan = prepared.scan((i64::MIN, i64::MAX));
        let scan = Scan { actors: (!is_group).then_some(&actors), ..scan };
        let names = EventNames::default();
        let mut found = Vec::new();
        let stats = prepared.source.pinned.scan(&scan, &mut |row| {
            if prepared.unit(row) == Some(unit)
                && let Some(event) = prepared.event(row)
            {
                found.push((event, names.number(row.name)));
            }
            ControlFlow::Continue(())
        })?;
        found.sort_unstable_by_key(|(event, _)| event.order());
        let all = placed(prepared, &folds.plan, found);
        let mut moments: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, one) in all.iter().enumerate() {
            moments.entry((one.moment_us, one.part)).or_default().push(i);
        }
        let within_us = times(&folds.plan, folds.span);
        Ok(Self { folds, all, moments, looked_at: stats.rows, names, within_us })
    }

    /// The events, to be folded.
    pub(super) fn events(&self) -> Vec<FunnelEvent> {
        self.all.iter().map(|one| one.event).collect()
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.folds.plan
    }

    pub(super) fn name(&self, i: usize) -> String {
        self.names.name(self.all[i].name)
    }

    /// Whether the event's time can matter to the range.
    pub(super) fn is_within(&self, i: usize) -> bool {
        (self.within_us.0..self.within_us.1).contains(&self.all[i].event.time_us)
    }
}

/// Gives events their parts and moments.
fn placed(prepared: &Prepared<'_>, plan: &Plan, found: Vec<(FunnelEvent, u32)>) -> Vec<One> {
    let starts: Vec<i64> = match plan.sessions() {
        Some(rules) => {
            let times = found.iter().map(|(event, _)| event.time_us);
            fold_sessions(rules, times).map(|session| session.start_us).collect()
        }
        None => vec![0; found.len()],
    };
    let held = |event: &FunnelEvent| if prepared.holds() { event.part } else { 1 };
    let mut moments = Moments::new(plan);
    let one = |((event, name), start_us): ((FunnelEvent, u32), i64)| {
        let part = (start_us, held(&event));
        let moment_us = moments.of(&event, part);
        One { event, part, moment_us, name }
    };
    found.into_iter().zip(starts).map(one).collect()
}

/// Finds which moment an event belongs to: with a tolerance, that of the event before if it follows within it.
struct Moments {
    tolerance_us: i64,
    /// In strict order moments are the unit's or its session's, whatever is held.
    shared: bool,
    /// The first and the last event's time of the newest moment of each part.
    newest: HashMap<PartKey, (i64, i64)>,
}

impl Moments {
    fn new(plan: &Plan) -> Self {
        let options = plan.rules().options();
        let tolerance_us = if let Ties::Tolerance { us } = options.ties { us } else { 0 };
        let shared = plan.rules().sees_all() || options.parts == Parts::Whole;
        Self { tolerance_us, shared, newest: HashMap::new() }
    }

    fn of(&mut self, event: &FunnelEvent, part: PartKey) -> i64 {
        let now_us = event.time_us.max(0);
        let newest =
            self.newest.entry(if self.shared { (part.0, 0) } else { part }).or_insert((now_us, now_us));
        if now_us - newest.1 > self.tolerance_us {
            newest.0 = now_us;
        }
        newest.1 = now_us;
        newest.0
    }
}
