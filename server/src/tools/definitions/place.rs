//! Where something stands in files, and mistakes there.

use std::fmt;

/// A place in a file: the line that a definition begins in, `rules.toml:12`, or a line and its column, `rules.toml:12:5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: String,
    line: usize,
    column: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        match column {
            None => write!(f, "{file}:{line}"),
            Some(column) => write!(f, "{file}:{line}:{column}"),
        }
    }
}

/// A file's name and its text.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As it was named.
    pub file: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl Source<'_> {
    /// The line that a byte is in.
    pub fn line(self, at: usize) -> Place {
        let before = self.text.bytes().take(at);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        Place { file: self.file.to_owned(), line, column: None }
    }

    /// The line and column that a byte is in.
    pub fn column(self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        Place { column: Some(column), ..self.line(at) }
    }
}

/// A mistake, as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where; none of what no file names, which is to be deleted.
    pub place: Option<Place>,
    /// What it is.
    pub what: String,
}

impl Mistake {
    /// A mistake in the definition of this kind and id.
    pub fn of(place: Option<Place>, kind: &str, id: &str, what: &str) -> Self {
        Self { place, what: format!("{kind} {id:?}: {what}") }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.what),
            None => write!(f, "--prune: {}", self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_lines_and_columns() {
        let source = Source { file: "f.toml", text: "a\nüb = 1\r\n\nc" };
        let shown = |at| (source.line(at).to_string(), source.column(at).to_string());
        assert_eq!(shown(0), ("f.toml:1".into(), "f.toml:1:1".into()));
        assert_eq!(shown(4), ("f.toml:2".into(), "f.toml:2:2".into()));
        assert_eq!(shown(12), ("f.toml:4".into(), "f.toml:4:1".into()));
        assert_eq!(shown(99), ("f.toml:4".into(), "f.toml:4:2".into()));
    }
}
