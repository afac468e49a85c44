//! Card numbers.

use super::is_word;

/// The longest card number in digits (ISO/IEC 7812).
const LONGEST: usize = 19;

/// Where a card number that begins at `at` ends. Digits, single spaces or hyphens between them; the longest
/// number that ends where a group of digits ends counts.
pub(super) fn end(text: &[u8], at: usize) -> Option<usize> {
    if in_a_fraction(text, at) {
        return None;
    }
    let mut digits = [0_u8; LONGEST];
    let mut count = 0;
    let mut found = None;
    let mut here = at;
    while let Some(byte) = text.get(here).filter(|b| b.is_ascii_digit()) {
        if count == LONGEST {
            break;
        }
        digits[count] = byte - b'0';
        count += 1;
        here += 1;
        match text.get(here) {
            Some(b) if b.is_ascii_digit() => {}
            Some(b) if is_word(*b) => break,
            next => {
                if is_card(&digits[..count]) {
                    found = Some(here);
                }
                if matches!(next, Some(b' ' | b'-')) {
                    here += 1;
                }
            }
        }
    }
    found
}

/// Whether the digits at `at` follow a decimal point.
fn in_a_fraction(text: &[u8], at: usize) -> bool {
    at >= 2 && text[at - 1] == b'.' && text[at - 2].is_ascii_digit()
}

fn is_card(digits: &[u8]) -> bool {
    digits.len() >= super::SHORTEST && issuer_uses(digits) && luhn(digits)
}

/// Whether an issuer has numbers that begin like this and are this long (ISO/IEC 7812 ranges as published by
/// the networks).
fn issuer_uses(digits: &[u8]) -> bool {
    let len = digits.len();
    let four = digits[..4].iter().fold(0_u32, |sum, d| sum * 10 + u32::from(*d));
    match four {
        4000..=4999 => matches!(len, 13 | 16 | 19),                  // Visa
        5100..=5599 | 2221..=2720 => len == 16,                      // Mastercard
        3400..=3499 | 3700..=3799 => len == 15,                      // American Express
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => len >= 14, // Diners Club
        3528..=3589 => len >= 16,                                    // JCB
        6011 | 6440..=6599 | 6200..=6299 | 8100..=8171 => len >= 16, // Discover, UnionPay
        2200..=2204 => len >= 16,                                    // Mir
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => true, // Maestro
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| match (i % 2, u32::from(*d)) {
            (0, d) => d,
            (_, d) if d < 5 => 2 * d,
            (_, d) => 2 * d - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}
