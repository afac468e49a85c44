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

    #[inline]
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

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[inline]
fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], WireError> {
    let found = bytes.get(*at..*at + N).and_then(|b| b.try_into().ok()).ok_or(WireError::Truncated)?;
    *at += N;
    Ok(found)
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
        _ => long_varint(bytes, at),
    }
}

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
        at = 0;
        assert_eq!(varint(&[0xff; 11], &mut at), Err(WireError::Varint));
        at = 0;
        assert_eq!(varint(&[0xff], &mut at), Err(WireError::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn varints_come_back(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut at = 0;
            assert_eq!(varint(&out, &mut at), Ok(value));
            assert_eq!(at, out.len());
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            for _ in Fields::new(&bytes) {}
        }
    }
}
