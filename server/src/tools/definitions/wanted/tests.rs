//! Mistakes of files, all of them at once.

use super::*;

fn wanted(files: &[(&str, &str)]) -> Wanted {
    let mut wanted = Wanted::default();
    files.iter().for_each(|(file, text)| wanted.add(Source { file, text }));
    wanted
}

fn problem(kind: &str, id: &str, message: &str) -> v1::DefinitionProblem {
    let (kind, definition_id, message) = (kind.to_owned(), id.to_owned(), message.to_owned());
    v1::DefinitionProblem { kind, definition_id, message, ..Default::default() }
}

/// A mistake in how one is written, in what one means, and two that only the server finds.
const FILE: &str = r#"[[metric]]
id = "a"
events = { aggregate = "most" }

[[alert_rule]]
id = "b"
metric = "a"

[[alert_rule]]
id = "c"
metric = "none"
no_data = {}
where = [{ segment = "s" }, { property = "", operator = "is_set" }]

[[metric]]
id = "d"
conversion = { funnel = "none" }

[[metric]]
id = "a"
sessions = { aggregate = "count" }

[[metric]]
title = "No id"

[metrics]
"#;

#[test]
fn mistakes_in_form_in_meaning_and_in_what_is_named_are_told_together() {
    let wanted = wanted(&[("f.toml", FILE)]);
    let problems = [
        problem("metric", "a", "measure: name one of events, ratio, sessions, conversion"),
        problem("metric", "d", "conversion.funnel_id: there is no funnel \"none\"; ListFunnels names them"),
        problem("alert_rule", "b", "condition: name one"),
        problem("segment", "old", "old is used by alert_rule/c; change them first"),
    ];
    let told = wanted.mistakes(&problems).unwrap();
    let lines: Vec<_> = told.lines().collect();
    let expected = [
        "f.toml:3:24: \"most\" is not known here; allowed are \"count\", ",
        "f.toml:5: alert_rule \"b\": an alert rule has exactly one of",
        "f.toml:9: alert_rule \"c\": where[1].property: must not be empty",
        "f.toml:15: metric \"d\": conversion.funnel: there is no funnel \"none\"; `footpath export`",
        "f.toml:19: metric \"a\": is defined twice, first at f.toml:1",
        "f.toml:23:1: missing field `id`",
        "f.toml:26:2: there is nothing like \"metrics\"",
        "--prune: segment \"old\": old is used by alert_rule/c",
    ];
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, begins) in lines.iter().zip(expected) {
        assert!(line.starts_with(begins), "{begins}\n{told}");
    }
}

#[test]
fn what_has_a_mistake_is_sent_by_name_so_that_what_uses_it_is_judged() {
    let request = wanted(&[("f.toml", FILE)]).request("p", true);
    let metrics: Vec<_> =
        request.metrics.iter().map(|one| (one.id.as_str(), one.measure.is_some())).collect();
    assert_eq!(metrics, [("d", true), ("a", false)]);
    let rules: Vec<_> = request.alert_rules.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((rules, request.prune, request.project.as_str()), (vec!["b", "c"], true, "p"));
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_what_others_say() {
    let rule = "[[alert_rule]]\nid = \"a\"\nmetric = \"m\"\nno_data = {}\n";
    let wanted = wanted(&[("broken.toml", "[[metric]]\nid = m\n"), ("rules.toml", rule)]);
    let told = wanted.mistakes(&[problem("alert_rule", "a", "metric_id: there is no metric \"m\"")]).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("broken.toml:2:6: "), "{told}");
    assert_eq!(lines[1], "rules.toml:1: alert_rule \"a\": metric: there is no metric \"m\"");
    assert_eq!(lines[2..], ["what broken.toml defines is not known, and may be what is missing"]);
    assert_eq!(wanted.mistakes(&[]).unwrap().lines().count(), 1);
}

#[test]
fn a_table_that_stands_alone_is_no_list() {
    let told = wanted(&[("f.toml", "\n[metric]\nid = \"a\"\n")]).mistakes(&[]).unwrap();
    assert!(told.starts_with("f.toml:2:") && told.contains("write [[metric]]"), "{told}");
}

#[test]
fn tables_in_one_line_have_places_too() {
    let text = "metric = [\n  { id = \"a\" },\n  { id = \"b\" },\n]\n";
    let told = wanted(&[("f.toml", text)]).mistakes(&[]).unwrap();
    let places: Vec<_> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["f.toml:2", "f.toml:3"]);
}
