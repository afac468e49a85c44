//! Sample values, so that whoever picks a property sees what it holds, and nobody sees what one person sent.
//!
//! A value becomes a sample when the [`SAMPLE_ACTORS`]th different actor sends it (k-anonymity). Until then only its hash
//! and those of its actors are kept, in memory, so no value that fewer actors sent is ever written by the catalogue. A
//! property remembers the [`CANDIDATES`] values it saw last, and all together have a bound too.

use std::fmt::Write as _;

use footpath_model::props::{Value, rfc3339};
use footpath_model::record::text;
use xxhash_rust::xxh3::xxh3_64;

use super::personal::looks_personal;
use super::properties::Room;

/// How many different actors must have sent a value before it is shown.
pub const SAMPLE_ACTORS: usize = 5;
/// How many samples a property has at most.
pub const SAMPLES: usize = 10;
/// The longest sample, in bytes; longer values are no samples, since a part of a value is not what was sent.
pub const SAMPLE_BYTES: usize = 100;

/// How many values a property remembers that were not sent by enough actors yet.
const CANDIDATES: usize = 16;
/// What a value's encoding has beside its text, at most: the tag and the length.
const ENCODING: usize = 3;

/// A value that may become a sample, as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample<'a> {
    /// An encoded `footpath.v1.Value`.
    Value(&'a [u8]),
    /// A text of the context.
    Text(&'a [u8]),
}

impl<'a> Sample<'a> {
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        (value.len() <= SAMPLE_BYTES + ENCODING).then_some(Self::Value(value))
    }

    pub(super) fn of_text(value: &'a [u8]) -> Option<Self> {
        (value.len() <= SAMPLE_BYTES).then_some(Self::Text(value))
    }

    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Value(bytes) | Self::Text(bytes) => bytes,
        }
    }

    /// As it is shown; `None` for what never is.
    fn shown(self) -> Option<String> {
        let shown = match self {
            Self::Text(bytes) => text(bytes).to_owned(),
            Self::Value(bytes) => scalar(&Value::decode(bytes).ok()??)?,
        };
        // What has an @ may be an address, whatever its key is called.
        ((1..=SAMPLE_BYTES).contains(&shown.len()) && !shown.contains('@')).then_some(shown)
    }
}

/// A scalar as text; lists and maps have none.
fn scalar(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::String(value) | Value::Decimal(value) => (*value).to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Money { currency, units, nanos } => money(currency, *units, *nanos),
        Value::Bool(value) => value.to_string(),
        Value::Time(us) => rfc3339(*us),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// Money as text, for example "12.5 CHF".
fn money(currency: &str, units: i64, nanos: i32) -> String {
    let sign = if units < 0 || nanos < 0 { "-" } else { "" };
    let mut out = format!("{sign}{}", units.unsigned_abs());
    if nanos != 0 {
        let fraction = format!("{:09}", nanos.unsigned_abs());
        let _ = write!(out, ".{}", fraction.trim_end_matches('0')); // Text takes everything.
    }
    out + " " + currency
}

/// The values that a property saw last.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    kept: Vec<Candidate>,
    /// Whether the key looks personal; nothing is kept then. `None` until the first value comes.
    personal: Option<bool>,
}

#[derive(Debug)]
struct Candidate {
    /// The hash of the value.
    value: u64,
    /// When it was last sent, by [`Room::tick`].
    tick: u64,
    /// Who sent it.
    actors: [u64; SAMPLE_ACTORS - 1],
    /// How many actors there are; [`SAMPLE_ACTORS`] once it was shown, or found to be nothing to show.
    known: u8,
}

impl Candidates {
    /// Takes a value of `key` that `actor` sent, and adds it to `samples` if it is the last actor that was needed.
    pub(super) fn offer(
        &mut self,
        samples: &mut Vec<String>,
        key: &[u8],
        sample: Sample<'_>,
        actor: u64,
        room: &mut Room,
    ) {
        if samples.len() >= SAMPLES || self.is_personal(key, sample) {
            return;
        }
        room.tick += 1;
        let value = xxh3_64(sample.bytes());
        let candidate = self.candidate(value, room);
        candidate.tick = room.tick;
        if !candidate.is_enough_with(actor) {
            return;
        }
        let shown = sample.shown().filter(|shown| !samples.contains(shown));
        samples.extend(shown);
        if samples.len() >= SAMPLES {
            room.candidates -= std::mem::take(&mut self.kept).len();
        }
    }

    fn is_personal(&mut self, key: &[u8], sample: Sample<'_>) -> bool {
        *self.personal.get_or_insert_with(|| match sample {
            Sample::Text(_) => false, // The context's fields are ours.
            Sample::Value(_) => looks_personal(text(key)),
        })
    }

    fn candidate(&mut self, value: u64, room: &mut Room) -> &mut Candidate {
        let fresh = Candidate { value, tick: 0, actors: [0; SAMPLE_ACTORS - 1], known: 0 };
        let place = match self.kept.iter().position(|candidate| candidate.value == value) {
            Some(place) => place,
            None if self.kept.len() < CANDIDATES => {
                room.candidates += 1;
                self.kept.push(fresh);
                self.kept.len() - 1
            }
            None => {
                let oldest = (0..CANDIDATES).min_by_key(|place| self.kept[*place].tick).unwrap_or_default();
                self.kept[oldest] = fresh;
                oldest
            }
        };
        &mut self.kept[place]
    }

    pub(super) fn ticks(&self, out: &mut Vec<u64>) {
        out.extend(self.kept.iter().map(|candidate| candidate.tick));
    }

    /// Forgets what was not sent since `tick`, and says how many are left.
    pub(super) fn forget(&mut self, tick: u64) -> usize {
        self.kept.retain(|candidate| candidate.tick >= tick);
        self.kept.shrink_to_fit();
        self.kept.len()
    }
}

impl Candidate {
    /// Notes an actor; whether it is the last one that was needed.
    fn is_enough_with(&mut self, actor: u64) -> bool {
        let known = usize::from(self.known);
        if known == SAMPLE_ACTORS || self.actors[..known].contains(&actor) {
            return false;
        }
        if let Some(free) = self.actors.get_mut(known) {
            *free = actor;
        }
        self.known += 1;
        known + 1 == SAMPLE_ACTORS
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::wire::{put_bytes, put_uint};

    use super::*;

    fn text_value(value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, value.as_bytes());
        out
    }

    /// The samples after each (value, actor) was sent.
    fn samples_of(key: &str, sent: &[(Vec<u8>, u64)]) -> Vec<String> {
        let (mut candidates, mut samples) = (Candidates::default(), Vec::new());
        let mut room = Room::default();
        for (value, actor) in sent {
            if let Some(sample) = Sample::of(value) {
                candidates.offer(&mut samples, key.as_bytes(), sample, *actor, &mut room);
            }
            assert_eq!(room.candidates, candidates.kept.len());
        }
        samples
    }

    fn sent_by(value: &[u8], actors: impl IntoIterator<Item = u64>) -> Vec<(Vec<u8>, u64)> {
        actors.into_iter().map(|actor| (value.to_vec(), actor)).collect()
    }

    #[test]
    fn the_fifth_actor_makes_it_a_sample() {
        let red = text_value("red");
        assert!(samples_of("colour", &sent_by(&red, [1, 2, 3, 4, 1, 2, 4, 4, 3])).is_empty());
        assert_eq!(samples_of("colour", &sent_by(&red, [1, 2, 3, 4, 1, 5, 6, 7])), ["red"]);
        assert_eq!(samples_of("colour", &sent_by(&red, 0..5)), ["red"], "zero is an actor like another");
    }

    #[test]
    fn never_of_a_personal_key_nor_an_address_nor_a_long_text() {
        assert!(samples_of("email", &sent_by(&text_value("red"), 0..9)).is_empty());
        assert!(samples_of("contact", &sent_by(&text_value("a@b.example"), 0..9)).is_empty());
        assert!(samples_of("colour", &sent_by(&text_value(""), 0..9)).is_empty());
        let (longest, longer) = ("x".repeat(SAMPLE_BYTES), "x".repeat(SAMPLE_BYTES + 1));
        assert_eq!(samples_of("colour", &sent_by(&text_value(&longest), 0..9)), [longest]);
        assert!(samples_of("colour", &sent_by(&text_value(&longer), 0..9)).is_empty());
        let mut list = Vec::new();
        put_bytes(&mut list, 8, b"");
        assert!(samples_of("colour", &sent_by(&list, 0..9)).is_empty());
    }

    #[test]
    fn at_most_ten_and_each_once() {
        let of_each = |i: u64| {
            let mut value = Vec::new();
            put_uint(&mut value, 2, i);
            sent_by(&value, 0..5)
        };
        let many: Vec<_> = (0..20).flat_map(of_each).collect();
        let ten: Vec<_> = (0..10).map(|i: u64| i.to_string()).collect();
        assert_eq!(samples_of("size", &many), ten);
        // Text "7" and number 7 look the same.
        let twice = [of_each(7), sent_by(&text_value("7"), 0..5)].concat();
        assert_eq!(samples_of("size", &twice), ["7"]);
    }

    #[test]
    fn values_that_come_again_outlast_those_that_do_not() {
        let mut sent = Vec::new();
        for actor in 0..5 {
            sent.extend(sent_by(&text_value("often"), [actor]));
            // One fewer than would drive it out.
            let others = (0..CANDIDATES as u64 - 1).map(|i| (text_value(&format!("{actor}-{i}")), actor));
            sent.extend(others);
        }
        assert_eq!(samples_of("colour", &sent), ["often"]);
        let crowded: Vec<_> = (0..5)
            .flat_map(|actor| {
                let others = (0..CANDIDATES).map(move |i| (text_value(&format!("{actor}-{i}")), actor));
                sent_by(&text_value("often"), [actor]).into_iter().chain(others)
            })
            .collect();
        assert!(samples_of("colour", &crowded).is_empty(), "the oldest went");
    }

    #[test]
    fn scalars_as_they_are_shown() {
        let money = |units, nanos| Value::Money { currency: "CHF", units, nanos };
        let shown = [
            (Value::Int(-3), "-3"),
            (Value::Double(0.5), "0.5"),
            (Value::Decimal("1.20"), "1.20"),
            (money(12, 500_000_000), "12.5 CHF"),
            (money(0, -1), "-0.000000001 CHF"),
            (money(-7, 0), "-7 CHF"),
            (Value::Bool(true), "true"),
            (Value::Time(0), "1970-01-01T00:00:00Z"),
        ];
        for (value, expected) in shown {
            assert_eq!(scalar(&value).as_deref(), Some(expected));
        }
        assert_eq!(scalar(&Value::Map(Vec::new())), None);
    }
}
