//! One step for each bucket.
use super::channels::{Channels, Seen};
use super::curve::Curve;
use super::experts::Experts;
use super::likelihood;
use super::math::{exp, inverse_surprise, ln};
use super::noise::Noise;
use super::series::{Direction, Point, SeriesKind, Settings};
use super::tuning::t;
use super::verdict::{Channel, State, Verdict};
use super::work::Scale;

const DAY_US: i64 = 86_400_000_000;

/// Watches one series.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detector {
    pub(super) settings: Settings,
    scale: Scale,
    experts: Experts,
    noise: Noise,
    channels: Channels,
    overall: [Curve; 3], // both, up, down
    seen: f64,
    last_start: i64,
    last: f64,
    previous: [f64; 3],
    told: f64,
    fresh: Curve,
    told_age: f64,
    run: f64,
    gap_sum: f64,
    gap_sq: f64,
    verdict: Verdict,
    warm: Vec<Point>,
}

impl Detector {
    /// New.
    pub fn new(settings: &Settings) -> Self {
        let verdict = Verdict {
            state: State::Learning { percent: 0 },
            p_value: 1.0,
            expected: 0.0,
            low: 0.0,
            high: 0.0,
            channel: None,
            score: 0.0,
        };
        Self {
            settings: *settings,
            scale: Scale::new(settings.kind),
            experts: Experts::new(settings.kind, settings.bucket_us),
            noise: Noise::new(settings.kind),
            channels: Channels::new(),
            overall: std::array::from_fn(|_| Curve::new()),
            seen: 0.0,
            last_start: i64::MIN,
            last: f64::NAN,
            previous: [0.0; 3],
            told: 0.0,
            fresh: Curve::new(),
            told_age: 0.0,
            run: 0.0,
            gap_sum: 0.0,
            gap_sq: 0.0,
            verdict,
            warm: Vec::new(),
        }
    }
    fn per_day(&self) -> f64 {
        DAY_US as f64 / self.settings.bucket_us as f64
    }
    fn learning(&self) -> f64 {
        (t().learn_days * self.per_day()).clamp(20.0, 600.0)
    }
    /// The probability below which a bucket is anomalous.
    pub fn alpha(&self) -> f64 {
        (self.settings.false_alerts_per_month * self.settings.bucket_us as f64 / (30.0 * DAY_US as f64))
            .clamp(1e-12, 0.5)
    }
    /// Step.
    pub fn step(&mut self, point: &Point) -> Verdict {
        let n = if self.settings.kind == SeriesKind::Count { 1.0 } else { point.weight };
        if point.start_us <= self.last_start {
            return self.verdict;
        }
        if !point.value.is_finite() || !n.is_finite() || n <= 0.0 {
            self.gap(point.start_us, point.local_us);
            return self.verdict;
        }
        self.last_start = point.start_us;
        if self.scale.kind == SeriesKind::Value && self.scale.unit == 0.0 {
            // choose the unit from the first numbers that are not zero
            self.warm.push(*point);
            let mut sizes: Vec<f64> = self.warm.iter().map(|p| p.value.abs()).filter(|v| *v > 0.0).collect();
            if sizes.len() < 12 && self.warm.len() < 64 {
                return self.verdict;
            }
            sizes.sort_by(f64::total_cmp);
            let median = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0);
            self.scale.unit = if t().wscale == 0.0 { 1e300 } else { median * t().wscale };
            let warm = std::mem::take(&mut self.warm);
            for p in &warm {
                self.verdict = self.judge(p, p.weight);
            }
            return self.verdict;
        }
        self.verdict = self.judge(point, n);
        self.verdict
    }
    fn judge(&mut self, point: &Point, n: f64) -> Verdict {
        let t = t();
        let w = self.scale.to_work(point.value);
        let f = self.experts.forecast(point.local_us, point.annotated);
        let (fast, slow) = if self.seen == 0.0 { (w, w) } else { (f.fast, f.slow) };
        let variance = self.noise.variance(fast, n, f.hour());
        let sd = variance.sqrt();
        let rho = self.noise.dispersion();
        let z =
            if self.seen < 4.0 { 0.0 } else { likelihood::z(self.settings.kind, w, fast, variance, n, rho) };
        let slow_z = (w - slow) / self.noise.variance(slow, n, f.hour()).sqrt();
        let seen = Seen {
            z,
            slow: if self.seen < 4.0 { 0.0 } else { slow_z },
            sd,
            w,
            x: point.value,
            lastw: self.last,
        };
        let raw = self.channels.hear(&seen);
        let s = self.channels.surprises(&raw);
        let calibrated = self.channels.calibrated(&raw, &s);
        let mut best = [(0.0, 0); 3];
        for i in 0..8 {
            let signed = i < 5 || i == 7;
            let side = if raw[i] < 0.0 { 2 } else { 1 };
            if calibrated[i] > best[0].0 {
                best[0] = (calibrated[i], i);
            }
            if signed && calibrated[i] > best[side].0 {
                best[side] = (calibrated[i], i);
            }
        }
        let side = match self.settings.direction {
            Direction::Both => 0,
            Direction::Up => 1,
            Direction::Down => 2,
        };
        let overall = self.overall[side].read(best[side].0);
        let learned = self.seen >= self.learning();
        // teaching
        let rare = -ln(t.teach_p);
        let odd = learned && calibrated[0].max(calibrated[2]).max(calibrated[3]) > rare + ln(3.0);
        let mut changed = false;
        if odd {
            self.run += 1.0;
            let dev = w - slow;
            self.gap_sum += dev;
            self.gap_sq += dev * dev;
            let confirm = self.per_day().clamp(7.0, t.confirm_max);
            if self.run >= confirm {
                let by = self.gap_sum / self.run;
                let factor = if self.settings.kind == SeriesKind::Count && slow > 0.0 {
                    (1.0 + by / slow).max(0.01)
                } else {
                    1.0
                };
                self.experts.shift(if factor == 1.0 { by } else { 0.0 }, factor);
                self.channels.calm();
                changed = true;
            }
        }
        if !odd || changed {
            self.run = 0.0;
            self.gap_sum = 0.0;
            self.gap_sq = 0.0;
        }
        let share = if odd { 0.0 } else { 1.0 };
        let rel = if self.seen < 8.0 { 1.0 } else { (n / self.noise.weight()).min(1.0) };
        if !changed {
            self.experts.teach(&f, w, point.annotated, share, rel);
        }
        if self.seen >= 4.0 {
            self.noise.teach(w - fast, fast, n, f.hour(), if odd { 0.0 } else { 1.0 });
        }
        // record
        let most = -ln(1.0 / (50.0 + 2.0 * self.seen));
        if self.seen >= 16.0 && !(odd && self.run > 1.0) {
            self.channels.record(&raw, &s, most);
        }
        if self.seen >= 32.0f64.min(self.learning() * 0.5) {
            for i in 0..3 {
                let m = self.overall[i].invert(most);
                self.overall[i].record(self.previous[i], best[i].0.min(m));
            }
        }
        for i in 0..3 {
            self.previous[i] = best[i].0;
        }
        self.channels.teach(&raw, &seen, share);
        self.seen += 1.0;
        self.last = w;
        // news
        let fresh = self.channels.news(&raw, w);
        let mut loudest = 0.0f64;
        for i in 0..8 {
            let u = [t.new0, t.new1, t.new2, t.new3, t.new4, t.new5, t.new6, t.new7][i];
            loudest = loudest.max(fresh[i] * u);
        }
        let fresh_loud = if t.newcurve > 0.0 { self.fresh.read(loudest) } else { loudest };
        if self.seen > 64.0 {
            let m = self.fresh.invert(most);
            self.fresh.record(-1.0, loudest.min(if t.newcurve == 2.0 { 1e9 } else { m }));
        }
        let loud = if learned { fresh_loud / std::f64::consts::LN_10 } else { 0.0 };
        let rows = (t.told_days * self.per_day()).clamp(t.told_least, t.told_rows);
        self.told_age += 1.0;
        let keep = self.told * (1.0 - (self.told_age / rows).max(0.0).powf(t.told_shape)).max(0.0);
        let score = if t.told_mode == 0.0 {
            (loud - keep * t.told_keep).max(0.0)
        } else if loud > keep * t.told_keep + t.told_mode {
            loud
        } else {
            0.0
        };
        if loud > keep {
            self.told = loud;
            self.told_age = 0.0;
        }
        let p = exp(-overall).min(1.0);
        let state = if !learned {
            State::Learning { percent: (100.0 * self.seen / self.learning()).min(99.0) as u8 }
        } else if changed {
            State::Changed
        } else if p < self.alpha() {
            State::Anomalous
        } else {
            State::Normal
        };
        let wanted = self.overall[side].invert(-ln(self.alpha()));
        let end = |up: bool| {
            let z = inverse_surprise(self.channels.point_curve(up).invert(wanted));
            self.scale.from_work(likelihood::quantile(
                self.settings.kind,
                if up { z } else { -z },
                fast,
                variance,
                n,
                rho,
            ))
        };
        Verdict {
            state,
            p_value: p,
            expected: self.scale.from_work(fast),
            low: end(false),
            high: end(true),
            channel: Some(Channel::ALL[best[side].1]),
            score,
        }
    }
    /// A bucket whose number is not known.
    pub fn gap(&mut self, start_us: i64, _local_us: i64) {
        if start_us > self.last_start {
            self.last_start = start_us;
            self.last = f64::NAN;
        }
    }
}
