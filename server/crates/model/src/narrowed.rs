//! Metrics and funnels of which only some events are counted: by alert rules, for scrapers, and in the search for what moved a number.

use crate::control::{CountedFunnel, CountedMetric};
use crate::definition::{Condition, Filter, Op, Scope};

impl CountedMetric {
    /// Counts events of these environments only, and internal traffic only where that is asked for. What is left out takes the place
    /// of the project's filter for internal traffic, so that it holds for events, sessions and funnels alike.
    pub fn within(mut self, environments: Vec<String>, include_internal: bool) -> Self {
        self.internal = Some(left_out(self.internal, environments, include_internal));
        self.definition.include_internal = false;
        if let Some(funnel) = &mut self.funnel {
            funnel.internal.clone_from(&self.internal);
            funnel.definition.include_internal = false;
        }
        self
    }

    /// Counts only events that fulfil `filter` as well. `false`, and nothing changed, of what is not made of terms: sessions and
    /// conversions.
    pub fn narrow(&mut self, filter: &Filter) -> bool {
        let terms = self.definition.measure.terms_mut();
        let has_terms = !terms.is_empty();
        terms.into_iter().for_each(|term| term.filters.push(filter.clone()));
        has_terms
    }
}

impl CountedFunnel {
    /// Counts events of these environments only, as [`CountedMetric::within`] does.
    pub fn within(mut self, environments: Vec<String>, include_internal: bool) -> Self {
        self.internal = Some(left_out(self.internal, environments, include_internal));
        self.definition.include_internal = false;
        self
    }
}

/// What is internal, where that is left out, and what is of no such environment.
fn left_out(internal: Option<Filter>, environments: Vec<String>, include_internal: bool) -> Filter {
    let internal = internal.filter(|_| !include_internal);
    let elsewhere = Filter::not(in_environments(environments));
    Filter::any(internal.into_iter().chain([elsewhere]).collect())
}

fn in_environments(values: Vec<String>) -> Filter {
    let (property, scope, op) = ("environment".into(), Scope::Context, Op::In);
    Condition { property, scope, op, values, as_of: Default::default() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(measure: &str, funnel: &str) -> CountedMetric {
        let internal = r#"{"property":"email","op":"contains","values":["@example.com"]}"#;
        let definition = format!(r#"{{"id":"m","include_internal":true,"measure":{measure}}}"#);
        let json = format!(r#"{{"definition":{definition},"internal":{internal}{funnel}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn plan() -> Filter {
        serde_json::from_str(r#"{"property":"plan","op":"in","values":["pro"]}"#).unwrap()
    }

    #[test]
    fn internal_traffic_and_other_environments_are_left_out_of_a_metric_and_its_funnel() {
        let funnel = r#","funnel":{"definition":{"id":"f","window_us":1,"include_internal":true,
            "steps":[{"events":["a"]}]},"range":"today","zone":"UTC"}"#;
        let conversion = metric(r#"{"conversion":{"funnel":"f"}}"#, funnel);
        let dev = r#"{"not":{"property":"environment","scope":"context","op":"in","values":["dev"]}}"#;
        let internal = r#"{"property":"email","op":"contains","values":["@example.com"]}"#;
        for (include_internal, expected) in
            [(false, format!(r#"{{"any":[{internal},{dev}]}}"#)), (true, format!(r#"{{"any":[{dev}]}}"#))]
        {
            let within = conversion.clone().within(vec!["dev".into()], include_internal);
            let funnel = within.funnel.unwrap();
            assert_eq!(serde_json::to_string(&within.internal).unwrap(), expected);
            assert_eq!(funnel.internal, within.internal);
            assert!(!within.definition.include_internal && !funnel.definition.include_internal);
        }
    }

    #[test]
    fn a_filter_narrows_every_term_and_only_terms() {
        let term = |name| format!(r#"{{"events":["{name}"],"aggregate":"count"}}"#);
        let (paid, seen) = (term("paid"), term("seen"));
        let ratio = format!(r#"{{"ratio":{{"numerator":{paid},"denominator":{seen}}}}}"#);
        for (measure, terms) in [(format!(r#"{{"events":{paid}}}"#), 1), (ratio, 2)] {
            let mut metric = metric(&measure, "");
            assert!(metric.narrow(&plan()));
            let narrowed = metric.definition.measure.terms_mut();
            assert_eq!(narrowed.iter().filter(|term| term.filters == [plan()]).count(), terms);
        }
        let sessions = metric(r#"{"sessions":"count"}"#, "");
        let mut narrowed = sessions.clone();
        assert!(!narrowed.narrow(&plan()));
        assert_eq!(narrowed, sessions);
    }
}
