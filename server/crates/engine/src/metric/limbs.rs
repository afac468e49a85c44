//! Exact accumulators: sums of limbs that cannot lose a digit, whatever the order.
//!
//! A sum is kept as `limbs[i] * BASE^(low + i)` over the window of limbs that were used, with limbs far larger than the base
//! and of either sign, so that adding seldom carries. For doubles the base is 2^32, which makes this the small
//! superaccumulator of Radford Neal ("Fast exact summation using small and large superaccumulators", 2015) without the limbs that
//! are not needed. For decimals it is 10^9, so that their text is read and written nine digits at a time.

use crate::metric::codec::{BadBytes, put, put_signed, take, take_len, take_signed};
use crate::metric::digits::Digits;

/// The base for integers, decimals and money.
pub(crate) const DECIMAL: i64 = 1_000_000_000;
/// The base for doubles.
pub(crate) const BINARY: i64 = 1 << 32;

/// A limb stays below this, so that the sum of two is no overflow.
const LIMB_LIMIT: u64 = 1 << 62;
/// Limbs beyond this are of damaged bytes. Doubles lie between 2^-1074 and 2^1024; no event is long enough for a decimal
/// with more digits.
const fn farthest(base: i64) -> i64 {
    if base == BINARY { 40 } else { 1 << 20 }
}

/// A sum. See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limbs<const BASE: i64> {
    low: i32,
    limbs: Vec<i64>,
}

impl<const BASE: i64> Limbs<BASE> {
    /// Adds `value * BASE^at`. The value is less than [`LIMB_LIMIT`] either way.
    #[inline]
    pub(crate) fn add_at(&mut self, at: i32, value: i64) {
        if value == 0 {
            return;
        }
        let i = self.index(at);
        let limb = self.limbs[i] + value;
        self.limbs[i] = limb;
        if limb.unsigned_abs() >= LIMB_LIMIT {
            self.limbs[i] = limb % BASE;
            self.add_at(at + 1, limb / BASE);
        }
    }

    /// Where the limb of this place is; widens the window where needed.
    #[inline]
    fn index(&mut self, at: i32) -> usize {
        let i = at.wrapping_sub(self.low) as usize;
        if at >= self.low && i < self.limbs.len() { i } else { self.widen(at) }
    }

    #[inline(never)]
    fn widen(&mut self, at: i32) -> usize {
        if self.limbs.is_empty() {
            self.low = at;
        }
        if at < self.low {
            let missing = (self.low - at) as usize;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.low = at;
        }
        let i = (at - self.low) as usize;
        if i >= self.limbs.len() {
            self.limbs.resize(i + 1, 0);
        }
        i
    }

    /// Adds the other sum, or takes it away.
    pub(crate) fn merge(&mut self, other: &Self, negative: bool) {
        for (at, limb) in (other.low..).zip(&other.limbs) {
            self.add_at(at, if negative { -limb } else { *limb });
        }
    }

    /// The sum with digits of the base and one sign: one form for each number.
    pub(crate) fn digits(&self) -> Digits<BASE> {
        let mut carry = 0;
        let mut digits = Vec::with_capacity(self.limbs.len() + 1);
        for limb in &self.limbs {
            let total = limb + carry;
            digits.push(total.rem_euclid(BASE) as u32);
            carry = total.div_euclid(BASE);
        }
        while !matches!(carry, 0 | -1) {
            digits.push(carry.rem_euclid(BASE) as u32);
            carry = carry.div_euclid(BASE);
        }
        let negative = carry == -1;
        if negative {
            complement::<BASE>(&mut digits);
        }
        Digits::new(negative, self.low, digits)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits().is_zero()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        put(out, u64::from(digits.is_negative()));
        put_signed(out, digits.low().into());
        put(out, digits.as_slice().len() as u64);
        digits.as_slice().iter().for_each(|digit| put(out, u64::from(*digit)));
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let sign = if take(bytes)? == 0 { 1 } else { -1 };
        let low = take_signed(bytes)?;
        let len = take_len(bytes)?;
        if low.abs() > farthest(BASE) || len as i64 > farthest(BASE) * 2 {
            return Err(BadBytes);
        }
        let mut limbs = Vec::with_capacity(len);
        for _ in 0..len {
            let digit = i64::try_from(take(bytes)?).ok().filter(|digit| *digit < BASE).ok_or(BadBytes)?;
            limbs.push(sign * digit);
        }
        Ok(Self { low: low as i32, limbs })
    }
}

/// `BASE^len` minus the digits.
fn complement<const BASE: i64>(digits: &mut Vec<u32>) {
    let mut borrow = 0;
    for digit in digits.iter_mut() {
        let left = -i64::from(*digit) - borrow;
        borrow = i64::from(left < 0);
        *digit = (left + borrow * BASE) as u32;
    }
    if borrow == 0 {
        digits.push(1);
    }
}

impl<const BASE: i64> PartialEq for Limbs<BASE> {
    fn eq(&self, other: &Self) -> bool {
        self.digits() == other.digits()
    }
}

impl Limbs<DECIMAL> {
    /// Adds a whole number, or takes it away.
    #[inline]
    pub(crate) fn add_int(&mut self, number: i64, negative: bool) {
        let (mut at, mut left) = (0, number);
        while left != 0 {
            let chunk = left % DECIMAL;
            self.add_at(at, if negative { -chunk } else { chunk });
            left /= DECIMAL;
            at += 1;
        }
    }

    /// Adds billionths, less than one.
    pub(crate) fn add_nanos(&mut self, nanos: i32, negative: bool) {
        self.add_at(-1, if negative { -i64::from(nanos) } else { nanos.into() });
    }

    /// Adds digits before and behind the point, or takes them away.
    pub(crate) fn add_digits(&mut self, whole: &str, fraction: &str, negative: bool) {
        let value = |chunk: &[u8]| chunk.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let sign = if negative { -1 } else { 1 };
        for (at, chunk) in (0..).zip(whole.as_bytes().rchunks(9)) {
            self.add_at(at, sign * value(chunk));
        }
        for (before, chunk) in (1..).zip(fraction.as_bytes().chunks(9)) {
            let padding = 10_i64.pow(9 - chunk.len() as u32);
            self.add_at(-before, sign * value(chunk) * padding);
        }
    }
}

impl Limbs<BINARY> {
    /// Adds a finite double, or takes it away.
    #[inline]
    pub(crate) fn add_double(&mut self, number: f64, negative: bool) {
        let bits = number.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        // The value is mantissa * 2^place.
        let place = exponent.max(1) - 1075;
        let mut chunks = u128::from(mantissa) << place.rem_euclid(32);
        let sign = if number.is_sign_negative() == negative { 1 } else { -1 };
        let mut at = place.div_euclid(32);
        while chunks != 0 {
            self.add_at(at, sign * i64::from(chunks as u32));
            chunks >>= 32;
            at += 1;
        }
    }

    /// The same number in the other base; every double is a finite decimal.
    pub(crate) fn to_decimal(&self) -> Limbs<DECIMAL> {
        let digits = self.digits();
        let mut limbs = fraction_to_decimal(digits.fraction());
        let at = -(limbs.len() as i32);
        limbs.extend(whole_to_decimal(&digits.whole()));
        if digits.is_negative() {
            limbs.iter_mut().for_each(|limb| *limb = -*limb);
        }
        Limbs { low: at, limbs }
    }
}

/// From the highest limb down: times 2^32, plus the next.
fn whole_to_decimal(whole: &[u32]) -> Vec<i64> {
    let mut decimal: Vec<u64> = Vec::new();
    for digit in whole.iter().rev() {
        let mut carry = u64::from(*digit);
        for limb in &mut decimal {
            let total = (*limb << 32) + carry;
            *limb = total % DECIMAL as u64;
            carry = total / DECIMAL as u64;
        }
        while carry != 0 {
            decimal.push(carry % DECIMAL as u64);
            carry /= DECIMAL as u64;
        }
    }
    decimal.into_iter().map(|limb| limb as i64).collect()
}

/// Times 10^9 as long as something is left: what overflows is the next limb behind the point. Lowest first.
fn fraction_to_decimal(mut fraction: Vec<u32>) -> Vec<i64> {
    let mut decimal = Vec::new();
    while fraction.iter().any(|limb| *limb != 0) {
        let mut carry = 0;
        for limb in &mut fraction {
            let total = u64::from(*limb) * DECIMAL as u64 + carry;
            *limb = total as u32;
            carry = total >> 32;
        }
        decimal.push(carry as i64);
    }
    decimal.reverse();
    decimal
}
