//! How far a series scatters around its forecast.
use super::series::SeriesKind;
use super::tuning::t;

/// `variance = own + factor * common`: counts own = mu, common = mu^2; ratios pq/n, pq; values 0, 1 (per sample: see per)
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Noise {
    kind: SeriesKind,
    seen: f64,
    excess: f64,
    common: f64,
    weight: f64,
    hours: [f32; 24],
    x: f64,
    xx: f64,
    xy: f64,
    y: f64,
}

impl Noise {
    pub(super) fn new(kind: SeriesKind) -> Self {
        Self {
            kind,
            seen: 0.0,
            excess: 0.0,
            common: 0.0,
            weight: 0.0,
            hours: [1.0; 24],
            x: 0.0,
            xx: 0.0,
            xy: 0.0,
            y: 0.0,
        }
    }
    fn parts(&self, mean: f64, n: f64) -> (f64, f64) {
        match self.kind {
            SeriesKind::Count => {
                let m = mean.max(0.5 / (self.seen + 1.0));
                (m, m * m)
            }
            SeriesKind::Ratio => {
                let least = (0.5 / (self.weight * self.seen + 1.0)).min(0.5);
                let p = mean.clamp(least, 1.0 - least);
                let pq = p * (1.0 - p);
                (pq / n, pq)
            }
            SeriesKind::Value => (0.0, 1.0),
        }
    }
    /// phi of a count, rho of a ratio, the variance of a value
    pub(super) fn dispersion(&self) -> f64 {
        if self.common > 0.0 { (self.excess / self.common).max(0.0) } else { 0.0 }
    }
    pub(super) fn variance(&self, mean: f64, n: f64, hour: usize) -> f64 {
        let (own, common) = self.parts(mean, n);
        match self.kind {
            SeriesKind::Value => {
                let by_size = self.by_size();
                let base = if by_size.0 > 0.0 { by_size.1 + by_size.0 / n } else { self.dispersion() };
                (base * if t().hour_gain > 0.0 { f64::from(self.hours[hour]) } else { 1.0 }).max(1e-18)
            }
            _ => own + self.dispersion() * common,
        }
    }
    fn by_size(&self) -> (f64, f64) {
        let spread = self.xx - self.x * self.x;
        if spread <= 1e-4 * self.x * self.x {
            return (0.0, 0.0);
        }
        let slope = ((self.xy - self.x * self.y) / spread).clamp(0.0, self.y / self.x);
        (slope, self.y - slope * self.x)
    }
    /// Typical weight.
    pub(super) fn weight(&self) -> f64 {
        self.weight
    }
    pub(super) fn teach(&mut self, error: f64, mean: f64, n: f64, hour: usize, share: f64) {
        self.seen += 1.0;
        let gain = (1.0 / self.seen).max(t().noise_gain) * share;
        let (own, common) = self.parts(mean, n);
        let variance = self.variance(mean, n, hour);
        let most = if self.seen < 8.0 { f64::INFINITY } else { t().clip * t().clip * variance };
        let squared = (error * error).min(most);
        self.excess += gain * (squared - own - self.excess);
        self.common += gain * (common - self.common);
        self.weight += gain * (n - self.weight);
        if self.kind == SeriesKind::Value {
            let u = 1.0 / n;
            self.x += gain * (u - self.x);
            self.xx += gain * (u * u - self.xx);
            self.xy += gain * (u * squared - self.xy);
            self.y += gain * (squared - self.y);
            if self.seen > 50.0 {
                let r = (squared / (variance / f64::from(self.hours[hour])).max(1e-18))
                    .min(9.0 * f64::from(self.hours[hour]));
                let h = &mut self.hours[hour];
                *h = (f64::from(*h) + share * 0.02 * (r - f64::from(*h))).clamp(0.05, 20.0) as f32;
            }
        }
    }
}
