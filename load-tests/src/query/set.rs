//! A set on disk: one file of plain little-endian numbers for each column, in the order of time.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, ensure};
use footpath_proto::v1;

/// All events of a set.
pub struct Set {
    time_ms: Vec<i64>,
    person: Vec<u64>,
    session: Vec<u64>,
    name: Vec<u8>,
    country: Vec<u8>,
    platform: Vec<u8>,
    /// NaN where there is none.
    price: Vec<f64>,
    /// What the small numbers of a column mean.
    words: HashMap<String, Vec<String>>,
}

impl Set {
    /// Reads a folder that `model.py` has written.
    ///
    /// # Errors
    /// When a file is missing, or columns are not equally long.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let set = Self {
            time_ms: numbers(&read("time.bin")?, i64::from_le_bytes),
            person: numbers(&read("person.bin")?, u64::from_le_bytes),
            session: numbers(&read("session.bin")?, u64::from_le_bytes),
            name: read("name.bin")?,
            country: read("country.bin")?,
            platform: read("platform.bin")?,
            price: numbers(&read("price.bin")?, f64::from_le_bytes),
            words: serde_json::from_slice(&read("words.json")?).context("words.json")?,
        };
        let lengths = [set.person.len(), set.session.len(), set.name.len(), set.country.len()];
        let equal = lengths.into_iter().chain([set.platform.len(), set.price.len()]);
        ensure!(equal.into_iter().all(|length| length == set.len()), "the columns are not equally long");
        Ok(set)
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.time_ms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.time_ms.is_empty()
    }

    /// Some of the events as a batch of history. Its id is made of the range, so that sending it again stores nothing.
    ///
    /// # Errors
    /// When `words.json` does not know a number.
    pub fn batch(&self, range: Range<usize>) -> anyhow::Result<v1::IngestRequest> {
        let batch_id = format!("query-bench-{}-{}", range.start, range.end);
        let events = range.map(|i| self.event(i)).collect::<anyhow::Result<_>>()?;
        Ok(v1::IngestRequest { batch_id, historical: true, events, ..Default::default() })
    }

    fn event(&self, i: usize) -> anyhow::Result<v1::Event> {
        let text = |text: &str| v1::value::Kind::StringValue(text.to_owned());
        let mut properties = HashMap::new();
        let mut put = |key: &str, kind| properties.insert(key.to_owned(), v1::Value { kind: Some(kind) });
        put("country", text(self.word("country", self.country[i])?));
        put("platform", text(self.word("platform", self.platform[i])?));
        if !self.price[i].is_nan() {
            put("price", v1::value::Kind::DoubleValue(self.price[i]));
        }
        let (seconds, ms) = (self.time_ms[i].div_euclid(1000), self.time_ms[i].rem_euclid(1000));
        Ok(v1::Event {
            name: self.word("name", self.name[i])?.to_owned(),
            time: Some(prost_types::Timestamp { seconds, nanos: ms as i32 * 1_000_000 }),
            user_id: format!("u_{:016x}", self.person[i]),
            session_id: self.session[i].to_string(),
            properties,
            ..Default::default()
        })
    }

    fn word(&self, column: &str, number: u8) -> anyhow::Result<&str> {
        let known = self.words.get(column).and_then(|words| words.get(usize::from(number)));
        known.map(String::as_str).with_context(|| format!("words.json does not know {column} {number}"))
    }
}

fn numbers<T>(bytes: &[u8], read: impl Fn([u8; 8]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|eight| read(*eight)).collect()
}
