//! Whether a metric changed: its buckets before against those after, with an interval of 95 %.
//!
//! - **Counts**, and quotients of amounts that are counted apart: the ratio of the rates of Mantel and Haenszel, its variance by Greenland
//!   and Robins (Biometrics 41, 1985), widened by the dispersion that the buckets themselves show (quasi-Poisson).
//! - **Shares**: the difference of two proportions with Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10); what is
//!   counted is divided by the buckets' dispersion.
//! - **Values** (averages, percentiles): Welch's interval over the buckets. Of logarithms, as a ratio, where all are above 0.
//!
//! Neighbouring buckets resemble each other, so there is less evidence than there are buckets: variances are multiplied by
//! `(1 + r) / (1 - r)` for a first autocorrelation `r` of what is left of the buckets (Bayley and Hammersley, 1946).
//!
//! Weeks have a shape. Where both sides cover the same slots of the week, only these are compared, each with its own kind: Monday
//! nine o'clock with Monday nine o'clock. Slots are counted in UTC, so for a week or two after clocks changed they are an hour off.

mod back;
mod correlation;
mod rates;
mod shares;
mod strata;
mod student;
mod values;
mod verdict;

#[cfg(test)]
mod tests;

pub use back::{Returning, falls_back};
pub use verdict::{Comparison, Effect, Verdict};

use strata::Strata;

/// A metric in one span of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    /// Its beginning, microseconds since 1970.
    pub start_us: i64,
    /// The count, the value, or what is above the line.
    pub above: f64,
    /// What is below the line, for shares and quotients; else it is not looked at.
    pub below: f64,
}

/// How a metric's numbers come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Something is counted. Buckets with nothing have to be there, too.
    Count,
    /// A part of what is below the line: conversions, success rates.
    Share,
    /// One amount over another.
    Quotient,
    /// A number by itself: an average, a percentile. Buckets without one are left out.
    Value,
}

/// The direction that was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It was too high.
    High,
    /// It was too low.
    Low,
}

/// Two times of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// How the metric's numbers come about.
    pub nature: Nature,
    /// What would be worse.
    pub wrong: Wrong,
    /// How long a bucket is, microseconds.
    pub width_us: i64,
    /// The buckets before, in the order of time; complete ones only.
    pub before: &'a [Bucket],
    /// The buckets after.
    pub after: &'a [Bucket],
}

/// Compares a metric before and after; `None` if a side has fewer than two buckets, or nothing is known of it.
pub fn compare(compared: &Compared<'_>) -> Option<Comparison> {
    let strata = Strata::new(compared)?;
    let interval = match compared.nature {
        Nature::Count | Nature::Quotient => rates::interval(compared.nature, &strata),
        Nature::Share => shares::interval(&strata),
        Nature::Value => values::interval(&strata),
    }?;
    Some(interval.judge(&strata, compared.wrong))
}
