//! A person's sessions as bytes, for images of live state.
//!
//! Little endian: sessions kept (1 byte), settled sessions (8), the end of the last settled one (8), then 64
//! bytes each: start and end (8 each), events (8), entry and exit (4 each), the ids of first and last event (16
//! each, high half first). The format's version is [`FORMAT`]; it stands in the header of the image, not here.
//! An image is a cache: what cannot be read is folded again.

use super::earlier::NOTHING_SETTLED;
use super::span::Span;
use super::{PersonSessions, Session, SessionRules};
use crate::funnel::MAX_TIME_US;
use crate::image::{BadImage, take};

/// The version of the bytes below. Changes with the layout.
pub const FORMAT: u16 = 1;

impl PersonSessions {
    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.spans().count() as u8);
        out.extend_from_slice(&self.settled().to_le_bytes());
        out.extend_from_slice(&self.settled_until_us().to_le_bytes());
        self.spans().for_each(|span| encode_span(span, out));
    }

    /// Reads a state from the front of `bytes` and moves them behind it. The rules must be those it was made with.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are cut, or break an invariant of the state.
    pub fn decode(rules: &SessionRules, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        let [kept] = take(bytes)?;
        let settled = u64::from_le_bytes(take(bytes)?);
        let settled_until_us = i64::from_le_bytes(take(bytes)?);
        let spans: Vec<_> = (0..kept).map(|_| decode_span(bytes)).collect::<Result<_, _>>()?;
        let settled_is_sound = match spans.first() {
            _ if settled == 0 => settled_until_us == NOTHING_SETTLED,
            Some(oldest) => (0..oldest.session.start_us).contains(&settled_until_us),
            None => false,
        };
        let apart = |pair: &[Span]| {
            pair[0].session.start_us < pair[1].session.start_us && pair[0].joined(rules, &pair[1]) == Ok(None)
        };
        let is_sound = settled_is_sound
            && spans.len() <= rules.kept()
            && spans.iter().all(|span| span_is_sound(rules, span))
            && spans.windows(2).all(apart);
        if is_sound { Ok(Self::from_parts(rules, spans, settled, settled_until_us)) } else { Err(BadImage) }
    }
}

fn encode_span(span: &Span, out: &mut Vec<u8>) {
    let Session { start_us, end_us, events, entry, exit } = span.session;
    out.extend_from_slice(&start_us.to_le_bytes());
    out.extend_from_slice(&end_us.to_le_bytes());
    out.extend_from_slice(&events.to_le_bytes());
    out.extend_from_slice(&entry.to_le_bytes());
    out.extend_from_slice(&exit.to_le_bytes());
    for half in span.entry_id.iter().chain(&span.exit_id) {
        out.extend_from_slice(&half.to_le_bytes());
    }
}

fn decode_span(bytes: &mut &[u8]) -> Result<Span, BadImage> {
    let session = Session {
        start_us: i64::from_le_bytes(take(bytes)?),
        end_us: i64::from_le_bytes(take(bytes)?),
        events: u64::from_le_bytes(take(bytes)?),
        entry: u32::from_le_bytes(take(bytes)?),
        exit: u32::from_le_bytes(take(bytes)?),
    };
    let mut id = || Ok([u64::from_le_bytes(take(bytes)?), u64::from_le_bytes(take(bytes)?)]);
    Ok(Span { session, entry_id: id()?, exit_id: id()? })
}

fn span_is_sound(rules: &SessionRules, span: &Span) -> bool {
    let Session { start_us, end_us, events, entry, exit } = span.session;
    let one_event = span.first() == span.last() && entry == exit;
    start_us >= 0
        && end_us <= MAX_TIME_US
        && span.first() <= span.last()
        && end_us - start_us <= rules.max_us()
        && (events > 1 || events == 1 && one_event)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::SessionEvent;

    const MINUTE: i64 = 60_000_000;

    fn person(rules: &SessionRules, minutes: &[i64]) -> PersonSessions {
        let event = |(i, minute): (usize, &i64)| SessionEvent {
            time_us: minute * MINUTE,
            id: i as u128,
            name: i as u32,
        };
        PersonSessions::rebuild(rules, minutes.iter().enumerate().map(event))
    }

    fn bytes_of(person: &PersonSessions) -> Vec<u8> {
        let mut bytes = Vec::new();
        person.encode(&mut bytes);
        bytes
    }

    /// Three sessions, the first of them settled.
    fn three() -> (SessionRules, Vec<u8>) {
        let rules = SessionRules::default().with_kept(2);
        let bytes = bytes_of(&person(&rules, &[0, 5, 100, 120, 300]));
        assert_eq!(bytes.len(), 17 + 2 * 64);
        (rules, bytes)
    }

    #[test]
    fn what_breaks_an_invariant_is_refused() {
        let (rules, good) = three();
        let decode = |bytes: &[u8]| PersonSessions::decode(&rules, &mut &bytes[..]);
        assert!(decode(&good).is_ok());
        let with = |patches: &[(usize, i64)]| {
            let mut bytes = good.clone();
            for (at, value) in patches {
                bytes[*at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            bytes
        };
        let (settled, until, first, second) = (1, 9, 17, 17 + 64);
        // Within a session.
        let (start, end, events, entry_id) = (0, 8, 16, 32);
        let at = |session: usize, time_us: i64| [(session + start, time_us), (session + end, time_us)];
        let broken = [
            ("a settled end without settled sessions", with(&[(settled, 0)])),
            ("a settled end behind the kept sessions", with(&[(until, 100 * MINUTE)])),
            ("a settled end before all times", with(&[(until, -1)])),
            ("no settled end", with(&[(until, NOTHING_SETTLED)])),
            (
                "a start before all times",
                with(&[(settled, 0), (until, NOTHING_SETTLED), (first + start, -1)]),
            ),
            (
                "the widest times",
                with(&[(second + start, i64::MIN), (second + end, i64::MAX), (second + events, 2)]),
            ),
            ("an end behind all times", with(&at(second, MAX_TIME_US + 1))),
            ("an end before the start", with(&[(first + end, 99 * MINUTE)])),
            ("a last event before the first", with(&[(first + end, 100 * MINUTE), (first + entry_id, 1)])),
            (
                "longer than the limit",
                with(&[(second + end, (300 + 24 * 60 + 1) * MINUTE), (second + events, 2)]),
            ),
            ("no events", with(&[(first + events, 0)])),
            ("one event at two times", with(&[(first + events, 1)])),
            ("sessions that are one", with(&at(second, 150 * MINUTE))),
            ("sessions out of order", with(&at(second, 50 * MINUTE))),
        ];
        for (what, bytes) in broken {
            assert_eq!(decode(&bytes), Err(BadImage), "{what}");
        }
        let fewer_kept = SessionRules::default().with_kept(1);
        assert_eq!(PersonSessions::decode(&fewer_kept, &mut &good[..]), Err(BadImage));
    }

    proptest! {
        #[test]
        fn a_state_comes_back(mut minutes in prop::collection::vec(0_i64..3000, 0..40), kept in 1_u8..9) {
            minutes.sort_unstable();
            let rules = SessionRules::default().with_kept(kept);
            let person = person(&rules, &minutes);
            let whole = bytes_of(&person);
            let followed = [whole.as_slice(), &[7]].concat();
            let mut rest = followed.as_slice();
            prop_assert_eq!(PersonSessions::decode(&rules, &mut rest), Ok(person));
            prop_assert_eq!(rest, [7]);
            for cut in 0..whole.len() {
                prop_assert_eq!(PersonSessions::decode(&rules, &mut &whole[..cut]), Err(BadImage));
            }
        }

        #[test]
        fn random_bytes_never_panic(
            at in 0_usize..17 + 2 * 64,
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            event: (i64, u128, u32),
            near in 0_i64..400,
        ) {
            let (rules, mut image) = three();
            let patched = bytes.len().min(image.len() - at);
            image[at..at + patched].copy_from_slice(&bytes[..patched]);
            for image in [image, bytes] {
                let Ok(mut person) = PersonSessions::decode(&rules, &mut image.as_slice()) else { continue };
                let (time_us, id, name) = event;
                for time_us in [time_us, near * MINUTE] {
                    let _ = person.apply(&rules, SessionEvent { time_us, id, name });
                }
                let _ = PersonSessions::merge(&rules, &person, &person);
            }
        }
    }
}
