//! Which values of which properties explain that a number changed.
//!
//! The number is known per value of a property (a *dimension*), before and after. A value is named if it did something that the rest
//! of its dimension did not, if that is more than chance, and if it makes up a tenth of the change or more. Dimensions compete:
//! first those that explain the change (nearly) alone, of these the one that tells the values apart best with the fewest of them.
//! Where everything moved alike nothing is named, and that is an answer.
//!
//! - A **volume** (counts, unique persons, sums) is the sum of its values' numbers. A value contributes what its own number changed by.
//! - A **rate** (a share, an average, one number over another) is a weighted mean. Each value contributes a *rate effect*, by its
//!   own rate, and a *mix effect*, by its weight: [`effects`]. They add up to the change exactly. So "the rate fell on android" and "there
//!   is suddenly much more android, where the rate was always low" are told apart.
//!
//! Explanatory power, the tenth per value, the two thirds for a dimension, surprise and succinctness are those of Adtributor (Bhagwan et al.,
//! "Adtributor: Revenue Debugging in Advertising Systems", NSDI 2014). The effects are Bennet's (1920): the mean of both sides is the
//! weight of each difference, so nothing is left over. Beyond the paper each value has to pass a test against the rest, because a
//! value with three events moves by a factor of two every day.

mod choose;
mod effect;
mod evidence;
mod numbers;

#[cfg(test)]
mod tests;

pub use choose::attribute;
pub use effect::{Effects, effects};
pub use numbers::{Amount, Numbers, Slice};

use crate::SliceValue;

/// How a number is made of those of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The sum of its parts' numbers, which are `above`; `below` is not looked at.
    Volume,
    /// The mean of one number for each of what is counted below: a share (of 0 and 1), an average.
    Share,
    /// One amount over another that was counted apart. Counts of which no part has more above than below are taken as
    /// [`Shape::Share`]: successes over attempts.
    Quotient,
}

/// How a value explains the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// There is more or less of it.
    Volume,
    /// Its own rate changed.
    Rate,
    /// Its rate differs from the others', and there is more or less of it.
    Mix,
}

/// A number per value of several dimensions, before and after.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What kind of number.
    pub shape: Shape,
    /// What a volume before has to be multiplied by to be compared with one after: how long after is, divided by how long before is.
    pub scale: f64,
    /// How much more the numbers vary than those of events that do not know of each other.
    pub dispersion: Dispersion,
    /// The values of each dimension, each value once.
    pub dimensions: &'a [Vec<Slice>],
}

/// By how much variances are larger than those of events that come independently of each other: evidence is divided by the root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion {
    /// Of volumes, and of what is below the line.
    pub volume: f64,
    /// Of rates.
    pub rate: f64,
}

impl Default for Dispersion {
    /// They come independently of each other.
    fn default() -> Self {
        Self { volume: 1.0, rate: 1.0 }
    }
}

impl Dispersion {
    fn of(&self, kind: Kind) -> f64 {
        let own = if kind == Kind::Rate { self.rate } else { self.volume };
        own.max(1.0)
    }
}

/// A value that explains the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// Which of the dimensions.
    pub dimension: usize,
    /// Which of its values.
    pub value: SliceValue,
    /// In which way.
    pub kind: Kind,
    /// [`Kind::Volume`]: its number before, scaled; [`Kind::Rate`]: its rate; [`Kind::Mix`]: its share of what is below the line.
    pub before: f64,
    /// The same, after.
    pub after: f64,
    /// Its part of the change, 1 for all of it. Of all values of a dimension (rate and mix effects together) these add up to 1; more than 1, and less
    /// than 0 for others, where values moved against each other.
    pub contribution: f64,
    /// The part of the change that there would not have been, had it moved as the rest of its dimension did.
    pub explained: f64,
    /// Standard errors between what it did and what the rest did; with a sign.
    pub evidence: f64,
    /// Jensen-Shannon surprise of its share (of the volume, or of what is below the line), in nats: Adtributor's measure.
    pub surprise: f64,
}
