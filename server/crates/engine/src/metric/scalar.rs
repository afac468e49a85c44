//! A single number, in one form for each value, so that equal numbers are the same number.

use std::cmp::Ordering;

use crate::metric::codec::{BadBytes, put, put_bytes, take, take_array, take_bytes};
use crate::metric::digits::Digits;
use crate::metric::item::{Number, split_decimal};
use crate::metric::limbs::{DECIMAL, Limbs};
use crate::metric::value::Amount;

const NANOS: i128 = 1_000_000_000;
/// Digits before the point that surely fit into [`Scalar::Nanos`].
const WHOLE_DIGITS: usize = 28;

/// A number. 1, "1.0" and 1.0 are one and the same, in the first form that holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// Billionths, of numbers below 10^28 without a finer digit. Almost all are, and compare at once.
    Nanos(i128),
    /// Any other number that is a double.
    Double(f64),
    /// Any other: digits without zeros that mean nothing.
    Digits(Box<str>),
}

impl Scalar {
    pub(crate) fn of(number: Number<'_>) -> Self {
        match number {
            Number::Int(number) => Self::Nanos(i128::from(number) * NANOS),
            Number::Money(units, nanos) => Self::Nanos(i128::from(units) * NANOS + i128::from(nanos)),
            Number::Double(number) => Self::of_double(number),
            Number::Decimal(text) => Self::of_text(text),
        }
    }

    fn of_double(number: f64) -> Self {
        // What ends within nine decimal digits ends within nine binary ones; the product is exact.
        let scaled = number * 512.0;
        if number.abs() < 1e28 && scaled.fract() == 0.0 {
            Self::Nanos(scaled as i128 * (NANOS / 512))
        } else {
            Self::Double(number)
        }
    }

    fn of_text(text: &str) -> Self {
        let (negative, whole, fraction) = split_decimal(text).unwrap_or_default();
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() > WHOLE_DIGITS || fraction.len() > 9 {
            return Self::of_long(text);
        }
        let value = |digits: &str| digits.bytes().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let nanos = value(whole) * NANOS + value(fraction) * 10_i128.pow(9 - fraction.len() as u32);
        Self::Nanos(if negative { -nanos } else { nanos })
    }

    fn of_long(text: &str) -> Self {
        let digits = limbs_of_text(text).digits();
        let double = digits.nearest_double();
        if double.is_finite() && limbs_of_double(double).digits() == digits {
            return Self::Double(double);
        }
        Self::Digits(digits.to_text().into())
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Nanos(a), Self::Nanos(b)) => a.cmp(b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            _ => self.compare_digits(other),
        }
    }

    /// By the sign of the difference.
    fn compare_digits(&self, other: &Self) -> Ordering {
        let mut difference = self.to_limbs();
        difference.merge(&other.to_limbs(), true);
        let digits = difference.digits();
        match (digits.is_zero(), digits.is_negative()) {
            (true, _) => Ordering::Equal,
            (_, true) => Ordering::Less,
            (_, false) => Ordering::Greater,
        }
    }

    fn to_limbs(&self) -> Limbs<DECIMAL> {
        match self {
            Self::Nanos(nanos) => {
                let mut limbs = Limbs::default();
                let (mut at, mut left) = (-1, *nanos);
                while left != 0 {
                    limbs.add_at(at, (left % NANOS) as i64);
                    left /= NANOS;
                    at += 1;
                }
                limbs
            }
            Self::Double(number) => limbs_of_double(*number),
            Self::Digits(text) => limbs_of_text(text),
        }
    }

    pub(crate) fn amount(&self) -> Amount {
        match self {
            Self::Double(number) => Amount::Double(*number),
            _ => Amount::Decimal(self.to_limbs().digits().to_text()),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nanos(nanos) => {
                put(out, 0);
                out.extend_from_slice(&nanos.to_le_bytes());
            }
            Self::Double(number) => {
                put(out, 1);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Digits(text) => {
                put(out, 2);
                put_bytes(out, text.as_bytes());
            }
        }
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        match take(bytes)? {
            0 => Ok(Self::Nanos(i128::from_le_bytes(take_array(bytes)?))),
            1 => {
                let number = f64::from_le_bytes(take_array(bytes)?);
                if number.is_finite() { Ok(Self::Double(number)) } else { Err(BadBytes) }
            }
            2 => {
                let text = std::str::from_utf8(take_bytes(bytes)?).map_err(|_| BadBytes)?;
                split_decimal(text).map(|_| Self::Digits(text.into())).ok_or(BadBytes)
            }
            _ => Err(BadBytes),
        }
    }
}

/// The exact decimal digits of a finite double.
pub(crate) fn limbs_of_double(number: f64) -> Limbs<DECIMAL> {
    let mut limbs = Limbs::default();
    limbs.add_double(number, false);
    limbs.to_decimal()
}

fn limbs_of_text(text: &str) -> Limbs<DECIMAL> {
    let mut limbs = Limbs::default();
    if let Some((negative, whole, fraction)) = split_decimal(text) {
        limbs.add_digits(whole, fraction, negative);
    }
    limbs
}

impl Amount {
    /// The double nearest to a number; its digits if it is beyond all doubles.
    pub(crate) fn nearest(number: &Digits<DECIMAL>) -> Self {
        let double = number.nearest_double();
        if double.is_finite() { Self::Double(double) } else { Self::Decimal(number.to_text()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn double(number: f64) -> Scalar {
        Scalar::of(Number::Double(number))
    }

    fn text(text: &str) -> Scalar {
        Scalar::of(Number::Decimal(text))
    }

    #[test]
    fn equal_numbers_are_one_number() {
        let one = Scalar::of(Number::Int(1));
        for same in [double(1.0), text("1"), text("+001.000"), Scalar::of(Number::Money(1, 0))] {
            assert_eq!(same, one);
        }
        assert_eq!(double(-0.0), text("-0.0"));
        assert_eq!(double(0.001953125), text("0.001953125"));
        let tenth = "0.1000000000000000055511151231257827021181583404541015625";
        assert_eq!(text(tenth), double(0.1));
        assert_eq!(text("1e"), Scalar::Nanos(0));
        assert_eq!(double(1e30), text(&format!("1000000000000000019884624838656{}", ".0")));
    }

    #[test]
    fn order_is_by_value_whatever_the_form() {
        let ascending = [
            double(f64::MIN),
            text("-100000000000000000000000000000000"),
            double(-0.1),
            text("0"),
            double(5e-324),
            text("0.0000000001"),
            text("0.1"),
            double(0.1),
            text("0.10000000000000001"),
            text("9007199254740992"),
            Scalar::of(Number::Int(9_007_199_254_740_993)),
            double(1e300),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.compare(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn doubles_compare_and_print_as_they_are(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert_eq!(Some(double(a).compare(&double(b))), a.partial_cmp(&b));
            prop_assert_eq!(double(a).amount().to_f64(), a);
            prop_assert_eq!(text(&format!("{a}")).amount().to_f64(), a);
            prop_assert_eq!(limbs_of_double(a).digits().to_text().parse::<f64>().unwrap(), a);
        }
    }
}
