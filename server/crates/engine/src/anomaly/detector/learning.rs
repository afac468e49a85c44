//! What a bucket changes in a detector.

use super::episode::{Episode, Lasting};
use super::{Detector, FIRST, Thought};
use crate::anomaly::experts::Lesson;
use crate::anomaly::series::SeriesKind;

/// Buckets after which channels begin to be counted, and then the loudest of them.
const CHANNELS_COUNT: f64 = 16.0;
const EPISODES_COUNT: f64 = 32.0;
/// A series that fell to nothing keeps so much of its profile, so that it can grow again; one that grew has no more of it than this, for a
/// profile that was made of a few events is none of many.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=4.0;

impl Detector {
    /// Whether a lasting deviation became the baseline with this bucket.
    pub(super) fn learn(&mut self, thought: &Thought, annotated: bool) -> bool {
        let pace = self.pace();
        let knows = self.seen >= pace.news_after();
        let odd = knows && Episode::is_odd(thought.heard.oddness());
        if self.episode.ends_sharply(knows && Episode::is_odd(thought.heard.sharpness())) {
            self.channels.calm();
        }
        let slow = thought.forecast.slow.mean;
        let changed = self.episode.hear(odd, thought.number, slow, pace.lasting());
        self.count(thought);
        match changed {
            Some(lasting) => self.change(lasting, slow),
            None if odd => {}
            None => self.teach(thought, annotated),
        }
        changed.is_some()
    }

    /// Counts how loud the channels were. Of an odd stretch only the first bucket counts.
    fn count(&mut self, thought: &Thought) {
        if self.seen >= CHANNELS_COUNT && !self.episode.goes_on() {
            self.channels.record(&thought.heard);
        }
        if self.seen >= EPISODES_COUNT {
            self.loudest.record(&thought.voices);
        }
        self.loudest.remember(&thought.voices);
    }

    fn teach(&mut self, thought: &Thought, annotated: bool) {
        let Thought { number, weight, ref forecast, ref expected, ref heard, .. } = *thought;
        let share = self.noise.reliability(weight);
        self.experts.teach(forecast, &Lesson { number, variance: expected.variance, share, annotated });
        if self.seen >= FIRST {
            self.noise.teach(number - expected.mean, expected, weight, forecast.hour);
        }
        self.channels.teach(heard);
    }

    /// What lasted is the new level: everything moves by it, of counts in proportion. `slow` is the slow experts' forecast of this bucket.
    fn change(&mut self, Lasting { number, forecast }: Lasting, slow: f64) {
        if self.nature.kind() == SeriesKind::Count && forecast > 0.0 {
            let factor = (number / forecast).max(*FACTORS.start()).min(*FACTORS.end());
            self.experts.shift(factor, (number - forecast * factor).max(0.0), slow);
        } else {
            self.experts.shift(1.0, number - forecast, slow);
        }
        self.noise.reopen();
        self.channels.calm();
    }
}
