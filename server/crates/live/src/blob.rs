//! Numbers in what a view copies for an image, little endian.

/// Appends a list of numbers.
pub fn put_i64s(out: &mut Vec<u8>, numbers: &[i64]) {
    out.extend_from_slice(&(numbers.len() as u64).to_le_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Takes a list of numbers; `None` if the bytes are damaged.
pub fn take_i64s(bytes: &mut &[u8]) -> Option<Vec<i64>> {
    let len = usize::try_from(take_u64(bytes)?).ok()?;
    let taken = bytes.get(..len.checked_mul(8)?)?;
    *bytes = &bytes[taken.len()..];
    let (numbers, _) = taken.as_chunks::<8>();
    Some(numbers.iter().map(|number| i64::from_le_bytes(*number)).collect())
}

/// Takes one number.
pub fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*taken))
}

/// Appends one number.
pub fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a list of keys.
pub fn put_u64s(out: &mut Vec<u8>, keys: &[u64]) {
    put_u64(out, keys.len() as u64);
    keys.iter().for_each(|key| put_u64(out, *key));
}

/// Takes a list of keys; `None` if the bytes are damaged.
pub fn take_u64s(bytes: &mut &[u8]) -> Option<Vec<u64>> {
    Some(take_i64s(bytes)?.into_iter().map(i64::cast_unsigned).collect())
}
