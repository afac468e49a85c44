//! A rule run over history, before it is switched on.

use std::collections::BTreeMap;

use footpath_engine::alert::{AlertFold, Finding, Transition, TransitionKind};
use footpath_model::alert::{Completeness, CountedRule, Driver, Learned, LearnedSeries, Observed, Reading};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::Control;
use footpath_store::ProjectRow;

use crate::learning::{Past, buckets_back, past, whole};
use crate::numbers::{Numbers, NumbersError};
use crate::plan::{MOST_BUCKETS, earlier, explained};

/// Of so many incidents drivers are looked for.
const EXPLAINED: usize = 50;

const DAY_US: i64 = 86_400_000_000;
/// A month, as rates are told: 30 days.
const MONTH_US: i64 = 30 * DAY_US;
/// A rate is told of three days or more. Of less it would be multiplied by more than ten: one incident of an hour would be hundreds a month.
const LEAST_US: i64 = 3 * DAY_US;

/// What a simulation found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Simulated {
    /// What would have happened, in the order of time.
    pub transitions: Vec<Transition>,
    /// What probably moved the series of incidents, by their ids; of the first 50 that begin.
    pub drivers: BTreeMap<String, Vec<Driver>>,
    /// How many buckets were looked at, of all series.
    pub buckets: u64,
    /// How many of them the rule did not know enough for.
    pub learning: u64,
    /// How many of them had too little in them, no number, or nothing to be compared with.
    pub too_little: u64,
    /// In how many of them the project had no event at all.
    pub missing: u64,
    /// How many series there were.
    pub series: usize,
    /// How long the judged time was, microseconds.
    pub span_us: i64,
}

/// What is asked of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Simulation<'a> {
    /// The project.
    pub project: &'a ProjectRow,
    /// The rule.
    pub rule: &'a CountedRule,
    /// From when on buckets are judged, microseconds since 1970; what was before is learned.
    pub from_us: i64,
    /// Up to when.
    pub to_us: i64,
}

/// The longest time that a rule can be run over at once, microseconds: so many buckets are read in one go.
pub fn longest_us(rule: &CountedRule) -> i64 {
    rule.definition.every.usual_us().saturating_mul(MOST_BUCKETS)
}

/// Runs a rule over stored events. `percent` is told how far it is.
///
/// # Errors
/// If stored events cannot be read.
pub async fn simulate<N: Numbers>(
    numbers: &N,
    asked: Simulation<'_>,
    percent: &(dyn Fn(u32) + Sync),
) -> Result<Simulated, NumbersError> {
    let Simulation { project, rule, from_us, to_us } = asked;
    let back_us = rule.definition.every.usual_us() * buckets_back(rule.definition.every) as i64;
    percent(1);
    let before = past(numbers, project, rule, from_us - back_us, from_us).await?;
    percent(40);
    let judged = whole(numbers, project, rule, from_us, to_us).await?;
    // Before a project's first event there is nothing to be judged; a silence after it may be what the rule is for.
    let begins = judged.before_first(rule) > 0 && !has_begun(numbers, asked, &before).await?;
    let judged = if begins { judged.since_first(rule) } else { judged };
    percent(80);
    let mut simulated = run(project.number, rule, &before, &judged);
    explain(numbers, asked, &mut simulated, percent).await;
    Ok(simulated)
}

/// Whether the project had an event before the range, however long before.
async fn has_begun<N: Numbers>(
    numbers: &N,
    Simulation { project, rule, from_us, .. }: Simulation<'_>,
    before: &Past,
) -> Result<bool, NumbersError> {
    if !before.buckets.is_empty() {
        return Ok(true);
    }
    let alive = numbers.alive(project, rule, (0, from_us), CalendarUnit::Month).await?;
    Ok(!alive.is_empty())
}

/// Says what probably moved the series of the incidents that begin.
async fn explain<N: Numbers>(
    numbers: &N,
    Simulation { project, rule, .. }: Simulation<'_>,
    simulated: &mut Simulated,
    percent: &(dyn Fn(u32) + Sync),
) {
    let opened = simulated.transitions.iter().filter(|one| one.kind == TransitionKind::Opened);
    let opened: Vec<_> = opened.take(EXPLAINED).collect();
    for (at, one) in opened.iter().enumerate() {
        let Some(judged) = &one.judged else { continue };
        let span = explained(rule, judged);
        let drivers = numbers.drivers(project, rule, &one.incident.series, span).await;
        simulated.drivers.insert(one.incident.id.clone(), drivers);
        percent(80 + (20 * at / opened.len()) as u32);
    }
}

/// Shows the past to a fold of its own, then judges bucket by bucket.
fn run(project: u32, rule: &CountedRule, before: &Past, judged: &Past) -> Simulated {
    let mut fold = AlertFold::new(project);
    let rule = CountedRule {
        definition: footpath_model::definition::AlertRule { disabled: false, ..rule.definition.clone() },
        ..rule.clone()
    };
    fold.apply(0, &Control::PutRule(Box::new(rule.clone())));
    fold.apply(0, &Control::Learned(Box::new(learned(&rule, before))));
    let mut simulated = Simulated::default();
    for at in 0..judged.buckets.len() {
        let observed = observed(&rule, before, judged, at);
        let happened = fold.apply(observed.to_us, &Control::Observed { rules: vec![observed] });
        // That nothing came at all is about the pipeline, and not the rule's.
        let own = happened.into_iter().filter(|one| one.incident.rule == rule.definition.id);
        simulated.transitions.extend(own);
        let series = fold.rules().flat_map(|rule| rule.series.values());
        let last = series.filter_map(|series| series.recent.back());
        last.for_each(|judged| simulated.count(judged.finding));
    }
    simulated.series = fold.rules().map(|rule| rule.series.len()).sum();
    let ends = judged.buckets.first().zip(judged.buckets.last());
    simulated.span_us = ends.map_or(0, |(first, last)| last.1 - first.0);
    simulated
}

fn learned(rule: &CountedRule, past: &Past) -> Learned {
    let series = past.series.iter();
    Learned {
        rule: rule.definition.id.clone(),
        version: rule.definition.version,
        buckets: past.buckets.clone(),
        series: series
            .map(|(name, values)| LearnedSeries { series: name.clone(), values: values.clone() })
            .collect(),
        upto_us: past.upto_us,
        last: true,
    }
}

/// Bucket `at` as the evaluator would have seen it, had nothing come late.
fn observed(rule: &CountedRule, before: &Past, past: &Past, at: usize) -> Observed {
    let (from_us, to_us, local_us) = past.buckets[at];
    let base = crate::evaluator::days_against(&rule.definition.when)
        .map(|days| earlier(rule, past.buckets[at], days).0);
    let base_of = |series: &footpath_model::alert::Series| {
        let from_us = base?;
        past.at(series, from_us).or_else(|| before.at(series, from_us))
    };
    let reading = |(name, values): (&footpath_model::alert::Series, &Vec<(Option<f64>, f64)>)| Reading {
        value: values[at].0,
        volume: values[at].1,
        base: base_of(name),
        ..Reading::of(name.clone())
    };
    let series: Vec<_> = past.series.iter().map(reading).collect();
    let events = u64::from(past.alive[at]);
    let complete = Completeness { events, processed_us: to_us, ..Completeness::default() };
    let (rule, version) = (rule.definition.id.clone(), rule.definition.version);
    Observed { rule, version, from_us, to_us, local_us, complete, series, drivers: Vec::new() }
}

impl Simulated {
    fn count(&mut self, finding: Finding) {
        self.buckets += 1;
        match finding {
            Finding::Learning => self.learning += 1,
            Finding::TooLittle => self.too_little += 1,
            Finding::Missing | Finding::Late | Finding::Down => self.missing += 1,
            Finding::Fine | Finding::Problem | Finding::Changed => {}
        }
    }

    /// How many buckets were judged, of all series.
    pub fn judged(&self) -> u64 {
        self.buckets - self.learning - self.too_little - self.missing
    }

    /// How many incidents would have been opened.
    pub fn incidents(&self) -> usize {
        self.transitions.iter().filter(|one| one.kind == TransitionKind::Opened).count()
    }

    /// How many messages would have been sent.
    pub fn alerts(&self) -> usize {
        self.transitions.iter().filter(|one| one.kind.is_news()).count()
    }

    /// How many incidents a month of 30 days that is, for each series; nothing where too little was judged.
    pub fn per_series_and_month(&self) -> Option<f64> {
        let months = self.span_us as f64 / MONTH_US as f64 * self.series as f64;
        let is_enough = self.span_us >= LEAST_US && months > 0.0 && self.judged() > 0;
        is_enough.then(|| self.incidents() as f64 / months)
    }
}

#[cfg(test)]
mod tests {
    use footpath_engine::alert::IncidentName;
    use footpath_model::alert::Series;
    use footpath_model::definition::Severity;

    use super::*;

    fn opened() -> Transition {
        let (id, rule, series, severity) = ("i".into(), "r".into(), Series::Whole, Severity::Warning);
        Transition {
            incident: IncidentName { id, rule, series, from_us: 0, severity },
            kind: TransitionKind::Opened,
            at_us: 0,
            judged: None,
            by: None,
            detail: None,
            quiet: false,
        }
    }

    #[test]
    fn minutes_say_nothing_of_a_month() {
        let rate = |span_us, series| {
            let transitions = vec![opened(); 2];
            Simulated { transitions, span_us, series, buckets: 9, ..Simulated::default() }
                .per_series_and_month()
        };
        assert_eq!(rate(600_000_000, 1), None);
        assert_eq!(rate(LEAST_US - 1, 1), None);
        assert_eq!(rate(LEAST_US, 1), Some(20.0));
        assert_eq!(rate(MONTH_US, 4), Some(0.5));
        assert_eq!((rate(0, 1), rate(MONTH_US, 0)), (None, None));
    }

    #[test]
    fn what_was_not_judged_has_no_rate() {
        let mut simulated = Simulated { span_us: MONTH_US, series: 1, ..Simulated::default() };
        for finding in [Finding::Learning, Finding::TooLittle, Finding::Missing] {
            simulated.count(finding);
        }
        assert_eq!((simulated.buckets, simulated.judged(), simulated.per_series_and_month()), (3, 0, None));
        simulated.count(Finding::Fine);
        assert_eq!((simulated.judged(), simulated.per_series_and_month()), (1, Some(0.0)));
    }
}
