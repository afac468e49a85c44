//! Copying and comparing short values without a call: most ids, names and keys are shorter than 64 bytes, and for them the
//! call costs more than the copy. A value is covered by its first and its last bytes, which may overlap.

/// Appends a value.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, value: &[u8]) {
    let length = value.len();
    if let (Some(first), Some(last), true) = (value.first_chunk(), value.last_chunk(), length <= 64) {
        put_ends::<32, 64>(out, length, first, last);
    } else if let (Some(first), Some(last), true) = (value.first_chunk(), value.last_chunk(), length <= 32) {
        put_ends::<16, 32>(out, length, first, last);
    } else if let (Some(first), Some(last), true) = (value.first_chunk(), value.last_chunk(), length <= 16) {
        put_ends::<8, 16>(out, length, first, last);
    } else {
        out.extend_from_slice(value);
    }
}

#[inline]
fn put_ends<const N: usize, const TWICE: usize>(
    out: &mut Vec<u8>,
    length: usize,
    first: &[u8; N],
    last: &[u8; N],
) {
    let start = out.len();
    out.extend_from_slice(&[0; TWICE]);
    out[start..start + N].copy_from_slice(first);
    out[start + length - N..start + length].copy_from_slice(last);
    out.truncate(start + length);
}

/// Whether two values are equal.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        17..=32 => a.first_chunk::<16>() == b.first_chunk() && a.last_chunk::<16>() == b.last_chunk(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_are_copied_and_compared() {
        let bytes: Vec<u8> = (1..=100).collect();
        for length in 0..bytes.len() {
            let value = &bytes[..length];
            let mut out = vec![7];
            put(&mut out, value);
            assert_eq!(out, [&[7], value].concat());
            assert!(same(&out[1..], value));
            for at in 0..length {
                let mut other = value.to_vec();
                other[at] ^= 1;
                assert!(!same(&other, value), "byte {at} of {length}");
            }
            assert!(!same(&bytes[..length + 1], value));
        }
    }
}
