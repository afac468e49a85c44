//! Numbers and conditions as people read them.

use footpath_engine::alert::{Judged, PIPELINE, Transition, TransitionKind};
use footpath_model::definition::{Against, AlertCondition, AlertRule, Direction};

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
    if incident.rule == PIPELINE {
        return transition.text.clone().unwrap_or_else(|| incident.condition.clone());
    }
    let of = incident.series.label().map(|value| format!(" ({value})")).unwrap_or_default();
    let worse = if transition.kind == TransitionKind::Escalated { ", worse than before" } else { "" };
    let seen = transition.judged.as_ref().map(seen).unwrap_or_default();
    format!("{}{of}: {seen}{worse}", incident.title)
}

/// What was seen, and what was expected instead.
fn seen(judged: &Judged) -> String {
    let value = judged.value.map_or_else(|| "no number".to_owned(), number);
    match (judged.low, judged.high, judged.expected) {
        (Some(low), Some(high), _) => format!("{value}, usual is {} to {}", number(low), number(high)),
        (Some(low), None, _) => format!("{value}, usual is {} or more", number(low)),
        (None, Some(high), _) => format!("{value}, usual is {} or less", number(high)),
        (None, None, Some(expected)) => format!("{value}, expected was {}", number(expected)),
        (None, None, None) => format!("{value}, nothing came"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
