//! A strict reader of OpenMetrics text, for pages of gauges: what the specification forbids ends the test
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::collections::{BTreeMap, HashSet};

/// A page of gauges.
#[derive(Debug, Default)]
pub struct Page {
    /// Names and help texts, in their order.
    pub families: Vec<(String, String)>,
    /// Names with labels sorted by their names, and numbers.
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
}

impl Page {
    /// Reads a page.
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("a page ends with # EOF and a line feed");
        let (mut page, mut typed) = (Self::default(), HashSet::new());
        for line in body.split_terminator('\n') {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(is_name(name) && !help.contains(['\\', '"']), "{line}");
                page.families.push((name.to_owned(), help.to_owned()));
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let newest = page.families.last().is_some_and(|(own, _)| own == name);
                assert!(newest && kind == "gauge" && typed.insert(name.to_owned()), "{line}");
            } else {
                page.sample(line);
            }
        }
        page
    }

    fn sample(&mut self, line: &str) {
        let end = line.find(['{', ' ']).expect(line);
        let name = &line[..end];
        // Samples of a family stand together behind its type.
        assert!(self.families.last().is_some_and(|(own, _)| own == name), "{line}");
        let (labels, rest) = labels(&line[end..]);
        let number = rest.strip_prefix(' ').expect(line);
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b));
        assert!(plain, "{line}");
        let known = self.samples.insert((name.to_owned(), labels), number.parse().expect(line));
        assert!(known.is_none(), "a series is there once: {line}");
    }

    /// A number by name and labels.
    pub fn number(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut labels: Vec<_> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        labels.sort();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

/// Labels in braces, if there are any, and what is behind them.
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let (mut labels, Some(mut rest)) = (Vec::new(), text.strip_prefix('{')) else {
        return (Vec::new(), text);
    };
    loop {
        let (name, behind) = rest.split_once("=\"").expect(text);
        assert!(is_name(name) && !name.contains(':') && !name.starts_with("__"), "{text}");
        let (value, behind) = quoted(behind);
        assert!(!value.is_empty(), "an empty value is no label: {text}");
        labels.push((name.to_owned(), value));
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                labels.sort();
                assert!(
                    labels.windows(2).all(|pair| pair[0].0 != pair[1].0),
                    "a label is there once: {text}"
                );
                return (labels, behind.strip_prefix('}').expect(text));
            }
        }
    }
}

/// A value up to its quote, and what is behind.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('\\' | '"'))) => c,
                other => panic!("no escape: {other:?} in {text}"),
            }),
            c => value.push(c),
        }
    }
    panic!("a value without its end: {text}")
}

fn is_name(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}
