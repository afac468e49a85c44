//! The values of leaf columns, appended in the form they have in a page.

use std::hash::BuildHasher as _;

use arrow::datatypes::ToByteSlice;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;

use crate::delta::put_deltas;
use crate::error::HistoryError;
use crate::hybrid::{put_hybrid, width};
use crate::pages::Values;
use crate::short::{self, same};

/// Whole numbers.
#[derive(Default)]
pub(crate) struct Numbers(Vec<i64>);

impl Numbers {
    #[inline]
    pub(crate) fn push(&mut self, number: i64) {
        self.0.push(number);
    }

    #[inline]
    pub(crate) fn extend(&mut self, numbers: impl Iterator<Item = i64>) {
        self.0.extend(numbers);
    }
}

impl Values for Numbers {
    const COMPRESSED: bool = false; // Bits that are packed have nothing left to find.

    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        put_deltas(page, &self.0);
        self.0.clear();
        Ok(Encoding::DELTA_BINARY_PACKED)
    }
}

/// Numbers with a point.
#[derive(Default)]
pub(crate) struct Doubles(Vec<f64>);

impl Doubles {
    #[inline]
    pub(crate) fn push(&mut self, number: f64) {
        self.0.push(number);
    }
}

impl Values for Doubles {
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        page.extend_from_slice(self.0[..].to_byte_slice());
        self.0.clear();
        Ok(Encoding::PLAIN)
    }
}

/// Numbers that a reader prunes row groups by.
#[derive(Default)]
pub(crate) struct Bounded {
    numbers: Numbers,
    bounds: Option<(i64, i64)>,
}

impl Bounded {
    #[inline]
    pub(crate) fn extend(&mut self, numbers: impl Iterator<Item = i64>) {
        self.numbers.extend(numbers);
    }
}

impl Values for Bounded {
    const COMPRESSED: bool = Numbers::COMPRESSED;

    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        let all = self.numbers.0.iter().copied();
        if let (Some(least), Some(most)) = (all.clone().min(), all.max()) {
            let (was_least, was_most) = self.bounds.unwrap_or((least, most));
            self.bounds = Some((least.min(was_least), most.max(was_most)));
        }
        self.numbers.take(page)
    }

    fn take_statistics(&mut self) -> Option<Statistics> {
        let (least, most) = self.bounds.take()?;
        Some(Statistics::int64(Some(least), Some(most), None, Some(0), false))
    }
}

/// Truths.
#[derive(Default)]
pub(crate) struct Bits(Vec<bool>);

impl Bits {
    #[inline]
    pub(crate) fn push(&mut self, truth: bool) {
        self.0.push(truth);
    }

    #[inline]
    pub(crate) fn extend(&mut self, truths: impl Iterator<Item = bool>) {
        self.0.extend(truths);
    }
}

impl Values for Bits {
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        page.extend(self.0.chunks(8).map(byte));
        self.0.clear();
        Ok(Encoding::PLAIN)
    }
}

/// Bytes of any length, each behind its length.
#[derive(Default)]
pub(crate) struct Blobs {
    plain: Vec<u8>,
}

impl Blobs {
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        put_blob(&mut self.plain, value);
    }
}

impl Values for Blobs {
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        if page.is_empty() {
            std::mem::swap(page, &mut self.plain);
        } else {
            page.extend_from_slice(&self.plain);
        }
        self.plain.clear();
        Ok(Encoding::PLAIN)
    }
}

#[inline]
fn put_blob(out: &mut Vec<u8>, value: &[u8]) {
    // No value is longer than an event.
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    short::put(out, value);
}

/// Text, pushed as bytes: it was checked at ingest, and is checked again a page at a time, as a reader takes no file
/// with one bad letter in it.
#[derive(Default)]
pub(crate) struct Texts {
    blobs: Blobs,
    longest: usize,
}

impl Texts {
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.blobs.push(text);
        self.longest = self.longest.max(text.len());
    }
}

impl Values for Texts {
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        // Lengths below 128 are ASCII, so that the whole is text if and only if every value is.
        let short = std::mem::take(&mut self.longest) < 128;
        let whole = short && simdutf8::basic::from_utf8(&self.blobs.plain).is_ok();
        if !whole {
            each_blob(&self.blobs.plain).try_for_each(check_text)?;
        }
        self.blobs.take(page)
    }
}

fn each_blob(mut plain: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = plain.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        plain = rest;
        Some(value)
    })
}

fn check_text(value: &[u8]) -> Result<(), HistoryError> {
    simdutf8::basic::from_utf8(value).map(|_| ()).map_err(HistoryError::encode)
}

/// Values that repeat: each is written once per row group, and rows hold its number.
pub(crate) struct Dictionary {
    of: Entries,
    plain: Vec<u8>,
    /// Where each value begins and ends, its length left out.
    places: Vec<(u32, u32)>,
    known: HashTable<u32>,
    /// Seeded at random: keys are what clients send, and a known hash could be made to collide.
    hasher: DefaultHashBuilder,
    /// Per value the one that came after it last time: events of a name have their keys in the same order, and frames
    /// of an install follow each other. A right guess saves a hash.
    next: Vec<u32>,
    last: u32,
    /// The values since the last page.
    rows: Vec<u32>,
    /// The first value that is no text.
    error: Option<HistoryError>,
}

/// What a dictionary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entries {
    /// Text.
    Text,
    /// Bytes.
    Blobs,
    /// Numbers of 64 bits.
    Numbers,
}

impl Dictionary {
    pub(crate) fn new(of: Entries) -> Self {
        Self {
            of,
            plain: Vec::new(),
            places: Vec::new(),
            known: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            next: Vec::new(),
            last: 0,
            rows: Vec::new(),
            error: None,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        let guess = self.next.get(self.last as usize).copied().unwrap_or_default();
        let right = self.places.get(guess as usize).is_some_and(|place| same(at(&self.plain, *place), value));
        let number = if right { guess } else { self.learn(value) };
        self.last = number;
        self.rows.push(number);
    }

    /// Appends the value of this number.
    #[inline]
    pub(crate) fn push_number(&mut self, number: u32) {
        self.rows.push(number);
    }

    /// The number of a value that was not guessed.
    fn learn(&mut self, value: &[u8]) -> u32 {
        let number = self.number(value);
        if let Some(next) = self.next.get_mut(self.last as usize) {
            *next = number;
        }
        number
    }

    /// The number of a value; a new one is added.
    pub(crate) fn number(&mut self, value: &[u8]) -> u32 {
        let Self { plain, places, known, hasher, .. } = self;
        let hash = hasher.hash_one(value);
        if let Some(found) = known.find(hash, |i| at(plain, places[*i as usize]) == value) {
            return *found;
        }
        if self.of == Entries::Text
            && let Err(error) = check_text(value)
        {
            self.error.get_or_insert(error);
        }
        match self.of {
            Entries::Numbers => plain.extend_from_slice(value),
            Entries::Text | Entries::Blobs => put_blob(plain, value),
        }
        let number = places.len() as u32;
        places.push(((plain.len() - value.len()) as u32, plain.len() as u32));
        self.next.push(number);
        known.insert_unique(hash, number, |i| hasher.hash_one(at(plain, places[*i as usize])));
        number
    }
}

#[inline]
fn at(plain: &[u8], place: (u32, u32)) -> &[u8] {
    &plain[place.0 as usize..place.1 as usize]
}

impl Values for Dictionary {
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        // There may be no dictionary at all in the end.
        if self.rows.is_empty() {
            return Ok(Encoding::PLAIN);
        }
        let width = width(self.places.len());
        page.push(width as u8);
        put_hybrid(page, width, &self.rows);
        self.rows.clear();
        Ok(Encoding::RLE_DICTIONARY)
    }

    fn take_dictionary(&mut self) -> Option<(Vec<u8>, u32)> {
        let count = self.places.len() as u32;
        self.places.clear();
        self.next.clear();
        self.known.clear();
        (count > 0).then(|| (std::mem::take(&mut self.plain), count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bad_letter_is_refused_wherever_it_stands() {
        let take = |values: &[&[u8]]| {
            let mut texts = Texts::default();
            values.iter().for_each(|value| texts.push(value));
            texts.take(&mut Vec::new())
        };
        let long = [b'x'; 0xa9];
        assert!(take(&[b"", "ü".as_bytes(), &long]).is_ok());
        assert!(take(&[b"a", b"\xc3", b"b"]).is_err());
        // The first byte of a letter, and a length whose lowest byte would be its second.
        assert!(take(&[b"\xc3", &long]).is_err());
        let mut names = Dictionary::new(Entries::Text);
        names.push(b"\xc3");
        assert!(names.take(&mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn a_dictionary_knows_every_row(rows in prop::collection::vec("[ab]{0,3}", 0..200)) {
            let mut dictionary = Dictionary::new(Entries::Text);
            rows.iter().for_each(|row| dictionary.push(row.as_bytes()));
            let numbers = dictionary.rows.clone();
            let (plain, count) = dictionary.take_dictionary().unwrap_or_default();
            let values: Vec<_> = each_blob(&plain).collect();
            prop_assert_eq!(values.len(), count as usize);
            prop_assert_eq!(values.iter().collect::<std::collections::HashSet<_>>().len(), values.len());
            let found: Vec<_> = numbers.iter().map(|number| values[*number as usize]).collect();
            prop_assert_eq!(found, rows.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
