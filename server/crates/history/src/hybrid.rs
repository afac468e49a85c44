//! Parquet's hybrid of run lengths and packed bits, in which levels and dictionary indexes are written
//! ([the specification](https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE)).

use footpath_model::wire::put_varint;

/// Values that are packed together.
const GROUP: usize = 8;

/// Appends values of `width` bits each.
pub(crate) fn put_hybrid<T: Copy + PartialEq + Into<u32>>(out: &mut Vec<u8>, width: u32, values: &[T]) {
    let mut rest = values;
    while let Some(first) = rest.first() {
        let run = run(rest);
        let taken = if run >= GROUP || run == rest.len() {
            put_run(out, width, (*first).into(), run);
            run
        } else {
            let packed = packed(rest);
            put_packed(out, width, &rest[..packed]);
            packed
        };
        rest = &rest[taken..];
    }
}

/// Appends a value that stands `count` times.
pub(crate) fn put_run(out: &mut Vec<u8>, width: u32, value: u32, count: usize) {
    put_varint(out, (count as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// How often the first value stands at the beginning.
fn run<T: PartialEq>(values: &[T]) -> usize {
    values.iter().take_while(|value| **value == values[0]).count()
}

/// How many values stand before the next group that is a run; whole groups, except at the end.
fn packed<T: PartialEq>(values: &[T]) -> usize {
    let groups = values.chunks(GROUP);
    let packed: usize =
        groups.take_while(|group| group.len() < GROUP || run(group) < GROUP).map(<[T]>::len).sum();
    packed.max(GROUP.min(values.len()))
}

fn put_packed<T: Copy + Into<u32>>(out: &mut Vec<u8>, width: u32, values: &[T]) {
    put_varint(out, (values.len().div_ceil(GROUP) as u64) << 1 | 1);
    for group in values.chunks(GROUP) {
        let (mut bits, mut filled) = (0_u64, 0);
        for i in 0..GROUP {
            // A last group that is not full is filled up; its reader knows how many values there are.
            bits |= u64::from(group.get(i).map_or(0, |value| (*value).into())) << filled;
            filled += width;
            while filled >= 8 {
                out.push(bits as u8);
                bits >>= 8;
                filled -= 8;
            }
        }
    }
}

/// Bits that hold numbers below `count`; at least one, as readers differ on none.
pub(crate) fn width(count: usize) -> u32 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader written from the specification alone.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut found = Vec::new();
        while found.len() < count {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                found.extend(std::iter::repeat_n(u32::from_le_bytes(value), (header >> 1) as usize));
            } else {
                let size = (header >> 1) as usize * width as usize;
                let bit = |i: usize| u32::from(bytes[i / 8] >> (i % 8) & 1);
                let values = (0..(header >> 1) as usize * 8)
                    .map(|i| (0..width as usize).map(|b| bit(i * width as usize + b) << b).sum());
                found.extend(values.collect::<Vec<u32>>());
                bytes = &bytes[size..];
            }
        }
        assert!(bytes.is_empty());
        found.truncate(count);
        found
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            width in 1..25_u32,
            runs in prop::collection::vec((any::<u32>(), prop_oneof![Just(1), 1..20_usize, 60..700_usize]), 0..40),
        ) {
            let values: Vec<u32> = runs
                .into_iter()
                .flat_map(|(value, count)| std::iter::repeat_n(value & ((1 << width) - 1), count))
                .collect();
            let mut out = Vec::new();
            put_hybrid(&mut out, width, &values);
            prop_assert_eq!(read(&out, width, values.len()), values);
        }
    }

    #[test]
    fn widths_hold_their_numbers() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(width), [1, 1, 1, 2, 2, 3, 8, 9]);
    }
}
