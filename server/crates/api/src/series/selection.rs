//! What is to be shown.

use std::fmt;
use std::str::FromStr;

use footpath_model::definition::is_id;

use crate::admin::valid_id;

/// A project, or the metric and the funnel of one name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The project's id.
    pub project: String,
    /// The id of a metric, a funnel or one of each; `None` means all that the project has.
    pub definition: Option<String>,
}

/// A text is no selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no selection: write project, or project/id of a metric or funnel")]
pub struct BadSelection(String);

impl FromStr for Selection {
    type Err = BadSelection;

    /// Reads `project` or `project/id`.
    fn from_str(text: &str) -> Result<Self, BadSelection> {
        let text = text.trim();
        let (project, definition) = match text.split_once('/') {
            Some((project, definition)) => (project, Some(definition)),
            None => (text, None),
        };
        if valid_id(project) && definition.is_none_or(is_id) {
            return Ok(Self { project: project.to_owned(), definition: definition.map(str::to_owned) });
        }
        Err(BadSelection(text.to_owned()))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.project)?;
        self.definition.iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_reads_what_it_writes_and_nothing_else() {
        for text in ["shop", "shop/pay_rate", "a-1/b"] {
            assert_eq!(text.parse::<Selection>().unwrap().to_string(), text);
        }
        for bad in ["", "/", "shop/", "/pay", "Shop", "shop/pay/day", "shop/*"] {
            assert!(bad.parse::<Selection>().is_err(), "{bad}");
        }
    }
}
