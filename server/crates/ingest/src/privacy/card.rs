//! Card numbers.

use super::is_word;

/// The longest card number in digits (ISO/IEC 7812).
const LONGEST: usize = 19;

/// The least number of 15 digits: shorter card numbers are rare, and a number has nothing beside it that would tell it
/// from any other id.
pub(super) const LEAST: i64 = 100_000_000_000_000;

/// Whether a number of 15 or 16 digits is a card number.
pub(super) fn is_number(number: u64) -> bool {
    let digits: Vec<u8> = number.to_string().bytes().map(|digit| digit - b'0').collect();
    (15..=16).contains(&digits.len()) && is_card(&digits)
}

/// Where a card number that begins at `at` ends. Digits, single spaces, hyphens or dots between them; the longest
/// number that ends where a group of digits ends counts. A number with one dot is a fraction.
pub(super) fn end(text: &[u8], at: usize) -> Option<usize> {
    if in_a_fraction(text, at) {
        return None;
    }
    let mut digits = [0_u8; LONGEST];
    let (mut count, mut dots) = (0, 0);
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
                if dots != 1 && is_card(&digits[..count]) {
                    found = Some(here);
                }
                if let Some(separator @ (b' ' | b'-' | b'.')) = next {
                    dots += usize::from(*separator == b'.');
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
