//! Funnels, sessions and metrics of real data sets equal those of a reference that shares no code with the kernel.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

mod data;
mod drivers;
mod live;
mod naive;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use footpath_engine::metric::{Amount, MetricValue, Ratio};
use footpath_model::calendar::{CalendarUnit, buckets};
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{
    Aggregate, Counting, Entry, FunnelBreakdown, FunnelDefinition, Measure, MetricDefinition, PropertyRef,
    SessionAggregate, Step, Term,
};
use footpath_model::range::Range;
use footpath_query::{
    FunnelAnswer, FunnelQuery, Measured, MetricAnswer, MetricQuery, SessionsQuery, SliceValue, Source,
    funnel, metric, sessions,
};

use data::Event;
use naive::{Chain, HOUR, persons, reached};
use store::Set;

const STEPS: [&str; 4] = ["home", "product_view", "add_to_cart", "purchase"];

fn definition(window_us: i64, entry: Entry, counting: Counting) -> FunnelDefinition {
    let step = |name: &&str| Step { events: vec![(*name).to_owned()], ..Step::default() };
    let steps = STEPS.iter().map(step).collect();
    FunnelDefinition { id: "f".into(), steps, window_us, entry, counting, ..FunnelDefinition::default() }
}

fn ask(
    source: &Source<'_>,
    definition: FunnelDefinition,
    (from_us, to_us): (i64, i64),
    step_times: bool,
) -> FunnelAnswer {
    let range = Range::Fixed { from_us, to_us };
    let counted = CountedFunnel::new(definition, range, "UTC".into());
    funnel(source, &FunnelQuery { step_times, ..FunnelQuery::new(&counted) }).unwrap()
}

fn chains(events: &[Event], counting: &Counting, entry: Entry, window: i64, range: (i64, i64)) -> Vec<Chain> {
    let best = |own: &[&Event]| match entry {
        Entry::Latest => naive::latest(own, &STEPS, window, range),
        Entry::First => naive::first(own, &STEPS, window, range),
    };
    let of_person = |own: &Vec<&Event>| -> Vec<Chain> {
        match counting {
            Counting::Conversions => naive::attempts(own, &STEPS, window, range),
            Counting::Sessions => naive::sessions(own).iter().filter_map(|session| best(session)).collect(),
            _ => best(own).into_iter().collect(),
        }
    };
    persons(events).values().flat_map(of_person).collect()
}

fn near(found: Option<i64>, mut exact: Vec<i64>, q: f64) {
    if exact.is_empty() {
        return assert_eq!(found, None);
    }
    exact.sort_unstable();
    let expected = exact[(q * (exact.len() - 1) as f64) as usize];
    assert!((found.unwrap() - expected).abs() <= expected / 90 + 1, "{found:?} is not {expected}");
}

#[test]
fn a_shops_funnels() {
    let Some(events) = data::shop() else { return };
    let set = Set::new(events);
    let source = set.source();
    let times = set.events.iter().map(|event| event.time_us);
    let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
    let third = (last - first) / 3;
    let mut printed = Vec::new();
    for range in [(first, last + 1), (first + third, last - third)] {
        for window in [HOUR / 12, HOUR, 24 * HOUR, 30 * 24 * HOUR] {
            let modes = [
                (Entry::Latest, Counting::Persons),
                (Entry::First, Counting::Persons),
                (Entry::Latest, Counting::Sessions),
                (Entry::First, Counting::Sessions),
                (Entry::First, Counting::Conversions),
            ];
            for (entry, counting) in modes {
                let found = ask(&source, definition(window, entry, counting.clone()), range, true);
                let exact = chains(&set.events, &counting, entry, window, range);
                let what = format!("{entry:?} {counting:?} within {} min", window / naive::MINUTE);
                assert_eq!(found.reached, reached(4, exact.iter()), "{what}");
                let took: Vec<i64> = exact.iter().filter(|c| c.len() == 4).map(|c| c[3] - c[0]).collect();
                assert_eq!(found.conversion_time.count, took.len() as u64, "{what}");
                let binned: u64 = found.conversion_time.histogram.iter().map(|bin| bin.count).sum();
                if took.len() > 1 {
                    near(found.conversion_time.median_us, took.clone(), 0.5);
                    near(found.conversion_time.p90_us, took.clone(), 0.9);
                    assert_eq!(binned, took.len() as u64);
                }
                for step in 0..3 {
                    let took: Vec<_> =
                        exact.iter().filter(|c| c.len() > step + 1).map(|c| c[step + 1] - c[step]).collect();
                    assert_eq!(found.step_times[step].count, took.len() as u64);
                    near(found.step_times[step].median_us, took, 0.5);
                }
                // Without the steps' times the fast kernel counts, where it can.
                let fast = ask(&source, definition(window, entry, counting), range, false);
                assert_eq!(
                    (fast.reached, fast.conversion_time),
                    (found.reached.clone(), found.conversion_time)
                );
                printed.push(format!("{what}: {:?}", found.reached));
            }
        }
    }
    println!("{}", printed.join("\n"));
}

#[test]
fn a_shops_funnel_by_platform() {
    let Some(events) = data::shop() else { return };
    let set = Set::new(events);
    let by = PropertyRef { property: "text".into(), ..PropertyRef::default() };
    let breakdown = Some(FunnelBreakdown { by, ..FunnelBreakdown::default() });
    let definition = FunnelDefinition { breakdown, ..definition(HOUR, Entry::Latest, Counting::Persons) };
    let range = (0, i64::MAX / 4);
    let found = ask(&set.source(), definition, range, false);
    let mut exact: BTreeMap<String, Vec<Chain>> = BTreeMap::new();
    for own in persons(&set.events).values() {
        let Some(chain) = naive::latest(own, &STEPS, HOUR, range) else { continue };
        let entry = own.iter().find(|event| event.name == STEPS[0] && event.time_us == chain[0]).unwrap();
        exact.entry(entry.text.clone()).or_default().push(chain);
    }
    let counted: BTreeMap<_, _> =
        exact.iter().map(|(text, c)| (text.clone(), reached(4, c.iter()))).collect();
    let slices = found.slices.iter().map(|slice| match &slice.value {
        SliceValue::Is(text) => (text.clone(), slice.reached.clone()),
        other => panic!("{other:?}"),
    });
    println!("{counted:?}");
    assert_eq!(slices.collect::<BTreeMap<_, _>>(), counted);
    assert!(counted.len() > 1);
}

fn measure(
    source: &Source<'_>,
    measure: Measure,
    by: Option<&str>,
    (from_us, to_us): (i64, i64),
    unit: CalendarUnit,
) -> MetricAnswer {
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure,
        breakdown: by.map(|key| PropertyRef { property: key.to_owned(), ..PropertyRef::default() }),
        include_internal: false,
    };
    let counted = CountedMetric { definition, funnel: None, internal: None };
    let range = Range::Fixed { from_us, to_us };
    let query = MetricQuery {
        counted: &counted,
        range: &range,
        zone: "UTC",
        unit: Some(unit),
        compare_previous: false,
        top: 100,
    };
    metric(source, &query).unwrap()
}

fn events(aggregate: Aggregate) -> Measure {
    Measure::Events(Term { events: Vec::new(), filters: Vec::new(), aggregate })
}

fn count(value: &Measured) -> u64 {
    match value {
        Measured::Value(MetricValue::Count(count)) => *count,
        Measured::Value(MetricValue::Uniques { persons, standard_error: None }) => *persons,
        other => panic!("{other:?} is no exact count"),
    }
}

#[test]
fn sessions_of_the_shop_and_the_web_server() {
    // Sessions and bounces are also the numbers of a second program (`engine/tests/sessions_shop.rs`).
    for (events, started, bounces) in [(data::shop(), 3605, 231), (data::web_log(), 3052, 1607)] {
        let Some(events) = events else { return };
        let set = Set::new(events);
        let (source, range) = (set.source(), (0, 4_000_000_000_000_000));
        let mut exact: Vec<Vec<&Event>> =
            persons(&set.events).values().flat_map(|own| naive::sessions(own)).collect();
        let rate = measure(
            &source,
            Measure::Sessions(SessionAggregate::BounceRate),
            None,
            range,
            CalendarUnit::Month,
        );
        let Measured::Ratio(Ratio { numerator_samples, denominator_samples, .. }) = rate.series[0].total
        else {
            panic!("a rate is a ratio")
        };
        assert_eq!((denominator_samples, numerator_samples), (started, bounces));
        let by_entry = measure(
            &source,
            Measure::Sessions(SessionAggregate::Count),
            Some("entry_event"),
            range,
            CalendarUnit::Month,
        );
        let mut entered: BTreeMap<&str, u64> = BTreeMap::new();
        exact.iter().for_each(|session| *entered.entry(&session[0].name).or_default() += 1);
        let found = by_entry.series.iter().map(|series| match &series.value {
            Some(SliceValue::Is(name)) => (name.as_str(), count(&series.total)),
            other => panic!("{other:?}"),
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), entered);
        let duration = measure(
            &source,
            Measure::Sessions(SessionAggregate::AverageDuration),
            None,
            range,
            CalendarUnit::Month,
        );
        let Measured::Value(MetricValue::Average(averages)) = &duration.series[0].total else {
            panic!("an average")
        };
        let seconds: i64 = exact.iter().map(|s| (s[s.len() - 1].time_us - s[0].time_us) / 1_000_000).sum();
        assert!((averages[0].amount.to_f64() - seconds as f64 / started as f64).abs() < 1e-6);
        exact.sort_by(|a, b| a[0].time_us.cmp(&b[0].time_us));
        let mut query = SessionsQuery {
            person: None,
            from_us: range.0,
            to_us: range.1,
            after: None,
            limit: 1500,
            internal: None,
        };
        let mut listed = Vec::new();
        loop {
            let page = sessions(&source, &query).unwrap();
            listed.extend(page.sessions);
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        let found: BTreeSet<_> =
            listed.iter().map(|s| (s.start_us, s.person.as_str(), s.events, s.end_us)).collect();
        let of =
            |s: &Vec<&'_ Event>| (s[0].time_us, s[0].user.clone(), s.len() as u64, s[s.len() - 1].time_us);
        let exact: BTreeSet<_> = exact.iter().map(of).collect();
        assert_eq!(listed.len() as u64, started);
        assert!(found.iter().map(|(a, b, c, d)| (*a, (*b).to_owned(), *c, *d)).eq(exact));
    }
}

/// The parts of a range, each with its events.
fn by_bucket(set: &[Event], (from_us, to_us): (i64, i64), unit: CalendarUnit) -> BTreeMap<i64, Vec<&Event>> {
    let spans = buckets(from_us, to_us, unit, "UTC").unwrap();
    let own = |(from, to): (i64, i64)| set.iter().filter(move |e| (from..to).contains(&e.time_us)).collect();
    let all = spans.into_iter().map(|span| (span.0, own(span)));
    all.filter(|(_, own): &(_, Vec<&Event>)| !own.is_empty()).collect()
}

fn midnight(date: &str) -> i64 {
    data::day_us(date) - 12 * HOUR
}

fn users(own: &[&Event]) -> u64 {
    own.iter().map(|event| &event.user).collect::<BTreeSet<_>>().len() as u64
}

#[test]
fn a_music_shops_months() {
    let Some(events_of) = data::cdnow() else { return };
    let set = Set::new(events_of);
    let range = (midnight("19970101"), midnight("19980701"));
    let source = set.source();
    let buyers = measure(&source, events(Aggregate::Uniques), None, range, CalendarUnit::Month);
    let dollars =
        measure(&source, events(Aggregate::Sum("decimal".into())), None, range, CalendarUnit::Month);
    let discs = measure(&source, events(Aggregate::Max("number".into())), None, range, CalendarUnit::Month);
    let cents = |own: &[&Event]| -> i64 {
        own.iter().map(|event| event.decimal.as_ref().unwrap().replace('.', "").parse::<i64>().unwrap()).sum()
    };
    let exact_sum = |value: &Measured| match value {
        Measured::Value(MetricValue::Sum(sums)) => match &sums[0].amount {
            Amount::Decimal(text) => text.clone(),
            other => panic!("{other:?} is not exact"),
        },
        other => panic!("{other:?} is no sum"),
    };
    let as_cents = |text: &str| (text.parse::<f64>().unwrap() * 100.0).round() as i64;
    let exact = by_bucket(&set.events, range, CalendarUnit::Month);
    assert_eq!(exact.len(), 18);
    for (i, (start_us, own)) in exact.iter().enumerate() {
        assert_eq!(
            (buyers.series[0].buckets[i].0, count(&buyers.series[0].buckets[i].1)),
            (*start_us, users(own))
        );
        assert_eq!(as_cents(&exact_sum(&dollars.series[0].buckets[i].1)), cents(own));
        let Measured::Value(MetricValue::Max(most)) = &discs.series[0].buckets[i].1 else {
            panic!("a maximum")
        };
        let largest = own.iter().filter_map(|event| event.number).max().unwrap();
        assert_eq!(most[0].amount.to_f64(), largest as f64);
    }
    let all: Vec<&Event> = set.events.iter().collect();
    // 23,570 customers, as the paper that the set is of says.
    assert_eq!(count(&buyers.series[0].total), 23_570);
    assert_eq!(as_cents(&exact_sum(&dollars.series[0].total)), cents(&all));
    println!("{} for {}", exact_sum(&dollars.series[0].total), count(&buyers.series[0].total));
}

#[test]
fn a_web_servers_hours() {
    let Some(events_of) = data::web_log() else { return };
    let set = Set::new(events_of);
    let range = (midnight("20150517"), midnight("20150521"));
    let source = set.source();
    let counts = measure(&source, events(Aggregate::Count), Some("text"), range, CalendarUnit::Hour);
    let visitors = measure(&source, events(Aggregate::Uniques), None, range, CalendarUnit::Hour);
    let exact = by_bucket(&set.events, range, CalendarUnit::Hour);
    let found: Vec<_> = visitors.series[0].buckets.iter().map(|(at, value)| (*at, count(value))).collect();
    assert_eq!(found, exact.iter().map(|(at, own)| (*at, users(own))).collect::<Vec<_>>());
    for series in &counts.series {
        let Some(SliceValue::Is(status)) = &series.value else { panic!("every line has a status") };
        let of_status = |own: &Vec<&Event>| own.iter().filter(|event| event.text == *status).count() as u64;
        let expected: Vec<_> =
            exact.iter().map(|(at, own)| (*at, of_status(own))).filter(|(_, count)| *count > 0).collect();
        let found: Vec<_> = series.buckets.iter().map(|(at, value)| (*at, count(value))).collect();
        assert_eq!(found, expected, "{status}");
    }
    let sizes: Vec<u64> = counts.series.iter().map(|series| count(&series.total)).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes.iter().sum::<u64>() == 10_000, "{sizes:?}");
    let kinds = measure(&source, events(Aggregate::Average("number".into())), None, range, CalendarUnit::Day);
    let Measured::Value(MetricValue::Average(averages)) = &kinds.series[0].total else {
        panic!("an average")
    };
    let numbers: Vec<i64> = set.events.iter().filter_map(|event| event.number).collect();
    let exact = numbers.iter().sum::<i64>() as f64 / numbers.len() as f64;
    assert!((averages[0].amount.to_f64() - exact).abs() < 1e-6 * exact);
}
