//! What looks at a series, each in its own way.
use super::curve::Curve;
use super::math::{ln, surprise};
use super::tuning::t;

/// Brings a statistic to unit scale.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Unit {
    seen: f64,
    square: f64,
}
impl Unit {
    fn new() -> Self {
        Self { seen: 0.0, square: 1.0 }
    }
    fn z(&self, x: f64) -> f64 {
        x / self.square.max(1e-12).sqrt()
    }
    fn teach(&mut self, x: f64) {
        self.seen += 1.0;
        let gain = (1.0 / (10.0 + self.seen)).max(t().scale_gain);
        self.square += gain * ((x * x).min(9.0 * self.square) - self.square);
    }
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Channels {
    curves: Box<[Curve]>, // up and down of each
    units: [Unit; 8],
    short: f64,
    long: f64,
    spread_short: f64,
    spread_long: f64,
    run: f64,
    repeats: f64,
    seen: f64,
    last: f64,
    max: f64,
    min: f64,
    pub tops: [[f64; 2]; 8],
}

pub(super) struct Seen {
    pub z: f64,
    pub slow: f64,
    pub sd: f64,
    pub w: f64,
    pub x: f64,
    pub lastw: f64,
}

/// signed z of every channel
pub(super) type Heard = [f64; 8];

impl Channels {
    pub(super) fn new() -> Self {
        Self {
            curves: (0..16).map(|_| Curve::new()).collect(),
            units: std::array::from_fn(|_| Unit::new()),
            short: 0.0,
            long: 0.0,
            spread_short: 1.0,
            spread_long: 1.0,
            run: 0.0,
            repeats: 0.05,
            seen: 0.0,
            last: f64::NAN,
            max: f64::NEG_INFINITY,
            min: f64::INFINITY,
            tops: [[0.0; 2]; 8],
        }
    }
    pub(super) fn hear(&mut self, s: &Seen) -> Heard {
        let t = t();
        let mut raw = [0.0; 8];
        let c = |z: f64| z.clamp(-t.window_clip, t.window_clip);
        raw[0] = s.z;
        raw[1] = if s.lastw.is_nan() { 0.0 } else { (s.w - s.lastw) / s.sd };
        raw[2] = s.slow;
        let d = c(self.units[2].z(s.slow));
        self.short += (d - self.short) / t.short;
        self.long += (d - self.long) / t.long;
        raw[3] = self.short;
        raw[4] = self.long;
        let a = s.z.abs().min(t.window_clip);
        self.spread_short += (a - self.spread_short) / t.spread;
        self.spread_long += (a - self.spread_long) / t.spread_long;
        raw[5] = ln((self.spread_short + 0.02) / (self.spread_long + 0.02));
        // flat
        let same = s.x == self.last;
        self.run = if same { self.run + 1.0 } else { 0.0 };
        let width = self.max - self.min;
        raw[7] = if s.w > self.max {
            s.w - self.max
        } else if s.w < self.min {
            s.w - self.min
        } else {
            0.0
        };
        if width > 0.0 && self.seen > 30.0 {
            raw[7] = raw[7] / width;
        } else {
            raw[7] = 0.0
        }
        raw
    }
    /// Surprises: up in the first, down in the second.
    pub(super) fn surprises(&self, raw: &Heard) -> [f64; 8] {
        let mut out = [0.0; 8];
        for i in 0..8 {
            out[i] = match i {
                0 => surprise(raw[0].abs()),
                6 => self.run * -ln(self.repeats),
                7 => {
                    if raw[7] == 0.0 {
                        0.0
                    } else {
                        ln(1.0 + self.seen) * 0.7 + 10.0 * raw[7].abs() * t().range
                    }
                }
                _ => surprise(self.units[i].z(raw[i]).abs()),
            };
        }
        out
    }
    pub(super) fn calibrated(&self, raw: &Heard, s: &[f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| {
            if i == 7 { s[7] } else { self.curves[2 * i + usize::from(raw[i] < 0.0)].read(s[i]) }
        })
    }
    pub(super) fn record(&mut self, raw: &Heard, s: &[f64; 8], most: f64) {
        for i in 0..7 {
            let down = usize::from(raw[i] < 0.0);
            let up = &mut self.curves[2 * i + down];
            let most = up.invert(most);
            up.record(-1.0, s[i].min(most));
            self.curves[2 * i + 1 - down].record(-1.0, -1.0);
        }
    }
    /// How far beyond all records each channel is
    pub(super) fn news(&mut self, raw: &Heard, w: f64) -> [f64; 8] {
        let t = t();
        let warm = self.seen < 32.0;
        std::array::from_fn(|i| {
            let x = match i {
                7 => w,
                6 => self.run,
                _ => raw[i],
            };
            if self.seen == 0.0 {
                self.tops[i] = [x, x];
                return 0.0;
            }
            let [low, high] = self.tops[i];
            let (beyond, up) = if x > high {
                (x - high, true)
            } else if x < low {
                (low - x, false)
            } else {
                (0.0, true)
            };
            let width = (high - low).max(1e-12);
            let k = t.forget;
            let mid = 0.5 * (high + low);
            self.tops[i] = [low + (mid - low) * k, high + (mid - high) * k];
            if beyond > 0.0 {
                self.tops[i][usize::from(up)] = x;
            }
            if warm || beyond == 0.0 {
                0.0
            } else {
                t.reca * ln(1.0 + self.seen.min(t.recmax)) + t.recb * (beyond / width).min(t.recc)
            }
        })
    }
    pub(super) fn teach(&mut self, raw: &Heard, s: &Seen, share: f64) {
        self.seen += 1.0;
        if share > 0.0 {
            for i in [1, 2, 3, 4, 5] {
                self.units[i].teach(raw[i]);
            }
        }
        let same = s.x == self.last;
        if share > 0.0 {
            self.repeats += (1.0 / (self.seen + 20.0)).max(0.002) * (f64::from(same) - self.repeats);
            self.repeats = self.repeats.clamp(1e-3, 1.0 - 1e-9);
        }
        self.last = s.x;
        self.max = self.max.max(s.w);
        self.min = self.min.min(s.w);
    }
    pub(super) fn point_curve(&self, up: bool) -> &Curve {
        &self.curves[usize::from(!up)]
    }
    pub(super) fn calm(&mut self) {
        self.short = 0.0;
        self.long = 0.0;
    }
}
