//! What is known of a value, before and after.

use std::ops::{AddAssign, Sub};

use crate::SliceValue;

/// A sum, with what is needed to tell how far chance moves it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Amount {
    /// The sum; of a count, how many.
    pub sum: f64,
    /// The sum of the squares: as the events come by chance (Poisson) this is the variance of the sum. Of a count, how many.
    pub squares: f64,
    /// How many numbers were added.
    pub samples: u64,
}

impl Amount {
    /// So many of something.
    pub fn count(samples: u64) -> Self {
        Self { sum: samples as f64, squares: samples as f64, samples }
    }

    /// Adds one number.
    #[inline]
    pub fn add(&mut self, number: f64) {
        self.sum += number;
        self.squares += number * number;
        self.samples += 1;
    }

    /// Whether it can be a count: each number was 0 or 1, as far as sums tell.
    pub(super) fn is_count(&self) -> bool {
        self.sum == self.squares
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, more: Self) {
        self.sum += more.sum;
        self.squares += more.squares;
        self.samples += more.samples;
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self {
            sum: self.sum - part.sum,
            squares: (self.squares - part.squares).max(0.0),
            samples: self.samples.saturating_sub(part.samples),
        }
    }
}

/// A number, as what is above the line and what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Numbers {
    /// The volume, or what is above the line.
    pub above: Amount,
    /// What is below the line; nothing for a volume.
    pub below: Amount,
}

impl Numbers {
    /// Above over below; `None` if nothing is below.
    pub fn rate(&self) -> Option<f64> {
        (self.below.sum != 0.0).then(|| self.above.sum / self.below.sum)
    }
}

/// One value of a dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Which value.
    pub value: SliceValue,
    /// Its numbers before, not scaled.
    pub before: Numbers,
    /// Its numbers after.
    pub after: Numbers,
}

impl Slice {
    /// A value of which nothing is known yet.
    pub fn new(value: SliceValue) -> Self {
        Self { value, before: Numbers::default(), after: Numbers::default() }
    }

    /// Its numbers, without its name.
    pub(super) fn sides(&self) -> Sides {
        Sides { before: self.before, after: self.after }
    }
}

/// The numbers of a value, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sides {
    pub(super) before: Numbers,
    pub(super) after: Numbers,
}

impl Sides {
    pub(super) fn sum(slices: &[Slice]) -> Self {
        let mut sum = Self::default();
        slices.iter().for_each(|slice| sum += slice.sides());
        sum
    }

    /// The rates before and after. What is not there on one side counts with the rate of the other: that it came or went is its
    /// mix effect. `None` if it is on neither.
    pub(super) fn rates(&self) -> Option<(f64, f64)> {
        let (before, after) = (self.before.rate(), self.after.rate());
        Some((before.or(after)?, after.or(before)?))
    }
}

impl AddAssign for Sides {
    fn add_assign(&mut self, more: Self) {
        self.before.above += more.before.above;
        self.before.below += more.before.below;
        self.after.above += more.after.above;
        self.after.below += more.after.below;
    }
}

impl Sub for Numbers {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self { above: self.above - part.above, below: self.below - part.below }
    }
}

impl Sub for Sides {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self { before: self.before - part.before, after: self.after - part.after }
    }
}
