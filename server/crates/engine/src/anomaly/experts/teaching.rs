//! How the experts learn a bucket: each moves by a part of what it was off.

use super::{
    DAMPED, DAY, DAY_GAIN, DAY_SLOT, EXPERTS, Experts, FAST, Forecast, HOUR_US, LEVEL, OFFSET, SLOW_LEVEL,
    TREND, WEEK, WEEK_GAIN, WEEK_SLOT,
};
use crate::anomaly::series::SeriesKind;

/// The gain of the trend.
const SLOPE: f64 = 0.05;
/// The gain of what annotated days differ by, per hour.
const SPECIAL_GAIN: f64 = 0.3;
/// The gain of an expert's error: a hundred buckets.
const ERROR_GAIN: f64 = 0.01;
/// One bucket moves an expert by at most so many standard deviations.
const CLIP: f64 = 3.0;
/// Buckets before which nothing is clipped.
const FEW: f64 = 8.0;

/// What a bucket teaches: its number on the working scale, and how much it counts.
#[derive(Debug, Clone, Copy)]
pub(in crate::anomaly) struct Lesson {
    pub number: f64,
    /// The variance of such a bucket.
    pub variance: f64,
    /// 0 to 1.
    pub share: f64,
    pub annotated: bool,
}

impl Experts {
    /// Learns a bucket.
    pub(in crate::anomaly) fn teach(&mut self, forecast: &Forecast, lesson: &Lesson) {
        if self.seen == 0.0 {
            (self.level, self.slow_level, self.trend_level) = (lesson.number, lesson.number, lesson.number);
        }
        self.seen += 1.0;
        let errors = self.clipped(forecast, lesson);
        self.teach_levels(forecast, &errors);
        if lesson.annotated {
            self.teach_special(forecast, lesson);
        } else {
            self.teach_slots(forecast, lesson, &errors);
        }
        self.teach_offsets(forecast, lesson.share, &errors);
    }

    /// By how far every expert was off, times what the bucket counts; far-off ones are clipped.
    fn clipped(&mut self, forecast: &Forecast, lesson: &Lesson) -> [f64; EXPERTS] {
        let gain = lesson.share * (1.0 / self.seen).max(ERROR_GAIN);
        let mut errors = [0.0; EXPERTS];
        for (expert, heard) in errors.iter_mut().enumerate() {
            let error = lesson.number - forecast.each[expert];
            if error.is_nan() {
                continue;
            }
            let most = CLIP * (self.errors[expert].max(1.0) * lesson.variance).sqrt();
            let clipped = if self.seen < FEW { error } else { error.max(-most).min(most) };
            self.errors[expert] += gain * (clipped * clipped / lesson.variance - self.errors[expert]);
            *heard = lesson.share * clipped;
        }
        errors
    }

    fn teach_levels(&mut self, forecast: &Forecast, errors: &[f64; EXPERTS]) {
        let early = 1.0 / self.seen;
        let fast = FAST.max(early);
        self.level += fast * errors[LEVEL];
        self.slow_level += self.slow_gain().max(early) * errors[SLOW_LEVEL];
        self.slope = DAMPED * self.slope + SLOPE * fast * errors[TREND];
        self.trend_level =
            if self.seen > 1.0 { forecast.each[TREND] } else { self.level } + fast * errors[TREND];
    }

    fn teach_slots(&mut self, forecast: &Forecast, lesson: &Lesson, errors: &[f64; EXPERTS]) {
        if let Some(place) = forecast.day {
            let gain = DAY_GAIN / self.day.per_slot(self.bucket_us);
            self.day.teach(place, lesson.number, errors[DAY_SLOT], gain);
        }
        if let Some(place) = forecast.week {
            let gain = WEEK_GAIN / self.week.per_slot(self.bucket_us);
            self.week.teach(place, lesson.number, errors[WEEK_SLOT], gain);
        }
    }

    /// An annotated day teaches what such days differ by, and nothing of usual ones.
    fn teach_special(&mut self, forecast: &Forecast, lesson: &Lesson) {
        let off = lesson.number - forecast.slow.mean;
        let off = if self.kind == SeriesKind::Count { off / forecast.slow.mean.max(1.0) } else { off };
        let buckets_an_hour = (HOUR_US as f64 / self.bucket_us as f64).max(1.0);
        let special = &mut self.special[forecast.hour];
        *special = (f64::from(*special) + lesson.share * SPECIAL_GAIN / buckets_an_hour * off) as f32;
    }

    fn teach_offsets(&mut self, forecast: &Forecast, share: f64, errors: &[f64; EXPERTS]) {
        for (offset, expert) in self.offsets.iter_mut().zip([DAY, WEEK]) {
            let slot = forecast.each[expert + DAY_SLOT - DAY];
            if slot.is_nan() {
                continue;
            }
            let gain = share * OFFSET;
            // The number as far as it is believed.
            offset[0] += gain * (forecast.each[expert] - offset[0]) + OFFSET * errors[expert];
            offset[1] += gain * (slot - offset[1]);
        }
    }

    /// The series goes on at another level: everything becomes `x * factor + by`. The quick ones begin anew from the slow ones' forecast `slow`: what
    /// they had learned of the last buckets before is not in the factor.
    pub(in crate::anomaly) fn shift(&mut self, factor: f64, by: f64, slow: f64) {
        self.level = slow * factor + by;
        self.trend_level = self.level;
        self.slow_level = self.slow_level * factor + by;
        self.slope = 0.0;
        self.offsets.iter_mut().for_each(|offset| offset[1] = offset[0]);
        self.day.shift(factor, by);
        self.week.shift(factor, by);
    }
}
