//! International bank account numbers (ISO 13616).

use super::is_word;

/// Length by country, from the IBAN registry.
#[rustfmt::skip]
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

/// Whether two letters and two digits stand in a row anywhere. Four shifted views, so it becomes SIMD code.
#[inline]
pub(super) fn may_begin(text: &[u8]) -> bool {
    let Some(n) = text.len().checked_sub(3) else { return false };
    let letter = |b: u8| (b | 0x20).wrapping_sub(b'a') < 26;
    let digit = |b: u8| b.wrapping_sub(b'0') < 10;
    let (a, b, c, d) = (&text[..n], &text[1..=n], &text[2..n + 2], &text[3..n + 3]);
    let mut any = false;
    for i in 0..n {
        any |= letter(a[i]) & letter(b[i]) & digit(c[i]) & digit(d[i]);
    }
    any
}

/// Where an IBAN that begins at `at` ends. Letters and digits, single spaces or hyphens between them.
pub(super) fn end(text: &[u8], at: usize) -> Option<usize> {
    let head = text.get(at..at + 4)?;
    if !(head[0].is_ascii_alphabetic() && head[2].is_ascii_digit() && head[3].is_ascii_digit()) {
        return None;
    }
    let country = [head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()];
    let (_, length) = LENGTHS.iter().find(|(code, _)| **code == country)?;
    let mut chars = Vec::with_capacity(*length);
    let mut here = at;
    while chars.len() < *length {
        let byte = *text.get(here)?;
        here += 1;
        if byte.is_ascii_alphanumeric() {
            chars.push(byte.to_ascii_uppercase());
        } else if !matches!(byte, b' ' | b'-') || !text.get(here)?.is_ascii_alphanumeric() {
            return None;
        }
    }
    let touches = text.get(here).is_some_and(|b| is_word(*b));
    (!touches && mod_97(&chars) == 1).then_some(here)
}

/// The number that the rotated IBAN stands for, mod 97.
fn mod_97(chars: &[u8]) -> u32 {
    let (head, rest) = chars.split_at(4);
    rest.iter().chain(head).fold(0, |sum, c| match c {
        b'0'..=b'9' => (sum * 10 + u32::from(c - b'0')) % 97,
        _ => (sum * 100 + u32::from(c - b'A') + 10) % 97,
    })
}
