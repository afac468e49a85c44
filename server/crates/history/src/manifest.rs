//! The manifest: every chunk file that is part of history, and the log position they cover together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::HistoryError;

/// One file: the events of one project and one UTC day out of a closed range of log positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFile {
    /// Its path in the chunk folder, parted by `/`.
    pub path: String,
    /// The project's number.
    pub project: u32,
    /// The UTC day of the events' times, counted from 1970-01-01; the newest one if it holds older days, too.
    pub day: i32,
    /// The first log position of the range.
    pub from: u64,
    /// The log position after the range.
    pub to: u64,
    /// Append time of the last record of the range, microseconds since 1970.
    pub append_us: i64,
    /// Events in it; never 0.
    pub rows: u64,
    /// The earliest event time, microseconds since 1970.
    pub min_time_us: i64,
    /// The latest event time, microseconds since 1970.
    pub max_time_us: i64,
    /// The lowest actor hash, compared as stored: signed.
    pub min_actor: i64,
    /// The highest actor hash, compared as stored: signed.
    pub max_actor: i64,
    /// How many `$identify` events it holds: a fold of identity skips a file without.
    pub identifies: u64,
    /// How many `$alias` events it holds.
    #[serde(default)]
    pub aliases: u64,
    /// Its length.
    pub bytes: u64,
    /// CRC32C of all its bytes.
    pub crc32c: u32,
}

/// History at one moment. Immutable; a new one replaces it when files join.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Grows by one with every change.
    pub number: u64,
    /// The log that the positions belong to.
    pub incarnation: u64,
    /// Every log position below this one is covered: its events are in the files.
    pub upto: u64,
    /// Append time of the last record below `upto`, microseconds since 1970; 0 when there is none.
    pub upto_append_us: i64,
    /// The files, by `from`.
    pub files: Vec<Arc<ChunkFile>>,
}

/// The format's version.
pub const VERSION: u32 = 1;
const MAGIC: &str = "footpath-manifest";
const PREFIX: &str = "manifest-";

/// The manifest of a number lies under this name.
pub(crate) fn name(number: u64) -> String {
    format!("{PREFIX}{number:016x}")
}

/// The number of a manifest's name; `None` if the file is something else.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()
}

impl Manifest {
    /// As a file: a line with the version and the checksum of what follows, then JSON.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, HistoryError> {
        let body = serde_json::to_vec(self).map_err(|e| HistoryError::Encode(e.to_string()))?;
        let mut out = format!("{MAGIC} {VERSION} {:08x}\n", crc32c::crc32c(&body)).into_bytes();
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Reads the file `name`.
    ///
    /// # Errors
    /// [`HistoryError::Newer`], [`HistoryError::Damaged`].
    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Self, HistoryError> {
        let damaged = |problem: &str| HistoryError::damaged(name, problem);
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no header"))?;
        let (line, body) = (&bytes[..end], &bytes[end + 1..]);
        let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
        if words.next() != Some(MAGIC) {
            return Err(damaged("it is not a manifest"));
        }
        let version = words.next().and_then(|word| word.parse().ok()).ok_or_else(|| damaged("no version"))?;
        if version > VERSION {
            return Err(HistoryError::Newer { file: name.to_owned(), version, supported: VERSION });
        }
        let checksum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
        if checksum != Some(crc32c::crc32c(body)) {
            return Err(damaged("its checksum does not fit"));
        }
        serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_damage_is_named() {
        let manifest = Manifest { number: 3, incarnation: 9, upto: 7, ..Manifest::default() };
        let mut bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode("m", &bytes).unwrap(), manifest);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(Manifest::decode("m", &bytes).unwrap_err().to_string().starts_with("m is damaged"));
        assert!(matches!(Manifest::decode("m", b""), Err(HistoryError::Damaged { .. })));
    }

    #[test]
    fn a_newer_manifest_is_refused_by_name() {
        let error = Manifest::decode("m", b"footpath-manifest 2 00000000\n{}").unwrap_err();
        assert!(matches!(&error, HistoryError::Newer { file, version: 2, .. } if file == "m"), "{error}");
    }

    #[test]
    fn names_and_numbers_agree() {
        assert_eq!(number_of(&name(0xabc)), Some(0xabc));
        assert_eq!(number_of(&(name(1) + ".tmp")), None);
    }
}
