//! A metric broken down by the values of a property.

use hashbrown::HashMap;

use crate::metric::codec::{BadBytes, put, take, take_len};
use crate::metric::grid::{Grid, Horizons, StaleBucket};
use crate::metric::item::Item;
use crate::metric::ordinals::Ordinals;
use crate::metric::partial::{MetricKind, Partial};
use crate::metric::timeline::{Columns, Timeline};
use crate::metric::value::Answer;

mod ranking;

use ranking::ranked;

/// Most values that have a series of their own.
pub const MAX_VALUES: usize = 10_000;

/// A series of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesKey {
    /// Of one value of the property, by the caller's id.
    Value(u32),
    /// Of the events without the property.
    NotSet,
    /// Of all values for which there was no room.
    Rest,
}

/// One series for each value of a property, one for events that do not have it, and one for what is beyond
/// [`MAX_VALUES`].
///
/// Which values found room is the one thing here that depends on the order of arrival: first come, first kept, because what is
/// frequent comes early. It is flagged ([`SeriesSet::overflow`]), and the total is exact all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    kind: MetricKind,
    grid: Grid,
    values: HashMap<u32, Timeline>,
    not_set: Timeline,
    rest: Timeline,
    overflow: bool,
    max_values: usize,
}

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which value.
    pub key: SeriesKey,
    /// Its numbers.
    pub answer: Answer,
}

/// A breakdown, largest value first.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakdown {
    /// The largest, by their totals, ties by name. Values without events in the spans are left out.
    pub rows: Vec<Row>,
    /// All others merged, if there are any: distinct persons as one set.
    pub other: Option<Answer>,
    /// How many values with events in the spans `other` is made of; with `overflow` there are more.
    pub other_values: usize,
    /// Whether values found no room and are in `other` although they might be large.
    pub overflow: bool,
    /// Everything merged.
    pub total: Answer,
}

impl SeriesSet {
    /// No events, room for [`MAX_VALUES`].
    pub fn new(kind: MetricKind, horizons: Horizons) -> Self {
        Self::with_room(kind, horizons, MAX_VALUES)
    }

    /// No events, room for fewer values.
    pub fn with_room(kind: MetricKind, horizons: Horizons, max_values: usize) -> Self {
        Self {
            kind,
            grid: Grid::new(horizons),
            values: HashMap::new(),
            not_set: Timeline::default(),
            rest: Timeline::default(),
            overflow: false,
            max_values: max_values.min(MAX_VALUES),
        }
    }

    /// How many values have a series.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no value has a series.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether values found no room.
    pub fn overflow(&self) -> bool {
        self.overflow
    }

    /// The series that has the events of a value; `None` is an event without the property.
    pub fn key(&self, value: Option<u32>) -> SeriesKey {
        match value {
            None => SeriesKey::NotSet,
            Some(value) if self.values.contains_key(&value) => SeriesKey::Value(value),
            Some(_) => SeriesKey::Rest,
        }
    }

    /// Adds an event with this value of the property.
    #[inline]
    pub fn add(&mut self, value: Option<u32>, item: &Item<'_>, ordinals: &mut Ordinals) {
        let Self { kind, grid, values, not_set, rest, overflow, max_values } = self;
        let timeline = match value {
            None => not_set,
            Some(value) if values.len() < *max_values => values.entry(value).or_default(),
            Some(value) => match values.get_mut(&value) {
                Some(timeline) => timeline,
                None => {
                    *overflow = true;
                    rest
                }
            },
        };
        timeline.add(grid, kind, item, ordinals);
    }

    /// Takes an event out. A value keeps its room, so that its later events do not end up elsewhere.
    ///
    /// # Errors
    /// The series and the bucket that has to be computed again, if it cannot be told from what is remembered.
    pub fn retract(&mut self, value: Option<u32>, item: &Item<'_>) -> Result<(), (SeriesKey, StaleBucket)> {
        let key = self.key(value);
        let (grid, timeline) = self.timeline_mut(key);
        timeline.retract(grid, item).map_err(|stale| (key, stale))
    }

    /// Takes a person out of the distinct persons of a bucket: see [`crate::metric::Series::remove`].
    ///
    /// # Errors
    /// As in [`SeriesSet::retract`].
    pub fn remove(&mut self, key: SeriesKey, time_us: i64, ordinal: u32) -> Result<(), StaleBucket> {
        let (grid, timeline) = self.timeline_mut(key);
        timeline.remove(grid, time_us, ordinal)
    }

    /// Two persons became one: see [`crate::metric::Series::replace`].
    pub fn replace(&mut self, since_us: i64, loser: u32, winner: u32) -> Vec<(SeriesKey, StaleBucket)> {
        self.in_each(|timeline| timeline.replace(since_us, loser, winner))
    }

    /// Takes a person out everywhere: see [`crate::metric::Series::erase`].
    pub fn erase(&mut self, since_us: i64, ordinal: u32) -> Vec<(SeriesKey, StaleBucket)> {
        self.in_each(|timeline| timeline.erase(since_us, ordinal))
    }

    fn in_each(
        &mut self,
        change: impl Fn(&mut Timeline) -> Vec<StaleBucket>,
    ) -> Vec<(SeriesKey, StaleBucket)> {
        let change = |(key, timeline)| change(timeline).into_iter().map(move |bucket| (key, bucket));
        let mut stale: Vec<_> = self.timelines_mut().flat_map(change).collect();
        stale.sort_unstable();
        stale
    }

    /// The bucket that a moment lies in now, of every series.
    pub fn bucket(&self, time_us: i64) -> StaleBucket {
        self.grid.span(time_us)
    }

    /// Puts an aggregate that was computed again in the place of a series' bucket.
    pub fn put(&mut self, key: SeriesKey, time_us: i64, partial: Partial, ordinals: &Ordinals) {
        let (grid, timeline) = self.timeline_mut(key);
        timeline.put(grid, time_us, partial, ordinals);
    }

    /// Rolls up what is older than its horizon at `now_us`.
    pub fn roll(&mut self, now_us: i64, ordinals: &Ordinals) {
        self.grid.roll(now_us);
        let grid = self.grid.clone();
        self.timelines_mut().for_each(|(_, timeline)| timeline.roll(&grid, ordinals));
    }

    /// Forgets the buckets that ended at `time_us` or before. A value without any bucket gives up its room unless there was
    /// no room for another: that one's events would be in two series.
    pub fn forget_before(&mut self, time_us: i64) {
        self.timelines_mut().for_each(|(_, timeline)| timeline.forget_before(time_us));
        self.overflow &= !self.rest.is_empty();
        if !self.overflow {
            self.values.retain(|_, timeline| !timeline.is_empty());
        }
    }

    /// The values of spans for the `top` largest series, and for all others together. `name` orders values of equal size;
    /// events without the property come after all of these.
    ///
    /// Amounts in several currencies cannot be ordered: the unit with the most numbers is chosen, and
    /// series without it come last.
    pub fn answer<N: Ord>(
        &self,
        spans: &[(i64, i64)],
        top: usize,
        name: impl Fn(u32) -> N,
        ordinals: &Ordinals,
    ) -> Breakdown {
        let mut first = ranked(self.with_events(spans, ordinals), name);
        let others = first.split_off(top.min(first.len()));
        self.breakdown(&first, others, spans, ordinals)
    }

    /// The values of spans for these series, in this order, and for all others together: what is set beside the answer of
    /// another set, for example below its line.
    pub fn answer_for(&self, first: &[SeriesKey], spans: &[(i64, i64)], ordinals: &Ordinals) -> Breakdown {
        let others = self.with_events(spans, ordinals).into_iter().map(|(key, _)| key);
        let others = others.filter(|key| !first.contains(key)).collect();
        self.breakdown(first, others, spans, ordinals)
    }

    fn breakdown(
        &self,
        first: &[SeriesKey],
        mut others: Vec<SeriesKey>,
        spans: &[(i64, i64)],
        ordinals: &Ordinals,
    ) -> Breakdown {
        let other_values = others.len();
        others.extend(self.overflow.then_some(SeriesKey::Rest));
        let answer = |keys: &[SeriesKey]| self.merged(keys, spans, ordinals);
        let all: Vec<_> = first.iter().chain(&others).copied().collect();
        Breakdown {
            rows: first.iter().map(|key| Row { key: *key, answer: answer(&[*key]) }).collect(),
            other: (!others.is_empty()).then(|| answer(&others)),
            other_values,
            overflow: self.overflow,
            total: answer(&all),
        }
    }

    fn with_events(
        &self,
        spans: &[(i64, i64)],
        ordinals: &Ordinals,
    ) -> Vec<(SeriesKey, super::value::MetricValue)> {
        let values = self.values.iter().map(|(value, timeline)| (SeriesKey::Value(*value), timeline));
        let all = values.chain([(SeriesKey::NotSet, &self.not_set)]);
        let total = |timeline: &Timeline| {
            let mut total = Partial::new(&self.kind);
            spans.iter().for_each(|span| timeline.merge_into(&mut total, *span, ordinals));
            (!total.is_empty()).then(|| self.kind.value(&total))
        };
        all.filter_map(|(key, timeline)| Some((key, total(timeline)?))).collect()
    }

    fn merged(&self, keys: &[SeriesKey], spans: &[(i64, i64)], ordinals: &Ordinals) -> Answer {
        let mut columns = Columns::new(&self.kind, spans);
        let timelines = keys.iter().filter_map(|key| self.timeline(*key));
        timelines.for_each(|timeline| columns.add(timeline, spans, ordinals));
        columns.answer(&self.kind, ordinals)
    }

    fn timeline(&self, key: SeriesKey) -> Option<&Timeline> {
        match key {
            SeriesKey::Value(value) => self.values.get(&value),
            SeriesKey::NotSet => Some(&self.not_set),
            SeriesKey::Rest => Some(&self.rest),
        }
    }

    /// A value without a series shares the rest.
    fn timeline_mut(&mut self, key: SeriesKey) -> (&Grid, &mut Timeline) {
        let timeline = match key {
            SeriesKey::Value(value) => self.values.get_mut(&value).unwrap_or(&mut self.rest),
            SeriesKey::NotSet => &mut self.not_set,
            SeriesKey::Rest => &mut self.rest,
        };
        (&self.grid, timeline)
    }

    fn timelines_mut(&mut self) -> impl Iterator<Item = (SeriesKey, &mut Timeline)> {
        let values = self.values.iter_mut().map(|(value, timeline)| (SeriesKey::Value(*value), timeline));
        values.chain([(SeriesKey::NotSet, &mut self.not_set), (SeriesKey::Rest, &mut self.rest)])
    }

    /// Appends the state; kind, horizons and room are settings and not in it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.grid.encode(out);
        put(out, u64::from(self.overflow));
        self.not_set.encode(out);
        self.rest.encode(out);
        let mut values: Vec<_> = self.values.iter().collect();
        values.sort_unstable_by_key(|(value, _)| **value);
        put(out, values.len() as u64);
        for (value, timeline) in values {
            put(out, u64::from(*value));
            timeline.encode(out);
        }
    }

    /// Reads a state into an empty set, from the front of `bytes`, and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(self, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let grid = Grid::decode(self.grid.horizons(), bytes)?;
        let overflow = take(bytes)? != 0;
        let timeline = |bytes: &mut &[u8]| Timeline::decode(&grid, &self.kind, bytes);
        let (not_set, rest) = (timeline(bytes)?, timeline(bytes)?);
        let mut values = HashMap::new();
        for _ in 0..take_len(bytes)? {
            let value = u32::try_from(take(bytes)?).map_err(|_| BadBytes)?;
            if values.insert(value, timeline(bytes)?).is_some() {
                return Err(BadBytes);
            }
        }
        let sound = values.len() <= MAX_VALUES && (overflow || rest.is_empty());
        if sound { Ok(Self { grid, values, not_set, rest, overflow, ..self }) } else { Err(BadBytes) }
    }
}

#[cfg(test)]
mod tests;
