//! Metrics over chunks and log equal what is reckoned by hand over the events as they were sent.

use std::collections::{BTreeMap, BTreeSet};

use footpath_engine::metric::{Amount, MetricValue};
use footpath_model::calendar::{CalendarUnit, buckets};
use footpath_model::definition::{Aggregate, MetricDefinition, SessionAggregate, Term};

use super::*;
use crate::SliceValue;
use crate::funnel::tests::{Asked, naive_sessions, reached};
use crate::testing::{Facet, HOUR_US, NOW_US, Rng, Told, World, facets, source, stored};

/// A number by hand: the value, and what it is made of.
#[derive(Debug, Clone, PartialEq)]
struct Exact(Vec<f64>, u64);

/// A term, and its condition as it is reckoned by hand.
#[derive(Clone)]
struct AskedTerm {
    term: Term,
    condition: Option<(Facet, bool)>,
}

fn term(rng: &mut Rng, percentiles: bool) -> AskedTerm {
    let condition = rng.chance(3).then(|| (rng.one(&facets()), rng.chance(2)));
    let key = || "amount".to_owned();
    let mut aggregates = vec![
        Aggregate::Count,
        Aggregate::Uniques,
        Aggregate::Sum(key()),
        Aggregate::Sum("price".to_owned()),
        Aggregate::Average(key()),
        Aggregate::Min(key()),
        Aggregate::Max(key()),
    ];
    if percentiles {
        aggregates.push(Aggregate::Percentiles { property: key(), percentiles: vec![50.0, 90.0] });
    }
    let events: &[&[&str]] = &[&[], &["open"], &["view", "pay"]];
    let term = Term {
        events: rng.one(events).iter().map(|name| (*name).to_owned()).collect(),
        filters: condition.iter().map(|(facet, not)| facet.filter(*not)).collect(),
        aggregate: rng.one(&aggregates),
    };
    AskedTerm { term, condition }
}

impl AskedTerm {
    fn holds(&self, world: &World, told: &Told) -> bool {
        (self.term.events.is_empty() || self.term.events.contains(&told.name))
            && self.condition.as_ref().is_none_or(|(facet, not)| facet.holds(*not, world, told))
    }

    fn exact(&self, world: &World, own: &[&Told]) -> Exact {
        let own: Vec<_> = own.iter().filter(|told| self.holds(world, told)).collect();
        let number = |told: &&&Told| match self.term.aggregate.property() {
            Some("price") => told.price,
            _ => told.amount,
        };
        let mut numbers: Vec<f64> = own.iter().filter_map(number).map(|number| number as f64).collect();
        numbers.sort_by(f64::total_cmp);
        let samples = numbers.len() as u64;
        let sum: f64 = numbers.iter().sum();
        let some = |value: f64| if numbers.is_empty() { Vec::new() } else { vec![value] };
        match &self.term.aggregate {
            Aggregate::Count => Exact(vec![own.len() as f64], own.len() as u64),
            Aggregate::Uniques => {
                let persons: BTreeSet<u64> = own.iter().map(|told| world.person(told)).collect();
                Exact(vec![persons.len() as f64], persons.len() as u64)
            }
            Aggregate::Sum(_) => Exact(some(sum), samples),
            Aggregate::Average(_) => Exact(some(sum / samples as f64), samples),
            Aggregate::Min(_) => Exact(numbers.first().copied().into_iter().collect(), samples),
            Aggregate::Max(_) => Exact(numbers.last().copied().into_iter().collect(), samples),
            Aggregate::Percentiles { percentiles, .. } => {
                let at = |p: &f64| numbers[(p / 100.0 * (numbers.len() - 1) as f64) as usize];
                Exact(
                    if numbers.is_empty() { Vec::new() } else { percentiles.iter().map(at).collect() },
                    samples,
                )
            }
        }
    }
}

fn amounts(value: &MetricValue) -> Vec<f64> {
    match value {
        MetricValue::Count(count) => vec![*count as f64],
        MetricValue::Uniques { persons, standard_error: None } => vec![*persons as f64],
        MetricValue::Sum(all) | MetricValue::Average(all) | MetricValue::Min(all) | MetricValue::Max(all) => {
            all.iter().map(|one| Amount::to_f64(&one.amount)).collect()
        }
        MetricValue::Percentiles(all) => all.iter().flat_map(|one| one.values.clone()).collect(),
        other => panic!("{other:?} is not exact"),
    }
}

/// Compares a value with one by hand; `tolerance` for what is a sketch.
fn same(found: &Measured, exact: &[Exact], what: &dyn Fn() -> String) {
    let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 0.0101 + 1e-9;
    match (found, exact) {
        (Measured::Value(value), [exact]) => {
            let found = amounts(value);
            let all = found.len() == exact.0.len() && found.iter().zip(&exact.0).all(|(a, b)| near(*a, *b));
            assert!(all && value.samples() == exact.1, "{value:?} is not {exact:?}: {}", what());
            if !matches!(value, MetricValue::Percentiles(_) | MetricValue::Average(_)) {
                assert_eq!(found, exact.0, "{}", what());
            }
        }
        (Measured::Ratio(ratio), [over, under]) => {
            assert_eq!((ratio.numerator_samples, ratio.denominator_samples), (over.1, under.1), "{}", what());
            if let (Some(value), [a], [b]) = (ratio.value, &over.0[..], &under.0[..]) {
                assert!(near(value, a / b), "{ratio:?} is not {a} / {b}: {}", what());
            }
        }
        _ => panic!("{found:?} is not {exact:?}"),
    }
}

/// What lies in a part of the span, by hand: by value if there is a breakdown.
type Hand<'h> = dyn Fn((i64, i64), Option<&Option<String>>) -> Vec<Exact> + 'h;

struct Shape<'s> {
    span: (i64, i64),
    zone: &'s str,
    unit: Option<CalendarUnit>,
    values: Option<BTreeSet<Option<String>>>,
}

fn check(
    answer: &[MetricSeries],
    total: Option<&MetricSeries>,
    shape: &Shape<'_>,
    hand: &Hand<'_>,
    what: &dyn Fn() -> String,
) {
    let cut = shape.unit.map(|unit| buckets(shape.span.0, shape.span.1, unit, shape.zone).unwrap());
    let series = |found: &MetricSeries, value: Option<&Option<String>>| {
        same(&found.total, &hand(shape.span, value), what);
        let found: BTreeMap<i64, &Measured> = found.buckets.iter().map(|(at, value)| (*at, value)).collect();
        for span in cut.iter().flatten() {
            let exact = hand(*span, value);
            match found.get(&span.0) {
                Some(found) => same(found, &exact, what),
                None => assert!(exact.iter().all(|exact| exact.1 == 0), "{exact:?} is missing: {}", what()),
            }
        }
    };
    if let Some(total) = total {
        series(total, None);
    }
    for found in answer {
        let value = match &found.value {
            None => None,
            Some(SliceValue::Is(text)) => Some(Some(text.clone())),
            Some(SliceValue::NotSet) => Some(None),
            Some(_) => continue, // Others are looked at by their samples.
        };
        series(found, value.as_ref());
    }
}

fn calendar_unit(rng: &mut Rng) -> Option<CalendarUnit> {
    rng.one(&[
        None,
        Some(CalendarUnit::Quarter),
        Some(CalendarUnit::Hour),
        Some(CalendarUnit::Day),
        Some(CalendarUnit::Week),
        Some(CalendarUnit::Month),
    ])
}

fn counted(measure: Measure, breakdown: Option<&Facet>, internal: Option<&Facet>) -> CountedMetric {
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure,
        breakdown: breakdown.map(|facet| facet.property.clone()),
        include_internal: false,
    };
    definition.validate().unwrap();
    CountedMetric { definition, funnel: None, internal: internal.map(|facet| facet.filter(false)) }
}

fn span(rng: &mut Rng) -> (i64, i64) {
    // Not at full minutes; on an event or beside it.
    let from_us = NOW_US + rng.below(20) as i64 * HOUR_US + rng.one(&[0, 37]);
    (from_us, from_us + (1 + rng.below(40) as i64) * HOUR_US + rng.one(&[0, 41]))
}

fn within(told: &[Told], (from_us, to_us): (i64, i64)) -> Vec<&Told> {
    told.iter().filter(|told| (from_us..to_us).contains(&told.time_us)).collect()
}

#[test]
fn metrics_of_events_equal_those_reckoned_by_hand() {
    let (mut samples, mut others) = (0, 0);
    for seed in 0..50 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let (source, world) = (source(&pinned), both.world(u64::MAX));
        for _ in 0..4 {
            let is_ratio = rng.chance(3);
            let terms: Vec<_> = (0..=usize::from(is_ratio)).map(|_| term(&mut rng, !is_ratio)).collect();
            let (breakdown, internal) =
                (rng.chance(2).then(|| rng.one(&facets())), rng.chance(3).then(|| rng.one(&facets())));
            let measure = match &terms[..] {
                [one] => Measure::Events(one.term.clone()),
                _ => Measure::Ratio { numerator: terms[0].term.clone(), denominator: terms[1].term.clone() },
            };
            let counted = counted(measure, breakdown.as_ref(), internal.as_ref());
            let span = span(&mut rng);
            let range = Range::Fixed { from_us: span.0, to_us: span.1 };
            let (zone, unit, top) = ("Europe/Berlin", calendar_unit(&mut rng), 1 + rng.below(3) as usize);
            let query =
                MetricQuery { counted: &counted, range: &range, zone, unit, compare_previous: true, top };
            let answer = metric(&source, &query).unwrap();
            let read = |told: &Told| breakdown.as_ref().and_then(|facet| (facet.read)(&world, told));
            let hand = |span: (i64, i64), value: Option<&Option<String>>| -> Vec<Exact> {
                let mut own = within(&world.told, span);
                own.retain(|told| internal.as_ref().is_none_or(|facet| !facet.holds(false, &world, told)));
                own.retain(|told| value.is_none_or(|value| read(told) == *value));
                terms.iter().map(|term| term.exact(&world, &own)).collect()
            };
            let what = || format!("seed {seed} {counted:?}");
            let values =
                breakdown.is_some().then(|| within(&world.told, span).into_iter().map(read).collect());
            let shape = Shape { span, zone, unit, values };
            check(&answer.series, answer.total.as_ref(), &shape, &hand, &what);
            let before = (
                span.0 - (span.1 - span.0),
                span.0 - (span.1 - span.0) + (source.now_us - span.0).clamp(0, span.1 - span.0),
            );
            let shape_before = Shape { span: before, zone, unit, values: None };
            if before.0 < before.1 {
                check(&answer.previous, None, &shape_before, &hand, &what);
            }
            // The named ones are the largest, and what is not named is in "other".
            let Some(values) = shape.values else { continue };
            let last = |value: &Option<String>| hand(span, Some(value)).pop().unwrap();
            let has = |value: &&Option<String>| last(value).1 > 0;
            let mut ranked: Vec<_> = values.iter().filter(has).cloned().collect();
            let largest =
                |value: &Option<String>| last(value).0.first().copied().unwrap_or(f64::NEG_INFINITY);
            ranked.sort_by(|a, b| {
                largest(b).total_cmp(&largest(a)).then((a.is_none(), a).cmp(&(b.is_none(), b)))
            });
            let named: Vec<_> = ranked
                .iter()
                .take(top)
                .cloned()
                .map(|v| v.map_or(SliceValue::NotSet, SliceValue::Is))
                .collect();
            let found: Vec<_> = answer
                .series
                .iter()
                .filter_map(|s| s.value.clone())
                .filter(|v| *v != SliceValue::Other)
                .collect();
            if !matches!(terms.last().unwrap().term.aggregate, Aggregate::Percentiles { .. }) {
                assert_eq!(found, named, "{}", what());
            }
            let is_count = matches!(terms[0].term.aggregate, Aggregate::Count) && terms.len() == 1;
            if is_count {
                let all: u64 = answer.series.iter().map(|series| series.total.samples()).sum();
                assert_eq!(all, answer.total.as_ref().unwrap().total.samples(), "{}", what());
            }
            samples += answer.total.unwrap().total.samples();
            others += answer.series.iter().filter(|series| series.value == Some(SliceValue::Other)).count();
        }
    }
    assert!(samples > 1500 && others > 20, "{samples} {others}");
}

#[test]
fn metrics_of_sessions_equal_those_reckoned_by_hand() {
    let mut samples = 0;
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let (source, world) = (source(&pinned), both.world(u64::MAX));
        let aggregate = rng.one(&[
            SessionAggregate::Count,
            SessionAggregate::Uniques,
            SessionAggregate::BounceRate,
            SessionAggregate::AverageDuration,
            SessionAggregate::DurationPercentiles(vec![50.0, 90.0]),
            SessionAggregate::AverageEvents,
        ]);
        let mut counted = counted(Measure::Sessions(aggregate.clone()), None, None);
        let by = rng.one(&[None, Some("entry_event"), Some("exit_event")]);
        counted.definition.breakdown = by.map(|property| footpath_model::definition::PropertyRef {
            property: property.to_owned(),
            ..footpath_model::definition::PropertyRef::default()
        });
        let internal = rng.chance(3).then(|| rng.one(&facets()));
        counted.internal = internal.as_ref().map(|facet| facet.filter(false));
        let (span, zone, unit) = (span(&mut rng), "Europe/Berlin", calendar_unit(&mut rng));
        let range = Range::Fixed { from_us: span.0, to_us: span.1 };
        let query =
            MetricQuery { counted: &counted, range: &range, zone, unit, compare_previous: true, top: 2 };
        let answer = metric(&source, &query).unwrap();
        let mut all = Vec::new();
        for (person, mut own) in world.persons() {
            own.retain(|told| internal.as_ref().is_none_or(|facet| !facet.holds(false, &world, told)));
            all.extend(naive_sessions(&own).into_iter().map(|session| (person, session)));
        }
        let hand = |(from_us, to_us): (i64, i64), value: Option<&Option<String>>| {
            let mut own: Vec<_> =
                all.iter().filter(|(_, s)| (from_us..to_us).contains(&s[0].time_us)).collect();
            own.retain(|(_, s)| {
                let at = if by == Some("exit_event") { s.len() - 1 } else { 0 };
                value.is_none_or(|value| *value == Some(s[at].name.clone()))
            });
            let count = own.len() as u64;
            let seconds = |s: &[&Told]| (s[s.len() - 1].time_us - s[0].time_us) as f64 / 1e6;
            let mut durations: Vec<f64> = own.iter().map(|(_, s)| seconds(s)).collect();
            durations.sort_by(f64::total_cmp);
            let average = |sum: f64| if count == 0 { Vec::new() } else { vec![sum / count as f64] };
            match &aggregate {
                SessionAggregate::Count => vec![Exact(vec![count as f64], count)],
                SessionAggregate::Uniques => {
                    let persons = own.iter().map(|(person, _)| *person).collect::<BTreeSet<_>>().len() as u64;
                    vec![Exact(vec![persons as f64], persons)]
                }
                SessionAggregate::BounceRate => {
                    let bounces = own.iter().filter(|(_, s)| s.len() == 1).count() as u64;
                    vec![Exact(vec![bounces as f64], bounces), Exact(vec![count as f64], count)]
                }
                SessionAggregate::AverageDuration => vec![Exact(average(durations.iter().sum()), count)],
                SessionAggregate::DurationPercentiles(percentiles) => {
                    let at = |p: &f64| durations[(p / 100.0 * (durations.len() - 1) as f64) as usize];
                    vec![Exact(
                        if count == 0 { Vec::new() } else { percentiles.iter().map(at).collect() },
                        count,
                    )]
                }
                SessionAggregate::AverageEvents => {
                    vec![Exact(average(own.iter().map(|(_, s)| s.len() as f64).sum()), count)]
                }
            }
        };
        let what = || format!("seed {seed} {counted:?}");
        let shape = Shape { span, zone, unit, values: None };
        check(&answer.series, answer.total.as_ref(), &shape, &hand, &what);
        assert_eq!(answer.total.is_some(), by.is_some());
        samples += answer.total.as_ref().or(answer.series.first()).map_or(0, |series| series.total.samples());
    }
    assert!(samples > 500, "{samples}");
}

#[test]
fn a_conversion_is_the_funnels_in_every_bucket() {
    let mut entered = 0;
    for seed in 0..50 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let (source, world) = (source(&pinned), both.world(u64::MAX));
        let asked = Asked::random(&mut rng);
        let step = rng.below(4) as u32;
        let mut counted = counted(Measure::Conversion { funnel: "f".into(), step }, None, None);
        counted.funnel = Some(Box::new(asked.counted.clone()));
        let (span, zone, unit) = (span(&mut rng), "Europe/Berlin", calendar_unit(&mut rng));
        let range = Range::Fixed { from_us: span.0, to_us: span.1 };
        let query =
            MetricQuery { counted: &counted, range: &range, zone, unit, compare_previous: false, top: 2 };
        let answer = metric(&source, &query).unwrap();
        let hand = |(from_us, to_us): (i64, i64), value: Option<&Option<String>>| {
            let naive = asked.naive(&world, (from_us, Some(to_us)));
            let all = naive.iter().flat_map(|(_, own)| own);
            let wanted = value.map(|value| value.clone().map_or(SliceValue::NotSet, SliceValue::Is));
            let own = all.filter(|(_, own)| wanted.as_ref().is_none_or(|wanted| wanted == own));
            let reached = reached(3, own.map(|(attempt, _)| attempt));
            let last = reached[(step.checked_sub(1).unwrap_or(2)) as usize];
            vec![Exact(vec![last as f64], last), Exact(vec![reached[0] as f64], reached[0])]
        };
        let what = || format!("seed {seed} {:?}", asked.counted.definition);
        let shape = Shape { span, zone, unit, values: None };
        check(&answer.series, answer.total.as_ref(), &shape, &hand, &what);
        entered += answer.total.as_ref().or(answer.series.first()).map_or(0, |series| series.total.samples());
    }
    assert!(entered > 150, "{entered}");
}

#[test]
fn a_range_without_an_end_has_what_is_dated_ahead() {
    let mut rng = Rng(3);
    let both = stored(&mut rng);
    let pinned = both.chunked.pin();
    let world = both.world(u64::MAX);
    let count = Term { events: Vec::new(), filters: Vec::new(), aggregate: Aggregate::Count };
    let counted = counted(Measure::Events(count), None, None);
    let now_us = NOW_US + 5 * HOUR_US;
    let source = Source { now_us, ..source(&pinned) };
    let range = Range::Last { n: 10, unit: footpath_model::range::RollingUnit::Hours };
    let query = MetricQuery {
        counted: &counted,
        range: &range,
        zone: "",
        unit: Some(CalendarUnit::Hour),
        compare_previous: false,
        top: 1,
    };
    let answer = metric(&source, &query).unwrap();
    assert_eq!(answer.series[0].total, Measured::Value(MetricValue::Count(world.told.len() as u64)));
    let in_buckets: u64 = answer.series[0].buckets.iter().map(|(_, value)| value.samples()).sum();
    assert_eq!(in_buckets, world.told.len() as u64);
    assert!(answer.series[0].buckets.iter().all(|(at_us, _)| *at_us <= now_us));
}

/// Names alone decide: read from heads, which is another way than rows.
#[test]
fn counts_and_persons_of_names_equal_those_reckoned_by_hand() {
    let mut samples = 0;
    for seed in 0..120 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let pinned = if rng.chance(3) { pinned } else { pinned.upto(rng.below(both.told.len() as u64 + 1)) };
        let (source, world) = (source(&pinned), both.world(pinned.position()));
        let aggregate = rng.one(&[Aggregate::Count, Aggregate::Uniques]);
        let asked = AskedTerm {
            term: Term { filters: Vec::new(), aggregate, ..term(&mut rng, false).term },
            condition: None,
        };
        let counted = counted(Measure::Events(asked.term.clone()), None, None);
        let (span, zone, unit) = (span(&mut rng), "Europe/Berlin", calendar_unit(&mut rng));
        let range = Range::Fixed { from_us: span.0, to_us: span.1 };
        let query =
            MetricQuery { counted: &counted, range: &range, zone, unit, compare_previous: false, top: 1 };
        let answer = metric(&source, &query).unwrap();
        let hand = |span: (i64, i64), _: Option<&Option<String>>| {
            vec![asked.exact(&world, &within(&world.told, span))]
        };
        let shape = Shape { span, zone, unit, values: None };
        check(&answer.series, None, &shape, &hand, &|| format!("seed {seed} {counted:?}"));
        let named = |told: &&&Told| asked.holds(&world, told);
        let events = within(&world.told, span).iter().filter(named).count() as u64;
        assert_eq!(answer.read.events, events, "seed {seed}");
        samples += events;
    }
    assert!(samples > 2000, "too little to prove anything: {samples}");
}
