//! Which events an attempt is made of. The kernel keeps times, not events: they are looked for in the moments it names.

use footpath_engine::Attempt;

use super::seen::{PartKey, Seen};
use crate::funnel::any_order;

/// Ways that are tried at most; behind that, which of many events of one moment serve which step stays open.
const MOST_WAYS: u32 = 10_000;

/// The events of an attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct Serving {
    /// Steps, counted from 0, each with its event.
    steps: Vec<(usize, usize)>,
    /// The part they belong to.
    pub(super) part: Option<PartKey>,
}

impl Serving {
    /// Looks for distinct events that match the steps, at the moments at which these were reached, of one part.
    pub(super) fn find(seen: &Seen<'_>, attempt: &Attempt) -> Self {
        let any = any_order(seen.plan());
        let reached = (0..seen.plan().steps()).filter_map(|step| Some((step, attempt.reached_us(step)?)));
        let places: Vec<Place> = reached
            .map(|(step, at_us)| Place { step: (!any || at_anchor(seen, step)).then_some(step), at_us })
            .collect();
        let entry = (attempt.entry_us, (i64::MIN, 0))..=(attempt.entry_us, (i64::MAX, u64::MAX));
        for ((_, part), _) in seen.moments.range(entry) {
            let mut search =
                Search { seen, places: &places, part: *part, chosen: Vec::new(), ways: MOST_WAYS };
            if part.1 != 0 && search.from(0) {
                return Self { steps: search.chosen, part: Some(*part) };
            }
        }
        Self::default()
    }

    /// The step, counted from 0, that an event serves.
    pub(super) fn step_of(&self, event: usize) -> Option<usize> {
        self.steps.iter().find(|(_, own)| *own == event).map(|(step, _)| *step)
    }

    /// Whether an event serves a step.
    pub(super) fn has_step(&self, step: usize) -> bool {
        self.steps.iter().any(|(own, _)| *own == step)
    }

    /// The last of its events.
    pub(super) fn last_event(&self) -> Option<usize> {
        self.steps.iter().map(|(_, event)| *event).max()
    }
}

/// Whether the first event has to be of this step although the order is any.
fn at_anchor(seen: &Seen<'_>, step: usize) -> bool {
    let anchored = footpath_engine::general::Order::Any { anchored: true };
    step == 0 && seen.plan().rules().options().order == anchored
}

/// A place in a chain: in any order its step is open.
struct Place {
    step: Option<usize>,
    at_us: i64,
}

struct Search<'s> {
    seen: &'s Seen<'s>,
    places: &'s [Place],
    part: PartKey,
    chosen: Vec<(usize, usize)>,
    ways: u32,
}

impl Search<'_> {
    /// Fills the places from this one on.
    fn from(&mut self, place: usize) -> bool {
        let Some(Place { step: wanted, at_us }) = self.places.get(place) else { return true };
        let Some(left) = self.ways.checked_sub(1) else { return false };
        self.ways = left;
        let seen = self.seen;
        let moment = seen.moments.get(&(*at_us, self.part)).map_or(&[][..], Vec::as_slice);
        for event in moment.iter().copied().filter(|event| seen.all[*event].event.steps != 0) {
            if self.is_used(event) {
                continue;
            }
            for step in 0..seen.plan().steps() {
                let fits = seen.all[event].is(step) && wanted.unwrap_or(step) == step;
                if !fits || self.chosen.iter().any(|(own, _)| *own == step) {
                    continue;
                }
                self.chosen.push((step, event));
                if self.from(place + 1) {
                    return true;
                }
                self.chosen.pop();
            }
        }
        false
    }

    /// An event serves one step; in ClickHouse's way of counting it can serve several.
    fn is_used(&self, event: usize) -> bool {
        let modes = self.seen.plan().rules().options().window_funnel;
        let once = modes.is_none_or(|modes| modes.strict_once);
        once && self.chosen.iter().any(|(_, own)| *own == event)
    }
}
