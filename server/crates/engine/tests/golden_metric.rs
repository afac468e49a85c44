//! The golden vectors M1, M2, ... of metrics. They are contracts: if one turns red, a published number changes its
//! meaning.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use footpath_engine::ActorKey;
use footpath_engine::metric::{
    ActiveUsers, Horizons, Item, ItemValue, MetricKind, MetricValue, Ordinals, Partial, Series, SeriesKey,
    SeriesSet, ratio,
};
use footpath_model::calendar::{CalendarUnit, buckets};
use footpath_model::props::Value;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-10-25 in Berlin: a day of 25 hours, from 22:00 UTC of the day before.
const BERLIN_DAY: i64 = 1_792_879_200 * SECOND;

fn item<'a>(time_us: i64, person: u64, value: &Value<'a>) -> Item<'a> {
    Item { time_us, person: ActorKey(person), value: ItemValue::of(value) }
}

fn money(currency: &'static str, units: i64, nanos: i32) -> Value<'static> {
    Value::Money { currency, units, nanos }
}

/// The metric over values, after checking that the reverse order gives the same.
fn over(kind: &MetricKind, values: &[Value<'_>]) -> MetricValue {
    let mut ordinals = Ordinals::default();
    let (mut forward, mut backward) = (Partial::new(kind), Partial::new(kind));
    values.iter().for_each(|value| forward.add(&item(0, 1, value), &mut ordinals));
    values.iter().rev().for_each(|value| backward.add(&item(0, 1, value), &mut ordinals));
    assert_eq!(forward, backward);
    kind.value(&forward)
}

/// Each unit with its number, as text.
fn texts(value: &MetricValue) -> Vec<String> {
    match value {
        MetricValue::Sum(all) | MetricValue::Average(all) | MetricValue::Min(all) | MetricValue::Max(all) => {
            let unit = |unit: &Option<_>| unit.map_or(String::new(), |unit| format!(" {unit}"));
            all.iter().map(|one| format!("{}{}", one.amount, unit(&one.unit))).collect()
        }
        _ => Vec::new(),
    }
}

fn sum(values: &[Value<'_>]) -> Vec<String> {
    texts(&over(&MetricKind::Sum, values))
}

#[test]
fn m1_sums_are_exact_in_any_order() {
    use Value::{Decimal, Double, Int};
    assert_eq!(sum(&[Double(1e16), Double(1.0), Double(-1e16)]), ["1"]);
    assert_eq!(sum(&vec![Double(0.1); 10]), ["1"]);
    assert_eq!(sum(&[Decimal("0.10"), Decimal("0.20"), Int(5)]), ["5.3"]);
    assert_eq!(sum(&[Int(i64::MAX), Int(1)]), ["9223372036854775808"]);
    assert_eq!(
        sum(&[Decimal("100000000000000000000000000000.01"), Decimal("-0.02")]),
        ["99999999999999999999999999999.99"]
    );
}

#[test]
fn m2_currencies_and_plain_numbers_are_never_mixed() {
    let prices =
        [money("USD", 3, 500_000_000), money("EUR", 1, 990_000_000), money("EUR", -2, 0), Value::Int(7)];
    assert_eq!(sum(&prices), ["7", "-0.01 EUR", "3.5 USD"]);
    assert_eq!(texts(&over(&MetricKind::Max, &prices)), ["7", "1.99 EUR", "3.5 USD"]);
    assert_eq!(texts(&over(&MetricKind::Average, &prices)), ["7", "-0.005 EUR", "3.5 USD"]);
}

#[test]
fn m3_events_without_a_number_are_no_samples() {
    let values = [Value::Int(4), Value::String("5"), Value::Bool(true), Value::Double(2.0)];
    assert_eq!(texts(&over(&MetricKind::Average, &values)), ["3"]);
    assert_eq!(over(&MetricKind::Average, &values).samples(), 2);
    assert_eq!(over(&MetricKind::Count, &values), MetricValue::Count(4));
    assert_eq!(over(&MetricKind::Min, &[Value::Bool(true)]), MetricValue::Min(vec![]));
}

#[test]
fn m4_a_percentile_is_the_value_at_its_rank_within_one_per_cent() {
    let values: Vec<_> = (1..=100).map(Value::Int).collect();
    let quantiles = vec![0.0, 0.5, 0.9, 1.0];
    let MetricValue::Percentiles(found) = over(&MetricKind::Percentiles(quantiles), &values) else {
        panic!()
    };
    for (found, exact) in found[0].values.iter().zip([1.0, 50.0, 90.0, 100.0_f64]) {
        assert!((found - exact).abs() <= 0.01 * exact, "{found} {exact}");
    }
    assert_eq!((found[0].samples, found[0].collapsed), (100, false));
}

/// Events of persons at times.
fn uniques(events: &[(i64, u64)], ordinals: &mut Ordinals) -> Series {
    let mut series = Series::new(MetricKind::Uniques, Horizons::default());
    events
        .iter()
        .for_each(|(time_us, person)| series.add(&item(*time_us, *person, &Value::Int(0)), ordinals));
    series
}

#[test]
fn m5_persons_of_a_day_are_not_the_sum_of_its_hours() {
    let mut ordinals = Ordinals::default();
    let mut series = uniques(&[(0, 1), (HOUR, 1), (HOUR, 2), (2 * HOUR, 3)], &mut ordinals);
    let hours = buckets(0, 3 * HOUR, CalendarUnit::Hour, "UTC").unwrap();
    let answer = series.answer(&hours, &ordinals);
    let counts: Vec<_> = answer.buckets.iter().map(MetricValue::samples).collect();
    assert_eq!((counts, answer.total.samples()), (vec![1, 2, 1], 3));
    // 1 and 3 turn out to be one person.
    let [one, three] = [1, 3].map(|person| ordinals.get(ActorKey(person)).unwrap());
    assert_eq!(series.replace(0, three, one), []);
    assert_eq!(series.answer(&hours, &ordinals).total.samples(), 2);
}

#[test]
fn m6_days_of_25_hours_and_of_zones_off_by_45_minutes() {
    let mut ordinals = Ordinals::default();
    let mut count = Series::new(MetricKind::Count, Horizons::default());
    for quarter in 0..4 * 72 {
        count.add(&item(BERLIN_DAY - 24 * HOUR + quarter * HOUR / 4, 1, &Value::Int(0)), &mut ordinals);
    }
    let minutes = |zone| buckets(BERLIN_DAY, BERLIN_DAY + 25 * HOUR, CalendarUnit::Day, zone).unwrap();
    let counts = |series: &Series, zone| {
        let answer = series.answer(&minutes(zone), &ordinals);
        (answer.buckets.iter().map(MetricValue::samples).collect::<Vec<_>>(), answer.cut)
    };
    // Berlin: one day of 25 hours. Kathmandu's days begin at 18:15 UTC.
    assert_eq!(counts(&count, "Europe/Berlin"), (vec![100], false));
    assert_eq!(counts(&count, "Asia/Kathmandu"), (vec![81, 19], false));
    // In quarters the same; in hours Kathmandu's edge cuts one, which counts where it begins, and says so.
    count.roll(BERLIN_DAY + 10 * DAY, &ordinals);
    assert_eq!(counts(&count, "Asia/Kathmandu"), (vec![81, 19], false));
    count.roll(BERLIN_DAY + 200 * DAY, &ordinals);
    assert_eq!(counts(&count, "Europe/Berlin"), (vec![100], false));
    assert_eq!(counts(&count, "Asia/Kathmandu"), (vec![84, 16], true));
}

#[test]
fn m7_a_late_event_gives_the_same_buckets_as_one_in_time() {
    let mut ordinals = Ordinals::default();
    let mut late = Series::new(MetricKind::Count, Horizons::default());
    let mut in_time = late.clone();
    let event = item(7 * MINUTE, 1, &Value::Int(0));
    in_time.add(&event, &mut ordinals);
    in_time.roll(3 * DAY, &ordinals);
    late.roll(3 * DAY, &ordinals);
    late.add(&event, &mut ordinals);
    assert_eq!(late, in_time);
    let bucket = late.bucket(7 * MINUTE);
    assert_eq!((bucket.from_us, bucket.to_us), (0, 15 * MINUTE));
    assert_eq!(late.retract(&event), Ok(()));
    assert!(late.is_empty());
}

#[test]
fn m8_a_breakdown_has_the_largest_values_and_the_others_as_one() {
    let mut ordinals = Ordinals::default();
    let mut set = SeriesSet::new(MetricKind::Uniques, Horizons::default());
    for (value, person) in [(Some(0), 1), (Some(0), 2), (Some(1), 1), (Some(2), 1), (Some(2), 3), (None, 1)] {
        set.add(value, &item(0, person, &Value::Int(0)), &mut ordinals);
    }
    let name = |value: u32| ["pear", "fig", "apple"][value as usize];
    let answer = set.answer(&[(0, MINUTE)], 2, name, &ordinals);
    // apple and pear have two persons each, by name; fig and "not set" are person 1 alone.
    let rows: Vec<_> = answer.rows.iter().map(|row| (row.key, row.answer.total.samples())).collect();
    assert_eq!(rows, [(SeriesKey::Value(2), 2), (SeriesKey::Value(0), 2)]);
    assert_eq!((answer.other.unwrap().total.samples(), answer.other_values), (1, 2));
    assert_eq!((answer.total.total.samples(), answer.overflow), (3, false));
}

#[test]
fn m9_above_the_cap_a_number_says_that_it_is_approximate() {
    let mut ordinals = Ordinals::new(1000);
    let persons: Vec<_> = (0..2000).map(|person| (0, person)).collect();
    let exact = uniques(&persons[..1000], &mut ordinals).sum(0, MINUTE, &ordinals);
    assert_eq!(
        MetricKind::Uniques.value(&exact),
        MetricValue::Uniques { persons: 1000, standard_error: None }
    );
    let about = uniques(&persons, &mut ordinals).sum(0, MINUTE, &ordinals);
    let MetricValue::Uniques { persons, standard_error } = MetricKind::Uniques.value(&about) else {
        panic!()
    };
    assert_eq!(standard_error, Some(0.008125));
    assert!(persons.abs_diff(2000) < 50, "{persons}");
}

#[test]
fn m10_active_means_seen_since_and_ahead_counts_at_once() {
    let mut users = ActiveUsers::new(DAY + HOUR, DAY);
    users.apply(ActorKey(1), DAY + HOUR - 300 * SECOND);
    users.apply(ActorKey(2), DAY + HOUR - 301 * SECOND);
    users.apply(ActorKey(3), DAY + 20 * HOUR);
    users.apply(ActorKey(4), DAY);
    users.apply(ActorKey(5), DAY - SECOND);
    let active = users.active();
    assert_eq!((active.five_minutes, active.half_hour, active.today), (2, 3, 4));
}

#[test]
fn m11_a_ratio_without_a_denominator_has_no_value() {
    assert_eq!(ratio(&MetricValue::Count(3), &MetricValue::Count(0)).value, None);
    let revenue = over(&MetricKind::Sum, &[money("EUR", 9, 0), money("EUR", 1, 0)]);
    assert_eq!(ratio(&revenue, &MetricValue::Count(4)).value, Some(2.5));
}
