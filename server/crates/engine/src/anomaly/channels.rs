//! What looks at a series, each in its own way, and how surprised it is.

mod flat;
mod windows;

use super::curve::{Counted, Curve};
use super::math::{compress, expand, inverse_surprise, surprise};
use super::verdict::Channel;

use flat::Flat;
use windows::Windows;

/// Channels that have curves: all but the range, whose chance is known beforehand.
const CURVED: usize = 7;
const POINT: usize = Channel::Point as usize;
const DIFFERENCE: usize = Channel::Difference as usize;
const SLOT: usize = Channel::Slot as usize;
const SHORT: usize = Channel::ShortWindow as usize;
const LONG: usize = Channel::LongWindow as usize;
const VARIANCE: usize = Channel::Variance as usize;
const FLAT: usize = Channel::Flat as usize;
const RANGE: usize = Channel::Range as usize;
/// All channels.
pub(super) const CHANNELS: usize = Channel::ALL.len();

/// The gain of a channel's scale.
const UNIT_GAIN: f64 = 0.002;
/// One number counts as at most so many units of it.
const UNIT_CLIP: f64 = 3.0;

/// A bucket as the channels look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// How far it lies from its forecast, as a z.
    pub z: f64,
    /// How far from the slow experts' forecast.
    pub slow_z: f64,
    /// Its number as it came.
    pub value: f64,
    /// How likely it is by chance the number of the bucket before.
    pub chance_of_repeat: f64,
    /// What it is as a record, in nats; negative downward.
    pub range: f64,
}

/// What the channels say of a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// Up or down, and by how much in its own measure.
    signed: [f64; CHANNELS],
    /// Where each stands on the levels of its curve.
    levels: [f64; CHANNELS],
    /// How rare that is for this series, in nats.
    pub nats: [f64; CHANNELS],
}

impl Heard {
    /// 1 for up, -1 for down; 0 if the channel has no direction.
    pub(super) fn side(&self, channel: usize) -> i8 {
        match channel {
            VARIANCE | FLAT => 0,
            _ if self.signed[channel] < 0.0 => -1,
            _ => 1,
        }
    }

    /// How odd the bucket is against its baseline, in nats: what decides whether it teaches.
    pub(super) fn oddness(&self) -> f64 {
        self.sharpness().max(self.nats[SHORT])
    }

    /// The same of the bucket by itself.
    pub(super) fn sharpness(&self) -> f64 {
        self.nats[POINT].max(self.nats[SLOT])
    }
}

/// The state of all channels.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Channels {
    /// Up and down of each.
    curves: [[Curve; 2]; CURVED],
    /// The mean square of what each says.
    squares: [f64; CURVED],
    windows: Windows,
    flat: Flat,
    last_z: Option<f64>,
    seen: f64,
}

impl Channels {
    pub(super) fn new() -> Self {
        let curves = || std::array::from_fn(|_| Curve::new(Counted::Buckets));
        Self {
            curves: std::array::from_fn(|_| curves()),
            squares: [1.0; CURVED],
            windows: Windows::new(),
            flat: Flat::new(),
            last_z: None,
            seen: 0.0,
        }
    }

    /// The means of both windows with this bucket in them.
    pub(super) fn slide(&mut self, z: f64, slow_z: f64) -> [f64; 2] {
        self.windows.slide(z, slow_z / self.unit(SLOT).max(1.0));
        self.windows.means()
    }

    /// Lets every channel look at a bucket.
    pub(super) fn hear(&mut self, look: &Look) -> Heard {
        self.flat.hear(look.value, look.chance_of_repeat);
        let [short, long] = self.windows.means();
        let mut signed = [0.0; CHANNELS];
        signed[POINT] = look.z;
        signed[DIFFERENCE] = self.last_z.map_or(0.0, |last| look.slow_z - last);
        signed[SLOT] = look.slow_z;
        signed[SHORT] = short;
        signed[LONG] = long;
        signed[VARIANCE] = self.windows.spread();
        signed[FLAT] = self.flat.nats();
        // A record that was foreseen, of a series that grows, is none.
        signed[RANGE] = look.range.abs().min(surprise(look.z.abs())).copysign(look.range);
        self.last_z = Some(look.slow_z);
        let levels = std::array::from_fn(|channel| self.level(channel, signed[channel]));
        let nats = std::array::from_fn(|channel| match channel {
            RANGE => levels[RANGE],
            _ => self.curves[channel][down(signed[channel])].read(levels[channel]),
        });
        Heard { signed, levels, nats }
    }

    fn unit(&self, channel: usize) -> f64 {
        self.squares[channel].max(1e-12).sqrt()
    }

    fn level(&self, channel: usize, signed: f64) -> f64 {
        let size = signed.abs();
        match channel {
            FLAT | RANGE => size,
            POINT => compress(surprise(size)),
            // A z has its scale already: only what scatters more than it should is brought back.
            DIFFERENCE | SLOT => compress(surprise(size / self.unit(channel).max(1.0))),
            _ => compress(surprise(size / self.unit(channel))),
        }
    }

    /// Counts what was heard, so that it is expected the next time.
    pub(super) fn record(&mut self, heard: &Heard) {
        for channel in 0..CURVED {
            let side = down(heard.signed[channel]);
            self.curves[channel][side].record(-1.0, heard.levels[channel]);
            self.curves[channel][1 - side].record(-1.0, -1.0);
        }
    }

    /// Learns how far the channels swing by themselves.
    pub(super) fn teach(&mut self, heard: &Heard) {
        self.seen += 1.0;
        let gain = (1.0 / (10.0 + self.seen)).max(UNIT_GAIN);
        for channel in DIFFERENCE..=VARIANCE {
            let square = &mut self.squares[channel];
            let now = (heard.signed[channel] * heard.signed[channel]).min(UNIT_CLIP * UNIT_CLIP * *square);
            *square += gain * (now - *square);
        }
        self.flat.teach();
    }

    /// The z at which the point channel is so surprised, upward or downward.
    pub(super) fn point_z(&self, nats: f64, upward: bool) -> f64 {
        let curve = &self.curves[POINT][usize::from(!upward)];
        let z = inverse_surprise(expand(curve.invert(nats)));
        if upward { z } else { -z }
    }

    /// The level changed: what the windows hold is about the old one.
    pub(super) fn calm(&mut self) {
        self.windows.calm();
        self.last_z = None;
    }

    /// A bucket is missing: the next one has no neighbour.
    pub(super) fn gap(&mut self) {
        self.last_z = None;
        self.flat.gap();
    }

    pub(super) fn is_sound(&self) -> bool {
        self.curves.iter().flatten().all(|curve| curve.is_sound(Counted::Buckets))
            && self.squares.iter().all(|square| *square >= 0.0 && square.is_finite())
            && self.last_z.is_none_or(f64::is_finite)
            && self.seen.is_finite()
            && self.windows.is_sound()
            && self.flat.is_sound()
    }
}

fn down(signed: f64) -> usize {
    usize::from(signed < 0.0)
}
