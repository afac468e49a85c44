//! A person's state as bytes, for images of live state.
//!
//! Base and tail, as `postcard` writes them. As with [`crate::image`] the version stands in the image's header, and what cannot be
//! read is folded again.

use std::collections::VecDeque;

use super::event::FunnelEvent;
use super::fold::{GeneralFold, clamped};
use super::person::GeneralPerson;
use super::rules::GeneralRules;
use crate::image::BadImage;

/// The version of the bytes below. Changes with every field of the state and with what it means.
pub const FORMAT: u16 = 1;

impl GeneralPerson {
    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Writing to a vector fails for types without a known length only, and there are none.
        if let Ok(bytes) = postcard::to_allocvec(&(&self.base, &self.tail)) {
            out.extend_from_slice(&bytes);
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it. The rules must be those it was made with.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are cut, belong to other rules, or break an invariant of the state.
    pub fn decode(rules: &GeneralRules, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        type Image = (GeneralFold, VecDeque<FunnelEvent>);
        let ((base, tail), rest) = postcard::take_from_bytes::<Image>(bytes).map_err(|_| BadImage)?;
        if !base.is_sound(rules) || !is_sound_tail(rules, &base, &tail) {
            return Err(BadImage);
        }
        *bytes = rest;
        Ok(Self::from_parts(rules, base, tail))
    }
}

fn is_sound_tail(rules: &GeneralRules, base: &GeneralFold, tail: &VecDeque<FunnelEvent>) -> bool {
    let orders = || tail.iter().map(FunnelEvent::order);
    orders().is_sorted_by(|a, b| a < b)
        && orders().next().is_none_or(|first| Some(first) > base.newest())
        && tail.iter().all(|event| *event == clamped(*event) && base.concerns(rules, event))
}
