//! A detector as bytes, for images of live state: postcard, behind the version of the layout.

use super::detector::Detector;
use super::series::Settings;
use crate::image::BadImage;

/// The version of the bytes. Changes with the layout.
pub const FORMAT: u8 = 3;

impl Detector {
    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        // Writing into memory cannot fail.
        if let Ok(bytes) = postcard::to_allocvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it. Rate and direction may be others than those it was made
    /// with; kind and width of the buckets may not.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are cut, are of another version, belong to another kind or width of buckets, or break an invariant of the state.
    pub fn decode(settings: &Settings, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        let (format, rest) = bytes.split_first().ok_or(BadImage)?;
        let (mut detector, rest) = postcard::take_from_bytes::<Self>(rest).map_err(|_| BadImage)?;
        if *format != FORMAT || !detector.retune(settings) || !detector.is_sound() {
            return Err(BadImage);
        }
        *bytes = rest;
        Ok(detector)
    }
}
