//! Whether lags stay bounded.
//!
//! A lag that grows steadily from nothing is at the end of a run half as large again as at the end of its second third.
//! So the largest lag of the last third is held against that of the middle third; the first third warms up. Whoever
//! works in portions has a lag that swings, and all small lags jitter: the tolerance covers both.

use std::fmt;

use super::sample::{Lag, Samples};

/// Looks that each third needs, or the largest of them says nothing.
const LEAST: usize = 3;

/// How much larger the last third's lag may be.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// By this part of the middle third's lag.
    pub part: f64,
    /// And by this much time, or as many records as come in that time.
    pub seconds: f64,
}

/// One consumer, judged.
#[derive(Debug, Clone)]
pub struct Judged {
    consumer: String,
    largest: Lag,
    middle: Lag,
    last: Lag,
    bounded: bool,
}

/// All consumers, judged.
#[derive(Debug, Clone)]
pub struct Verdict {
    tolerance: Tolerance,
    judged: Vec<Judged>,
}

impl Verdict {
    /// Judges every consumer.
    ///
    /// # Errors
    /// When a third has less than 3 looks.
    pub fn of(samples: &Samples, tolerance: Tolerance) -> anyhow::Result<Self> {
        let third = samples.seconds() / 3.0;
        for part in 0..3 {
            let (from, to) = (third * f64::from(part), third * f64::from(part + 1));
            let looks = samples.0.iter().filter(|s| s.seconds >= from && s.seconds < to).count();
            anyhow::ensure!(
                looks >= LEAST,
                "a third of the run has {looks} looks and needs {LEAST}: take longer, or look more often"
            );
        }
        let judge = |consumer: String| {
            let largest = samples.largest_lag(&consumer, 0.0, f64::INFINITY);
            let middle = samples.largest_lag(&consumer, third, 2.0 * third);
            let last = samples.largest_lag(&consumer, 2.0 * third, f64::INFINITY);
            let grown = |middle: f64, last: f64, least: f64| last > middle * (1.0 + tolerance.part) + least;
            let records = tolerance.seconds * samples.batches_per_s();
            let bounded = !grown(middle.seconds, last.seconds, tolerance.seconds)
                && !grown(middle.records, last.records, records);
            Judged { consumer, largest, middle, last, bounded }
        };
        Ok(Self { tolerance, judged: samples.consumers().into_iter().map(judge).collect() })
    }

    /// Whether every consumer's lag is.
    pub fn bounded(&self) -> bool {
        self.judged.iter().all(|one| one.bounded)
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0} rec {:.1} s", self.records, self.seconds))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["largest lag", "middle third", "last third"];
        writeln!(f, "{:<9} {:>20} {:>20} {:>20}", "consumer", columns[0], columns[1], columns[2])?;
        for Judged { consumer, largest, middle, last, bounded } in &self.judged {
            let word = if *bounded { "bounded" } else { "GROWS" };
            writeln!(f, "{consumer:<9} {largest:>20} {middle:>20} {last:>20}  {word}")?;
        }
        let Tolerance { part, seconds } = self.tolerance;
        let word = if self.bounded() { "yes" } else { "no" };
        writeln!(
            f,
            "every lag bounded: {word} (last third at most {:.0} % + {seconds:.1} s above the middle third)",
            part * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::sample::Sample;
    use super::*;

    const TOLERANCE: Tolerance = Tolerance { part: 0.2, seconds: 1.0 };

    /// A run of 600 s with a look every 5 s and 100 records a second.
    fn run(lag: impl Fn(f64) -> Lag) -> Samples {
        let look = |index: u32| {
            let seconds = f64::from(index) * 5.0;
            let lags =
                BTreeMap::from([("live".to_owned(), Lag::default()), ("chunks".to_owned(), lag(seconds))]);
            Sample { seconds, batches: seconds * 100.0, lags, ..Sample::default() }
        };
        Samples((0..=120).map(look).collect())
    }

    fn bounded(lag: impl Fn(f64) -> Lag) -> bool {
        Verdict::of(&run(lag), TOLERANCE).unwrap().bounded()
    }

    #[test]
    fn a_lag_that_grows_slowly_and_steadily_is_found() {
        assert!(!bounded(|seconds| Lag { records: seconds * 3.0, seconds: seconds * 0.03 }));
        assert!(!bounded(|seconds| Lag { records: 0.0, seconds: seconds * 0.03 }));
        assert!(!bounded(|seconds| Lag { records: seconds * 3.0, seconds: 0.0 }));
    }

    #[test]
    fn a_lag_that_swings_or_has_settled_is_bounded() {
        assert!(bounded(|seconds| Lag { records: (seconds % 60.0) * 100.0, seconds: seconds % 60.0 }));
        assert!(bounded(|seconds| Lag { records: seconds.min(150.0), seconds: 2.0 }));
        assert!(bounded(|_| Lag::default()));
    }

    #[test]
    fn one_that_grows_is_enough_and_is_named() {
        let verdict = Verdict::of(&run(|seconds| Lag { records: seconds, seconds }), TOLERANCE).unwrap();
        let text = verdict.to_string();
        let grows: Vec<_> = text.lines().filter(|line| line.ends_with("GROWS")).collect();
        assert!(grows.len() == 1 && grows[0].starts_with("chunks"), "{text}");
        assert!(text.contains("bounded: no"));
    }

    #[test]
    fn too_few_looks_prove_nothing() {
        let samples = Samples(run(|_| Lag::default()).0.into_iter().take(7).collect());
        assert!(Verdict::of(&samples, TOLERANCE).is_err());
    }
}
