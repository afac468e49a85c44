//! Where a definition stands in a file, so that a mistake in what it means can be found.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a file: `rules.toml:12`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line that the definition's table begins in, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The places of a kind's definitions in a text that can be read, in their order and as many: `key` is what its tables are called.
pub fn places(file: &str, text: &str, key: &str) -> Vec<Place> {
    // A text that is no TOML was refused before; it has no places.
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let tables = table.get_ref().get(key).and_then(|value| value.get_ref().as_array());
    let place = |span: Range<usize>| Place { file: file.to_owned(), line: line(text, span.start) };
    tables.into_iter().flatten().map(Spanned::<DeValue<'_>>::span).map(place).collect()
}

/// The line that a byte of a text is in, counted from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stand_where_their_headers_do() {
        let text = "\n[[metric]]\nid = \"a\"\n[metric.events]\n\n# é\r\n[[funnel]]\n[[metric]]\nid = \"b\"\n";
        let lines = |key| places("f.toml", text, key).iter().map(|place| place.line).collect::<Vec<_>>();
        assert_eq!((lines("metric"), lines("funnel"), lines("segment")), (vec![2, 8], vec![7], vec![]));
        assert_eq!(places("f.toml", text, "funnel")[0].to_string(), "f.toml:7");
    }

    #[test]
    fn tables_in_one_line_have_places_too() {
        let text = "metric = [\n  { id = \"a\" },\n  { id = \"b\" },\n]\n";
        let lines: Vec<_> = places("f", text, "metric").iter().map(|place| place.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
