//! Forecasts, each of which knows one thing, and their blend.
use super::profile::{Place, Profile};
use super::series::SeriesKind;
use super::tuning::t;

const DAY_US: i64 = 86_400_000_000;
const WEEK_US: i64 = 7 * DAY_US;
/// fast: level, trend, day + offset, week + offset; slow: level, day, week
pub(super) const FAST: usize = 4;
pub(super) const ALL: usize = 7;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Experts {
    kind: SeriesKind,
    bucket_us: i64,
    seen: f64,
    level: f64,
    slow: f64,
    trend_level: f64,
    slope: f64,
    offset_day: [f64; 2],
    offset_week: [f64; 2],
    day: Profile,
    week: Profile,
    special: [f32; 24],
    mse: [f64; ALL],
}

pub(super) struct Forecast {
    pub each: [f64; ALL],
    pub fast: f64,
    pub slow: f64,
    day: Option<Place>,
    week: Option<Place>,
    hour: usize,
}

impl Forecast {
    pub(super) fn hour(&self) -> usize {
        self.hour
    }
}

impl Experts {
    pub(super) fn new(kind: SeriesKind, bucket_us: i64) -> Self {
        Self {
            kind,
            bucket_us,
            seen: 0.0,
            level: 0.0,
            slow: 0.0,
            trend_level: 0.0,
            slope: 0.0,
            offset_day: [0.0; 2],
            offset_week: [0.0; 2],
            day: Profile::new(DAY_US, bucket_us, 288),
            week: Profile::new(WEEK_US, bucket_us, 672),
            special: [0.0; 24],
            mse: [0.0; ALL],
        }
    }
    pub(super) fn days(&self) -> f64 {
        self.day.periods()
    }
    pub(super) fn has_day(&self) -> bool {
        !self.day.is_empty()
    }
    fn offset(&self, slot: f64, o: &[f64; 2]) -> f64 {
        if self.kind == SeriesKind::Count {
            let e = 0.02 * self.slow + 1e-9;
            slot * (o[0] + e) / (o[1] + e)
        } else {
            slot + o[0] - o[1]
        }
    }
    pub(super) fn forecast(&self, local_us: i64, annotated: bool) -> Forecast {
        let hour = (local_us.rem_euclid(DAY_US) / (DAY_US / 24)) as usize;
        let day = self.day.place(local_us, self.bucket_us);
        let week = self.week.place(local_us, self.bucket_us);
        let mut each = [f64::NAN; ALL];
        each[0] = self.level;
        each[1] = self.trend_level + self.slope * t().damp;
        each[4] = self.slow;
        if let Some(p) = &day {
            each[5] = self.day.get(p);
            each[2] = self.offset(each[5], &self.offset_day);
        }
        if let Some(p) = &week {
            each[6] = self.week.get(p);
            each[3] = self.offset(each[6], &self.offset_week);
        }
        if annotated {
            let s = f64::from(self.special[hour]);
            for i in 2..ALL {
                each[i] =
                    if self.kind == SeriesKind::Count { each[i] * (1.0 + s).max(0.0) } else { each[i] + s };
            }
        }
        if self.kind == SeriesKind::Count {
            each.iter_mut().for_each(|e| {
                if !e.is_nan() {
                    *e = e.max(0.0)
                }
            });
        }
        let fast = self.blend(&each, 0, ALL);
        let slow = self.blend(&each, FAST, ALL);
        Forecast { each, fast, slow, day, week, hour }
    }
    fn blend(&self, each: &[f64; ALL], from: usize, to: usize) -> f64 {
        let least = (from..to)
            .filter(|i| !each[*i].is_nan())
            .map(|i| self.mse[i])
            .fold(f64::INFINITY, f64::min)
            .max(1e-300);
        let (mut sum, mut weights) = (0.0, 0.0);
        for i in from..to {
            if each[i].is_nan() {
                continue;
            }
            let r = least / self.mse[i].max(1e-300);
            let w = r * r * r * r; // power 4
            sum += w * each[i];
            weights += w;
        }
        if weights > 0.0 { sum / weights } else { self.level }
    }
    /// share: 0 nothing, 1 all. sd: of the blend
    pub(super) fn teach(&mut self, f: &Forecast, w: f64, annotated: bool, share: f64, rel: f64) {
        let t = t();
        if self.seen == 0.0 {
            self.level = w;
            self.slow = w;
            self.trend_level = w;
        }
        self.seen += 1.0;
        let first = self.seen < 8.0;
        let clip = |mse: f64, d: f64| {
            let m = t.clip * mse.sqrt();
            if first { d } else { d.clamp(-m, m) }
        };
        let mse_gain = (1.0 / self.seen).max(t.mse_gain);
        let mut d = [0.0; ALL];
        for i in 0..ALL {
            if f.each[i].is_nan() {
                continue;
            }
            d[i] = clip(self.mse[i], w - f.each[i]);
            self.mse[i] += share.max(0.0) * rel * mse_gain * (d[i] * d[i] - self.mse[i]);
            if share == 0.0 {
                d[i] = 0.0;
            }
        }
        let early = 1.0 / self.seen;
        let k = share * rel;
        self.level += k * t.fast.max(early) * d[0];
        let slow_n = (t.slow_days * DAY_US as f64 / self.bucket_us as f64).clamp(7.0, 2000.0);
        self.slow += k * (1.0 / slow_n).max(early) * d[4];
        let gain = t.fast.max(early);
        self.slope = t.damp * self.slope + k * gain * t.trend * d[1];
        self.trend_level = f.each[1] + k * gain * d[1];
        if !annotated || !self.has_day() {
            if let Some(p) = &f.day {
                let g = t.day_gain.max(1.0 / (1.0 + self.day.periods()));
                self.day.teach(p, w, k * d[5], g);
            }
            if let Some(p) = &f.week {
                let g = t.week_gain.max(1.0 / (1.0 + self.week.periods()));
                let target =
                    if f.each[5].is_nan() { w } else { f.each[5] + clip(self.mse[5], w - f.each[5]) };
                self.week.teach(p, target, k * d[6], g);
            }
        } else if !f.slow.is_nan() {
            let s = &mut self.special[f.hour];
            let per_hour = (self.bucket_us as f64 / (DAY_US / 24) as f64).min(1.0);
            let by =
                if self.kind == SeriesKind::Count { (w - f.slow) / f.slow.max(1e-9) } else { w - f.slow };
            *s = (f64::from(*s) + k * 0.3 * per_hour * by).clamp(-1e12, 1e12) as f32;
        }
        self.day.pass(self.bucket_us);
        self.week.pass(self.bucket_us);
        let o = t.offset * k;
        for (pair, i) in [(&mut self.offset_day, 2), (&mut self.offset_week, 3)] {
            if f.each[i].is_nan() {
                continue;
            }
            let slot = f.each[i + 3];
            // the clipped number
            let x = f.each[i] + d[i];
            pair[0] += o * (x - pair[0]);
            pair[1] += o * (slot - pair[1]);
        }
    }
    /// The new level is `by` (of the old one, for counts: factor) away.
    pub(super) fn shift(&mut self, by: f64, factor: f64) {
        for x in [&mut self.level, &mut self.slow, &mut self.trend_level] {
            *x = *x * factor + by;
        }
        for pair in [&mut self.offset_day, &mut self.offset_week] {
            pair[1] = pair[0];
        }
        self.slope = 0.0;
        self.day.shift(by, factor);
        self.week.shift(by, factor);
    }
}
