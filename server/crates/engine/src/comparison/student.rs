//! The quantile that an interval is as wide as.

/// The normal distribution's quantile for 95 % on both sides.
const NORMAL: f64 = 1.959_963_984_540_054;
/// Student's for one and two degrees of freedom, where the series below is too short.
const FEWEST: [f64; 2] = [12.706_204_736, 4.302_652_730];

/// Student's quantile for 95 % on both sides: the series of Cornish and Fisher (Abramowitz and Stegun 26.7.5), off by less
/// than 1 % from three degrees of freedom on.
pub(super) fn quantile(freedom: f64) -> f64 {
    if freedom < 3.0 {
        return between(freedom.max(1.0));
    }
    let z = NORMAL;
    let [z3, z5, z7, z9] = [z.powi(3), z.powi(5), z.powi(7), z.powi(9)];
    let first = (z3 + z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
    let fourth = (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / 92_160.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3) + fourth / freedom.powi(4)
}

/// From one to three degrees of freedom: straight lines in their inverse, which never lie below the curve.
fn between(freedom: f64) -> f64 {
    let line = |(x, a): (f64, f64), (y, b): (f64, f64)| {
        let part = (1.0 / freedom - 1.0 / x) / (1.0 / y - 1.0 / x);
        a + (b - a) * part
    };
    let [one, two] = FEWEST;
    if freedom < 2.0 { line((1.0, one), (2.0, two)) } else { line((2.0, two), (3.0, quantile(3.0))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Student's t, 0.975; any statistics table.
        let table = [
            (1.0, 12.706),
            (2.0, 4.303),
            (3.0, 3.182),
            (4.0, 2.776),
            (10.0, 2.228),
            (30.0, 2.042),
            (120.0, 1.980),
        ];
        for (freedom, expected) in table {
            let found = quantile(freedom);
            assert!((found / expected - 1.0).abs() < 0.01, "{freedom}: {found} is not {expected}");
        }
        assert!(quantile(1.5) > quantile(2.0) && quantile(2.5) > quantile(3.0));
    }
}
