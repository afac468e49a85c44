//! Decimal numbers as text, compared and added digit by digit.

use std::cmp::Ordering;

use crate::definition::number;

/// The exact sum of two numbers written as digits with an optional sign and point. `None` if one of them is not. The sum
/// has as many digits behind the point as the longer of the two; a zero has no sign.
pub fn add(a: &str, b: &str) -> Option<String> {
    let (left, right) = (Decimal::read(a)?, Decimal::read(b)?);
    let places = fraction_digits(a).max(fraction_digits(b));
    let width = left.whole.len().max(right.whole.len());
    let (x, y) = (left.digits(width, places), right.digits(width, places));
    if left.negative == right.negative {
        return Some(written(left.negative, &sum(&x, &y), places));
    }
    let (larger, negative) = if x >= y { ((x, y), left.negative) } else { ((y, x), right.negative) };
    Some(written(negative, &difference(&larger.0, &larger.1), places))
}

fn fraction_digits(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// Of two lists of digits of equal length.
fn sum(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut out: Vec<u8> = Vec::with_capacity(x.len() + 1);
    for (a, b) in x.iter().zip(y).rev() {
        let digit = a + b + carry;
        carry = digit / 10;
        out.push(digit % 10);
    }
    out.push(carry);
    out.reverse();
    out
}

/// Of two lists of digits of equal length, the first not the smaller one.
fn difference(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = Vec::with_capacity(x.len());
    for (a, b) in x.iter().zip(y).rev() {
        let digit = 10 + a - b - borrow;
        borrow = u8::from(digit < 10);
        out.push(digit % 10);
    }
    out.reverse();
    out
}

/// Digits as text, the last `places` of them behind the point.
fn written(negative: bool, digits: &[u8], places: usize) -> String {
    let zero = digits.iter().all(|digit| *digit == 0);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let leading = whole.iter().take_while(|digit| **digit == 0).count();
    let whole = &whole[leading.min(whole.len().saturating_sub(1))..];
    let text = |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0".to_owned() } else { text(whole) };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", text(fraction)) }
}

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

    /// The digits, filled up with zeros on both sides.
    fn digits(&self, width: usize, places: usize) -> Vec<u8> {
        let before = std::iter::repeat_n(b'0', width - self.whole.len());
        let behind = std::iter::repeat_n(b'0', places - self.fraction.len());
        let all = before.chain(self.whole.bytes()).chain(self.fraction.bytes()).chain(behind);
        all.map(|digit| digit - b'0').collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_keep_the_places_of_the_longer_number() {
        let cases = [
            ("0.1", "0.2", "0.3"),
            ("1.50", "1", "2.50"),
            ("-1", "1.0", "0.0"),
            ("-0.5", "0.25", "-0.25"),
            ("99999999999999999999", "1", "100000000000000000000"),
            ("0.10000000000000000001", "-.1", "0.00000000000000000001"),
            ("+007", "-0", "7"),
        ];
        for (a, b, sum) in cases {
            assert_eq!(add(a, b).as_deref(), Some(sum), "{a} + {b}");
            assert_eq!(add(b, a).as_deref(), Some(sum), "{b} + {a}");
        }
        for (a, b) in [("1e3", "1"), ("", "1"), ("1", "one"), (".", "1"), ("--1", "1")] {
            assert_eq!(add(a, b), None, "{a} + {b}");
        }
    }

    proptest! {
        #[test]
        fn sums_equal_those_of_whole_numbers(a: i64, b: i64) {
            let thousandths = |number: i64| {
                let sign = if number < 0 { "-" } else { "" };
                let size = number.unsigned_abs();
                format!("{sign}{}.{:03}", size / 1000, size % 1000)
            };
            let sum = i128::from(a) + i128::from(b);
            let found = add(&thousandths(a), &thousandths(b)).unwrap().replace('.', "");
            prop_assert_eq!(found.parse::<i128>(), Ok(sum));
            prop_assert_eq!(compare(&found, &sum.to_string()), Some(Ordering::Equal));
        }

        #[test]
        fn any_text_is_added_or_refused(a in "[-+]?[0-9]{0,4}[.]?[0-9]{0,4}", b: String) {
            if let Some(sum) = add(&a, "12.5") {
                prop_assert!(Decimal::read(&sum).is_some());
            }
            add(&a, &b);
        }
    }
}
