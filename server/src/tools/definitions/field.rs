//! Fields as files call them: the API calls some of them otherwise, and messages are about the API's.

use super::filter::Where;

/// Names that differ, and those of files.
const NAMES: [(&str, &str); 7] = [
    ("metric_id", "metric"),
    ("funnel_id", "funnel"),
    ("segment_id", "segment"),
    ("steps", "step"),
    ("exclusions", "exclusion"),
    ("conditions", "where"),
    ("filter", "where"),
];

/// A `where` of a definition.
#[derive(Debug)]
pub struct List<'a> {
    /// What it belongs to, as the API calls that; empty where it belongs to the definition itself.
    pub of: String,
    /// What it says.
    pub conditions: &'a [Where],
    /// Whether the API has two lists of it: comparisons, and one filter for the rest.
    pub is_split: bool,
}

/// A message of the API for whoever reads a file: paths of fields are told as the file has them. `lists` are those of the definition.
pub fn in_file(message: &str, lists: &[List<'_>]) -> String {
    let mut begins = true;
    let words = message.split(' ').map(|word| {
        let path = word.strip_suffix(':').filter(|path| begins && is_path(path));
        begins = word.ends_with([':', ';']);
        path.map_or_else(|| word.to_owned(), |path| format!("{}:", renamed(path, lists)))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_path(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]".contains(c);
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_part)
}

/// The path of a field as a file has it.
pub fn renamed(path: &str, lists: &[List<'_>]) -> String {
    let path = lists.iter().find_map(|list| list.found(path)).unwrap_or_else(|| path.to_owned());
    // Of a funnel, whose breakdown is more than a property.
    let path = path.replacen("breakdown.property.", "breakdown.", 1);
    path.split('.').map(renamed_part).collect::<Vec<_>>().join(".")
}

fn renamed_part(part: &str) -> String {
    let (name, index) = part.split_at(part.find('[').unwrap_or(part.len()));
    let known = NAMES.iter().find(|(of_api, _)| *of_api == name);
    format!("{}{index}", known.map_or(name, |(_, of_file)| of_file))
}

impl List<'_> {
    /// A path into this list; none of another.
    fn found(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.of.as_str())?;
        let rest = if self.of.is_empty() { rest } else { rest.strip_prefix('.')? };
        let (which, inside) = self.place(rest)?;
        let of = if self.of.is_empty() { String::new() } else { format!("{}.", self.of) };
        Some(format!("{of}where[{which}]{inside}"))
    }

    /// Which of the list it is, and what of that.
    fn place<'a>(&self, path: &'a str) -> Option<(usize, &'a str)> {
        let is_plain = |one: &Where| self.is_split && one.property.is_some();
        let those = |plain: bool| {
            let named = self.conditions.iter().enumerate().filter(move |(_, one)| is_plain(one) == plain);
            named.map(|(at, _)| at).collect::<Vec<_>>()
        };
        if let Some(rest) = path.strip_prefix("conditions[") {
            let (at, inside) = rest.split_once(']')?;
            return Some((*those(true).get(at.parse::<usize>().ok()?)?, inside));
        }
        let rest = path.strip_prefix("filter")?;
        match those(false).as_slice() {
            [only] if !rest.is_empty() => Some((*only, rest)),
            several => {
                let (at, inside) = rest.strip_prefix(".all[")?.split_once(']')?;
                Some((*several.get(at.parse::<usize>().ok()?)?, inside))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of comparisons ("p") and segments ("s").
    fn wheres(kinds: &str) -> Vec<Where> {
        let one = |kind| match kind {
            'p' => Where { property: Some("p".into()), ..Where::default() },
            _ => Where { segment: Some("s".into()), ..Where::default() },
        };
        kinds.chars().map(one).collect()
    }

    fn told(of: &str, kinds: &str, is_split: bool, message: &str) -> String {
        let conditions = wheres(kinds);
        in_file(message, &[List { of: of.into(), conditions: &conditions, is_split }])
    }

    #[test]
    fn names_are_those_of_files() {
        let told = |message| in_file(message, &[]);
        assert_eq!(told("metric_id: there is no metric \"x\""), "metric: there is no metric \"x\"");
        assert_eq!(told("conversion.funnel_id: none"), "conversion.funnel: none");
        assert_eq!(
            told("title: no control characters; steps[1].events[0]: must not be empty; filter: no"),
            "title: no control characters; step[1].events[0]: must not be empty; where: no"
        );
        assert_eq!(
            told("alert_rule/many watches it: filter: only"),
            "alert_rule/many watches it: where: only"
        );
        assert_eq!(told("breakdown.property.property: must"), "breakdown.property: must");
        assert_eq!(told("breakdown.property: must"), "breakdown.property: must");
        // What is no path, or is quoted, stays.
        let other = "x: the filter: a, \"filter: b\" and Filter: c";
        assert_eq!(told(other), other);
    }

    #[test]
    fn a_list_has_its_own_places() {
        assert_eq!(told("", "p", false, "filter.property: x"), "where[0].property: x");
        assert_eq!(told("", "p", false, "filter: x"), "where: x");
        assert_eq!(told("", "ps", false, "filter.all[1].segment_id: x"), "where[1].segment: x");
        assert_eq!(
            told("events", "s", false, "events.filter.any[2].values[0]: x"),
            "events.where[0].any[2].values[0]: x"
        );
        assert_eq!(told("events", "s", false, "ratio.numerator.filter: x"), "ratio.numerator.where: x");
    }

    #[test]
    fn a_list_that_the_api_splits_is_one() {
        let told = |message| told("steps[1]", "spsp", true, message);
        assert_eq!(told("steps[1].conditions[1].values: x"), "step[1].where[3].values: x");
        assert_eq!(told("steps[1].filter.all[1].segment_id: x"), "step[1].where[2].segment: x");
        assert_eq!(told("steps[1].conditions: at most"), "step[1].where: at most");
        assert_eq!(told("steps[1].conditions[7].values: x"), "step[1].where[7].values: x");
    }
}
