//! How long it took.

use footpath_engine::metric::Sketch;

/// How long it took those who took it; to 1 %.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversionTime {
    /// How many it is made of.
    pub count: u64,
    /// Half of them took no longer, microseconds; `None` for nobody.
    pub median_us: Option<i64>,
    /// Nine of ten took no longer, microseconds.
    pub p90_us: Option<i64>,
    /// How many took how long, in ascending order. Bins with nobody are left out, and there are none for a single one.
    pub histogram: Vec<TimeBin>,
}

/// A bin of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBin {
    /// From this on, microseconds.
    pub from_us: i64,
    /// Up to this, exclusive.
    pub to_us: i64,
    /// How many.
    pub count: u64,
}

/// The first bin; each of the others ends at twice its beginning.
const FIRST_US: i64 = 1_000;

impl ConversionTime {
    /// Of a sketch of microseconds.
    pub fn of(took_us: &Sketch) -> Self {
        let quantile = |q: f64| took_us.quantile(q).map(|us| us.round() as i64);
        let count = took_us.count();
        let histogram = if count > 1 { histogram(took_us) } else { Vec::new() };
        Self { count, median_us: quantile(0.5), p90_us: quantile(0.9), histogram }
    }
}

fn histogram(took_us: &Sketch) -> Vec<TimeBin> {
    let mut bins: Vec<TimeBin> = Vec::new();
    for (us, count) in took_us.counts() {
        let (from_us, to_us) = bin(us as i64);
        match bins.last_mut() {
            Some(last) if last.from_us == from_us => last.count += count,
            _ => bins.push(TimeBin { from_us, to_us, count }),
        }
    }
    bins
}

/// The bin that a time falls into.
fn bin(us: i64) -> (i64, i64) {
    let Some(doublings) = (us / FIRST_US).checked_ilog2() else { return (0, FIRST_US) };
    (FIRST_US << doublings, FIRST_US << (doublings + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_double_and_hold_everything() {
        assert_eq!(
            [0, 999, 1000, 1999, 2000, 3_600_000_000].map(bin),
            [(0, 1000), (0, 1000), (1000, 2000), (1000, 2000), (2000, 4000), (2_097_152_000, 4_194_304_000),]
        );
        let mut sketch = Sketch::new();
        [0.0, 5.0, 1500.0, 1600.0, 7e9].iter().for_each(|us| sketch.add(*us));
        let time = ConversionTime::of(&sketch);
        assert_eq!(time.histogram.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(time.count, 5);
        assert!((time.median_us.unwrap() - 1500).abs() <= 15, "{time:?}");
    }

    #[test]
    fn one_has_no_histogram_and_nobody_has_nothing() {
        let mut sketch = Sketch::new();
        assert_eq!(ConversionTime::of(&sketch), ConversionTime::default());
        sketch.add(5e6);
        let time = ConversionTime::of(&sketch);
        assert_eq!((time.count, time.histogram.len()), (1, 0));
        assert_eq!(time.median_us, time.p90_us);
    }
}
