//! Series in which nothing happens, drawn from a seed.

use std::f64::consts::TAU;

use footpath_engine::anomaly::SeriesKind;

/// Draws numbers (SplitMix64).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller (1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// Marsaglia and Tsang (2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.unit().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        x / (x + y)
    }

    /// Ahrens and Dieter (1974): the time of an event halfway tells how many are before it.
    pub fn poisson(&mut self, mut mean: f64) -> f64 {
        let mut count = 0.0;
        while mean > 30.0 {
            let part = (mean * 7.0 / 8.0).floor();
            let time = self.gamma(part);
            if time > mean {
                return count + self.binomial(part - 1.0, mean / time);
            }
            count += part;
            mean -= time;
        }
        let mut product = self.unit();
        while product > (-mean).exp() {
            count += 1.0;
            product *= self.unit();
        }
        count
    }

    pub fn binomial(&mut self, mut trials: f64, mut p: f64) -> f64 {
        let mut hits = 0.0;
        while trials > 40.0 {
            let a = 1.0 + (trials / 2.0).floor();
            let b = trials + 1.0 - a;
            let middle = self.beta(a, b);
            if middle >= p {
                (trials, p) = (a - 1.0, p / middle);
            } else {
                hits += a;
                (trials, p) = (b - 1.0, (p - middle) / (1.0 - middle));
            }
        }
        (0..trials as u32).for_each(|_| hits += f64::from(self.unit() < p));
        hits
    }

    pub fn negative_binomial(&mut self, mean: f64, dispersion: f64) -> f64 {
        let rate = self.gamma(1.0 / dispersion) * dispersion * mean;
        self.poisson(rate)
    }
}

/// What a series is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Series {
    Poisson,
    Overdispersed,
    Daily,
    Weekly,
    Growing,
    Tiny,
    Sparse,
    Ratio,
    Percentile,
    HeavyTails,
}

impl Series {
    pub fn kind(self) -> SeriesKind {
        match self {
            Self::Ratio => SeriesKind::Ratio,
            Self::Percentile | Self::HeavyTails => SeriesKind::Value,
            _ => SeriesKind::Count,
        }
    }

    /// The number of the bucket that begins at `days`, and its weight.
    pub fn bucket(self, days: f64, bucket_us: i64, level: f64, draw: &mut Draw) -> (f64, f64) {
        let daily = if bucket_us < 86_400_000_000 { 1.0 + 0.6 * (TAU * days).sin() } else { 1.0 };
        let weekly = if days % 7.0 < 5.0 { 1.0 } else { 0.5 };
        match self {
            Self::Poisson => (draw.poisson(level), 1.0),
            Self::Overdispersed => (draw.negative_binomial(level, 0.1), 1.0),
            Self::Daily => (draw.negative_binomial(level * daily, 0.02), 1.0),
            Self::Weekly => (draw.negative_binomial(level * daily * weekly, 0.02), 1.0),
            Self::Growing => (draw.negative_binomial(level * daily * (1.0 + days / 200.0), 0.05), 1.0),
            Self::Tiny => (draw.poisson(2.0 * daily), 1.0),
            Self::Sparse => (draw.negative_binomial(0.2, 0.5), 1.0),
            Self::Ratio => {
                let trials = 1.0 + draw.poisson(3.0 * level * daily);
                let p = draw.beta(180.0, 20.0);
                (draw.binomial(trials, p) / trials, trials)
            }
            Self::Percentile => {
                let samples = 1.0 + draw.poisson(level * daily);
                let spread = (0.05_f64.powi(2) + 1.0 / samples).sqrt();
                ((5.0 + 0.2 * (daily - 1.0) + spread * draw.normal()).exp(), samples)
            }
            Self::HeavyTails => {
                // Student's t with five degrees of freedom.
                let t = draw.normal() / (draw.gamma(2.5) / 2.5).sqrt();
                ((3.0 + 0.3 * (daily - 1.0) + 0.2 * t).exp(), 1.0)
            }
        }
    }
}
