//! Protobuf's wire format, written and read in place: events stay bytes from `track` to the server.

/// Appends a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of wire type 0.
#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// Appends a field of wire type 1.
#[inline]
pub(crate) fn put_fixed64(out: &mut Vec<u8>, field: u32, bits: u64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a field of wire type 2.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a message of unknown length: one byte is kept for it, and the content moves if it needs more.
#[inline]
pub(crate) fn put_message(out: &mut Vec<u8>, field: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(field) << 3 | 2);
    let at = out.len();
    out.push(0);
    content(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    put_varint(&mut prefix, len as u64);
    out.splice(at..=at, prefix);
}

/// Appends a `google.protobuf.Timestamp`: microseconds since 1970.
pub(crate) fn put_time(out: &mut Vec<u8>, field: u32, us: i64) {
    put_message(out, field, |out| {
        put_number(out, 1, us.div_euclid(1_000_000).cast_unsigned());
        put_number(out, 2, us.rem_euclid(1_000_000).cast_unsigned() * 1_000);
    });
}

/// A field's undecoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32,
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) value: Raw<'a>,
    /// The whole field, tag included.
    pub(crate) span: &'a [u8],
}

/// The bytes are no protobuf message, or hold a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message, in order. After an error it ends.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    #[inline]
    fn read(&mut self) -> Option<Field<'a>> {
        let start = self.0;
        let mut rest = start;
        let tag = take_varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Raw::Varint(take_varint(&mut rest)?),
            1 => Raw::Fixed64(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(take_varint(&mut rest)?).ok()?;
                Raw::Bytes(take(&mut rest, len)?)
            }
            5 => take(&mut rest, 4).map(|_| Raw::Fixed32)?,
            _ => return None,
        };
        self.0 = rest;
        (tag >> 3 > 0).then_some(Field { number: tag >> 3, value, span: &start[..start.len() - rest.len()] })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

#[inline]
pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let bytes = *rest;
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at as u32);
        if byte & 0x80 == 0 {
            *rest = &bytes[at + 1..];
            // The server refuses what is longer than it need be.
            return ((*byte != 0 || at == 0) && (at < 9 || *byte == 1)).then_some(value);
        }
    }
    None
}

/// The first field of a message, where it is `number` and of `N` bytes.
pub(crate) fn first_bytes<const N: usize>(message: &[u8], number: u64) -> Option<[u8; N]> {
    let first = Fields::new(message).next()?.ok()?;
    match first.value {
        Raw::Bytes(bytes) if first.number == number => bytes.try_into().ok(),
        _ => None,
    }
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_of_any_length_gets_its_length() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut out = b"before".to_vec();
            put_message(&mut out, 3, |out| out.resize(out.len() + len, 7));
            let mut expected = b"before".to_vec();
            put_bytes(&mut expected, 3, &vec![7; len]);
            assert_eq!(out, expected, "{len}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec((1u32..40, any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20)) {
            let mut out = Vec::new();
            for (field, number, bytes) in &numbers {
                put_number(&mut out, *field, *number);
                put_fixed64(&mut out, *field, *number);
                put_bytes(&mut out, *field, bytes);
            }
            let read: Vec<_> = Fields::new(&out).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.iter().map(|field| field.span.len()).sum::<usize>(), out.len());
            for (three, (field, number, bytes)) in read.chunks(3).zip(&numbers) {
                let values = [Raw::Varint(*number), Raw::Fixed64(*number), Raw::Bytes(bytes)];
                for (read, value) in three.iter().zip(values) {
                    prop_assert_eq!((read.number, read.value), (u64::from(*field), value));
                }
            }
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }
}
