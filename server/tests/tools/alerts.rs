//! simulate, annotate and incidents: a problem, and what people do about it from a terminal.

use std::path::Path;
use std::time::Duration;

use super::support::{footpath, run};
use super::{Server, file, serve, token};

/// How often an incident is asked for, and the pause between: a bucket is a minute; then it takes as long as anything does on a busy machine.
const TRIES: u32 = 360;
const PAUSE: Duration = Duration::from_millis(500);

const RULES: &str = r#"
[[metric]]
id = "payments"
events = { events = ["paid"], aggregate = "count" }

[[alert_rule]]
id = "many"
title = "Payments"
metric = "payments"
delay = "0s"
threshold = { above = 2.5 }
"#;

/// A server, and its tools with the tokens of two roles.
struct World {
    server: Server,
    analyst: String,
    viewer: String,
}

impl World {
    fn open(data: &Path) -> Self {
        let key = serve(data).key.clone();
        let (analyst, viewer) = (token(data, "analyst"), token(data, "viewer"));
        let mut server = serve(data);
        server.key = key; // Only the first start shows it.
        Self { server, analyst, viewer }
    }

    fn with(&self, token: &str, args: &[&str]) -> (String, bool, String) {
        run(footpath().args(args).args(["--url", &self.server.url, "--token", token]))
    }

    /// What an analyst's tool prints when all goes well.
    fn tool(&self, args: &[&str]) -> String {
        let (told, good, all) = self.with(&self.analyst, args);
        assert!(good, "{args:?}: {all}");
        told
    }

    /// What a tool says when it does not.
    fn refused(&self, token: &str, args: &[&str]) -> String {
        let (_, good, all) = self.with(token, args);
        assert!(!good, "{args:?}: {all}");
        all
    }

    fn send(&self, folder: &Path, count: usize) {
        let text = r#"{"name":"paid","userId":"u"}"#.to_owned() + "\n";
        let events = file(folder, "paid.ndjson", &text.repeat(count));
        let key = self.server.key.clone().unwrap();
        let (_, good, all) =
            run(footpath().args(["send", &events, "--url", &self.server.url, "--key", &key]));
        assert!(good, "{all}");
    }

    /// The line of the first open incident, as soon as there is one.
    fn opened(&self) -> String {
        for _ in 0..TRIES {
            let (lines, good, all) = self.with(&self.viewer, &["incidents", "--open"]);
            assert!(good, "{all}");
            if let Some(line) = lines.lines().next() {
                return line.to_owned();
            }
            std::thread::sleep(PAUSE);
        }
        panic!("no incident came");
    }
}

#[test]
fn an_incident_is_seen_looked_after_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let rules = file(folder.path(), "rules.toml", RULES);
    world.tool(&["apply", "-f", &rules]);
    world.tool(&["annotate", "Version 2.4", "--id", "v2-4"]);
    world.send(folder.path(), 5);
    let line = world.opened();
    assert!(line.contains("  open ") && line.contains("  warning "), "{line}");
    assert!(line.ends_with("  Payments: 5, allowed is at most 2.5"), "{line}");
    let id = line.split(' ').next().unwrap();
    changes(&world, id);
    let story = world.tool(&["incidents", id]);
    for told in [
        "metric        payments",
        "v2-4  ",
        "  owner         ann",
        "rolled back",
        "commented by",
        ": looks odd",
    ] {
        assert!(story.contains(told), "{told}: {story}");
    }
    simulated(&world, &rules);
}

fn changes(world: &World, id: &str) {
    let told = world.refused(&world.viewer, &["incidents", id, "--acknowledge"]);
    assert!(told.contains("footpath token --role analyst"), "{told}");
    let told = world.refused(&world.analyst, &["incidents", "0123456789abcdef", "--acknowledge"]);
    assert!(told.contains("`footpath incidents`") && !told.contains("ListIncidents"), "{told}");
    assert!(world.tool(&["incidents", id, "--acknowledge"]).starts_with(&format!("{id}  acknowledged  ")));
    for change in
        [["--comment", "looks odd"], ["--owner", "ann"], ["--action", "rolled back"], ["--mute", "2h"]]
    {
        world.tool(&[&["incidents", id][..], &change].concat());
    }
    let muted = world.tool(&["incidents", id]);
    let (_, until) = muted.split_once("  muted until   ").unwrap();
    let until = until.lines().next().unwrap();
    assert!(muted.contains(&format!("  muted until {until} by ")), "{muted}");
    let line = world.tool(&["incidents"]);
    assert!(
        line.contains("  many  Payments: 5") && line.ends_with(&format!("  (muted until {until})\n")),
        "{line}"
    );
    for _ in 0..2 {
        world.tool(&["incidents", id, "--mute", "0s"]); // The second time nothing is muted.
    }
    let unmuted = world.tool(&["incidents", id]);
    assert!(
        !unmuted.contains("  muted until   ") && unmuted.matches("  unmuted by ").count() == 1,
        "{unmuted}"
    );
    let told = world.refused(&world.analyst, &["incidents", id, "--mute", "32d"]);
    assert!(told.contains("31 days at most"), "{told}");
    assert!(world.tool(&["incidents", id, "--resolve"]).starts_with(&format!("{id}  resolved  ")));
    assert!(world.refused(&world.analyst, &["incidents", id, "--acknowledge"]).contains("is over"));
    assert!(!world.tool(&["incidents", "--open"]).contains(id) && world.tool(&["incidents"]).contains(id));
}

/// The rule over what was stored, applied and from its file.
fn simulated(world: &World, rules: &str) {
    for rule in [&["simulate", "many"][..], &["simulate", "-f", rules, "--range", "last 1 day"]] {
        let told = world.tool(rule);
        let mut lines = told.lines();
        let first = lines.next().unwrap();
        assert!(first.ends_with("  opened  5, allowed is at most 2.5"), "{told}");
        assert!(lines.last().unwrap().starts_with("1 incident, "), "{told}");
    }
    let told = world.refused(&world.analyst, &["simulate", "none"]);
    assert!(told.contains("no such alert rule") && !told.contains("ListAlertRules"), "{told}");
}

#[test]
fn an_annotation_noted_twice_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let sale = ["annotate", "Sale", "--id", "sale", "--kind", "promotion", "--special"];
    let when = ["--from", "2026-11-27T00:00:00Z", "--to", "2026-11-28T00:00:00Z"];
    let sale = [&sale[..], &when].concat();
    let line = world.tool(&sale);
    assert!(
        line.starts_with("sale  2026-11-27T") && line.ends_with("  promotion: Sale (special)\n"),
        "{line}"
    );
    assert_eq!(world.tool(&sale), line);
    let told = world.refused(&world.analyst, &[&["annotate", "Other"][..], &sale[2..]].concat());
    assert!(told.contains("choose another id"), "{told}");
    let made = world.tool(&["annotate", "Fest", "--kind", "Black Friday", "--from", "2026-11-27T12:00:00Z"]);
    assert!(made.starts_with("black-friday-1795780800000000  "), "{made}");
    assert_eq!(world.tool(&["annotate", "--list"]), format!("{made}{line}"));
    world.tool(&["annotate", "--delete", "sale"]);
    assert_eq!(world.tool(&["annotate", "--list"]), made);
    let release = ["annotate", "Version 2.4", "--id", "v2-4"];
    let first = world.tool(&release);
    std::thread::sleep(Duration::from_millis(1_100)); // The second run begins later, to the second.
    assert_eq!(world.tool(&release), first);
    let told = world.refused(&world.analyst, &[&release[..], &["--special"]].concat());
    assert!(told.contains("choose another id"), "{told}");
    let told = world.refused(&world.analyst, &["annotate", "--delete", "sale"]);
    assert!(told.contains("annotate --list"), "{told}");
}
