//! apply: what it refuses, and that a dry run refuses the same.

use super::support::{footpath, run};
use super::{Server, file, serve, token};

/// What is there before each case.
const THERE: &str = r#"
[[segment]]
id = "pro"
where = [{ property = "plan", operator = "equals", values = ["pro"] }]

[[funnel]]
id = "paid"
window = "1h"
step = [{ events = ["view"] }, { events = ["cart"] }, { events = ["pay"] }]

[[metric]]
id = "rate"
conversion = { funnel = "paid", step = 3 }

[[metric]]
id = "payments"
events = { events = ["pay"], aggregate = "count" }

[[alert_rule]]
id = "many"
metric = "payments"
threshold = { above = 2.5 }
where = [{ segment = "pro" }]
"#;

/// A file, and what both runs say of it; nothing for what is taken.
const CASES: &[(&str, &[&str])] = &[
    (
        "\n[[alert_rule]]\nid = \"x\"\nmetric = \"none\"\nno_data = {}\n",
        &["rules.toml:2: alert_rule \"x\": metric: there is no metric \"none\"; `footpath export`"],
    ),
    (
        "[[alert_rule]]\nid = \"x\"\nmetric = \"payments\"\ndestinations = [\"ops\"]\nno_data = {}\n",
        &[
            "rules.toml:1: alert_rule \"x\": destinations[0]: there is no destination \"ops\"; `footpath destinations`",
        ],
    ),
    (
        "[[alert_rule]]\nid = \"x\"\nmetric = \"payments\"\nno_data = {}\nwhere = [{ segment = \"nobody\" }]\n",
        &["rules.toml:1: alert_rule \"x\": there is no segment \"nobody\""],
    ),
    // Each mistake is told, and what only follows from one is told as that.
    (
        "[[metric]]\nid = \"m\"\nconversion = { funnel = \"none\" }\n\n[[alert_rule]]\nid = \"y\"\nmetric = \"m\"\nno_data = {}\n\n[[metric]]\nid = \"n\"\nconversion = { funnel = \"paid\", step = 4 }\n",
        &[
            "rules.toml:1: metric \"m\": conversion.funnel: there is no funnel \"none\"",
            "rules.toml:10: metric \"n\": conversion.step: the funnel \"paid\" has 3 steps",
            "rules.toml:5: alert_rule \"y\": metric: the metric \"m\" is refused itself",
        ],
    ),
    // Mistakes of all sorts together, and what uses something with a mistake of its own.
    (
        "[[metric]]\nid = \"m\"\n\n[[alert_rule]]\nid = \"y\"\nmetric = \"m\"\nno_data = {}\n\n[[alert_rule]]\nid = \"z\"\nmetric = \"none\"\nno_data = 1\n\n[[alert_rule]]\nid = \"x\"\nmetric = \"none\"\nno_data = {}\n",
        &[
            "rules.toml:1: metric \"m\": a metric has exactly one of",
            "rules.toml:4: alert_rule \"y\": metric: the metric \"m\" is refused itself",
            "rules.toml:12:11: invalid type: integer",
            "rules.toml:14: alert_rule \"x\": metric: there is no metric \"none\"",
        ],
    ),
    // A metric asks for the step that the funnel would lose.
    (
        "[[funnel]]\nid = \"paid\"\nwindow = \"1h\"\nstep = [{ events = [\"view\"] }, { events = [\"pay\"] }]\n",
        &["rules.toml:1: funnel \"paid\": paid would lose a step that metric/rate is made of"],
    ),
    // The rule's own metric cannot be filtered any more.
    (
        "[[metric]]\nid = \"payments\"\nsessions = { aggregate = \"count\" }\n",
        &[
            "rules.toml:1: metric \"payments\": alert_rule/many watches it: where: only metrics of events can be filtered",
        ],
    ),
    // What the same file defines is there.
    (
        "[[alert_rule]]\nid = \"x\"\nmetric = \"new\"\nno_data = {}\n[[metric]]\nid = \"new\"\nconversion = { funnel = \"fresh\" }\n[[funnel]]\nid = \"fresh\"\nwindow = \"1h\"\nstep = [{ events = [\"view\"], where = [{ segment = \"own\" }] }, { events = [\"pay\"] }]\n[[segment]]\nid = \"own\"\nwhere = [{ property = \"plan\", operator = \"is_set\" }]\n",
        &[],
    ),
];

struct World {
    server: Server,
    analyst: String,
}

impl World {
    fn open(data: &std::path::Path) -> Self {
        drop(serve(data));
        let analyst = token(data, "analyst");
        Self { server: serve(data), analyst }
    }

    fn tool(&self, args: &[&str]) -> (String, bool, String) {
        run(footpath().args(args).args(["--url", &self.server.url, "--token", &self.analyst]))
    }
}

#[test]
fn a_dry_run_refuses_what_apply_refuses_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let there = file(folder.path(), "there.toml", THERE);
    assert!(world.tool(&["apply", "-f", &there]).1);
    let before = world.tool(&["export"]).0;
    for (text, refused) in CASES {
        let rules = file(folder.path(), "rules.toml", text);
        let dry = world.tool(&["apply", "-f", &rules, "--dry-run"]);
        assert_eq!(world.tool(&["export"]).0, before, "{text}");
        let wet = world.tool(&["apply", "-f", &rules]);
        assert_eq!((dry.1, wet.1), (refused.is_empty(), refused.is_empty()), "{text}: {} {}", dry.2, wet.2);
        for told in *refused {
            assert!(dry.2.contains(told) && wet.2.contains(told), "{told} in {} and {}", dry.2, wet.2);
        }
        if !refused.is_empty() {
            assert_eq!((dry.2.trim().lines().count(), dry.2), (refused.len() + 1, wet.2), "{text}");
            assert_eq!(world.tool(&["export"]).0, before, "{text}");
        }
    }
}

#[test]
fn what_is_used_is_not_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let there = file(folder.path(), "there.toml", THERE);
    assert!(world.tool(&["apply", "-f", &there]).1);
    let rule = &THERE[THERE.find("[[alert_rule]]").unwrap()..];
    let rule = file(folder.path(), "rule.toml", rule);
    for dry in [&["--dry-run"][..], &[]] {
        let (told, good, all) = world.tool(&[&["apply", "-f", &rule, "--prune"][..], dry].concat());
        assert!(!good && told.is_empty(), "{all}");
        for what in [
            "--prune: metric \"payments\": payments is used by alert_rule/many",
            "--prune: segment \"pro\": pro is used by alert_rule/many",
        ] {
            assert!(all.contains(what), "{what}: {all}");
        }
    }
}

#[test]
fn mistakes_in_meaning_are_all_told_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[metric]]\nid = \"a\"\n\n[[alert_rule]]\nid = \"b\"\nmetric = \"a\"\n\n[[metric]]\nid = \"a\"\nsessions = { aggregate = \"count\" }\n";
    let rules = file(folder.path(), "rules.toml", text);
    // No server is needed to see them.
    let (told, good, all) = run(footpath().args(["apply", "-f", &rules, "--token", "t"]));
    assert!(!good && told.is_empty(), "{all}");
    for what in [
        "rules.toml:1: metric \"a\": a metric has exactly one of",
        "rules.toml:8: metric \"a\": is defined twice, first at ",
        "rules.toml:4: alert_rule \"b\": an alert rule has exactly one of",
        "what they name was not looked at: no server answers",
    ] {
        assert!(all.contains(what), "{what}: {all}");
    }
    let (_, good, all) = run(footpath().args(["simulate", "-f", &rules, "--token", "t"]));
    assert!(!good && all.contains("rules.toml:4: alert_rule \"b\": an alert rule has exactly one"), "{all}");
}
