//! Numbers and conditions as people read them.

use footpath_engine::alert::{Detail, Finding, Judged, PIPELINE, Transition, TransitionKind, channel_name};
use footpath_model::alert::Bounds;
use footpath_model::definition::{Against, AlertCondition, AlertRule, Direction};
use footpath_model::text::{VALUE, one_line};

use crate::incident::Incident;

/// A number with as many digits as say something: three, and none beyond the unit.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if size >= 100.0 || size == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => (2 - size.log10().floor() as i32).clamp(2, 12) as usize,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// What a problem is, in words.
pub fn condition(rule: &AlertRule) -> String {
    match &rule.when {
        AlertCondition::Threshold { above: Some(above), below: Some(below) } => {
            format!("above {} or below {}", number(*above), number(*below))
        }
        AlertCondition::Threshold { above: Some(above), .. } => format!("above {}", number(*above)),
        AlertCondition::Threshold { below, .. } => format!("below {}", number(below.unwrap_or_default())),
        AlertCondition::Change { against, up_percent, down_percent } => {
            let up = up_percent.map(|up| format!("{} % more", number(up)));
            let down = down_percent.map(|down| format!("{} % less", number(down)));
            let both: Vec<_> = up.into_iter().chain(down).collect();
            let than = match against {
                Against::Previous => "the bucket before",
                Against::Day => "a day before",
                Against::Week => "a week before",
            };
            format!("{} than {than}", both.join(" or "))
        }
        AlertCondition::Anomaly { direction, .. } => match direction {
            Direction::Both => "not what its past lets expect".into(),
            Direction::Up => "more than its past lets expect".into(),
            Direction::Down => "less than its past lets expect".into(),
        },
        AlertCondition::NoData {} => "nothing comes".into(),
    }
}

/// An incident in one line, after something was told.
pub fn summary(incident: &Incident, transition: &Transition) -> String {
    let what = happened(incident, transition);
    if incident.rule == PIPELINE { what } else { format!("{}: {what}", subject(incident)) }
}

/// What an incident is about: its title and the value of the breakdown, which is cut: it may be longer than all that is said of it.
pub fn subject(incident: &Incident) -> String {
    let of = incident.series.label().map(|value| format!(" ({})", one_line(value, VALUE)));
    format!("{}{}", incident.title, of.unwrap_or_default())
}

/// What was told, without what it is about.
pub fn happened(incident: &Incident, transition: &Transition) -> String {
    if incident.rule == PIPELINE {
        let words = transition.detail.as_ref().and_then(Detail::words);
        return words.unwrap_or_else(|| incident.condition.clone());
    }
    let worse = if transition.kind == TransitionKind::Escalated { ", worse than before" } else { "" };
    let seen = transition.judged.as_ref().map(seen).unwrap_or_default();
    format!("{seen}{worse}")
}

fn seen(judged: &Judged) -> String {
    let is_problem = judged.finding == Finding::Problem;
    let spoke = judged.channel.filter(|_| is_problem);
    let nothing = if is_problem && judged.expected.is_none() { ", nothing came" } else { "" };
    let seen = seen_of(&Seen {
        value: judged.value,
        expected: judged.expected,
        low: judged.low,
        high: judged.high,
        learned: judged.is_learned(),
        channel: spoke.map(channel_name).unwrap_or_default(),
    });
    seen + nothing
}

/// A number that was looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// The number, if there is one.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// From here on it is usual, or allowed.
    pub low: Option<f64>,
    /// Up to here it is usual, or allowed.
    pub high: Option<f64>,
    /// The band is what the past lets expect; else it is a bound that somebody set.
    pub learned: bool,
    /// What spoke, of problems; else empty.
    pub channel: &'a str,
}

/// What was seen, and what was expected or allowed instead. A number inside of its usual band was odd in another way, which is named.
pub fn seen_of(seen: &Seen<'_>) -> String {
    let value = seen.value.map_or_else(|| "no number".to_owned(), number);
    if !seen.learned {
        return bounded(seen, &value);
    }
    let inside = seen.value.zip(seen.low.zip(seen.high));
    let inside = inside.is_some_and(|(value, (low, high))| (low..=high).contains(&value));
    let usual = match (seen.low, seen.high, seen.expected) {
        (_, _, Some(expected)) if inside && !seen.channel.is_empty() => {
            return format!("{value}, expected was about {} ({})", number(expected), seen.channel);
        }
        (Some(low), Some(high), _) => format!("usual is {} to {}", number(low), number(high)),
        (Some(low), None, _) => format!("usual is {} or more", number(low)),
        (None, Some(high), _) => format!("usual is {} or less", number(high)),
        (None, None, Some(expected)) => format!("expected was {}", number(expected)),
        (None, None, None) => return value,
    };
    format!("{value}, {usual}")
}

/// A number with the bound that was set for it, and with the number it was compared with if the bound follows from one.
fn bounded(seen: &Seen<'_>, value: &str) -> String {
    let bounds = Bounds::of(seen.low, seen.high, seen.expected);
    let compared = bounds.compared.map(number);
    match (bounds.words(number), compared) {
        (Some(allowed), Some(compared)) => format!("{value} against {compared}, allowed is {allowed}"),
        (Some(allowed), None) => format!("{value}, allowed is {allowed}"),
        (None, Some(compared)) => format!("{value}, expected was {compared}"),
        (None, None) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_with_its_band_or_why_it_is_odd() {
        let five = Seen { value: Some(5.0), ..Seen::default() };
        let (low, high, expected) = (Some(1.0), Some(2.5), Some(3.0));
        let band = Seen { low, high, expected, learned: true, channel: "point", ..five };
        for (seen, text) in [
            (Seen::default(), "no number"),
            (five, "5"),
            (band, "5, usual is 1 to 2.5"),
            (
                Seen { high: Some(9.0), channel: "short window", ..band },
                "5, expected was about 3 (short window)",
            ),
            (Seen { high: Some(9.0), channel: "", ..band }, "5, usual is 1 to 9"),
            (Seen { high: None, ..band }, "5, usual is 1 or more"),
            (Seen { low: None, ..band }, "5, usual is 2.5 or less"),
            (Seen { low: None, high: None, ..band }, "5, expected was 3"),
        ] {
            assert_eq!(seen_of(&seen), text);
        }
    }

    #[test]
    fn a_bound_that_somebody_set_is_not_what_is_usual() {
        let five = Seen { value: Some(5.0), ..Seen::default() };
        let (low, high) = (Some(1.0), Some(2.5));
        for (seen, text) in [
            (Seen { high, expected: high, ..five }, "5, allowed is at most 2.5"),
            (Seen { low, expected: low, ..five }, "5, allowed is at least 1"),
            (Seen { low, high, expected: high, ..five }, "5, allowed is 1 to 2.5"),
            (Seen { high, expected: Some(2.0), ..five }, "5 against 2, allowed is less than 2.5"),
            (Seen { low, expected: Some(2.0), ..five }, "5 against 2, allowed is more than 1"),
            (Seen { low, high, expected: Some(2.0), ..five }, "5 against 2, allowed is between 1 and 2.5"),
            (Seen { expected: Some(3.0), ..five }, "5, expected was 3"),
        ] {
            assert_eq!(seen_of(&seen), text);
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (12_345.678, "12346"),
            (99.96, "100"),
            (12.345, "12.3"),
            (1.5, "1.5"),
            (0.034_56, "0.0346"),
            (-0.5, "-0.5"),
            (1e-9, "0.000000001"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
