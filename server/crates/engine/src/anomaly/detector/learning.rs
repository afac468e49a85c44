//! What a bucket changes in a detector.

use super::episode::{Episode, Lasting};
use super::{Detector, FIRST, Thought};
use crate::anomaly::experts::Lesson;
use crate::anomaly::series::SeriesKind;

/// Buckets after which channels begin to be counted, and then the loudest of them.
const CHANNELS_COUNT: f64 = 16.0;
const EPISODES_COUNT: f64 = 32.0;
/// A series that fell to nothing keeps so much of its profile, so that it can grow again.
const LEAST_FACTOR: f64 = 0.01;

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
            Some(lasting) => self.change(lasting),
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

    /// What lasted is the new level: everything moves by it, of counts in proportion.
    fn change(&mut self, Lasting { number, forecast }: Lasting) {
        if self.settings.kind == SeriesKind::Count && forecast > 0.0 {
            self.experts.shift((number / forecast).max(LEAST_FACTOR), 0.0);
        } else {
            self.experts.shift(1.0, number - forecast);
        }
        self.noise.reopen();
        self.channels.calm();
    }
}
