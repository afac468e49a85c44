//! The same numbers on every machine. `+ - * /` and `sqrt` are exact everywhere; logarithms and powers come from the `libm` crate,
//! which is made of those, and not from the machine's library.

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

/// Numbers of a state are below: what comes in is at most 1e30, and nothing is made of it that is larger than its square in the
/// smallest variance.
pub(super) const LIMIT: f64 = 1e70;

const HALF_SQRT_TAU: f64 = 1.253_314_137_315_500_3;
const EIGHT_BY_PI: f64 = 2.546_479_089_470_325;

/// `-ln P(Z >= z)` of a standard normal variable, in nats; 0 below its middle. By Pollak's bound of Mills' ratio (1956), which
/// is off by less than 6 % of the probability everywhere.
#[inline]
pub(super) fn surprise(z: f64) -> f64 {
    if z <= 0.0 {
        return 0.0;
    }
    let squared = z * z;
    0.5 * squared + ln(HALF_SQRT_TAU * (z + (squared + EIGHT_BY_PI).sqrt()))
}

/// The z whose [`surprise`] it is.
pub(super) fn inverse_surprise(nats: f64) -> f64 {
    let mut z = (2.0 * nats.max(0.0)).sqrt();
    for _ in 0..4 {
        // Newton.
        let slope = z + 1.0 / (z * z + EIGHT_BY_PI).sqrt();
        z = (z - (surprise(z) - nats) / slope).max(0.0);
    }
    z
}

/// Up to here a surprise stands on a curve's levels as it is: one bucket in 160,000.
const KNEE: f64 = 12.0;

/// Where a surprise stands among the levels of a curve: beyond [`KNEE`] ever denser, so that heavy tails stay on the curve.
#[inline]
pub(super) fn compress(nats: f64) -> f64 {
    if nats <= KNEE { nats } else { KNEE * (1.0 + ln(nats / KNEE)) }
}

/// The surprise that [`compress`] puts there.
pub(super) fn expand(level: f64) -> f64 {
    if level <= KNEE { level } else { KNEE * exp(level / KNEE - 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surprise_is_minus_the_logarithm_of_the_tail() {
        // The tail of the normal distribution, from tables.
        for (z, tail) in [(0.5, 0.308_537_5), (1.0, 0.158_655_3), (2.0, 0.022_750_1), (4.0, 3.167_12e-5)] {
            assert!((exp(-surprise(z)) / tail - 1.0).abs() < 0.06, "{z}");
        }
    }

    #[test]
    fn inverses_are_inverses() {
        for nats in [1.0, 3.0, 10.0, 12.5, 30.0, 200.0] {
            assert!((surprise(inverse_surprise(nats)) - nats).abs() < 1e-6, "{nats}");
            assert!((expand(compress(nats)) - nats).abs() < 1e-9, "{nats}");
        }
    }
}
