//! One step for each bucket.

mod episode;
mod learning;
mod nature;
mod pace;

use super::channels::{Channels, Heard, Look};
use super::experts::{Experts, Forecast};
use super::likelihood;
use super::loudest::{Loudest, Voice};
use super::math::{exp, ln};
use super::noise::{Expected, Noise};
use super::records::Records;
use super::series::{Point, SeriesKind, Settings};
use super::told::Told;
use super::verdict::{State, Verdict};

use episode::Episode;
use nature::Nature;
use pace::Pace;

/// Buckets before which there is no error to speak of.
const FIRST: f64 = 4.0;
/// A bucket of less than this share of the usual weight sets no record: a ratio of ten is far off by chance.
const PROVES: f64 = 0.25;
/// Numbers that are larger are gaps: their squares, or as single precision they themselves, would overflow.
const LARGEST: f64 = 1e30;
/// Weights outside are taken for the nearer end.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-3..=1e15;

/// Watches one series: give it the buckets in the order of their beginnings.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detector {
    pub(super) settings: Settings,
    nature: Nature,
    /// The first points, of a series whose nature is told by its numbers.
    first: Vec<Point>,
    experts: Experts,
    noise: Noise,
    channels: Channels,
    records: Records,
    loudest: Loudest,
    episode: Episode,
    told: Told,
    seen: f64,
    last_start_us: i64,
    verdict: Verdict,
}

/// What is thought of a bucket before it is learned.
struct Thought {
    number: f64,
    weight: f64,
    forecast: Forecast,
    expected: Expected,
    heard: Heard,
    voices: [Voice; 3],
}

impl Detector {
    /// A detector that knows nothing.
    pub fn new(settings: &Settings) -> Self {
        Self::of(settings, Nature::new(settings.kind))
    }

    fn of(settings: &Settings, nature: Nature) -> Self {
        let settings = Settings { bucket_us: settings.bucket_us.max(1), ..*settings };
        let kind = nature.kind();
        Self {
            settings,
            nature,
            first: Vec::new(),
            experts: Experts::new(kind, settings.bucket_us),
            noise: Noise::new(kind, settings.bucket_us),
            channels: Channels::new(),
            records: Records::new(),
            loudest: Loudest::new(),
            episode: Episode::new(),
            told: Told::new(),
            seen: 0.0,
            last_start_us: i64::MIN,
            verdict: Verdict::NOTHING,
        }
    }

    /// One that knows nothing but what its numbers are.
    fn anew(&self, nature: Nature) -> Self {
        Self { last_start_us: self.last_start_us, ..Self::of(&self.settings, nature) }
    }

    /// Judges with another rate and direction from now on; what was learned stays. `false`, and nothing changed, for another kind or
    /// width of buckets.
    #[must_use]
    pub fn retune(&mut self, settings: &Settings) -> bool {
        let Settings { kind, bucket_us, false_alerts_per_month, direction } = *settings;
        let same = (self.settings.kind, self.settings.bucket_us) == (kind, bucket_us);
        if same {
            self.settings = Settings { false_alerts_per_month, direction, ..self.settings };
        }
        same
    }

    /// Judges a bucket, then learns from it.
    ///
    /// One that begins no later than the last one is ignored, and a number that is not finite or above 1e30 in size, or has no weight
    /// where its kind needs one, is a [`gap`](Self::gap); both return the last verdict again.
    pub fn step(&mut self, point: &Point) -> Verdict {
        let weight = if self.settings.kind == SeriesKind::Count { 1.0 } else { point.weight };
        if point.start_us <= self.last_start_us {
            return self.verdict;
        }
        // What is not a number compares to nothing.
        if !(point.value.abs() <= LARGEST && weight > 0.0) {
            self.gap(point.start_us);
            return self.verdict;
        }
        self.last_start_us = point.start_us;
        let point = Point { weight: weight.max(*WEIGHTS.start()).min(*WEIGHTS.end()), ..*point };
        if self.nature.is_wrong(point.value) && self.settings.kind == SeriesKind::Rate {
            *self = self.anew(Nature::new(SeriesKind::Value));
        }
        if !self.nature.is_known() {
            return self.find_nature(point);
        }
        self.verdict = self.judge(&point);
        self.verdict
    }

    /// A bucket whose number is not known: late, or missing. It teaches nothing, but its neighbours are not neighbours of each other.
    pub fn gap(&mut self, start_us: i64) {
        if start_us > self.last_start_us {
            self.last_start_us = start_us;
            self.channels.gap();
        }
    }

    fn find_nature(&mut self, point: Point) -> Verdict {
        self.first.push(point);
        let numbers: Vec<f64> = self.first.iter().map(|point| point.value).collect();
        let Some(nature) = self.nature.find(&numbers) else { return self.verdict };
        let first = std::mem::take(&mut self.first);
        *self = self.anew(nature);
        first.iter().for_each(|point| self.verdict = self.judge(point));
        self.verdict
    }

    fn judge(&mut self, point: &Point) -> Verdict {
        let (thought, news) = self.think(point);
        let verdict = self.say(&thought);
        let changed = self.learn(&thought, point.annotated);
        self.seen += 1.0;
        let pace = self.pace();
        let loudness = if self.seen > pace.news_after() { news / std::f64::consts::LN_10 } else { 0.0 };
        let score = self.told.tell(loudness, pace.per_day());
        let state = if changed && !matches!(verdict.state, State::Learning { .. }) {
            State::Changed
        } else {
            verdict.state
        };
        Verdict { state, score, ..verdict }
    }

    fn pace(&self) -> Pace {
        Pace::new(self.settings.bucket_us)
    }

    /// Also returns how new the bucket is, in nats.
    fn think(&mut self, point: &Point) -> (Thought, f64) {
        let (number, weight) = (self.nature.work(point.value), point.weight);
        let forecast = self.experts.forecast(point.local_us, point.annotated, &self.noise);
        let (blend, slow) = (forecast.blend, forecast.slow);
        let expected = self.noise.expect(blend.mean, blend.behind, weight, forecast.hour);
        let slowly = self.noise.expect(slow.mean, slow.behind, weight, forecast.hour);
        let z = self.z(number, weight, &expected);
        let slow_z = self.z(number, weight, &slowly);
        let windows = self.channels.slide(z, slow_z);
        let proves = self.noise.reliability(weight) >= PROVES;
        let news = self.records.hear(number, windows, proves);
        let chance_of_repeat = self.noise.chance_of_repeat(&expected, weight);
        let look = Look { z, slow_z, value: point.value, chance_of_repeat, range: news.range };
        let heard = self.channels.hear(&look);
        let voices = Loudest::of(&heard);
        (Thought { number, weight, forecast, expected, heard, voices }, news.nats)
    }

    fn z(&self, number: f64, weight: f64, expected: &Expected) -> f64 {
        if self.seen < FIRST { 0.0 } else { likelihood::z(self.nature.kind(), number, weight, expected) }
    }

    /// The verdict, but for what only learning tells.
    fn say(&self, thought: &Thought) -> Verdict {
        let Settings { direction, false_alerts_per_month, .. } = self.settings;
        let kind = self.nature.kind();
        let voice = thought.voices[direction as usize];
        let curve = self.loudest.curve(direction);
        let p_value = exp(-curve.read(voice.nats));
        let pace = self.pace();
        let rate = pace.rate(false_alerts_per_month);
        let state = match pace.percent(self.seen) {
            Some(percent) => State::Learning { percent },
            None if p_value < rate => State::Anomalous,
            None => State::Normal,
        };
        let loud = curve.invert(-ln(rate));
        let end = |upward| {
            let z = self.channels.point_z(loud, upward);
            self.nature.back(likelihood::quantile(kind, z, thought.weight, &thought.expected))
        };
        let expected = self.nature.back(thought.expected.mean);
        Verdict {
            state,
            p_value,
            expected,
            low: end(false),
            high: end(true),
            channel: voice.channel,
            score: 0.0,
        }
    }

    /// Whether a state that was read could have been written.
    pub(super) fn is_sound(&self) -> bool {
        let kind = self.nature.kind();
        self.nature.is_sound(self.settings.kind)
            && self
                .first
                .iter()
                .all(|point| point.value.is_finite() && point.weight.is_finite() && point.weight > 0.0)
            && self.experts.is_sound(&Experts::new(kind, self.settings.bucket_us))
            && self.noise.is_sound(kind)
            && self.channels.is_sound()
            && self.records.is_sound()
            && self.loudest.is_sound()
            && self.episode.is_sound()
            && self.told.is_sound()
            && self.seen >= 0.0
            && self.seen.is_finite()
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.experts.heap() + self.first.capacity() * size_of::<Point>()
    }
}
