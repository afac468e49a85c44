//! What is measured of sessions: the numbers that every watcher of sessions sees, and the metrics that are made of them. A session
//! counts in the minute in which it begins.

use footpath_engine::lens::{SessionBy, SessionWhat, Values, session_sets};
use footpath_engine::metric::table::{Rows, Source};
use footpath_engine::metric::{
    Horizons, Item, ItemValue, MetricKind, MetricValue, Ordinals, SeriesSet, StaleBucket,
};
use footpath_engine::{ActorKey, PersonSessions, Session, SessionCorrection, SessionRules};
use footpath_model::control::CountedMetric;
use footpath_model::definition::{Measure, MetricDefinition};

use crate::hub::{CAUSES, Cause, MetricNumbers, Numbers, SESSION_CHANGES, SessionEventKind, SessionNumbers};
use crate::shape::Laid;

/// How often what is old is rolled up.
const ROLL_US: i64 = 15 * 60_000_000;

/// Whether the numbers are right after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Right {
    /// They are.
    Yes,
    /// But for whether the person still counts where a session of theirs left: their stored events tell.
    ButForPerson,
    /// All stored events have to tell.
    No,
}

impl Right {
    fn when(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// The worse of two.
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Whether somebody still has a session of a kind that begins in a bucket, by those that are kept; `None` if one that is
/// forgotten might be it: these began more than a gap before the oldest that is kept.
fn has_one(
    kept: &PersonSessions,
    rules: &SessionRules,
    bucket: StaleBucket,
    such: impl Fn(&Session) -> bool,
) -> Option<bool> {
    if kept
        .sessions()
        .any(|session| (bucket.from_us..bucket.to_us).contains(&session.start_us) && such(session))
    {
        return Some(true);
    }
    let oldest_us = kept.sessions().next().map_or(i64::MAX, |oldest| oldest.start_us);
    (kept.settled() == 0 || oldest_us.saturating_sub(rules.gap_us()) <= bucket.from_us).then_some(false)
}

/// Everything that is measured.
#[derive(Debug)]
pub struct Measures {
    overview: Measured,
    metrics: Vec<(MetricDefinition, Measured)>,
    ordinals: Ordinals,
    names: Values,
    rules: SessionRules,
    rolled: i64,
}

/// What the sets of the overview are.
const STARTED: usize = 0;
const BOUNCES: usize = 1;
const EVENTS: usize = 2;
const DURATION: usize = 3;
const MEDIAN: usize = 4;

/// One measure of sessions.
#[derive(Debug)]
struct Measured {
    sets: Vec<SeriesSet>,
    /// What is added to each of them.
    what: Vec<SessionWhat>,
    by: Option<SessionBy>,
}

impl Measures {
    /// Nothing yet.
    pub fn new(metrics: &[CountedMetric], names: Values, rules: SessionRules, now_us: i64) -> Self {
        let of = |metric: &CountedMetric| Some((metric.definition.clone(), Measured::of(metric)?));
        let mut measures = Self {
            overview: Measured::overview(),
            metrics: metrics.iter().filter_map(of).collect(),
            ordinals: Ordinals::default(),
            names,
            rules,
            rolled: i64::MIN,
        };
        measures.roll(now_us);
        measures
    }

    fn each(&mut self) -> (impl Iterator<Item = &mut Measured>, &mut Ordinals) {
        let metrics = self.metrics.iter_mut().map(|(_, measured)| measured);
        (std::iter::once(&mut self.overview).chain(metrics), &mut self.ordinals)
    }

    /// Sessions of a person are gone and others are there; `kept` is what is kept of the person now.
    pub fn change(
        &mut self,
        person: ActorKey,
        removed: &[Session],
        added: &[Session],
        kept: &PersonSessions,
    ) -> Right {
        let rules = self.rules;
        let (each, ordinals) = self.each();
        let mut right = Right::Yes;
        for measured in each {
            for session in removed {
                right = right.and(measured.retract(person, session, (kept, &rules), ordinals));
            }
            for session in added {
                measured.add(person, session, ordinals);
            }
        }
        right
    }

    /// The same with all sessions that the person has, by its stored events.
    pub fn correct(&mut self, person: ActorKey, correction: &SessionCorrection, all: &[Session]) -> Right {
        let (each, ordinals) = self.each();
        let mut right = Right::Yes;
        for measured in each {
            right = right.and(measured.correct(person, correction, all, ordinals));
        }
        right
    }

    /// A person goes by another key now.
    pub fn rename(&mut self, loser: ActorKey, winner: ActorKey) -> Right {
        let Some(lost) = self.ordinals.get(loser) else { return Right::Yes };
        let won = self.ordinals.ordinal(winner);
        let (each, _) = self.each();
        let sets = each.flat_map(Measured::each).filter(|(what, _)| **what == SessionWhat::Person);
        let renamed = sets.map(|(_, set)| Right::when(set.replace(0, lost, won).is_empty()));
        renamed.fold(Right::Yes, Right::and)
    }

    /// Rolls up what is old.
    pub fn roll(&mut self, now_us: i64) {
        let quarter = now_us.div_euclid(ROLL_US);
        if quarter > self.rolled {
            self.rolled = quarter;
            let (each, ordinals) = self.each();
            each.flat_map(Measured::each).for_each(|(_, set)| set.roll(now_us, ordinals));
        }
    }

    /// A metric's numbers; `None` if there is no such metric.
    pub fn metric(
        &self,
        id: &str,
        laid: &Laid,
        top: usize,
        changes: &[u64; SESSION_CHANGES],
    ) -> Option<Numbers> {
        let (definition, measured) = self.metrics.iter().find(|(own, _)| own.id == id)?;
        let name = |number| self.names.value(number);
        let names: Option<&dyn Fn(u32) -> _> = if measured.by.is_some() { Some(&name) } else { None };
        let source = Source { sets: &measured.sets, ordinals: &self.ordinals, names };
        let mut table = source.table(&laid.layout, Rows::Largest(top));
        table.overflow |= self.names.overflow();
        let span = (laid.from_us, laid.to_us);
        let numbers = MetricNumbers::new(definition, table, span);
        Some(Numbers::Metric(Box::new(MetricNumbers { causes: causes(changes), ..numbers })))
    }

    /// What every watcher of sessions sees.
    pub fn sessions(&self, laid: &Laid, open: u64, changes: [u64; SESSION_CHANGES]) -> Numbers {
        let all = |set: usize| {
            let answer = self.overview.sets[set].answer_for(&[], &laid.layout.spans, &self.ordinals);
            answer.total.total
        };
        let number = |value: MetricValue| match value {
            MetricValue::Count(count) => count as f64,
            MetricValue::Sum(sums) => sums.first().map_or(0.0, |sum| sum.amount.to_f64()),
            _ => 0.0,
        };
        let median_s = match all(MEDIAN) {
            MetricValue::Percentiles(all) => all.first().and_then(|one| one.values.first().copied()),
            _ => None,
        };
        Numbers::Sessions(Box::new(SessionNumbers {
            started: number(all(STARTED)) as u64,
            bounces: number(all(BOUNCES)) as u64,
            events: number(all(EVENTS)) as u64,
            duration_s: number(all(DURATION)),
            median_s,
            open,
            span: (laid.from_us, laid.to_us),
            changes,
        }))
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.ordinals.encode(out);
        let metrics = self.metrics.iter().map(|(_, measured)| measured);
        let all = std::iter::once(&self.overview).chain(metrics);
        all.flat_map(|measured| &measured.sets).for_each(|set| set.encode(out));
    }

    /// Reads the state back; `None` if it is damaged.
    pub fn decode(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.ordinals = Ordinals::decode(self.ordinals.exact_up_to(), bytes).ok()?;
        let (each, _) = self.each();
        for measured in each {
            let sets = std::mem::take(&mut measured.sets);
            measured.sets = sets.into_iter().map(|set| set.decode(bytes)).collect::<Result<_, _>>().ok()?;
        }
        Some(())
    }
}

/// What happened to sessions, as causes of a metric's change.
fn causes(changes: &[u64; SESSION_CHANGES]) -> [u64; CAUSES] {
    let of = |kind: SessionEventKind| changes[kind as usize];
    let mut causes = [0; CAUSES];
    causes[Cause::Event as usize] = of(SessionEventKind::Opened) + of(SessionEventKind::Extended);
    causes[Cause::LateEvent as usize] = of(SessionEventKind::Widened) + of(SessionEventKind::Corrected);
    causes[Cause::Merge as usize] = of(SessionEventKind::Merged);
    causes
}

impl Measured {
    fn overview() -> Self {
        let kinds = [
            (SessionWhat::Each, MetricKind::Count),
            (SessionWhat::Bounce, MetricKind::Count),
            (SessionWhat::Events, MetricKind::Sum),
            (SessionWhat::Duration, MetricKind::Sum),
            (SessionWhat::Duration, MetricKind::Percentiles(vec![0.5])),
        ];
        Self::with(kinds.into(), None)
    }

    /// Of a metric that is made of sessions.
    fn of(metric: &CountedMetric) -> Option<Self> {
        let Measure::Sessions(aggregate) = &metric.definition.measure else { return None };
        Some(Self::with(session_sets(aggregate), SessionBy::of(&metric.definition)))
    }

    fn with(kinds: Vec<(SessionWhat, MetricKind)>, by: Option<SessionBy>) -> Self {
        let (what, kinds): (Vec<_>, Vec<_>) = kinds.into_iter().unzip();
        let set = |kind| SeriesSet::new(kind, Horizons::default());
        Self { sets: kinds.into_iter().map(set).collect(), what, by }
    }

    fn each(&mut self) -> impl Iterator<Item = (&SessionWhat, &mut SeriesSet)> {
        self.what.iter().zip(&mut self.sets)
    }

    fn value(&self, session: &Session) -> Option<u32> {
        self.by.map(|by| by.name(session))
    }

    fn add(&mut self, person: ActorKey, session: &Session, ordinals: &mut Ordinals) {
        let value = self.value(session);
        for (what, set) in self.each().filter(|(what, _)| what.is_of(session)) {
            with_item(*what, person, session, |item| set.add(value, item, ordinals));
        }
    }

    fn retract(
        &mut self,
        person: ActorKey,
        session: &Session,
        (kept, rules): (&PersonSessions, &SessionRules),
        ordinals: &Ordinals,
    ) -> Right {
        let (value, by) = (self.value(session), self.by);
        let mut right = Right::Yes;
        for (what, set) in self.each().filter(|(what, _)| what.is_of(session)) {
            if *what != SessionWhat::Person {
                let retracted = with_item(*what, person, session, |item| set.retract(value, item).is_ok());
                right = right.and(Right::when(retracted));
                continue;
            }
            let is_such = |other: &Session| by.is_none_or(|by| by.name(other) == by.name(session));
            let has_one = has_one(kept, rules, set.bucket(session.start_us), is_such);
            right = right.and(match (has_one, ordinals.get(person)) {
                (Some(false), Some(ordinal)) => {
                    Right::when(set.remove(set.key(value), session.start_us, ordinal).is_ok())
                }
                (None, Some(_)) => Right::ButForPerson,
                _ => Right::Yes,
            });
        }
        right
    }

    fn correct(
        &mut self,
        person: ActorKey,
        correction: &SessionCorrection,
        all: &[Session],
        ordinals: &mut Ordinals,
    ) -> Right {
        let (what, by) = (self.what.clone(), self.by);
        let mut right = Right::Yes;
        for (what, set) in what.into_iter().zip(&mut self.sets) {
            let add = |set: &mut SeriesSet, sessions: &[Session], ordinals: &mut Ordinals| {
                for session in sessions.iter().filter(|session| what.is_of(session)) {
                    let value = by.map(|by| by.name(session));
                    with_item(what, person, session, |item| set.add(value, item, ordinals));
                }
            };
            if what == SessionWhat::Person {
                let erased = ordinals.get(person).is_none_or(|ordinal| set.erase(0, ordinal).is_empty());
                right = right.and(Right::when(erased));
                add(set, all, ordinals);
                continue;
            }
            for session in correction.removed.iter().filter(|session| what.is_of(session)) {
                let value = by.map(|by| by.name(session));
                let retracted = with_item(what, person, session, |item| set.retract(value, item).is_ok());
                right = right.and(Right::when(retracted));
            }
            add(set, &correction.added, ordinals);
        }
        right
    }
}

fn with_item<R>(
    what: SessionWhat,
    person: ActorKey,
    session: &Session,
    take: impl FnOnce(&Item<'_>) -> R,
) -> R {
    let number = what.number(session);
    let value = number.as_ref().and_then(ItemValue::of);
    take(&Item { time_us: session.start_us, person, value })
}
