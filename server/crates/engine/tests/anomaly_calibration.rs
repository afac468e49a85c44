//! The rate of false alerts is the one that was set, on simulated series in which nothing happens.
//!
//! Pooled per type over 1-minute, 5-minute, hourly and daily buckets, after the learning state; an alert is an episode (neighbouring
//! anomalous buckets are one). What is allowed is 30 %, and what chance does to the number of alerts beside: three standard deviations.

mod simulated;

use footpath_engine::anomaly::{Detector, Direction, Point, Settings, State};
use simulated::{Draw, Series};

const MINUTE_US: i64 = 60_000_000;
const DAY_US: f64 = 86_400e6;
/// 2023-11-13, a Monday, 00:00 UTC.
const MONDAY_US: i64 = 1_699_833_600_000_000;
/// Width of buckets in minutes, series, buckets of each.
const SIZES: [(i64, u64, i64); 4] = [(1, 2, 60_000), (5, 4, 26_000), (60, 24, 5_000), (1440, 60, 400)];

#[derive(Default)]
struct Counted {
    alerts: f64,
    months: f64,
}

fn watch(series: Series, minutes: i64, rate: f64, number: u64, buckets: i64, counted: &mut Counted) {
    let bucket_us = minutes * MINUTE_US;
    let mut draw = Draw::new(number * 7919 + minutes as u64);
    let level = [8.0, 40.0, 300.0, 5000.0][(number % 4) as usize];
    let kind = series.kind();
    let settings = Settings { kind, bucket_us, false_alerts_per_month: rate, direction: Direction::Both };
    let mut detector = Detector::new(&settings);
    let mut anomalous = false;
    for i in 0..buckets {
        let start_us = MONDAY_US + i * bucket_us;
        let (value, weight) =
            series.bucket(i as f64 * bucket_us as f64 / DAY_US, bucket_us, level, &mut draw);
        let point = Point { start_us, local_us: start_us, value, weight, annotated: false };
        let state = detector.step(&point).state;
        if matches!(state, State::Learning { .. }) {
            continue;
        }
        counted.months += bucket_us as f64 / (30.0 * DAY_US);
        counted.alerts += f64::from(state == State::Anomalous && !anomalous);
        anomalous = state == State::Anomalous;
    }
}

fn check(series: Series) {
    for rate in [0.5, 1.0, 4.0] {
        let mut all = Counted::default();
        for (minutes, many, buckets) in SIZES {
            let mut counted = Counted::default();
            (0..many).for_each(|number| watch(series, minutes, rate, number, buckets, &mut counted));
            println!(
                "{series:?} {minutes} min, {rate} a month: {:.2} in {:.0} months",
                counted.alerts / counted.months,
                counted.months
            );
            all.alerts += counted.alerts;
            all.months += counted.months;
        }
        let expected = rate * all.months;
        let off = all.alerts / expected - 1.0;
        println!(
            "{series:?} {rate} a month: {} alerts, {expected:.0} expected: {:+.0} %",
            all.alerts,
            100.0 * off
        );
        assert!(off.abs() < 0.3 + 3.0 / expected.sqrt(), "{series:?} at {rate} a month: {off:+.2}");
    }
}

macro_rules! calibrated {
    ($($name:ident: $series:ident,)*) => { $(
        #[test]
        fn $name() {
            check(Series::$series);
        }
    )* };
}

calibrated! {
    poisson_counts: Poisson,
    overdispersed_counts: Overdispersed,
    counts_with_a_day: Daily,
    counts_with_a_week: Weekly,
    counts_that_grow: Growing,
    tiny_counts: Tiny,
    sparse_counts: Sparse,
    ratios: Ratio,
    percentiles: Percentile,
    values_with_heavy_tails: HeavyTails,
}
