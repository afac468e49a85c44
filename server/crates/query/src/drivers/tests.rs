//! What is counted by value for all properties at once equals what metrics and funnels say for one property after the other.

use std::collections::{BTreeMap, HashSet};

use footpath_engine::attribution::{Numbers, Slice};
use footpath_engine::metric::{Measured, MetricValue};
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{
    Aggregate, Counting, FunnelBreakdown, FunnelDefinition, Measure, MetricDefinition, PropertyRef,
    SessionAggregate, Step, Term,
};
use footpath_model::range::Range;

use super::*;
use crate::testing::{HOUR_US, NOW_US, Rng, Told, facets, source, stored, stored_events};
use crate::{FunnelQuery, MetricQuery, funnel, metric};

/// More than there are values.
const ALL: usize = 1_000;

fn counted(measure: Measure, funnel: Option<CountedFunnel>) -> CountedMetric {
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure,
        breakdown: None,
        include_internal: false,
    };
    CountedMetric { definition, funnel: funnel.map(Box::new), internal: None }
}

fn term(events: &[&str], aggregate: Aggregate) -> Term {
    Term { events: events.iter().map(|name| (*name).to_owned()).collect(), filters: Vec::new(), aggregate }
}

fn slices(source: &Source<'_>, query: &DriversQuery<'_>) -> Vec<Vec<Slice>> {
    let dimensions = considered(query);
    let counted = match &query.counted.definition.measure {
        Measure::Sessions(aggregate) => of_sessions::count(source, query, aggregate, &dimensions),
        Measure::Conversion { step, .. } => {
            let funnel = query.counted.funnel.as_deref().unwrap();
            conversion::count(source, query, (funnel, *step), &dimensions).map(Some)
        }
        _ => events::count(source, query, &dimensions),
    };
    counted.unwrap().unwrap().slices
}

/// Numbers by value, those of values that are not kept apart under the last one.
type ByValue = BTreeMap<SliceValue, (f64, f64)>;

/// What was counted, as the reference sees it.
fn found(slices: &[Slice], pick: impl Fn(&Slice) -> Numbers) -> ByValue {
    let numbers = slices.iter().map(|slice| (slice.value.clone(), pick(slice)));
    let own = numbers.map(|(value, own)| (value, (own.above.sum, own.below.sum)));
    own.filter(|(_, own)| *own != (0.0, 0.0)).collect()
}

/// Only these values apart; the rest together.
fn folded(reference: ByValue, kept: &HashSet<SliceValue>) -> ByValue {
    let mut out = ByValue::new();
    for (value, (above, below)) in reference.into_iter().filter(|(_, own)| *own != (0.0, 0.0)) {
        let value = if kept.contains(&value) { value } else { SliceValue::Other };
        let sum = out.entry(value).or_default();
        *sum = (sum.0 + above, sum.1 + below);
    }
    out
}

fn near(found: &ByValue, reference: &ByValue, what: &str) {
    assert!(found.keys().eq(reference.keys()), "{found:?} is not {reference:?}: {what}");
    for (a, b) in found.values().zip(reference.values()) {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + b.abs());
        assert!(near(a.0, b.0) && near(a.1, b.1), "{found:?} is not {reference:?}: {what}");
    }
}

/// A series' number and what it is of, as sums.
fn sums(measured: &Measured) -> (f64, f64) {
    match measured {
        Measured::Ratio(ratio) => (ratio.numerator_samples as f64, ratio.denominator_samples as f64),
        Measured::Value(value) => {
            let samples = value.samples() as f64;
            match value {
                MetricValue::Count(_) | MetricValue::Uniques { .. } => (samples, 0.0),
                MetricValue::Sum(all) => (all.first().map_or(0.0, |one| one.amount.to_f64()), 0.0),
                MetricValue::Average(all) => {
                    (all.first().map_or(0.0, |one| one.amount.to_f64() * samples), samples)
                }
                other => panic!("{other:?} has no sums"),
            }
        }
    }
}

fn by_metric(source: &Source<'_>, counted: &CountedMetric, by: &PropertyRef, span: (i64, i64)) -> ByValue {
    let mut counted = counted.clone();
    counted.definition.breakdown = Some(by.clone());
    let range = Range::Fixed { from_us: span.0, to_us: span.1 };
    let query = MetricQuery {
        counted: &counted,
        range: &range,
        zone: "UTC",
        unit: None,
        compare_previous: false,
        top: ALL,
    };
    let answer = metric(source, &query).unwrap();
    answer.series.iter().map(|series| (series.value.clone().unwrap(), sums(&series.total))).collect()
}

fn by_funnel(source: &Source<'_>, counted: &CountedFunnel, by: &PropertyRef, span: (i64, i64)) -> ByValue {
    let mut counted = counted.clone();
    counted.range = Range::Fixed { from_us: span.0, to_us: span.1 };
    let attribution = footpath_model::definition::Attribution::FirstTouch;
    counted.definition.breakdown = Some(FunnelBreakdown { by: by.clone(), attribution });
    let answer = funnel(source, &FunnelQuery { top: ALL, ..FunnelQuery::new(&counted) }).unwrap();
    let numbers = |reached: &[u64]| (reached[reached.len() - 1] as f64, reached[0] as f64);
    answer.slices.into_iter().map(|slice| (slice.value, numbers(&slice.reached))).collect()
}

/// Two spans of the random events, one behind the other.
const SPANS: [(i64, i64); 2] =
    [(NOW_US, NOW_US + 17 * HOUR_US), (NOW_US + 17 * HOUR_US, NOW_US + 41 * HOUR_US)];

fn span((from_us, to_us): (i64, i64)) -> Span {
    Span { from_us, to_us: Some(to_us) }
}

/// Counts at once, and by a reference for each property and side.
fn compare(
    source: &Source<'_>,
    counted: &CountedMetric,
    dimensions: &[PropertyRef],
    reference: &dyn Fn(&PropertyRef, (i64, i64)) -> ByValue,
) {
    let query = DriversQuery {
        counted,
        window: span(SPANS[1]),
        baseline: &[span(SPANS[0])],
        dimensions: Dimensions::These(dimensions),
        top: 10,
    };
    let counted_all = slices(source, &query);
    for (property, slices) in dimensions.iter().zip(&counted_all) {
        let what = format!("{property:?} of {counted:?}");
        let same = |found: ByValue, reference: ByValue| {
            // A metric puts ratios of nothing together, and the board what comes late.
            let kept: HashSet<SliceValue> =
                found.keys().filter(|value| reference.contains_key(value)).cloned().collect();
            near(&folded(found, &kept), &folded(reference, &kept), &what);
        };
        same(found(slices, |slice| slice.before), reference(property, SPANS[0]));
        same(found(slices, |slice| slice.after), reference(property, SPANS[1]));
    }
    let answer = drivers(source, &query).unwrap();
    assert_eq!(answer.considered, dimensions);
}

#[test]
fn metrics_of_events_are_counted_as_they_are_one_by_one() {
    let properties: Vec<PropertyRef> = facets().into_iter().map(|facet| facet.property).collect();
    let count = |events: &[&str]| term(events, Aggregate::Count);
    for seed in 0..10 {
        let both = stored(&mut Rng(seed));
        let pinned = both.chunked.pin();
        let source = source(&pinned);
        let measures = [
            Measure::Events(count(&[])),
            Measure::Events(term(&["open", "pay"], Aggregate::Sum("price".into()))),
            Measure::Events(term(&[], Aggregate::Average("amount".into()))),
            Measure::Ratio { numerator: count(&["pay"]), denominator: count(&["open", "view"]) },
        ];
        for measure in measures {
            let counted = counted(measure, None);
            compare(&source, &counted, &properties, &|by, span| by_metric(&source, &counted, by, span));
        }
        // Persons have several values, and those that are not kept apart are one: only where all are kept.
        let few: Vec<_> =
            properties.iter().filter(|by| by.property == "plan" || by.property == "os").cloned().collect();
        let counted = counted(Measure::Events(term(&[], Aggregate::Uniques)), None);
        compare(&source, &counted, &few, &|by, span| by_metric(&source, &counted, by, span));
    }
}

#[test]
fn sessions_are_counted_as_they_are_one_by_one() {
    let properties = ["entry_event", "exit_event"]
        .map(|property| PropertyRef { property: property.to_owned(), ..PropertyRef::default() });
    for seed in 0..10 {
        let both = stored(&mut Rng(seed));
        let pinned = both.chunked.pin();
        let source = source(&pinned);
        let measures = [
            SessionAggregate::Count,
            SessionAggregate::Uniques,
            SessionAggregate::BounceRate,
            SessionAggregate::AverageDuration,
            SessionAggregate::AverageEvents,
        ];
        for aggregate in measures {
            let counted = counted(Measure::Sessions(aggregate), None);
            compare(&source, &counted, &properties, &|by, span| by_metric(&source, &counted, by, span));
        }
    }
}

#[test]
fn conversions_are_counted_as_funnels_are_one_by_one() {
    let properties: Vec<PropertyRef> = facets().into_iter().map(|facet| facet.property).collect();
    let step = |name: &str| Step { events: vec![name.to_owned()], ..Step::default() };
    for seed in 0..15 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let source = source(&pinned);
        let definition = FunnelDefinition {
            id: "f".into(),
            steps: vec![step("open"), step("view"), step("pay")],
            window_us: (1 + rng.below(10) as i64) * HOUR_US,
            counting: rng.one(&[Counting::Persons, Counting::Conversions, Counting::Sessions]),
            ..FunnelDefinition::default()
        };
        let funnel = CountedFunnel::new(definition, Range::Today, "UTC".into());
        let counted = counted(Measure::Conversion { funnel: "f".into(), step: 0 }, Some(funnel.clone()));
        compare(&source, &counted, &properties, &|by, span| by_funnel(&source, &funnel, by, span));
    }
}

/// Events of two spans: `of` says for each side and number the page, the amount and the price.
fn told(each: usize, of: impl Fn(bool, usize) -> (&'static str, i64, Option<i64>)) -> Vec<Told> {
    let event = |(after, i): (bool, usize)| {
        let (page, amount, price) = of(after, i);
        let at = SPANS[usize::from(after)].0;
        Told {
            name: "pay".into(),
            project: 1,
            os: "ios".into(),
            anonymous_id: format!("a{i}"),
            page: Some(page.into()),
            amount: Some(amount),
            price,
            time_us: at + i as i64,
            ..Told::default()
        }
    };
    [false, true].into_iter().flat_map(|after| (0..each).map(move |i| (after, i))).map(event).collect()
}

fn ask(events: &[Told], aggregate: Aggregate) -> DriversAnswer {
    let both = stored_events(events);
    let pinned = both.chunked.pin();
    let counted = counted(Measure::Events(term(&[], aggregate)), None);
    let page = PropertyRef { property: "page".into(), ..PropertyRef::default() };
    let query = DriversQuery {
        counted: &counted,
        window: span(SPANS[1]),
        baseline: &[span(SPANS[0])],
        dimensions: Dimensions::Auto(&[page]),
        top: 3,
    };
    drivers(&source(&pinned), &query).unwrap()
}

#[test]
fn a_percentile_is_explained_by_what_lies_beyond_it() {
    let pages = ["a", "b", "c"];
    let events = told(600, |after, i| {
        let page = pages[i % 3];
        let slow = if after && page == "b" { 100 } else { 0 };
        (page, i as i64 % 97 + slow, None)
    });
    for aggregate in [
        Aggregate::Percentiles { property: "amount".into(), percentiles: vec![95.0] },
        Aggregate::Max("amount".into()),
    ] {
        let answer = ask(&events, aggregate);
        let first = &answer.drivers[0];
        assert_eq!((first.property.property.as_str(), &first.value), ("page", &SliceValue::Is("b".into())));
        assert!(first.kind == Kind::Rate && first.before < 0.1 && first.after > 0.9, "{first:?}");
        assert!(answer.considered.len() > 10 && answer.after > answer.before);
    }
}

#[test]
fn a_sum_of_money_names_who_paid_less_and_nobody_if_all_did() {
    let sum = || Aggregate::Sum("price".into());
    let one =
        told(600, |after, i| (["a", "b", "c"][i % 3], 1, Some(if after && i % 3 == 0 { 5 } else { 50 })));
    let answer = ask(&one, sum());
    assert_eq!(answer.drivers[0].value, SliceValue::Is("a".into()));
    // The window is 24 hours long, the baseline 17.
    assert_eq!((answer.before, answer.after), (Some(30_000.0 / 17.0 * 24.0), Some(21_000.0)));
    let all = told(600, |after, i| (["a", "b", "c"][i % 3], 1, Some(if after { 25 } else { 50 })));
    assert_eq!(ask(&all, sum()).drivers, []);
    assert_eq!(ask(&[], sum()).drivers, []);
}

#[test]
fn a_ratio_of_averages_is_not_explained() {
    let both = stored_events(&[]);
    let pinned = both.chunked.pin();
    let average = || term(&[], Aggregate::Average("amount".into()));
    let counted = counted(Measure::Ratio { numerator: average(), denominator: average() }, None);
    let query = DriversQuery {
        counted: &counted,
        window: span(SPANS[1]),
        baseline: &[],
        dimensions: Dimensions::Auto(&[]),
        top: 3,
    };
    let answer = drivers(&source(&pinned), &query).unwrap();
    assert!(answer.considered.is_empty() && answer.drivers.is_empty() && answer.before.is_none());
}
