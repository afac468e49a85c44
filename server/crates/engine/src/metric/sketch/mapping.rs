//! Which bucket a number is counted in.
//!
//! Bucket bounds are not exact powers but follow a cubic approximation of the logarithm (the mapping "cubically interpolated" of the
//! authors' own library): `log2(2^e * (1 + s))` is taken as `e + ((6 s - 21) s + 50) s / 35`. Multiplications and additions are the
//! same on every machine, a library's logarithm is not, and a number beside a bound must not change its bucket
//! with the machine that counts it.
//!
//! The approximation's slope against the natural logarithm is 10/7 at least. So with 35 buckets to a factor of two, none is wider than 1/50
//! in the logarithm, and its middle is at most `tanh(1/100)` = 0.99997 % away from what it holds. With the true
//! logarithm 34.66 would do.

const BUCKETS_PER_OCTAVE: i32 = 35;
const FRACTION_BITS: u32 = 52;
const ONE: u64 = 1023 << FRACTION_BITS;
/// The largest finite double.
const MOST_BITS: u64 = (2047 << FRACTION_BITS) - 1;

/// The bucket of a number above zero.
#[inline]
pub(super) fn bucket_of(number: f64) -> i32 {
    if number < f64::MIN_POSITIVE {
        // Subnormal: without a leading one.
        return bucket_of_normal(number * (1_u64 << FRACTION_BITS) as f64)
            - FRACTION_BITS as i32 * BUCKETS_PER_OCTAVE;
    }
    bucket_of_normal(number)
}

#[inline]
fn bucket_of_normal(number: f64) -> i32 {
    let bits = number.to_bits();
    let exponent = (bits >> FRACTION_BITS) as i32 - 1023;
    let s = f64::from_bits(bits & ((1 << FRACTION_BITS) - 1) | ONE) - 1.0;
    let within = ((6.0 * s - 21.0) * s + 50.0) * s;
    exponent * BUCKETS_PER_OCTAVE + (within as i32).min(BUCKETS_PER_OCTAVE - 1)
}

/// The number that stands for a bucket: as far from its lower bound as from its upper one, relative to either.
pub(super) fn value_of(bucket: i32) -> f64 {
    let lowest = first_bits(bucket).clamp(1, MOST_BITS);
    let highest = first_bits(bucket.saturating_add(1)).saturating_sub(1).clamp(lowest, MOST_BITS);
    let (low, high) = (f64::from_bits(lowest), f64::from_bits(highest));
    (low / (0.5 + 0.5 * (low / high))).clamp(low, high)
}

/// The bits of the smallest number whose bucket is this one or a higher one. Bits ascend as the numbers do.
fn first_bits(bucket: i32) -> u64 {
    let (mut below, mut above) = (0, MOST_BITS + 1);
    while below + 1 < above {
        let middle = below.midpoint(above);
        if bucket_of(f64::from_bits(middle)) < bucket {
            below = middle;
        } else {
            above = middle;
        }
    }
    above
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_do_not_change_their_place() {
        let numbers =
            [5e-324, 1e-300, 0.001, 0.5, 1.0, 1.01, 1.5, 1.999_999_999_999_999_8, 2.0, 1234.5, f64::MAX];
        let buckets = [-37590, -34881, -349, -35, 0, 0, 20, 34, 35, 359, 35839];
        assert_eq!(numbers.map(bucket_of), buckets);
    }

    proptest! {
        #[test]
        fn a_bucket_stands_within_one_per_cent(bits in 1..=MOST_BITS) {
            let number = f64::from_bits(bits);
            let error = (value_of(bucket_of(number)) / number - 1.0).abs();
            // Among the smallest subnormals doubles are farther apart than that, and each has its own bucket.
            prop_assert!(error < super::super::RELATIVE_ACCURACY, "{number} {error}");
        }

        #[test]
        fn larger_numbers_have_no_lower_bucket(bits in 1..MOST_BITS) {
            prop_assert!(bucket_of(f64::from_bits(bits)) <= bucket_of(f64::from_bits(bits + 1)));
        }
    }
}
