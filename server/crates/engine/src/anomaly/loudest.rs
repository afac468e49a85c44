//! The loudest of the channels, and how often any is so loud.

use super::channels::{CHANNELS, Heard};
use super::curve::{Counted, Curve};
use super::series::Direction;
use super::verdict::Channel;

/// The loudest channel and what it says, in nats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    pub channel: Option<Channel>,
    pub nats: f64,
}

/// A curve of episodes for each direction that may be asked for, so that a change of the direction forgets nothing.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Loudest {
    curves: [Curve; 3],
    previous: [f64; 3],
}

impl Loudest {
    pub(super) fn new() -> Self {
        Self { curves: std::array::from_fn(|_| Curve::new(Counted::Episodes)), previous: [0.0; 3] }
    }

    /// The loudest channel in each direction: both, up, down.
    pub(super) fn of(heard: &Heard) -> [Voice; 3] {
        let mut voices = [Voice { channel: None, nats: 0.0 }; 3];
        for channel in 0..CHANNELS {
            let voice = Voice { channel: Some(Channel::ALL[channel]), nats: heard.nats[channel] };
            let side = match heard.side(channel) {
                0 => 0,
                1 => 1,
                _ => 2,
            };
            for place in [0, side] {
                if voice.nats > voices[place].nats {
                    voices[place] = voice;
                }
            }
        }
        voices
    }

    /// The curve of a direction.
    pub(super) fn curve(&self, direction: Direction) -> &Curve {
        &self.curves[direction as usize]
    }

    /// Counts the beginnings of episodes.
    pub(super) fn record(&mut self, voices: &[Voice; 3]) {
        for ((curve, previous), voice) in self.curves.iter_mut().zip(self.previous).zip(voices) {
            curve.record(previous, voice.nats);
        }
    }

    /// What is not above this is no beginning.
    pub(super) fn remember(&mut self, voices: &[Voice; 3]) {
        self.previous = voices.map(|voice| voice.nats);
    }

    pub(super) fn is_sound(&self) -> bool {
        self.curves.iter().all(|curve| curve.is_sound(Counted::Episodes))
            && self.previous.iter().all(|nats| nats.is_finite())
    }
}
