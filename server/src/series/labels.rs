//! Labels, as Prometheus' data model wants them: names of `[a-zA-Z0-9_]` that do not begin with a digit or with the `__` that it keeps for
//! itself; an empty value is no label (<https://prometheus.io/docs/concepts/data_model/>).

use footpath_engine::SliceValue;

/// The labels of a series, in their order.
pub(super) type Labels = Vec<(String, String)>;

/// Names that are taken: our own, and those that a scrape puts to every series.
const TAKEN: [&str; 11] = [
    "project",
    "metric",
    "funnel",
    "environment",
    "currency",
    "percentile",
    "step",
    "job",
    "instance",
    "le",
    "quantile",
];
/// What is put in front of a name that is taken or begins with a digit.
const PREFIX: &str = "property_";

/// One label.
pub(super) fn label(name: &str, value: &impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// Some labels and more.
pub(super) fn joined(labels: &Labels, more: Labels) -> Labels {
    labels.iter().cloned().chain(more).collect()
}

/// The name of the label for a property.
pub(super) fn label_of(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(plain).collect();
    let name = name.trim_start_matches('_');
    let is_good = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !TAKEN.contains(&name);
    if is_good { name.to_owned() } else { format!("{PREFIX}{name}") }
}

/// A value of a breakdown. What is none has a name of its own that begins with `__`; a value that begins so gets one more `_`, so that
/// two are never the same.
pub(super) fn value_of(value: &SliceValue) -> String {
    match value {
        SliceValue::Is(text) if text.is_empty() => "__empty__".into(),
        SliceValue::Is(text) if text.starts_with("__") => format!("_{text}"),
        SliceValue::Is(text) => text.clone(),
        SliceValue::Other => "__other__".into(),
        SliceValue::NotSet => "__not_set__".into(),
        SliceValue::NotReached => "__not_reached__".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn properties_become_names_that_prometheus_takes() {
        for (key, name) in [
            ("plan", "plan"),
            ("Plan Type", "Plan_Type"),
            ("campaign.source", "campaign_source"),
            ("environment", "property_environment"),
            ("job", "property_job"),
            ("__name__", "name__"),
            ("__step", "property_step"),
            ("2fa", "property_2fa"),
            ("größe", "gr__e"),
            ("値", "property_"),
        ] {
            assert_eq!(label_of(key), name);
        }
    }

    #[test]
    fn two_values_never_look_the_same() {
        let texts =
            ["", "_", "__empty__", "___empty__", "__other__", "___other__", "____other__", "__not_set__"];
        let values = texts.map(|text| SliceValue::Is(text.into())).into_iter();
        let all = values.chain([SliceValue::Other, SliceValue::NotSet, SliceValue::NotReached]);
        let shown: Vec<_> = all.map(|value| value_of(&value)).collect();
        let unique: HashSet<_> = shown.iter().collect();
        assert!(unique.len() == shown.len() && !shown.contains(&String::new()), "{shown:?}");
    }
}
