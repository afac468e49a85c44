//! How much less neighbours say than strangers.

/// Beyond this the buckets are one long wave, and no factor mends it.
const MOST: f64 = 0.9;

/// Squares below this are rounding.
const NOTHING: f64 = 1e-18;

/// What the variance of a mean has to be multiplied by: `(1 + r) / (1 - r)` for a first autocorrelation `r` of series, each in
/// the order of time. Never less than 1: that neighbours repel each other is not believed.
pub(super) fn inflation(series: &[Vec<f64>]) -> f64 {
    let series: Vec<Vec<f64>> = series.iter().map(|own| centred(own)).collect();
    let squares: f64 = series.iter().flatten().map(|x| x * x).sum();
    let products: f64 = series.iter().flat_map(|own| own.windows(2)).map(|both| both[0] * both[1]).sum();
    let count: usize = series.iter().map(Vec::len).sum();
    if squares <= NOTHING || count < 4 {
        return 1.0;
    }
    let found = products / squares;
    // In short series it comes out too small (Marriott and Pope, 1954); what chance alone makes is not believed.
    let r = found + (1.0 + 3.0 * found) * series.len() as f64 / count as f64;
    let chance = 1.0 / (count as f64).sqrt();
    if r <= chance { 1.0 } else { (1.0 + r.min(MOST)) / (1.0 - r.min(MOST)) }
}

fn centred(numbers: &[f64]) -> Vec<f64> {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    numbers.iter().map(|number| number - mean).collect()
}
