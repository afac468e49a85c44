//! Reading protobuf's wire format without building messages.

/// Why a message could not be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint is longer than 10 bytes, or than its value needs.
    #[error("a varint is over-long")]
    Varint,
    /// A group (wire types 3 and 4), or a wire type that does not exist.
    #[error("wire type {0} is not allowed")]
    WireType(u8),
    /// Field number 0 or above 2^29 - 1.
    #[error("a field number is out of range")]
    FieldNumber,
    /// A known field with another wire type than the schema says.
    #[error("field {0} has the wrong wire type")]
    FieldType(u32),
}

/// One field: its number and its undecoded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// Its value.
    pub value: Raw<'a>,
    /// The whole field, tag included, as it stands in the message.
    pub span: &'a [u8],
}

/// A field's undecoded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Field<'a> {
    /// The value as bytes. Fails if it has another wire type.
    pub fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Raw::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::FieldType(self.number)),
        }
    }

    /// The value as a varint. Fails if it has another wire type.
    pub fn varint(&self) -> Result<u64, WireError> {
        match self.value {
            Raw::Varint(value) => Ok(value),
            _ => Err(WireError::FieldType(self.number)),
        }
    }

    /// The value as eight little-endian bytes. Fails if it has another wire type.
    pub fn fixed64(&self) -> Result<u64, WireError> {
        match self.value {
            Raw::Fixed64(value) => Ok(value),
            _ => Err(WireError::FieldType(self.number)),
        }
    }
}

/// The fields of one message, in order. After an error it ends.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field if it is of a usual form: a tag of one byte, a length of at most two or a varint of at most eight.
    /// What it does not take is left to [`Iterator::next`]. For loops that are hot: its parts stay in registers, where
    /// the iterator's pass through memory and cost more than reading them.
    #[inline(always)]
    pub fn next_short(&mut self) -> Option<Field<'a>> {
        let [tag @ 8..0x80, first, ..] = *self.rest else { return None };
        let number = u32::from(tag >> 3);
        let mut at = 1;
        let value = match tag & 7 {
            0 if first < 0x80 => Raw::Varint(first.into()),
            0 => Raw::Varint(word_varint(self.rest, &mut at)?),
            2 => {
                let (len, start) = self.short_length(first)?;
                let (span, rest) = self.rest.split_at_checked(start + len)?;
                self.rest = rest;
                return Some(Field { number, value: Raw::Bytes(&span[start..]), span });
            }
            _ => return None,
        };
        let (span, rest) = self.rest.split_at(at.max(2));
        self.rest = rest;
        Some(Field { number, value, span })
    }

    /// A length of one or two bytes behind a tag of one, and where the content begins.
    #[inline(always)]
    fn short_length(&self, first: u8) -> Option<(usize, usize)> {
        if first < 0x80 {
            return Some((first.into(), 2));
        }
        match self.rest.get(2) {
            Some(second @ 1..0x80) => Some((usize::from(first & 0x7f) | usize::from(*second) << 7, 3)),
            _ => None,
        }
    }

    #[inline(never)]
    fn any(&mut self) -> Option<Result<Field<'a>, WireError>> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }

    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.rest;
        let mut at = 0;
        let tag = varint(start, &mut at)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::FieldNumber)?;
        if number == 0 || number > 0x1fff_ffff {
            return Err(WireError::FieldNumber);
        }
        let value = match (tag & 7) as u8 {
            0 => Raw::Varint(varint(start, &mut at)?),
            1 => Raw::Fixed64(u64::from_le_bytes(take(start, &mut at)?)),
            2 => {
                let len = usize::try_from(varint(start, &mut at)?).map_err(|_| WireError::Truncated)?;
                let end = at.checked_add(len).ok_or(WireError::Truncated)?;
                let bytes = start.get(at..end).ok_or(WireError::Truncated)?;
                at = end;
                Raw::Bytes(bytes)
            }
            5 => Raw::Fixed32(u32::from_le_bytes(take(start, &mut at)?)),
            other => return Err(WireError::WireType(other)),
        };
        self.rest = &start[at..];
        Ok(Field { number, value, span: &start[..at] })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Result<Field<'a>, WireError>> {
        match self.next_short() {
            Some(field) => Some(Ok(field)),
            None => self.any(),
        }
    }
}

#[inline]
fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], WireError> {
    let found = bytes.get(*at..*at + N).and_then(|b| b.try_into().ok()).ok_or(WireError::Truncated)?;
    *at += N;
    Ok(found)
}

/// Key and value of a map's entry as every library writes it: each once, in order. `None` for any other form, and where
/// either has 128 bytes and more.
#[inline]
pub fn short_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, len @ 0..0x80, ref rest @ ..] = *entry else { return None };
    let (key, rest) = rest.split_at_checked(len.into())?;
    Some((key, only_bytes(rest, 2)?))
}

/// The content of a message whose only field is `number` (at most 15) and holds fewer than 128 bytes.
#[inline]
pub fn only_bytes(message: &[u8], number: u8) -> Option<&[u8]> {
    match *message {
        [tag, len @ 0..0x80, ref content @ ..]
            if tag == number << 3 | 2 && usize::from(len) == content.len() =>
        {
            Some(content)
        }
        _ => None,
    }
}

/// The first field if it is text of fewer than 128 bytes, then the varints of the next two, as every library writes them;
/// zero where they are left out.
#[inline]
pub fn text_and_two(message: &[u8]) -> Option<(&[u8], u64, u64)> {
    let [0x0a, len @ 0..0x80, ref rest @ ..] = *message else { return None };
    let (text, rest) = rest.split_at_checked(len.into())?;
    let mut at = 0;
    let mut next = |number: u8| {
        if rest.get(at) != Some(&(number << 3)) {
            return Some(0);
        }
        at += 1;
        varint(rest, &mut at).ok()
    };
    let (second, third) = (next(2)?, next(3)?);
    (at == rest.len()).then_some((text, second, third))
}

/// Reads a varint at `at` and moves `at` behind it.
///
/// # Errors
/// `Varint` if it is longer than ten bytes, overflows 64 bits or ends in a redundant zero byte.
#[inline]
pub fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, WireError> {
    // Nearly every tag and length is one byte.
    match bytes.get(*at) {
        Some(byte) if *byte < 0x80 => {
            *at += 1;
            Ok(u64::from(*byte))
        }
        _ => match word_varint(bytes, at) {
            Some(value) => Ok(value),
            None => long_varint(bytes, at),
        },
    }
}

/// A varint of at most eight bytes that is followed by enough others to be read as one word. `None` for any other,
/// which may be over-long.
#[inline(always)]
fn word_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let word = u64::from_le_bytes(*bytes.get(*at..)?.first_chunk()?);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    let last = ends.trailing_zeros(); // The top bit of the last byte.
    let word = word & (u64::MAX >> (63 - last));
    if last > 7 && word >> (last - 7) == 0 {
        return None;
    }
    *at += last as usize / 8 + 1;
    // Seven bits of every byte move together: pairs, then fours, then all.
    let word = word & 0x7f7f_7f7f_7f7f_7f7f;
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    Some((word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4))
}

#[inline(never)]
fn long_varint(bytes: &[u8], at: &mut usize) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in 0..10_u32 {
        let byte = *bytes.get(*at).ok_or(WireError::Truncated)?;
        *at += 1;
        if shift == 9 && byte > 1 {
            return Err(WireError::Varint);
        }
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            let redundant = byte == 0 && shift > 0;
            return if redundant { Err(WireError::Varint) } else { Ok(value) };
        }
    }
    Err(WireError::Varint)
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn put_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a fixed64 field.
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_long_varints_are_refused() {
        let mut at = 0;
        assert_eq!(varint(&[0x80, 0x00], &mut at), Err(WireError::Varint));
        for bytes in 2..9 {
            let mut word = [0x80; 16];
            word[bytes - 1] = 0;
            at = 0;
            assert_eq!(varint(&word, &mut at), Err(WireError::Varint));
        }
        at = 0;
        assert_eq!(varint(&[0xff; 11], &mut at), Err(WireError::Varint));
        at = 0;
        assert_eq!(varint(&[0xff], &mut at), Err(WireError::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn varints_come_back(value: u64, cut in 0..64) {
            let value = value >> cut;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut at = 0;
            assert_eq!(varint(&out, &mut at), Ok(value));
            assert_eq!(at, out.len());
            // With more bytes behind it, it is read as a word.
            out.extend([0xff; 8]);
            let mut again = 0;
            assert_eq!((varint(&out, &mut again), again), (Ok(value), at));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            for _ in Fields::new(&bytes) {}
        }
    }
}
