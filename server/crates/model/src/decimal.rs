//! Decimal numbers as text, compared digit by digit.

use std::cmp::Ordering;

use crate::definition::number;

/// A decimal number without zeros that mean nothing.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

/// Compares two numbers as written. `None` if one of them is no number.
pub(crate) fn compare(a: &str, b: &str) -> Option<Ordering> {
    match (Decimal::read(a), Decimal::read(b)) {
        (Some(a), Some(b)) => Some(a.compare(&b)),
        _ => number(a)?.partial_cmp(&number(b)?), // With an exponent.
    }
}

impl<'a> Decimal<'a> {
    /// Reads digits with an optional sign and point.
    fn read(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = [whole, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if !all_digits || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: negative && !zero, whole, fraction })
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(other.whole));
        whole.then_with(|| self.fraction.cmp(other.fraction))
    }
}
