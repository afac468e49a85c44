//! Privacy before anything is written: card numbers and IBANs inside values become `[card]` and `[iban]`.
//!
//! A number that is a card number becomes the text `[card]` as well, but only at the usual lengths of 15 and 16 digits.
//!
//! Digits alone would hit session ids and epoch milliseconds, so a card number needs a known issuer's prefix, a
//! length that issuer uses, Luhn's check, and no letter or digit beside it; an IBAN needs its country's length
//! and the mod 97 check. UUIDs and the fraction of a decimal number are never hit.

mod card;
mod iban;

/// What to mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskPolicy {
    /// Card numbers become `[card]`.
    pub cards: bool,
    /// IBANs become `[iban]`.
    pub ibans: bool,
}

impl Default for MaskPolicy {
    fn default() -> Self {
        Self { cards: true, ibans: true }
    }
}

/// The shortest card number; IBANs are longer.
const SHORTEST: usize = 13;

impl MaskPolicy {
    /// Whether a string could hold something to mask. Cheap, and never wrong when it says no.
    #[inline]
    pub fn suspects(self, text: &[u8]) -> bool {
        text.len() >= SHORTEST
            && ((self.cards && enough_digits(text)) || (self.ibans && iban::may_begin(text)))
    }

    /// Whether a whole number is a card number. Exact.
    #[inline]
    pub fn masks_integer(self, number: i64) -> bool {
        self.cards && number >= card::LEAST && card::is_number(number.cast_unsigned())
    }

    /// Whether a number is whole and a card number. Exact.
    #[inline]
    pub fn masks_double(self, number: f64) -> bool {
        // Whole numbers of this size lie close enough together to be exact.
        number >= card::LEAST as f64
            && number < 1e16
            && number.fract() == 0.0
            && self.masks_integer(number as i64)
    }

    /// The string with everything masked, or `None` if there is nothing to mask.
    pub fn mask(self, text: &str) -> Option<String> {
        if !self.suspects(text.as_bytes()) {
            return None;
        }
        let mut out = String::new();
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() {
            match self.find_at(text.as_bytes(), at) {
                Found::Hit(end, word) => {
                    out.push_str(&text[copied..at]);
                    out.push_str(word);
                    (copied, at) = (end, end);
                }
                Found::Skip(end) => at = end,
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(&text[copied..]);
        Some(out)
    }

    /// Looks at one position; `at` is never inside a word it has looked at before.
    fn find_at(self, text: &[u8], at: usize) -> Found {
        if !text[at].is_ascii_alphanumeric() || (at > 0 && is_word(text[at - 1])) {
            return Found::Skip(at + 1);
        }
        if let Some(end) = uuid_end(text, at) {
            return Found::Skip(end);
        }
        if self.ibans
            && let Some(end) = iban::end(text, at)
        {
            return Found::Hit(end, "[iban]");
        }
        if self.cards
            && let Some(end) = card::end(text, at)
        {
            return Found::Hit(end, "[card]");
        }
        Found::Skip(at + 1)
    }
}

enum Found {
    /// Replace up to here by this.
    Hit(usize, &'static str),
    /// Nothing begins here; go on there.
    Skip(usize),
}

/// Letters, digits and the underscore: what a number may not touch.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// At least as many digits as the shortest card number. Sums in blocks of 128, so it becomes SIMD code.
#[inline]
fn enough_digits(text: &[u8]) -> bool {
    let count = |part: &[u8]| part.iter().map(|b| u8::from(b.wrapping_sub(b'0') < 10)).sum::<u8>();
    text.chunks(128).map(|part| usize::from(count(part))).sum::<usize>() >= SHORTEST
}

/// Where a UUID that begins at `at` ends.
fn uuid_end(text: &[u8], at: usize) -> Option<usize> {
    let end = at + 36;
    let uuid = text.get(at..end)?;
    let fits = uuid.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (fits && !text.get(end).is_some_and(|b| is_word(*b))).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        MaskPolicy::default().mask(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn card_numbers_are_masked_wherever_they_stand() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "6205500000000000004",
            "4222222222222",
            "4111.1111.1111.1111",
            "3782.822463.10005",
        ] {
            assert_eq!(masked(card), "[card]", "{card}");
            assert_eq!(masked(&format!("paid with {card}, thanks")), "paid with [card], thanks", "{card}");
            assert_eq!(masked(&format!("ü{card}ü")), "ü[card]ü", "{card}");
        }
        assert_eq!(masked("12 4111 1111 1111 1111 34"), "12 [card] 34");
        assert_eq!(masked("4111111111111111/5555555555554444"), "[card]/[card]");
    }

    #[test]
    fn ibans_are_masked_with_and_without_spaces() {
        for iban in [
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "GB29 NWBK 6016 1331 9268 19",
            "CH9300762011623852957",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "de89370400440532013000",
        ] {
            assert_eq!(masked(iban), "[iban]", "{iban}");
            assert_eq!(masked(&format!("to {iban} now")), "to [iban] now", "{iban}");
        }
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in [
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "4111111111111112",
            "sess_4111111111111111",
            "a4111111111111111",
            "4111111111111111b",
            "41111111111111111111",
            "4111  1111 1111 1111",
            "0.4111111111111111",
            "4111111.111111111",
            "41111111.11111111",
            "41111111-1111-1111-1111-111111111111",
            "0190163d-8694-739b-aea5-966c26f8ad91",
            "DE88370400440532013000",
            "XX89370400440532013000",
            "DE893704004405320130001",
            "xDE89370400440532013000",
            "+41 79 123 45 67",
            "",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn numbers_that_are_card_numbers_are_masked() {
        let policy = MaskPolicy::default();
        for card in [4_111_111_111_111_111, 5_555_555_555_554_444, 378_282_246_310_005] {
            assert!(policy.masks_integer(card) && policy.masks_double(card as f64), "{card}");
            assert!(!policy.masks_integer(-card) && !policy.masks_double(-card as f64), "{card}");
            assert!(!MaskPolicy { cards: false, ibans: true }.masks_integer(card));
        }
        for other in
            [0, 1_700_000_000_000, 1_700_000_000_000_000, 4_111_111_111_111_112, 4_222_222_222_222, i64::MAX]
        {
            assert!(!policy.masks_integer(other) && !policy.masks_double(other as f64), "{other}");
        }
    }

    #[test]
    fn a_policy_can_leave_either_alone() {
        let text = "4111111111111111 DE89370400440532013000";
        let only = |cards, ibans| MaskPolicy { cards, ibans }.mask(text);
        assert_eq!(only(true, false).unwrap(), "[card] DE89370400440532013000");
        assert_eq!(only(false, true).unwrap(), "4111111111111111 [iban]");
        assert_eq!(only(false, false), None);
    }

    proptest::proptest! {
        #[test]
        fn masking_never_panics_and_masks_once(text in "[0-9A-Za-z4 \\-._ü]{0,60}") {
            let once = masked(&text);
            proptest::prop_assert_eq!(masked(&once), once);
        }
    }
}
