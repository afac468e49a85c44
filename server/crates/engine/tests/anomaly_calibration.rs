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
const SIZES: [(i64, u64, i64); 4] = [(1, 4, 40_000), (5, 8, 26_000), (60, 16, 5_000), (1440, 16, 400)];
/// An optimised build has time for so many series for each of these.
const TIMES: u64 = if cfg!(debug_assertions) { 1 } else { 8 };
/// Alerts a month. What is learned does not depend on it, so one run shows all: anomalous is what is rarer than the rate.
const RATES: [f64; 3] = [0.5, 1.0, 4.0];
/// The rate that the detectors are made with, to see that their states say the same.
const SET: usize = 1;

#[derive(Default)]
struct Counted {
    months: f64,
    alerts: [f64; 3],
}

fn watch(series: Series, minutes: i64, number: u64, buckets: i64, counted: &mut Counted) {
    let bucket_us = minutes * MINUTE_US;
    let bucket_months = bucket_us as f64 / (30.0 * DAY_US);
    let mut draw = Draw::new(number * 7919 + minutes as u64);
    let level = [8.0, 40.0, 300.0, 5000.0][(number % 4) as usize];
    let settings = Settings {
        kind: series.kind(),
        bucket_us,
        false_alerts_per_month: RATES[SET],
        direction: Direction::Both,
    };
    let mut detector = Detector::new(&settings);
    let mut anomalous = [false; 3];
    for i in 0..buckets {
        let start_us = MONDAY_US + i * bucket_us;
        let (value, weight) =
            series.bucket(i as f64 * bucket_us as f64 / DAY_US, bucket_us, level, &mut draw);
        let verdict = detector.step(&Point { start_us, local_us: start_us, value, weight, annotated: false });
        if matches!(verdict.state, State::Learning { .. }) {
            continue;
        }
        counted.months += bucket_months;
        let now = RATES.map(|rate| verdict.p_value < rate * bucket_months);
        assert!(verdict.state == State::Changed || now[SET] == (verdict.state == State::Anomalous));
        for (alerts, (now, before)) in counted.alerts.iter_mut().zip(now.into_iter().zip(anomalous)) {
            *alerts += f64::from(now && !before);
        }
        anomalous = now;
    }
}

fn check(series: Series) {
    let mut all = Counted::default();
    for (minutes, many, buckets) in SIZES {
        let mut counted = Counted::default();
        (0..many * TIMES).for_each(|number| watch(series, minutes, number, buckets, &mut counted));
        let months = counted.months;
        let rates = counted.alerts.map(|alerts| format!("{:.2}", alerts / months)).join(" / ");
        println!("{series:?}, buckets of {minutes} min: {rates} alerts a month in {months:.0} months");
        all.months += months;
        all.alerts.iter_mut().zip(counted.alerts).for_each(|(all, alerts)| *all += alerts);
    }
    for (rate, alerts) in RATES.into_iter().zip(all.alerts) {
        let expected = rate * all.months;
        let off = alerts / expected - 1.0;
        println!(
            "{series:?}: {alerts} alerts, {expected:.0} expected at {rate} a month: {:+.0} %",
            100.0 * off
        );
        let chance = 3.0 / expected.sqrt();
        assert!(off.abs() < 0.3 + chance, "{series:?} at {rate} a month: {off:+.2}");
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
