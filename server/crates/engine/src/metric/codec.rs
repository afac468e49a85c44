//! Numbers as bytes, for images: LEB128, signed ones in zigzag.

/// The version of the bytes of everything in [`crate::metric`]. It stands in the header of an image, not in each value.
pub const FORMAT: u16 = 1;

/// The bytes are not what was encoded: compute the state again from stored events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a metric's state; compute it again from stored events")]
pub struct BadBytes;

pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, BadBytes> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(bytes)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(BadBytes);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(BadBytes)
}

pub(crate) fn take_signed(bytes: &mut &[u8]) -> Result<i64, BadBytes> {
    let zigzag = take(bytes)?;
    Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

/// A count of things that take at least one byte each, so that damaged bytes cannot ask for more memory than they are.
pub(crate) fn take_len(bytes: &mut &[u8]) -> Result<usize, BadBytes> {
    let len = usize::try_from(take(bytes)?).map_err(|_| BadBytes)?;
    if len <= bytes.len() { Ok(len) } else { Err(BadBytes) }
}

pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], BadBytes> {
    let len = take_len(bytes)?;
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    Ok(taken)
}

pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadBytes> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(BadBytes)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(unsigned: u64, signed: i64, text: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, unsigned);
            put_signed(&mut out, signed);
            put_bytes(&mut out, &text);
            let mut bytes = out.as_slice();
            prop_assert_eq!(take(&mut bytes), Ok(unsigned));
            prop_assert_eq!(take_signed(&mut bytes), Ok(signed));
            prop_assert_eq!(take_bytes(&mut bytes), Ok(text.as_slice()));
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        assert_eq!(take(&mut [0x80].as_slice()), Err(BadBytes));
        assert_eq!(take(&mut [0xff; 11].as_slice()), Err(BadBytes));
        assert_eq!(take_bytes(&mut [3, 1, 2].as_slice()), Err(BadBytes));
    }
}
