//! Files read and written, whatever they say.

use super::*;

/// Every option once; docs/tools.md shows it too.
const REFERENCE: &str = include_str!("../../../../docs/tools.md");

const TEXT: &str = r#"[[funnel]]
id = "checkout"
title = "Checkout"
window = "1h"
range = "last 30 days"
time_zone = "Europe/Zurich"

[[funnel.step]]
label = "Basket"
events = ["add_to_cart", "cart"]

[[funnel.step]]
events = ["purchase"]

[[funnel.step.where]]
property = "plan"
operator = "not_equals"
values = ["free", "trial"]

[[funnel.step.where]]
property = "voucher"
operator = "is_set"
"#;

/// The examples of the documentation, as one file.
fn reference() -> File {
    let (_, section) = REFERENCE.split_once("## Definitions as files").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    File::parse(&blocks.collect::<String>()).unwrap()
}

/// As the server would show it, written to a file and read again.
fn exported<K: Kind + Clone + PartialEq + std::fmt::Debug>(definition: &K, zone: &str) -> K {
    let shown = K::meaning(&definition.message().unwrap(), zone).unwrap();
    let again = K::shown(shown.clone(), zone).unwrap();
    assert!(K::meaning(&again.message().unwrap(), zone).unwrap() == shown, "{definition:?}");
    again
}

fn parse_funnel(options: &str, steps: &str) -> Funnel {
    let text = format!("[[funnel]]\nid = \"f\"\nwindow = \"1h\"\n{options}\n{steps}");
    File::parse(&text).unwrap().funnels.remove(0)
}

const STEPS: &str = r#"
[[funnel.step]]
events = ["a"]
[[funnel.step]]
events = ["b"]
[[funnel.step]]
events = ["c"]
"#;

#[test]
fn a_file_is_read_and_written_alike() {
    let file = File::parse(TEXT).unwrap();
    assert_eq!(file.write().unwrap(), TEXT);
    assert_eq!(exported(&file.funnels[0], "UTC"), file.funnels[0]);
}

#[test]
fn what_the_documentation_shows_is_exported_and_means_the_same() {
    let file = reference();
    assert!(
        !file.segments.is_empty()
            && file.funnels.len() > 1
            && file.metrics.len() > 3
            && file.alert_rules.len() > 3
    );
    let again = File {
        segments: file.segments.iter().map(|one| exported(one, "Europe/Zurich")).collect(),
        funnels: file.funnels.iter().map(|one| exported(one, "Europe/Zurich")).collect(),
        metrics: file.metrics.iter().map(|one| exported(one, "Europe/Zurich")).collect(),
        alert_rules: file.alert_rules.iter().map(|one| exported(one, "Europe/Zurich")).collect(),
    };
    assert_eq!(File::parse(&again.write().unwrap()).unwrap(), again);
}

#[test]
fn a_preset_is_exported_as_it_was_written() {
    for preset in ["clickhouse", "posthog", "mixpanel", "amplitude"] {
        let funnel = parse_funnel(&format!("preset = {preset:?}"), STEPS);
        assert_eq!(exported(&funnel, "Europe/Zurich"), funnel);
    }
}

#[test]
fn what_a_preset_says_anyway_can_be_spelled_out() {
    let spelled = "preset = \"mixpanel\"\nentry = \"first\"\norder = \"ordered\"\ntime_zone = \"UTC\"";
    let (short, long) = (parse_funnel("preset = \"mixpanel\"", STEPS), parse_funnel(spelled, STEPS));
    let meaning = |funnel: &Funnel| Funnel::meaning(&funnel.message().unwrap(), "UTC").unwrap();
    assert_eq!(meaning(&short), meaning(&long));
    assert_eq!(exported(&long, "UTC"), short);
    let latest = parse_funnel("preset = \"mixpanel\"\nentry = \"latest\"", STEPS);
    assert_ne!(meaning(&latest), meaning(&short));
    assert_eq!(exported(&latest, "UTC"), latest);
}

#[test]
fn every_word_of_every_option_comes_back() {
    let options = [
        "window_from = \"previous_step\"",
        "entry = \"first\"",
        "order = \"strict\"",
        "order = \"any\"",
        "order = \"any_after_first\"",
        "ties = \"increasing\"",
        "tie_tolerance = \"5s\"",
        "counting = \"conversions\"",
        "counting = \"sessions\"",
        "counting = \"groups\"\ngroup_type = \"company\"",
        "exclusion_effect = \"drop_person\"\nexclusion = [{ events = [\"x\"], after_step = 2 }]",
        "exclusion = [{ events = [\"x\"], before_step = 2, where = [{ segment = \"s\" }] }]",
        "hold_constant = [{ property = \"plan\", scope = \"person\", moment = \"current\" }]",
        "breakdown = { property = \"os\", scope = \"context\", attribution = \"last_touch\" }",
        "breakdown = { property = \"os\", attribution = \"all_steps\" }",
        "breakdown = { property = \"os\", attribution = \"step\", attribution_step = 2 }",
        "preset = \"clickhouse\"\nwindow_funnel = { strict_order = true, allow_reentry = true }",
        "include_internal = true",
        "time_zone = \"Asia/Tokyo\"",
    ];
    for option in options {
        let funnel = parse_funnel(option, STEPS);
        assert_eq!(exported(&funnel, "UTC"), funnel, "{option}");
    }
}

#[test]
fn conditions_come_back_however_they_are_put_together() {
    let lists = [
        "{ segment = \"s\" }",
        "{ not = { segment = \"s\" } }",
        "{ property = \"p\", operator = \"is_set\" }, { segment = \"s\" }, { segment = \"t\" }",
        "{ all = [{ property = \"p\", operator = \"is_set\" }, { segment = \"s\" }] }",
        "{ all = [{ segment = \"s\" }] }",
        "{ any = [{ segment = \"s\" }, { all = [{ segment = \"t\" }, { not = { segment = \"u\" } }] }] }",
        "{ property = \"p\", operator = \"regex\", values = [\"^a\"], scope = \"group\", group_type = \"g\", moment = \"current\" }",
        "{ property = \"p\", operator = \"equals\", values = [\"a\"], scope = \"person\", moment = \"at_entry\" }, { segment = \"s\" }",
    ];
    for list in lists {
        let step = format!("{STEPS}where = [{list}]");
        let funnel = parse_funnel("", &step);
        assert_eq!(exported(&funnel, "UTC"), funnel, "{list}");
        let written = File { funnels: vec![funnel], ..File::default() };
        assert_eq!(File::parse(&written.write().unwrap()).unwrap(), written, "{list}");
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let wrong = |from: &str, to: &str| {
        let mistakes = File::parse(&TEXT.replace(from, to)).unwrap_err();
        assert_eq!(mistakes.lines().count(), 1, "{mistakes}");
        mistakes
    };
    let key = wrong("title", "tite");
    assert!(key.starts_with("f.toml:3:1: ") && key.contains("tite") && key.contains("`title`"), "{key}");
    let word = wrong("not_equals", "like");
    assert!(word.starts_with("f.toml:17:12: ") && word.contains("\"not_equals\""), "{word}");
    assert!(wrong("1h", "soon").contains("30d"));
    assert!(wrong("last 30", "first 30").contains("last 30 days"));
    let both = wrong("operator = \"is_set\"", "operator = \"is_set\"\nsegment = \"s\"");
    assert!(both.contains("one property"), "{both}");
}
