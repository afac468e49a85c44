//! Text for people: names, sentences and links that fit, numbers and times in words.

use footpath_model::text::VALUE;
pub(crate) use footpath_model::text::one_line;
use jiff::Timestamp;
use url::Url;

/// The longest name, in characters.
const NAME: usize = 200;
/// The longest sentence, in characters.
const SENTENCE: usize = 500;
/// The longest unit, in characters.
const UNIT: usize = 20;
/// The longest link, in bytes: what browsers and mail programs take, and below Slack's 3,000.
const LINK: usize = 2_000;

/// A name on one line.
pub(crate) fn name(text: &str) -> String {
    one_line(text, NAME)
}

/// A value within a sentence.
pub(crate) fn value(text: &str) -> String {
    one_line(text, VALUE)
}

/// A unit on one line.
pub(crate) fn unit(text: &str) -> String {
    one_line(text, UNIT)
}

/// A sentence on one line.
pub(crate) fn sentence(text: &str) -> String {
    one_line(text, SENTENCE)
}

/// The link as the URL standard writes it, with nothing in it that could end it in a message; empty when it does not lead to the web.
pub(crate) fn web_link(text: &str) -> String {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let link = parsed.map(String::from).unwrap_or_default();
    let safe = link.replace('|', "%7C").replace('\'', "%27").replace('"', "%22");
    if safe.len() > LINK { String::new() } else { safe }
}

/// A number with its unit: as many digits as tell something.
pub(crate) fn number(value: f64, unit: Option<&str>) -> String {
    let digits = digits(value);
    unit.map_or_else(|| digits.clone(), |unit| format!("{digits} {unit}"))
}

/// [`number`], or a dash where there is none.
pub(crate) fn number_or_dash(value: Option<f64>, unit: Option<&str>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".to_owned(), |value| number(value, unit))
}

fn digits(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = if size >= 100.0 { 2 } else { 4 };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time as RFC 3339 in UTC, whole seconds.
pub(crate) fn time(us: i64) -> String {
    let seconds = us.div_euclid(1_000_000);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_what_they_can() {
        let shown = |value| number(value, None);
        assert_eq!(
            [shown(0.0), shown(12.5), shown(1e-9), shown(1234.567)],
            ["0", "12.5", "1.000e-9", "1234.57"]
        );
        assert_eq!(number(3.0, Some("%")), "3 %");
        assert_eq!(number_or_dash(Some(f64::NAN), None), "-");
    }

    #[test]
    fn only_links_to_the_web_stay() {
        assert_eq!(web_link("javascript:alert(1)"), "");
        assert_eq!(web_link("https://a.example/x|y>\n'\""), "https://a.example/x%7Cy%3E%27%22");
        assert_eq!(web_link(&format!("https://a.example/{}", "x".repeat(3_000))), "");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_700_000_000_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(time(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
