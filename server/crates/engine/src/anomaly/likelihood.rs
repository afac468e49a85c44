//! How far a number lies in the tail of what was forecast, as a z of the normal distribution.
use super::math::ln;
use super::series::SeriesKind;

/// Peizer and Pratt's g.
fn g(x: f64) -> f64 {
    let d = 1.0 - x;
    if d.abs() < 1e-3 {
        return d / 3.0 + d * d / 6.0;
    }
    if x <= 0.0 {
        return 1.0;
    }
    (1.0 - x * x + 2.0 * x * ln(x)) / (d * d)
}

/// z with `P(X <= k) = Phi(z)`, X binomial, by Peizer and Pratt (1968); n and k need not be whole.
pub(super) fn binomial(k: f64, n: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    let (s, t) = (k + 0.5, n - k - 0.5);
    if s <= 0.0 {
        return -40.0;
    }
    if t <= 0.0 {
        return 40.0;
    }
    let d =
        k + 2.0 / 3.0 - (n + 1.0 / 3.0) * p + 0.02 * (q / (k + 1.0) - p / (n - k) + (q - 0.5) / (n + 1.0));
    let spread = ((n + 1.0 / 6.0) * p * q).sqrt();
    d / spread * (1.0 + q * g(s / (n * p)) + p * g(t / (n * q))).max(0.0).sqrt()
}

/// z with `P(X <= k) = Phi(z)`, X Poisson.
fn poisson(k: f64, mean: f64) -> f64 {
    if k < 0.0 {
        return -40.0;
    }
    let d = k + 2.0 / 3.0 - mean + 0.02 / (k + 1.0);
    d / mean.sqrt() * (1.0 + g((k + 0.5) / mean)).max(0.0).sqrt()
}

/// The same of a negative binomial variable: its tail is that of a binomial one.
fn negative_binomial(k: f64, mean: f64, dispersion: f64) -> f64 {
    if k < 0.0 {
        return -40.0;
    }
    if dispersion * mean < 1e-6 {
        return poisson(k, mean);
    }
    let r = 1.0 / dispersion;
    -binomial(r - 1.0, k + r, r / (r + mean))
}

/// Positive above the forecast.
pub(super) fn z(kind: SeriesKind, value: f64, mean: f64, variance: f64, n: f64, dispersion: f64) -> f64 {
    match kind {
        SeriesKind::Value => (value - mean) / variance.sqrt(),
        SeriesKind::Count => {
            let mean = mean.max(1e-9);
            if value > mean {
                negative_binomial(value - 1.0, mean, dispersion).max(0.0)
            } else {
                negative_binomial(value, mean, dispersion).min(0.0)
            }
        }
        SeriesKind::Ratio => {
            let n = n / (1.0 + (n - 1.0).max(0.0) * dispersion);
            let k = value * n;
            let p = mean;
            // -1 of a whole count is less than one effective count
            if value > p { binomial(k - 1.0, n, p).max(0.0) } else { binomial(k, n, p).min(0.0) }
        }
    }
}

/// The number at `wanted` of [`z`]: where the band ends.
pub(super) fn quantile(
    kind: SeriesKind,
    wanted: f64,
    mean: f64,
    variance: f64,
    n: f64,
    dispersion: f64,
) -> f64 {
    let sd = variance.sqrt();
    let (least, most) = match kind {
        SeriesKind::Value => return mean + wanted * sd,
        SeriesKind::Count => (0.0, f64::MAX),
        SeriesKind::Ratio => (0.0, 1.0),
    };
    let mut x = (mean + wanted * sd).clamp(least, most);
    for _ in 0..4 {
        let at = z(kind, x, mean, variance, n, dispersion);
        // Tails are skewed: the way from the mean is stretched by what it is short of.
        if at == 0.0 || (x - mean).abs() < 1e-12 * mean {
            break;
        }
        x = (mean + (x - mean) * (wanted / at).clamp(0.5, 2.0)).clamp(least, most);
    }
    x
}
