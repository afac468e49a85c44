//! Parquet's delta encoding of whole numbers
//! ([the specification](https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC)): what lies
//! near its neighbour takes few bits, which LZ4 cannot see.

use footpath_model::wire::put_varint;

/// Numbers of a block, and of each of its parts, which are packed with as many bits as their largest needs. Readers of numbers of 64 bits unpack
/// 64 at a time; of parts with less than that the Arrow reader takes number by number.
const BLOCK: usize = 256;
const PART: usize = 64;

/// Appends numbers. Differences wrap around, as its readers' do.
pub(crate) fn put_deltas(out: &mut Vec<u8>, numbers: &[i64]) {
    put_varint(out, BLOCK as u64);
    put_varint(out, (BLOCK / PART) as u64);
    put_varint(out, numbers.len() as u64);
    put_zigzag(out, numbers.first().copied().unwrap_or_default());
    let mut before = 0;
    while before + 1 < numbers.len() {
        let count = BLOCK.min(numbers.len() - before - 1);
        let mut deltas = [0_i64; BLOCK];
        for (delta, pair) in deltas.iter_mut().zip(numbers[before..=before + count].windows(2)) {
            *delta = pair[1].wrapping_sub(pair[0]);
        }
        put_block(out, &mut deltas, count);
        before += count;
    }
}

fn put_block(out: &mut Vec<u8>, deltas: &mut [i64; BLOCK], count: usize) {
    let least = deltas[..count].iter().copied().min().unwrap_or_default();
    put_zigzag(out, least);
    let mut above = [0_u64; BLOCK];
    for (above, delta) in above.iter_mut().zip(&deltas[..count]) {
        *above = delta.wrapping_sub(least).cast_unsigned();
    }
    let width = |part: &[u64]| u64::BITS - part.iter().fold(0, |all, number| all | number).leading_zeros();
    let parts = above.chunks_exact(PART);
    out.extend(parts.clone().map(|part| width(part) as u8));
    // Parts without a number are left out; one that is not full is filled up.
    for part in parts.take(count.div_ceil(PART)) {
        put_part(out, width(part), part);
    }
}

fn put_part(out: &mut Vec<u8>, width: u32, part: &[u64]) {
    let (mut bits, mut filled) = (0_u128, 0);
    for number in part {
        bits |= u128::from(*number) << filled;
        filled += width;
        if filled >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            filled -= 64;
        }
    }
    // 64 numbers are whole bytes.
    out.extend_from_slice(&(bits as u64).to_le_bytes()[..filled as usize / 8]);
}

fn put_zigzag(out: &mut Vec<u8>, number: i64) {
    put_varint(out, (number << 1 ^ number >> 63).cast_unsigned());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn zigzag(bytes: &mut &[u8]) -> i64 {
        let value = varint(bytes);
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    /// A reader written from the specification alone.
    fn read(mut bytes: &[u8]) -> Vec<i64> {
        let (block, parts, count) =
            (varint(&mut bytes) as usize, varint(&mut bytes) as usize, varint(&mut bytes) as usize);
        let part = block / parts;
        let mut found = vec![zigzag(&mut bytes)];
        while found.len() < count {
            let least = zigzag(&mut bytes);
            let (widths, rest) = bytes.split_at(parts);
            bytes = rest;
            for width in widths.iter().map(|width| usize::from(*width)) {
                if found.len() >= count {
                    break;
                }
                for i in 0..part {
                    let bit =
                        |b: usize| u64::from(bytes[(i * width + b) / 8] >> ((i * width + b) % 8) & 1) << b;
                    let above: u64 = (0..width).map(bit).sum();
                    let last = *found.last().unwrap();
                    found.push(last.wrapping_add(least).wrapping_add(above.cast_signed()));
                }
                bytes = &bytes[part * width / 8..];
            }
        }
        assert!(bytes.is_empty());
        found.truncate(count);
        found
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            numbers in prop_oneof![
                prop::collection::vec(any::<i64>(), 1..400),
                prop::collection::vec(-9..9_i64, 1..400),
                (1..400_usize, any::<i64>()).prop_map(|(count, number)| vec![number; count]),
            ],
        ) {
            let mut out = Vec::new();
            put_deltas(&mut out, &numbers);
            prop_assert_eq!(read(&out), numbers);
        }
    }
}
