//! A number in its one form: a sign and the digits of a base.

use std::fmt::Write;
use std::num::NonZeroU64;

use crate::metric::limbs::DECIMAL;

/// Enough decimal digits to tell on which side of the middle between two doubles a number lies: such a middle has 768 at most.
const TELLING_DIGITS: usize = 800;

/// `digits[i] * BASE^(low + i)`, no zeros at either end; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits<const BASE: i64> {
    negative: bool,
    low: i32,
    digits: Vec<u32>,
}

impl<const BASE: i64> Digits<BASE> {
    pub(crate) fn new(negative: bool, low: i32, mut digits: Vec<u32>) -> Self {
        let used = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
        digits.truncate(used);
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        let low = if digits.is_empty() { 0 } else { low + zeros as i32 };
        Self { negative, low, digits }
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(crate) fn low(&self) -> i32 {
        self.low
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.digits
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The digits before the point, lowest first.
    pub(crate) fn whole(&self) -> Vec<u32> {
        (0..self.end()).map(|at| self.digit(at)).collect()
    }

    /// The digits behind the point, lowest first.
    pub(crate) fn fraction(&self) -> Vec<u32> {
        (self.low..0).map(|at| self.digit(at)).collect()
    }

    /// The place above the highest digit.
    fn end(&self) -> i32 {
        self.low + self.digits.len() as i32
    }

    fn digit(&self, at: i32) -> u32 {
        usize::try_from(at - self.low).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0)
    }
}

impl Digits<DECIMAL> {
    /// As decimal text: no exponent, no zeros that mean nothing.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(12 * (self.digits.len() + 2));
        let whole: String = self.whole().iter().rev().fold(String::new(), nine_digits);
        let fraction = self.fraction().iter().rev().fold(String::new(), nine_digits);
        if self.negative {
            text.push('-');
        }
        let whole = whole.trim_start_matches('0');
        text.push_str(if whole.is_empty() { "0" } else { whole });
        let fraction = fraction.trim_end_matches('0');
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }

    /// The double nearest to the number; infinite beyond the largest ones.
    pub(crate) fn nearest_double(&self) -> f64 {
        self.to_text().parse().unwrap_or(0.0)
    }

    /// Divides. The quotient is exact, or has so many digits that the double nearest to it is the one nearest to the
    /// exact quotient.
    pub(crate) fn divided_by(&self, divisor: NonZeroU64) -> Self {
        let divisor = u128::from(divisor.get());
        let (mut at, mut rest, mut quotient) = (self.end(), 0_u128, Vec::new());
        while at > self.low.min(0) || rest != 0 {
            at -= 1;
            rest = rest * DECIMAL as u128 + u128::from(self.digit(at));
            quotient.push((rest / divisor) as u32);
            rest %= divisor;
            // The first limbs may be zeros: a divisor is less than 10^20.
            let telling = quotient.len().saturating_sub(4) * 9;
            if at < 0 && telling > TELLING_DIGITS && rest != 0 {
                // A little more than what is written: that is all that still matters.
                at -= 1;
                quotient.push(1);
                break;
            }
        }
        quotient.reverse();
        Self::new(self.negative, at, quotient)
    }
}

fn nine_digits(mut text: String, digit: &u32) -> String {
    // Writing to a text cannot fail.
    let _ = write!(text, "{digit:09}");
    text
}
