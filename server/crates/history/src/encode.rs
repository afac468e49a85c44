//! Values back into the wire form that records hold: `footpath.v1.Value` and entries of maps of it.

use footpath_model::wire::{put_bytes, put_fixed64, put_uint, put_varint};

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, 1, text.as_bytes());
}

pub(crate) fn int(out: &mut Vec<u8>, number: i64) {
    put_uint(out, 2, number.cast_unsigned());
}

pub(crate) fn double(out: &mut Vec<u8>, number: f64) {
    put_fixed64(out, 3, number.to_bits());
}

pub(crate) fn decimal(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, 4, text.as_bytes());
}

pub(crate) fn money(out: &mut Vec<u8>, currency: &str, units: i64, nanos: i32) {
    nested(out, 5, |out| {
        put_bytes(out, 1, currency.as_bytes());
        put_uint(out, 2, units.cast_unsigned());
        put_uint(out, 3, i64::from(nanos).cast_unsigned());
    });
}

pub(crate) fn bool(out: &mut Vec<u8>, truth: bool) {
    put_uint(out, 6, u64::from(truth));
}

pub(crate) fn time(out: &mut Vec<u8>, us: i64) {
    nested(out, 7, |out| {
        put_uint(out, 1, us.div_euclid(1_000_000).cast_unsigned());
        put_uint(out, 2, us.rem_euclid(1_000_000).cast_unsigned() * 1000);
    });
}

/// Appends a message as field `number`. Written in place: most are short, so that their length is one byte.
pub(crate) fn nested(out: &mut Vec<u8>, number: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(number) << 3 | 2);
    let start = out.len();
    out.push(0);
    content(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
        return;
    }
    let mut longer = Vec::with_capacity(5);
    put_varint(&mut longer, length as u64);
    out.splice(start..=start, longer);
}

/// Appends an entry of a `map<string, Value>` as field `number`.
pub(crate) fn entry(out: &mut Vec<u8>, number: u32, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    nested(out, number, |out| {
        put_bytes(out, 1, key.as_bytes());
        nested(out, 2, value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_get_a_longer_length() {
        for length in [0, 127, 128, 20_000] {
            let (mut in_place, mut copied) = (vec![7], vec![7]);
            let content = vec![1; length];
            nested(&mut in_place, 3, |out| out.extend_from_slice(&content));
            put_bytes(&mut copied, 3, &content);
            assert_eq!(in_place, copied);
        }
    }
}
