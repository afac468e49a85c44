//! How soon a change is seen, at one false alert a month: simulated series that change for good after some months or weeks.
//!
//! The counterpart of the calibration: whoever never alerts has no false alerts either. `cargo test -p footpath-engine --test anomaly_power --
//! --nocapture` prints what is measured; the bounds are what was measured, and a little room.

#[allow(dead_code)]
mod simulated;

use footpath_engine::anomaly::{Detector, Direction, Point, SeriesKind, Settings, State};
use simulated::Draw;

const MONDAY_US: i64 = 1_699_833_600_000_000;
const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = DAY_US / 24;
const MINUTE_US: i64 = HOUR_US / 60;
/// Series of each kind.
const RUNS: u64 = 60;

/// What a series is made of, before and after.
#[derive(Clone, Copy)]
enum Made {
    /// So many in each bucket; the variance beyond Poisson's is the third times the square.
    Count(f64, f64, f64),
    /// So many in each bucket of the day, a tenth of that from midnight to six, which scatters by 30 % and not by 4.
    Nightly(f64, f64),
    /// A share of so many trials, which are what they are from the first bucket on, or (`true`) grew to that.
    Share(f64, f64, f64, bool),
    /// A number that scatters by a share.
    Value(f64, f64, f64),
}

struct Change {
    made: Made,
    bucket_us: i64,
    /// Buckets before it.
    before: u32,
    /// It is looked for in so many buckets.
    within: u32,
}

fn change(made: Made, bucket_us: i64, before: u32, within: u32) -> Change {
    Change { made, bucket_us, before, within }
}

impl Made {
    fn kind(self) -> SeriesKind {
        match self {
            Self::Count(..) | Self::Nightly(..) => SeriesKind::Count,
            Self::Share(..) => SeriesKind::Ratio,
            Self::Value(..) => SeriesKind::Value,
        }
    }

    /// A bucket's number and weight; `grown` is how much of the time before the change is over, 0 to 1.
    fn bucket(self, start_us: i64, changed: bool, grown: f64, draw: &mut Draw) -> (f64, f64) {
        let of = |from, to| if changed { to } else { from };
        match self {
            Self::Count(from, to, 0.0) => (draw.poisson(of(from, to)), 1.0),
            Self::Count(from, to, dispersion) => (draw.negative_binomial(of(from, to), dispersion), 1.0),
            Self::Nightly(from, to) => {
                let night = start_us.rem_euclid(DAY_US) < 6 * HOUR_US;
                let (share, scatter) = if night { (0.1, 0.3) } else { (1.0, 0.04) };
                (draw.negative_binomial(share * of(from, to), scatter * scatter), 1.0)
            }
            Self::Share(from, to, trials, grows) => {
                let trials = draw.poisson(if grows { trials * grown } else { trials });
                (if trials > 0.0 { draw.binomial(trials, of(from, to)) / trials } else { 0.0 }, trials)
            }
            Self::Value(from, to, spread) => ((of(from, to).ln() + spread * draw.normal()).exp(), 50.0),
        }
    }
}

impl Change {
    /// After how many buckets it is seen, if it is.
    fn seen_after(&self, run: u64) -> Option<u32> {
        let mut draw = Draw::new(run * 131 + 7);
        let (kind, bucket_us) = (self.made.kind(), self.bucket_us);
        let settings = Settings { kind, bucket_us, false_alerts_per_month: 1.0, direction: Direction::Both };
        let mut detector = Detector::new(&settings);
        let mut before = State::Normal;
        for i in 0..self.before + self.within {
            let start_us = MONDAY_US + i64::from(i) * bucket_us;
            let grown = f64::from(i + 1) / f64::from(self.before);
            let (value, weight) = self.made.bucket(start_us, i >= self.before, grown, &mut draw);
            let point = Point { start_us, local_us: start_us, value, weight, annotated: false };
            let now = detector.step(&point).state;
            let begins = now == State::Anomalous && before != State::Anomalous || now == State::Changed;
            if i >= self.before && begins {
                return Some(i - self.before + 1);
            }
            before = now;
        }
        None
    }

    /// The share of series in which it is seen, and the median of the buckets that takes.
    fn measure(&self) -> (f64, u32) {
        let mut seen: Vec<_> = (0..RUNS).map(|run| self.seen_after(run).unwrap_or(u32::MAX)).collect();
        seen.sort_unstable();
        let found = seen.iter().filter(|buckets| **buckets < u32::MAX).count();
        (found as f64 / RUNS as f64, seen[seen.len() / 2])
    }
}

fn check(name: &str, change: &Change, share: f64, buckets: u32) {
    let (found, median) = change.measure();
    println!("{name}: {:.0} % within {} buckets, half within {median}", 100.0 * found, change.within);
    assert!(found >= share && median <= buckets, "{name}: {found} {median}");
}

#[test]
fn a_share_that_falls() {
    let day = |from, to, trials, grows| change(Made::Share(from, to, trials, grows), DAY_US, 120, 30);
    check("80 to 30 % of 8 a day", &day(0.8, 0.3, 8.0, false), 0.95, 2);
    check("80 to 30 % of 8 a day, grown from none", &day(0.8, 0.3, 8.0, true), 0.95, 4);
    check("80 to 55 % of 8 a day", &day(0.8, 0.55, 8.0, false), 0.9, 5);
    check("79 to 55 % of 12 a day, grown from none", &day(0.79, 0.55, 12.0, true), 0.8, 7);
    check("80 to 75 % of 400 a day", &day(0.8, 0.75, 400.0, false), 0.8, 6);
    let hour = change(Made::Share(0.5, 0.3, 20.0, false), HOUR_US, 24 * 21, 72);
    check("50 to 30 % of 20 an hour", &hour, 0.9, 6);
    let minute = change(Made::Share(0.8, 0.4, 5.0, false), MINUTE_US, 1440 * 10, 120);
    check("80 to 40 % of 5 a minute", &minute, 0.9, 14);
}

#[test]
fn a_share_that_rises() {
    let made = Made::Share(0.05, 0.25, 30.0, false);
    check("5 to 25 % of 30 a day", &change(made, DAY_US, 60, 20), 0.9, 2);
}

#[test]
fn a_count_that_changes() {
    let day = |from, to, dispersion| change(Made::Count(from, to, dispersion), DAY_US, 120, 30);
    check("5 to 2 a day", &day(5.0, 2.0, 0.0), 0.9, 7);
    check("5 to 10 a day", &day(5.0, 10.0, 0.0), 0.95, 4);
    check("0.2 to 2 a day", &day(0.2, 2.0, 0.0), 0.95, 2);
    check("200 to 150 a day", &day(200.0, 150.0, 0.01), 0.8, 5);
    let minute = change(Made::Count(10.0, 4.0, 0.02), MINUTE_US, 1440 * 10, 120);
    check("10 to 4 a minute", &minute, 0.95, 9);
    // From noon on.
    let half_hour = change(Made::Nightly(20_000.0, 17_000.0), HOUR_US / 2, 48 * 40 + 24, 24);
    check("20,000 to 17,000 each half hour of the day", &half_hour, 0.95, 9);
}

#[test]
fn a_value_that_rises() {
    let day = change(Made::Value(300.0, 345.0, 0.05), DAY_US, 120, 30);
    check("300 to 345 with 5 % of scatter, a day", &day, 0.85, 6);
    let hour = change(Made::Value(300.0, 330.0, 0.05), HOUR_US, 24 * 21, 72);
    check("300 to 330 with 5 % of scatter, an hour", &hour, 0.95, 6);
}
