//! From what a channel says to how often that happens.
use super::math::{exp, ln};
use super::tuning::t;

pub(super) const LEVELS: usize = 16;

/// How often a surprise of at least 0, 1, 2... nats was seen, and minus the logarithm of that share.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Curve {
    total: f32,
    reached: [f32; LEVELS],
    fitted: [f32; LEVELS],
    slope: f32,
    due: u8,
}

impl Curve {
    pub(super) fn new() -> Self {
        let mut c = Self { total: 0.0, reached: [0.0; LEVELS], fitted: [0.0; LEVELS], slope: 1.0, due: 0 };
        c.fit();
        c
    }
    /// One bucket: levels in (from, to] were reached.
    pub(super) fn record(&mut self, from: f64, to: f64) {
        self.total += 1.0;
        let first = if from < 0.0 { 0 } else { (from as usize) + 1 };
        let last = (to as usize).min(LEVELS - 1);
        for i in first..=last {
            if to >= 0.0 {
                self.reached[i] += 1.0;
            }
        }
        if f64::from(self.total) > t().curve_max {
            self.total *= 0.5;
            self.reached.iter_mut().for_each(|r| *r *= 0.5);
        }
        self.due += 1;
        if self.due >= 32 || self.total < 64.0 {
            self.due = 0;
            self.fit();
        }
    }
    fn fit(&mut self) {
        let prior = t().curve_prior;
        let total = f64::from(self.total) + prior;
        let mut nominal = prior;
        let tail_at =
            (1..LEVELS - 1).rev().find(|i| f64::from(self.reached[*i]) >= t().curve_top).unwrap_or(0);
        let mut last = 0.0;
        for i in 0..LEVELS {
            if i <= tail_at {
                last = -ln(((f64::from(self.reached[i]) + nominal) / total).clamp(1e-12, 1.0));
                self.fitted[i] = last as f32;
                nominal *= exp(-1.0);
            }
        }
        // geometric mle beyond tail_at, with a prior of slope one worth ten exceedances
        let prior_tail = 10.0;
        let q0 = exp(-1.0);
        let above: f64 = self.reached[tail_at + 1..].iter().map(|r| f64::from(*r)).sum();
        let at = f64::from(self.reached[tail_at]);
        let a = above + prior_tail * q0 / (1.0 - q0);
        let b = above + at + prior_tail / (1.0 - q0);
        let slope = -ln(a / b);
        self.slope = slope as f32;
        for i in tail_at + 1..LEVELS {
            last += slope;
            self.fitted[i] = last as f32;
        }
    }
    /// Minus the logarithm of how often a surprise like that is seen.
    pub(super) fn read(&self, s: f64) -> f64 {
        if s <= 0.0 {
            return 0.0;
        }
        let i = s as usize;
        if i >= LEVELS - 1 {
            return f64::from(self.fitted[LEVELS - 1]) + (s - (LEVELS - 1) as f64) * f64::from(self.slope);
        }
        let (a, b) = (f64::from(self.fitted[i]), f64::from(self.fitted[i + 1]));
        a + (b - a) * (s - i as f64)
    }
    /// The surprise that is seen so often.
    pub(super) fn invert(&self, wanted: f64) -> f64 {
        let top = f64::from(self.fitted[LEVELS - 1]);
        if wanted >= top {
            return (LEVELS - 1) as f64 + (wanted - top) / f64::from(self.slope);
        }
        let i = (1..LEVELS).find(|i| f64::from(self.fitted[*i]) >= wanted).unwrap_or(LEVELS - 1);
        let (a, b) = (f64::from(self.fitted[i - 1]), f64::from(self.fitted[i]));
        (i - 1) as f64 + if b > a { ((wanted - a) / (b - a)).max(0.0) } else { 0.0 }
    }
}
