//! Fields of fixed width on the wire: what a batch gets fresh is written over its template in place.
//!
//! Varints have to be minimal (servers refuse over-long ones), so a field that varies in width gives what it
//! saves to the session id beside it, and times stay where their varints have five bytes.

/// Bytes of an encoded time: two tags, two varints of five bytes.
pub const TIME_BYTES: usize = 12;
/// Bytes of an actor's id.
pub const ACTOR_BYTES: usize = 16;
/// Bytes of the fields `session_id`, `delivery_class`, `lane` and `number` together.
pub const TAIL_BYTES: usize = 25;
/// Bytes of a UUID as text.
pub const UUID_TEXT_BYTES: usize = 36;
/// The first number that does not fit: five bytes of varint.
pub const NUMBER_LIMIT: u64 = 1 << 35;
/// `DELIVERY_CLASS_NORMAL`: one byte.
pub const CLASS_NORMAL: u8 = 2;

const SESSION_MIN: usize = 12;
const VARINT_ROOM: usize = 7;

/// Bytes that a minimal varint takes.
pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes a minimal varint and returns its length; `out` has room for it.
pub fn put_varint(out: &mut [u8], mut value: u64) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        out[at] = (value as u8) | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Writes `value` in letters a to p, four bits each, lowest bits last. Letters only, so that no privacy rule takes
/// an id for a card number.
pub fn put_letters(out: &mut [u8], mut value: u64) {
    for letter in out.iter_mut().rev() {
        *letter = b'a' + (value & 15) as u8;
        value >>= 4;
    }
}

/// The time that is really written for `ms` (milliseconds since 1970), as seconds and nanoseconds. The fraction
/// of the second is squeezed into 269..=999 ms, in order, where its varint always has five bytes.
pub fn wire_time(ms: u64) -> (u64, u64) {
    let seconds = (ms / 1000).clamp(1 << 28, (1 << 35) - 1);
    let nanos = (269 + (ms % 1000) * 730 / 999) * 1_000_000;
    (seconds, nanos)
}

/// Writes the body of a Timestamp; `out` has [`TIME_BYTES`].
pub fn put_time(out: &mut [u8], ms: u64) {
    let (seconds, nanos) = wire_time(ms);
    out[0] = 0x08;
    put_varint(&mut out[1..6], seconds);
    out[6] = 0x10;
    put_varint(&mut out[7..12], nanos);
}

/// The id of person number `person`, as every run names it.
pub fn actor(person: u64) -> [u8; ACTOR_BYTES] {
    let mut id = *b"p-aaaaaaaaaaaaaa";
    put_letters(&mut id[2..], person);
    id
}

/// Writes session, class, lane and number; `out` has [`TAIL_BYTES`], `number` is below [`NUMBER_LIMIT`].
pub fn put_tail(out: &mut [u8], session: u64, lane: u8, number: u64) {
    let slack = VARINT_ROOM - varint_len(u64::from(lane)) - varint_len(number);
    let session_len = SESSION_MIN + slack;
    out[0] = 0x3a;
    out[1] = session_len as u8;
    let mut at = 2 + session_len;
    put_letters(&mut out[2..at], session);
    out[at] = 0x40;
    out[at + 1] = CLASS_NORMAL;
    out[at + 2] = 0x48;
    at += 3;
    at += put_varint(&mut out[at..], u64::from(lane));
    out[at] = 0x50;
    put_varint(&mut out[at + 1..], number);
}

/// A UUIDv7: milliseconds, then 34 bits of `origin` (one per connection), then 40 bits of `counter`. Unique per
/// origin and monotonic as long as the time is.
pub fn uuid7(ms: u64, origin: u64, counter: u64) -> [u8; 16] {
    let high_origin = (origin >> 22) & 0xfff;
    let low = ((origin & 0x3f_ffff) << 40) | (counter & 0xff_ffff_ffff);
    let high = (ms << 16) | 0x7000 | high_origin;
    let low = (low & 0x3fff_ffff_ffff_ffff) | (1 << 63);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&high.to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    id
}

/// A UUID as text.
pub fn uuid_text(id: &[u8; 16]) -> [u8; UUID_TEXT_BYTES] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; UUID_TEXT_BYTES];
    let mut at = 0;
    for (index, byte) in id.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// The next value of a splitmix64 generator: cheap, seeded, good enough to draw persons.
pub fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use footpath_proto::v1::Event;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_tail_of_any_width_decodes_to_its_values() {
        for lane in [0u8, 1, 127, 128, 255] {
            for number in [1, 127, 128, 16_383, 16_384, 2_097_152, 1 << 28, NUMBER_LIMIT - 1] {
                let mut bytes = [0; TAIL_BYTES];
                put_tail(&mut bytes, 77, lane, number);
                let event = Event::decode(&bytes[..]).unwrap();
                assert_eq!(event.lane, Some(u32::from(lane)));
                assert_eq!(event.number, number);
                assert_eq!(event.delivery_class, i32::from(CLASS_NORMAL));
                assert_eq!(event.encode_to_vec(), bytes, "minimal varints, ascending fields");
            }
        }
    }

    #[test]
    fn times_keep_their_order_and_their_width() {
        let mut before = (0, 0);
        for ms in (1_790_000_000_000u64..1_790_000_002_500).step_by(2) {
            let mut bytes = [0; TIME_BYTES];
            put_time(&mut bytes, ms);
            let time = prost_types::Timestamp::decode(&bytes[..]).unwrap();
            assert_eq!(time.encode_to_vec(), bytes);
            let now = (time.seconds, time.nanos);
            assert!(now >= before && time.nanos < 1_000_000_000);
            before = now;
        }
    }

    #[test]
    fn ids_are_version_7_and_grow() {
        let first = uuid7(1_790_000_000_000, 0x3_ffff_ffff, 1);
        let second = uuid7(1_790_000_000_000, 0x3_ffff_ffff, 2);
        assert!(first < second);
        assert_eq!(first[6] >> 4, 7);
        assert_eq!(first[8] >> 6, 2);
        let text = uuid_text(&first);
        assert_eq!(std::str::from_utf8(&text).unwrap(), "01a0c450-6c00-7fff-bfff-ff0000000001");
    }
}
