//! destinations and deliveries: added, tried, changed and deleted from a terminal, and never a secret on one.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use super::receiver::receiver;
use super::support::{footpath, run};
use super::{Server, file, serve, serve_with, token};

/// Longer than a delivery takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    server: Server,
    admin: String,
    analyst: String,
}

impl World {
    fn open(data: &std::path::Path) -> Self {
        drop(serve(data));
        let (admin, analyst) = (token(data, "admin"), token(data, "analyst"));
        let server = serve_with(data, &["--alert-http=true", "--alert-allow=127.0.0.0/8"]);
        Self { server, admin, analyst }
    }

    fn with(&self, token: &str, args: &[&str], input: &str) -> (String, bool, String) {
        let mut command = footpath();
        command.args(args).args(["--url", &self.server.url, "--token", token]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // It may not want any.
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (out.clone(), output.status.success(), format!("{out}{err}"))
    }

    fn admin(&self, args: &[&str], input: &str) -> String {
        let (told, good, all) = self.with(&self.admin, args, input);
        assert!(good, "{args:?}: {all}");
        told
    }

    fn refused(&self, token: &str, args: &[&str], input: &str) -> String {
        let (_, good, all) = self.with(token, args, input);
        assert!(!good, "{args:?}: {all}");
        all
    }
}

#[test]
fn a_destination_is_added_tried_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let (url, requests) = receiver("200 OK");
    let add = ["destinations", "add", "ops", "--kind", "webhook", "--title", "Operations"];
    let told = world.refused(&world.analyst, &add, &url);
    assert!(told.contains("footpath token --role admin"), "{told}");
    let told = world.refused(&world.admin, &add, "\n");
    assert!(told.contains("the first line of standard input must be the URL"), "{told}");
    let told = world.admin(&add, &format!("{url}\n"));
    assert!(told.starts_with("created destination ops\nsigning secret, shown once: whsec_"), "{told}");
    let listed = world.admin(&["destinations"], "");
    let shown = url.replace("/hooks/key", "/...");
    assert_eq!(listed, format!("ops  webhook               info      {shown}  Operations\n"));
    let told = world.admin(&["destinations", "test", "ops"], "");
    assert!(told.starts_with("ops: delivered: "), "{told}");
    assert!(requests.recv_timeout(PATIENCE).unwrap().1.contains("\"alert.test\""));
    change(&world, folder.path());
    world.admin(&["destinations", "delete", "ops"], "");
    assert_eq!(world.admin(&["destinations"], ""), "");
    for of_none in [&["destinations", "test", "ops"][..], &["destinations", "delete", "ops"]] {
        let told = world.refused(&world.admin, of_none, "");
        assert!(told.contains("no such destination; `footpath destinations`"), "{told}");
    }
}

/// Another URL under the same id, from a file.
fn change(world: &World, folder: &std::path::Path) {
    let (url, requests) = receiver("404 Not Found");
    let secret = file(folder, "url.txt", &format!("{url}\n"));
    let change = ["destinations", "add", "ops", "--kind", "slack", "--secret-file", &secret];
    let told = world.refused(&world.admin, &change, "");
    assert!(told.contains("change it with --replace, or choose another id"), "{told}");
    let told = world.admin(&[&change[..], &["--replace", "--min-severity", "critical"]].concat(), "");
    let changed = "updated destination ops: kind from webhook to slack, where to from http://127.0.0.1:";
    assert!(
        told.starts_with(changed) && told.ends_with(", least severity from info to critical\n"),
        "{told}"
    );
    let told = world.admin(&[&change[..], &["--replace"]].concat(), "");
    assert_eq!(told, "updated destination ops\n");
    let other = ["destinations", "add", "other", "--kind", "slack", "--secret-file", &secret, "--replace"];
    assert!(world.refused(&world.admin, &other, "").contains("no such destination"));
    let listed = world.admin(&["destinations"], "");
    assert!(listed.starts_with("ops  slack                 critical  http://127.0.0.1:"), "{listed}");
    let told = world.refused(&world.analyst, &["destinations", "test", "ops"], "");
    assert!(told.starts_with("ops: not delivered: ") && told.contains("404"), "{told}");
    assert!(requests.recv_timeout(PATIENCE).unwrap().1.contains("\"verbatim\":true"));
}

#[test]
fn every_kind_is_taken_with_what_fits_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(&folder.path().join("data"));
    let add = |id: &str, more: &[&str], input: &str| {
        world.with(&world.admin, &[&["destinations", "add", id, "--kind"][..], more].concat(), input)
    };
    let key = "0123456789abcdef0123456789abcdef";
    let url = "https://hooks.example.com/services/T0/B0/key";
    let own = file(folder.path(), "own.txt", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    for (id, more, input) in [
        ("a", &["webhook", "--signing-secret-file", &own][..], url),
        ("b", &["slack"], url),
        ("c", &["alertmanager_webhook"], url),
        ("d", &["alertmanager"], url),
        ("e", &["pager_duty", "--events-url", "https://events.eu.pagerduty.com/v2/enqueue"], key),
        ("f", &["email", "--to", "a@example.com", "--to", "b@example.com"], ""),
    ] {
        let (told, good, all) = add(id, more, input);
        let shown_secret = told.contains("whsec_");
        assert!(good && told.starts_with("created destination ") && shown_secret == (id == "c"), "{all}");
    }
    let listed = world.admin(&["destinations"], "");
    assert_eq!(listed.lines().count(), 6);
    for secret in [key, "services", "whsec_"] {
        assert!(!listed.contains(secret), "{listed}");
    }
    for (more, what) in [
        (&["email"][..], "--to"),
        (&["slack", "--to", "a@example.com"], "email only"),
        (&["slack", "--events-url", "https://x"], "pager_duty only"),
        (&["email", "--to", "a@example.com", "--secret-file", &own], "no secret"),
        (&["alertmanager", "--signing-secret-file", &own], "webhooks only"),
        (&["webhook", "--secret-file", "/nowhere"], "cannot read /nowhere"),
    ] {
        let (_, good, all) = add("x", more, url);
        assert!(!good && all.contains(what), "{more:?}: {all}");
    }
    let (_, good, all) = add("x", &["pager_duty"], "short");
    assert!(!good && all.contains("routing_key") && !all.contains("short"), "{all}");
}

const RULE: &str = r#"
[[metric]]
id = "payments"
events = { events = ["paid"], aggregate = "count" }

[[alert_rule]]
id = "many"
metric = "payments"
delay = "0s"
destinations = ["ops"]
threshold = { above = 0.5 }
"#;

#[test]
fn deliveries_say_what_became_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = serve(&data).key.clone().unwrap();
    let world = World::open(&data);
    let (url, _requests) = receiver("404 Not Found");
    world.admin(&["destinations", "add", "ops", "--kind", "webhook"], &url);
    let rule = file(folder.path(), "rule.toml", RULE);
    world.admin(&["apply", "-f", &rule], "");
    let told = world.refused(&world.admin, &["destinations", "delete", "ops"], "");
    assert!(told.contains("alert_rule/many"), "{told}");
    assert_eq!(world.admin(&["deliveries"], ""), "");
    let events = file(folder.path(), "paid.ndjson", "{\"name\":\"paid\",\"userId\":\"u\"}\n");
    let (_, good, all) = run(footpath().args(["send", &events, "--url", &world.server.url, "--key", &key]));
    assert!(good, "{all}");
    let failed = settled(&world);
    assert!(failed.contains("  failed     ops  opened        ") && failed.contains("  1 try: "), "{failed}");
    assert!(failed.contains("404"), "{failed}");
    assert_eq!(world.admin(&["deliveries", "--undelivered", "--destination", "ops"], ""), failed);
    let told = world.refused(&world.admin, &["deliveries", "--destination", "other"], "");
    assert!(told.contains("no such destination; `footpath destinations`"), "{told}");
    let told = world.refused(&world.admin, &["deliveries", "--incident", "0000000000000000"], "");
    assert!(told.contains("no such incident; `footpath incidents`"), "{told}");
    world.admin(&["destinations", "add", "other", "--kind", "webhook"], &url);
    assert_eq!(world.admin(&["deliveries", "--destination", "other"], ""), "");
}

/// The first delivery, once it is settled: a bucket is a minute, then it takes as long as anything does on a busy machine.
fn settled(world: &World) -> String {
    for _ in 0..360 {
        let listed = world.admin(&["deliveries"], "");
        if listed.contains("  failed  ") {
            return listed;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("nothing was delivered")
}
