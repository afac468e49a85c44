//! What alerts say, as tools print it: simulated ones and those of incidents alike.

use footpath_alert::number;
use footpath_proto::v1;
use v1::slice_value::Kind;

/// A text that others wrote, for one line of a terminal: what a terminal obeys, what breaks the line and what turns the direction of
/// text (UAX #9) is a space. Values of properties come from whoever sends events.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect()
}

fn is_plain(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// A value of a breakdown; none where there is no breakdown.
pub fn value(value: Option<&v1::SliceValue>) -> Option<String> {
    Some(match value?.kind.as_ref()? {
        Kind::Value(text) => plain(text),
        Kind::NotSet(_) => "(not set)".into(),
        Kind::Other(_) => "(other)".into(),
        Kind::NotReached(_) => "(not reached)".into(),
    })
}

/// A number, the band that is usual, and what spoke.
pub fn seen(judgement: &v1::Judgement) -> String {
    let v1::Judgement { number: seen, low, high, expected, channel, .. } = judgement;
    let seen = seen.map_or_else(|| "no number".to_owned(), number);
    let spoke = if channel.is_empty() { String::new() } else { format!(" ({})", plain(channel)) };
    let usual = match (low.map(number), high.map(number), expected.map(number)) {
        (Some(low), Some(high), _) => format!(", usual is {low} to {high}"),
        (Some(low), None, _) => format!(", usual is {low} or more"),
        (None, Some(high), _) => format!(", usual is {high} or less"),
        (None, None, Some(expected)) => format!(", expected was {expected}"),
        (None, None, None) => String::new(),
    };
    format!("{seen}{usual}{spoke}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_sent_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\nb\u{9b}c\u{202e}d\u{2028}ü"), "a [2J b c d ü");
        let sent = v1::SliceValue { kind: Some(Kind::Value("\u{1b}]0;x\u{7}".into())) };
        assert_eq!(value(Some(&sent)).unwrap(), " ]0;x ");
        assert_eq!(value(Some(&v1::SliceValue { kind: Some(Kind::NotSet(true)) })).unwrap(), "(not set)");
        assert_eq!((value(None), value(Some(&v1::SliceValue::default()))), (None, None));
    }

    #[test]
    fn a_number_is_shown_with_its_band() {
        let none = v1::Judgement::default();
        let five = v1::Judgement { number: Some(5.0), ..none.clone() };
        let (low, high, expected) = (Some(1.0), Some(2.5), Some(3.0));
        let spoke = String::from("flat");
        for (judgement, text) in [
            (none.clone(), "no number"),
            (five.clone(), "5"),
            (
                v1::Judgement { low, high, expected, channel: spoke, ..five.clone() },
                "5, usual is 1 to 2.5 (flat)",
            ),
            (v1::Judgement { low, expected, ..five.clone() }, "5, usual is 1 or more"),
            (v1::Judgement { high, ..five.clone() }, "5, usual is 2.5 or less"),
            (v1::Judgement { expected, ..five }, "5, expected was 3"),
        ] {
            assert_eq!(seen(&judgement), text);
        }
    }
}
