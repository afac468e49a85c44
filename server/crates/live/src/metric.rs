//! A metric's view: its series by the minute. Events are added in any order; who is who matters to distinct persons only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use footpath_engine::lens::{Terms, Values};
use footpath_engine::metric::table::{Rows, Source};
use footpath_engine::metric::{Horizons, Item, MetricKind, Ordinals, SeriesSet};
use footpath_engine::{ActorKey, Moved};
use footpath_history::{HistoryError, Scan, Stored};
use footpath_model::control::CountedMetric;
use hashbrown::{HashMap, HashSet};

use crate::LiveError;
use crate::blob;
use crate::hub::{CAUSES, Cause, MetricNumbers, Numbers, Progress};
use crate::reading::{Units, go_on, seen, units_of};
use crate::reconciliation::{Figures, of_table};
use crate::shape::Shape;
use crate::stale::{Finished, Stale};
use crate::view::{Brought, Context, Counted, Reading, Seen, View, Wants};

/// An event of an earlier minute than this before it was stored counts as late.
const LATE_US: i64 = 60_000_000;
/// How often what is old is rolled up.
const ROLL_US: i64 = 15 * 60_000_000;

/// A person's presence in a series of distinct persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Presence {
    set: usize,
    value: Option<u32>,
    time_us: i64,
}

/// What a reading brings of each person.
type Presences = Vec<(u64, Vec<Presence>)>;

/// A metric's view.
#[derive(Debug)]
pub struct MetricView {
    counted: CountedMetric,
    terms: Arc<Terms>,
    series: Series,
    /// Persons whose presences are wrong until stored events were read.
    stale: Stale<Presence>,
    causes: [u64; CAUSES],
    revision: u64,
    changed: bool,
    copy: Option<Vec<u8>>,
}

/// What was counted.
#[derive(Debug)]
struct Series {
    sets: Vec<SeriesSet>,
    /// Which of them count distinct persons.
    persons: Vec<bool>,
    ordinals: Ordinals,
    /// Each person's first event, so that a merge need not look further back.
    first_us: Vec<i64>,
    rolled_us: i64,
}

impl Series {
    fn new(kinds: Vec<MetricKind>, now_us: i64) -> Self {
        let mut series = Self {
            persons: kinds.iter().map(|kind| *kind == MetricKind::Uniques).collect(),
            sets: kinds.into_iter().map(|kind| SeriesSet::new(kind, Horizons::default())).collect(),
            ordinals: Ordinals::default(),
            first_us: Vec::new(),
            rolled_us: i64::MIN,
        };
        series.roll(now_us);
        series
    }

    #[inline]
    fn add(&mut self, set: usize, value: Option<u32>, item: &Item<'_>) {
        if self.persons[set] {
            self.note_first(item.person, item.time_us);
        }
        self.sets[set].add(value, item, &mut self.ordinals);
    }

    fn note_first(&mut self, person: ActorKey, time_us: i64) {
        let ordinal = self.ordinals.ordinal(person) as usize;
        if ordinal >= self.first_us.len() {
            self.first_us.resize(ordinal + 1, i64::MAX);
        }
        self.first_us[ordinal] = self.first_us[ordinal].min(time_us);
    }

    fn first_us(&self, ordinal: u32) -> i64 {
        self.first_us.get(ordinal as usize).copied().unwrap_or(i64::MIN)
    }

    /// Two persons became one; false if stored events have to tell what that changes.
    fn merge(&mut self, loser: ActorKey, winner: ActorKey) -> bool {
        let Some(lost) = self.ordinals.get(loser) else { return true };
        let since_us = self.first_us(lost);
        self.note_first(winner, since_us);
        let won = self.ordinals.ordinal(winner);
        self.each_of_persons(|set| set.replace(since_us, lost, won).is_empty())
    }

    /// Takes a person out everywhere; false as above.
    fn erase(&mut self, person: ActorKey) -> bool {
        let Some(ordinal) = self.ordinals.get(person) else { return true };
        let since_us = self.first_us(ordinal);
        self.each_of_persons(|set| set.erase(since_us, ordinal).is_empty())
    }

    fn each_of_persons(&mut self, mut change: impl FnMut(&mut SeriesSet) -> bool) -> bool {
        let sets = self.sets.iter_mut().zip(&self.persons).filter(|(_, persons)| **persons);
        sets.filter_map(|(set, _)| (!change(set)).then_some(())).count() == 0
    }

    fn put(&mut self, person: ActorKey, presence: Presence) {
        let item = Item { time_us: presence.time_us, person, value: None };
        self.add(presence.set, presence.value, &item);
    }

    fn roll(&mut self, now_us: i64) {
        let quarter = now_us.div_euclid(ROLL_US);
        if quarter > self.rolled_us {
            self.rolled_us = quarter;
            let Self { sets, ordinals, .. } = self;
            sets.iter_mut().for_each(|set| set.roll(now_us, ordinals));
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.ordinals.encode(out);
        blob::put_i64s(out, &self.first_us);
        self.sets.iter().for_each(|set| set.encode(out));
    }

    fn decode(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.ordinals = Ordinals::decode(self.ordinals.exact_up_to(), bytes).ok()?;
        self.first_us = blob::take_i64s(bytes)?;
        let sets = std::mem::take(&mut self.sets);
        self.sets = sets.into_iter().map(|set| set.decode(bytes)).collect::<Result<_, _>>().ok()?;
        Some(())
    }
}

impl MetricView {
    /// An empty metric at `now_us`.
    ///
    /// # Errors
    /// If a condition cannot be compiled.
    pub fn new(counted: CountedMetric, now_us: i64) -> Result<Self, LiveError> {
        let terms = Terms::new(&counted, Values::default())?;
        Ok(Self {
            series: Series::new(terms.kinds(), now_us),
            terms: Arc::new(terms),
            stale: Stale::default(),
            causes: [0; CAUSES],
            revision: 0,
            changed: true,
            copy: None,
            counted,
        })
    }

    fn counts_persons(&self) -> bool {
        self.series.persons.contains(&true)
    }

    fn count(&mut self, cause: Cause) {
        self.causes[cause as usize] += 1;
        self.revision += 1;
    }

    /// Two persons became one at `at`.
    fn join(&mut self, loser: ActorKey, winner: ActorKey, at: Progress) {
        if self.series.ordinals.get(loser).is_some() {
            self.count(Cause::Merge);
        }
        if !self.series.merge(loser, winner) {
            self.stale.break_at(at);
        }
        let wrong = [self.stale.remove(loser.0), self.stale.remove(winner.0)];
        if let Some(since) = wrong.into_iter().flatten().min() {
            self.stale.mark(winner.0, since);
        }
    }

    /// One person became two at `at`. Which presences are whose, stored events say.
    fn part(&mut self, left: ActorKey, parted: ActorKey, at: Progress) {
        let wrong = self.stale.since(left.0);
        if wrong.is_none() && self.series.ordinals.get(left).is_none() {
            return;
        }
        let since = wrong.map_or(at, |wrong| wrong.min(at));
        self.stale.mark(left.0, since);
        self.stale.mark(parted.0, since);
    }
}

impl View for MetricView {
    fn counted(&self) -> Counted {
        Counted::Metric(Box::new(self.counted.clone()))
    }

    fn wants(&self) -> Wants {
        Wants { names: self.terms.names(), ..Wants::all(self.terms.needs()) }
    }

    #[inline]
    fn take(&mut self, name: usize, seen: &Seen<'_>) {
        let Self { terms, series, stale, .. } = self;
        let (time_us, person) = (seen.facts.order.0, seen.person);
        let mut counted = false;
        terms.each(Some(name), seen.name, &seen.facts, &mut |set, value, number| {
            counted = true;
            let presence = Presence { set, value, time_us };
            if series.persons[set] && stale.take(person.0, presence).is_none() {
                return;
            }
            series.add(set, value, &Item { time_us, person, value: number });
        });
        if counted {
            let late = seen.stored_us.saturating_sub(time_us) > LATE_US;
            self.count(if late { Cause::LateEvent } else { Cause::Event });
        }
    }

    fn flush(&mut self, _at: Progress) {}

    fn follow(&mut self, moved: &Moved, at: Progress) {
        if !self.counts_persons() {
            return;
        }
        if moved.is_split() {
            self.part(moved.from_root, moved.to_root, at);
        } else {
            self.join(moved.from_root, moved.to_root, at);
        }
    }

    fn advance(&mut self, now_us: i64, _at: Progress) {
        self.series.roll(now_us);
    }

    fn complete(&self, read: Progress) -> Progress {
        self.stale.complete(read)
    }

    fn begin_reading(&mut self, number: u64, upto: Progress, context: &Context<'_>) -> Option<Reading> {
        let persons = self.stale.begin(number, upto)?;
        let units = units_of(&persons, false, context.identity);
        let read = ReadPresences {
            project: context.project,
            upto: upto.position,
            terms: Arc::clone(&self.terms),
            persons: self.series.persons.clone(),
            actors: units,
            wanted: persons,
        };
        Some(Box::new(move |stored, stop| Ok(Box::new(read.read(stored, stop)?) as Brought)))
    }

    fn read(&mut self, number: u64, brought: Brought) {
        let Ok(presences) = brought.downcast::<Presences>() else { return };
        for (person, all) in *presences {
            let Some(Finished { upto, later, .. }) = self.stale.finish(number, person) else { continue };
            if !self.series.erase(ActorKey(person)) {
                self.stale.break_at(upto);
            }
            for presence in all.into_iter().chain(later) {
                self.series.put(ActorKey(person), presence);
            }
            self.count(Cause::Merge);
        }
    }

    fn reading_failed(&mut self, number: u64) {
        self.stale.failed(number);
    }

    fn broken(&self) -> Option<Progress> {
        self.stale.broken()
    }

    fn stale(&self) -> Vec<(u64, Progress)> {
        self.stale.all().collect()
    }

    fn mark_stale(&mut self, unit: u64, since: Progress) {
        self.stale.mark(unit, since);
    }

    fn begin_copy(&mut self) {
        let mut copy = Vec::new();
        self.series.encode(&mut copy);
        self.copy = Some(copy);
    }

    fn copy_slice(&mut self, _units: usize, out: &mut Vec<u8>) -> bool {
        self.copy.take().into_iter().for_each(|copy| out.extend(copy));
        false
    }

    fn end_copy(&mut self) {
        self.copy = None;
    }

    fn restore(&mut self, mut copied: &[u8]) -> Option<()> {
        self.series.decode(&mut copied)?;
        copied.is_empty().then_some(())
    }

    fn values(&self) -> Vec<String> {
        self.terms.values().texts()
    }

    fn restore_values(&mut self, texts: Vec<String>) {
        self.terms.values().restore(texts);
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn touch(&mut self) {
        self.changed = true;
        self.count(Cause::Definition);
    }

    fn numbers(&self) -> Numbers {
        Numbers::None
    }

    fn figures(&self, now_us: i64) -> Figures {
        let mut figures = Figures::new();
        for shape in Shape::compared(None) {
            if let Some(Numbers::Metric(numbers)) = self.answer(&shape, now_us) {
                of_table(&format!("{:?}", shape.unit), &numbers.table, &mut figures);
            }
        }
        figures
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn answer(&self, shape: &Shape, now_us: i64) -> Option<Numbers> {
        let laid = shape.lay(now_us).ok()?;
        let values = self.terms.values();
        let name = |number| values.value(number);
        let names: Option<&dyn Fn(u32) -> _> = if self.terms.is_broken_down() { Some(&name) } else { None };
        let source = Source { sets: &self.series.sets, ordinals: &self.series.ordinals, names };
        let mut table = source.table(&laid.layout, Rows::Largest(shape.top));
        table.overflow |= values.overflow();
        let span = (laid.from_us, laid.to_us);
        let numbers = MetricNumbers::new(&self.counted.definition, table, span);
        Some(Numbers::Metric(Box::new(MetricNumbers { causes: self.causes, ..numbers })))
    }
}

/// Reads in which series of distinct persons some persons are.
struct ReadPresences {
    project: u32,
    upto: u64,
    terms: Arc<Terms>,
    persons: Vec<bool>,
    actors: Units,
    wanted: Vec<u64>,
}

impl ReadPresences {
    fn read(&self, stored: &Stored, stop: &AtomicBool) -> Result<Presences, HistoryError> {
        let pinned = stored.pin().upto(self.upto);
        let wanted: HashSet<u64> = self.wanted.iter().copied().collect();
        let actors = self.actors.actors(&wanted);
        let names = self.terms.names().map(|names| names.into_iter().collect());
        let columns = self.terms.needs().into();
        let scan =
            Scan { actors: actors.as_ref(), names: names.as_ref(), columns, ..Scan::all(self.project) };
        // A person is in a minute once, however many events there were.
        let mut found: HashMap<u64, HashSet<Presence>> =
            self.wanted.iter().map(|person| (*person, HashSet::new())).collect();
        pinned.scan(&scan, &mut |row| {
            if let Some(person) = self.actors.person(row.head.actor_key)
                && let Some(own) = found.get_mut(&person.0)
            {
                let facts = seen(row, person).facts;
                self.terms.each(None, row.name, &facts, &mut |set, value, _| {
                    if self.persons[set] {
                        let time_us = row.head.time_us - row.head.time_us.rem_euclid(LATE_US);
                        own.insert(Presence { set, value, time_us });
                    }
                });
            }
            go_on(!stop.load(Ordering::Relaxed))
        })?;
        Ok(found.into_iter().map(|(person, own)| (person, own.into_iter().collect())).collect())
    }
}
