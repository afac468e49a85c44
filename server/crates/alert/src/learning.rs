//! What a new rule learns from stored events before it judges.

use footpath_engine::alert::nothing;
use footpath_engine::metric::MetricSeries;
use footpath_model::alert::{CountedRule, Learned, LearnedSeries, Series};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::Control;
use footpath_model::definition::AlertCondition;
use footpath_store::ProjectRow;
use std::collections::BTreeMap;

use crate::numbers::{Numbers, NumbersError, series_of};
use crate::plan::{Bucket, cut, start_of};

/// Numbers in one record: half a megabyte.
const NUMBERS: usize = 40_000;

/// How far back a rule looks, in buckets: five weeks of quarters of an hour, so that a slot of the week was seen five times; minutes as
/// far as a query goes; two years of days.
pub(crate) fn buckets_back(unit: CalendarUnit) -> usize {
    match unit {
        CalendarUnit::Minute => 6 * 24 * 60,
        CalendarUnit::Quarter => 35 * 24 * 4,
        CalendarUnit::Hour => 15 * 7 * 24,
        _ => 730,
    }
}

/// The past of a rule up to a moment.
pub(crate) struct Past {
    /// Its buckets, in their order.
    pub buckets: Vec<Bucket>,
    /// Whether anything at all came in each, as far as that matters.
    pub alive: Vec<bool>,
    /// For each series and bucket the number, if there is one, and what it is made of.
    pub series: BTreeMap<Series, Vec<(Option<f64>, f64)>>,
    /// The end of the last bucket that was over, with or without numbers.
    pub upto_us: i64,
}

/// Reads the past of a rule from the first event of all on: the buckets that are over at `upto_us`.
///
/// # Errors
/// If there are no numbers for now.
pub(crate) async fn past<N: Numbers>(
    numbers: &N,
    project: &ProjectRow,
    rule: &CountedRule,
    from_us: i64,
    upto_us: i64,
) -> Result<Past, NumbersError> {
    Ok(whole(numbers, project, rule, from_us, upto_us).await?.since_first(rule))
}

/// As [`past`], with the buckets before the first event.
///
/// # Errors
/// If there are no numbers for now.
pub(crate) async fn whole<N: Numbers>(
    numbers: &N,
    project: &ProjectRow,
    rule: &CountedRule,
    from_us: i64,
    upto_us: i64,
) -> Result<Past, NumbersError> {
    let unit = rule.definition.every;
    let from_us = start_of(rule, from_us);
    let buckets = cut(rule, from_us, upto_us, usize::MAX / 4);
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        let upto_us = start_of(rule, upto_us);
        return Ok(Past { buckets: Vec::new(), alive: Vec::new(), series: BTreeMap::new(), upto_us });
    };
    let span = (first.0, last.1);
    let read = numbers.past(project, rule, span, unit).await?;
    let alive = match has_silence(rule) {
        true => numbers.alive(project, rule, span, unit).await?,
        false => buckets.iter().map(|bucket| bucket.0).collect(),
    };
    Ok(laid_out(rule, buckets, &read, &alive))
}

/// Whether it matters that nothing at all came in a bucket: where nothing is a number, or what is looked for.
fn has_silence(rule: &CountedRule) -> bool {
    nothing(&rule.metric.definition).is_some() || matches!(rule.definition.when, AlertCondition::NoData {})
}

/// Lays numbers out by bucket. What has none has none, or 0 where that is what nothing means and anything else happened: what never was before may
/// happen now.
fn laid_out(rule: &CountedRule, buckets: Vec<Bucket>, read: &[MetricSeries], alive: &[i64]) -> Past {
    let empty = nothing(&rule.metric.definition);
    let alive: Vec<_> = buckets.iter().map(|bucket| alive.binary_search(&bucket.0).is_ok()).collect();
    let nothing: Vec<_> = alive.iter().map(|alive| (empty.filter(|_| *alive), 0.0)).collect();
    let mut series = BTreeMap::new();
    for one in read {
        let Some(name) = series_of(one.value.as_ref()) else { continue };
        let mut values = nothing.clone();
        for (start_us, measured) in one.buckets.iter().filter(|(_, measured)| measured.volume() > 0) {
            if let Ok(at) = buckets.binary_search_by_key(start_us, |bucket| bucket.0) {
                values[at] = (measured.number(), measured.volume() as f64);
            }
        }
        series.insert(name, values);
    }
    let upto_us = buckets.last().map_or(0, |last| last.1);
    Past { buckets, alive, series, upto_us }
}

impl Past {
    /// How many buckets are before the first event of all, as far as that is known: where silence does not matter, of what the rule watches.
    pub(crate) fn before_first(&self, rule: &CountedRule) -> usize {
        let alive = self.alive.iter().position(|alive| *alive).filter(|_| has_silence(rule));
        let has_any = |values: &Vec<(Option<f64>, f64)>| values.iter().position(|(_, volume)| *volume > 0.0);
        let first = self.series.values().filter_map(has_any).chain(alive).min();
        first.unwrap_or(self.buckets.len())
    }

    /// Without the buckets before the first event of all.
    pub(crate) fn since_first(mut self, rule: &CountedRule) -> Self {
        let before = self.before_first(rule);
        self.buckets.drain(..before);
        self.alive.drain(..before);
        self.series.values_mut().for_each(|values| drop(values.drain(..before)));
        self
    }

    /// The number of a series in the bucket that begins at a moment.
    pub(crate) fn at(&self, series: &Series, from_us: i64) -> Option<f64> {
        let at = self.buckets.binary_search_by_key(&from_us, |bucket| bucket.0).ok()?;
        self.series.get(series)?[at].0
    }

    /// As records, in order; the last one says so.
    pub(crate) fn records(&self, rule: &CountedRule) -> Vec<Control> {
        let at_once = (NUMBERS / self.series.len().max(1)).max(1);
        let mut records: Vec<_> = (0..self.buckets.len())
            .step_by(at_once)
            .map(|from| self.part(rule, from, (from + at_once).min(self.buckets.len())))
            .collect();
        if records.is_empty() {
            records.push(self.part(rule, 0, 0));
        }
        records.last_mut().into_iter().for_each(|learned| learned.last = true);
        records.into_iter().map(|learned| Control::Learned(Box::new(learned))).collect()
    }

    fn part(&self, rule: &CountedRule, from: usize, to: usize) -> Learned {
        let own = |(name, values): (&Series, &Vec<_>)| LearnedSeries {
            series: name.clone(),
            values: values[from..to].to_vec(),
        };
        Learned {
            rule: rule.definition.id.clone(),
            version: rule.definition.version,
            buckets: self.buckets[from..to].to_vec(),
            series: self.series.iter().map(own).collect(),
            upto_us: self.upto_us,
            last: false,
        }
    }
}
