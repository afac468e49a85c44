//! The same numbers on every machine: `+ - * /` and `sqrt` are exact everywhere, logarithms and powers are those of the `libm` crate, which is made of them.

/// The natural logarithm.
#[inline]
pub(super) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// e to the power of `x`.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

const HALF_SQRT_TAU: f64 = 1.253_314_137_315_500_3;
const EIGHT_BY_PI: f64 = 2.546_479_089_470_325;

/// `-ln P(Z >= z)` of a standard normal variable for `z >= 0`, after Pollak's bound of Mills' ratio.
#[inline]
pub(super) fn surprise(z: f64) -> f64 {
    if z <= 0.0 {
        return 0.0;
    }
    let squared = z * z;
    0.5 * squared + ln(HALF_SQRT_TAU * (z + (squared + EIGHT_BY_PI).sqrt()))
}

/// The z whose [`surprise`] it is.
pub(super) fn inverse_surprise(s: f64) -> f64 {
    let mut z = (2.0 * s).sqrt();
    // Newton: the slope of the surprise is near z + 1 / (z + 1).
    for _ in 0..4 {
        z = (z - (surprise(z) - s) / (z + 0.8 / (1.0 + z))).max(0.0);
    }
    z
}
