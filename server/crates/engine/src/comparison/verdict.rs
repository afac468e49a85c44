//! What an interval says.

use std::fmt;

use super::Wrong;
use super::strata::Strata;

/// What is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// After divided by before; 1 is no change.
    Ratio,
    /// After less before; 0 is no change.
    Difference,
}

/// Whether it got better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of the interval lies on the good side.
    Better,
    /// All of it lies on the wrong side.
    Worse,
    /// No change lies in the interval.
    NoClearChange,
}

/// A metric before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// What the estimate is.
    pub effect: Effect,
    /// The change.
    pub estimate: f64,
    /// The lower end of the interval of 95 %.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How many buckets before were compared.
    pub before: usize,
    /// How many after.
    pub after: usize,
    /// Whether slots of the week were compared with their own kind.
    pub by_slot: bool,
    /// What it says.
    pub verdict: Verdict,
    /// Of no clear change: how many more buckets after it takes about until a change of this size is clear. `None` if it is clear,
    /// there is none, or the buckets before are too few for it to become so.
    pub more_buckets: Option<u64>,
}

/// An interval on a scale where 0 is no change: differences, or logarithms of ratios.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) effect: Effect,
    pub(super) estimate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How many standard errors it reaches.
    pub(super) quantile: f64,
    /// The variance that the side before brings.
    pub(super) of_before: f64,
    /// The variance that the side after brings.
    pub(super) of_after: f64,
}

impl Interval {
    pub(super) fn judge(&self, strata: &Strata, wrong: Wrong) -> Comparison {
        let verdict = self.verdict(wrong);
        let after = strata.after().count();
        let open = verdict == Verdict::NoClearChange;
        let scale = |x: f64| if self.effect == Effect::Ratio { x.exp() } else { x };
        Comparison {
            effect: self.effect,
            estimate: scale(self.estimate),
            low: scale(self.low),
            high: scale(self.high),
            before: strata.before().count(),
            after,
            by_slot: strata.by_slot,
            verdict,
            more_buckets: if open { self.more_buckets(after) } else { None },
        }
    }

    fn verdict(&self, wrong: Wrong) -> Verdict {
        match (self.low > 0.0, self.high < 0.0, wrong) {
            (true, _, Wrong::High) | (_, true, Wrong::Low) => Verdict::Worse,
            (true, _, Wrong::Low) | (_, true, Wrong::High) => Verdict::Better,
            _ => Verdict::NoClearChange,
        }
    }

    /// More buckets after make the variance of that side smaller, and leave the other's.
    fn more_buckets(&self, after: usize) -> Option<u64> {
        let room = (self.estimate / self.quantile).powi(2) - self.of_before;
        let needed = self.of_after * after as f64 / room;
        (room > 0.0 && needed.is_finite()).then(|| (needed.ceil() as u64).saturating_sub(after as u64).max(1))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoClearChange => "no clear change",
        })
    }
}

impl fmt::Display for Comparison {
    /// As in `better: -31.2 % (-40.5 % to -20.4 %), 48 buckets before, 24 after`. Differences are those of shares in percentage points
    /// only where the metric is one, so they are written as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, estimate, low, high, before, after, .. } = self;
        let number = |x: f64| match self.effect {
            Effect::Ratio => format!("{:+.1} %", (x - 1.0) * 100.0),
            Effect::Difference => format!("{x:+.4}"),
        };
        let (estimate, low, high) = (number(*estimate), number(*low), number(*high));
        write!(f, "{verdict}: {estimate} ({low} to {high}), {before} buckets before, {after} after")?;
        match self.more_buckets {
            Some(more) => write!(f, "; clear after {more} more, if it stays so"),
            None => Ok(()),
        }
    }
}
