//! What alerts say, as tools print it: simulated ones and those of incidents alike.

use footpath_alert::{SeenNumber, number, seen_of};
use footpath_proto::v1;
use v1::slice_value::Kind;

use super::definitions::Word;

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

/// A number, and what is usual or allowed, or what was odd about it.
pub fn seen(judgement: &v1::Judgement) -> String {
    let v1::Judgement { number: value, low, high, expected, p_value, channel, .. } = judgement.clone();
    let is_problem = judgement.finding() == v1::AlertFinding::Problem;
    let channel = if is_problem { plain(&channel) } else { String::new() };
    seen_of(&SeenNumber { value, expected, low, high, learned: p_value.is_some(), channel: &channel })
}

/// What moved a number: the property and its value, how, by how much, and its own number before and after.
pub fn driver(driver: &v1::Driver) -> String {
    let property = driver.property.as_ref().map(|one| plain(&one.property)).unwrap_or_default();
    let value = value(driver.value.as_ref()).unwrap_or_default();
    let share = number(driver.contribution * 100.0);
    let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), footpath_alert::number);
    let (before, after) = (shown(driver.before), shown(driver.after));
    format!(
        "{property} = {value}  {}, {share} % of the change, {before} before, {after} after",
        Word(driver.kind())
    )
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
}
