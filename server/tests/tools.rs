//! The tools against the real server: send, apply, export, token, and those of alerts.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

#[path = "tools/alerts.rs"]
mod alerts;
#[path = "tools/apply.rs"]
mod apply;
#[path = "tools/destinations.rs"]
mod destinations;
#[path = "support/receiver.rs"]
mod receiver;
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{footpath, free_address, run};

const EVENTS: &str = r#"{"name":"view","anonymousId":"a","time":"2026-01-05T10:00:00Z","properties":{"plan":"pro"}}
{"name":"pay","anonymousId":"a","time":"2026-01-05T10:00:00Z"}

{"name":"view","userId":"u"}
"#;

const FUNNELS: &str = r#"
[[funnel]]
id = "checkout"
title = "Checkout"
window = "60m"

[[funnel.step]]
label = "Seen"
events = ["view"]

[[funnel.step]]
events = ["pay", "order"]
where = [{ property = "plan", operator = "not_equals", values = ["free"] }]
"#;

/// A running `footpath serve`; killed when dropped.
struct Server {
    child: Child,
    url: String,
    admin: String,
    key: Option<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may be gone already.
        let _ = self.child.wait();
    }
}

/// Starts a server over `data` and waits until it answers.
fn serve(data: &Path) -> Server {
    serve_with(data, &[])
}

fn serve_with(data: &Path, args: &[&str]) -> Server {
    let address = free_address();
    let mut command = footpath();
    command.args(["serve", "--listen", &address, "--data"]).arg(data).args(args).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("?code=")).collect();
    let find = |what: &str| told.iter().find_map(|line| line.strip_prefix(what)).map(str::to_owned);
    let (admin, key) = (find("admin: http://").unwrap(), find("project key: "));
    std::thread::spawn(move || lines.for_each(drop)); // What it prints later must not fill the pipe.
    for _ in 0..200 {
        if std::net::TcpStream::connect(&address).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Server { child, url: format!("http://{address}"), admin, key }
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn token(data: &Path, role: &str) -> String {
    let (token, good, all) = run(footpath().args(["token", "--role", role, "--data"]).arg(data));
    assert!(good, "{all}");
    token.trim().to_owned()
}

#[test]
fn a_file_sent_twice_is_stored_once_and_may_grow() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder.path().join("data"));
    let send = |text: &str| {
        let events = file(folder.path(), "events.ndjson", text);
        let key = server.key.clone().unwrap();
        run(footpath().args(["send", &events, "--historical", "--url", &server.url, "--key", &key]))
    };
    let (told, good, all) = send(EVENTS);
    assert_eq!((told.as_str(), good), ("stored 3, duplicate 0, refused 0\n", true), "{all}");
    let (told, good, all) = send(EVENTS);
    assert_eq!((told.as_str(), good), ("stored 0, duplicate 3, refused 0\n", true), "{all}");
    let (told, good, all) = send(&format!("{EVENTS}{}", r#"{"name":"view","userId":"u"}"#));
    assert_eq!((told.as_str(), good), ("stored 1, duplicate 3, refused 0\n", true), "{all}");
}

#[test]
fn refused_lines_are_named_and_the_rest_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder.path().join("data"));
    let events = file(folder.path(), "events.ndjson", &format!("nonsense\n{{\"name\":\"x\"}}\n{EVENTS}"));
    let key = server.key.clone().unwrap();
    let (told, good, all) = run(footpath().args(["send", &events, "--url", &server.url, "--key", &key]));
    assert_eq!((told.as_str(), good), ("stored 3, duplicate 0, refused 2\n", false), "{all}");
    assert!(
        all.contains("line 1: an event is a JSON object") && all.contains("line 2: actor_missing"),
        "{all}"
    );
    let from = ["--from-line", "3"];
    let (told, good, all) =
        run(footpath().args(["send", &events, "--url", &server.url, "--key", &key]).args(from));
    assert_eq!((told.as_str(), good), ("stored 0, duplicate 3, refused 0\n", true), "{all}");
}

#[test]
fn a_line_that_is_not_utf8_is_refused_alone_and_a_byte_order_mark_is_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder.path().join("data"));
    let events = folder.path().join("events.ndjson");
    let text = [b"\xef\xbb\xbf", EVENTS.as_bytes(), b"{\"name\":\"caf\xe9\",\"userId\":\"u\"}\n"].concat();
    std::fs::write(&events, text).unwrap();
    let key = server.key.clone().unwrap();
    let mut send = footpath();
    send.arg("send").arg(&events).args(["--url", &server.url, "--key", &key]);
    let (told, good, all) = run(&mut send);
    assert_eq!((told.as_str(), good), ("stored 3, duplicate 0, refused 1\n", false), "{all}");
    assert!(all.contains("line 5: column 13: the text is not UTF-8"), "{all}");
}

/// As in a shell where the variables are there, but what should have filled them failed.
fn with_empty_secrets() -> Command {
    let mut command = footpath();
    command.env("FOOTPATH_KEY", "").env("FOOTPATH_TOKEN", "");
    command
}

#[test]
fn send_says_what_to_do_without_a_key_or_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let events = file(folder.path(), "events.ndjson", EVENTS);
    for mut send in [footpath(), with_empty_secrets()] {
        let (_, good, all) = run(send.args(["send", &events]));
        assert!(!good && all.contains("a project key is needed"), "{all}");
    }
    let (_, good, all) = run(with_empty_secrets().arg("export"));
    assert!(!good && all.contains("a token is needed"), "{all}");
    for no_address in ["127.0.0.1:7400", "localhost:7400", "ftp://localhost"] {
        let (_, good, all) =
            run(footpath().args(["send", &events, "--key", "fp_dev_x", "--url", no_address]));
        assert!(!good && all.contains("write it like http://"), "{all}");
    }
    let nobody = format!("http://{}", free_address());
    let (_, good, all) = run(footpath().args(["send", &events, "--key", "fp_dev_x", "--url", &nobody]));
    assert!(!good && all.contains("footpath serve"), "{all}");
    let server = serve(&folder.path().join("data"));
    let (_, good, all) = run(footpath().args(["send", &events, "--key", "fp_dev_x", "--url", &server.url]));
    assert!(!good && all.contains("no such project key"), "{all}");
    let (_, good, all) = run(footpath().args([
        "send",
        &events,
        "--key",
        "fp_dev_x",
        "--url",
        &format!("http://{}", server.admin),
    ]));
    assert!(!good && all.contains("not the admin port") && !all.contains("Everything before"), "{all}");
}

/// A certificate that is an authority or is none, with its key, as files.
fn certificate(folder: &Path, is_ca: rcgen::IsCa) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    wanted.is_ca = is_ca;
    let made = wanted.self_signed(&key).unwrap();
    (file(folder, "tls.pem", &made.pem()), file(folder, "tls.key", &key.serialize_pem()))
}

#[test]
fn what_does_not_fit_between_a_tool_and_the_servers_tls_is_told() {
    let authority = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for (is_ca, accepted) in [(rcgen::IsCa::ExplicitNoCa, true), (authority, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = certificate(folder.path(), is_ca);
        let server = serve_with(&folder.path().join("data"), &["--tls-cert", &cert, "--tls-key", &key]);
        let events = file(folder.path(), "events.ndjson", EVENTS);
        let project_key = server.key.clone().unwrap();
        let send = |url: &str, ca: &[&str]| {
            let args = ["send", &events, "--patience", "1", "--key", &project_key, "--url", url];
            let (_, good, all) = run(footpath().args(args).args(ca));
            (good, all)
        };
        let (good, all) = send(&server.url.replace("http:", "https:"), &["--ca", &cert]);
        assert!(
            good == accepted && (good || all.contains("a server answers") && all.contains("CA:FALSE")),
            "{all}"
        );
        let (good, all) = send(&server.url, &[]);
        assert!(!good && all.contains("waiting: no answer of Footpath") && all.contains("https://"), "{all}");
        let (good, all) = send(&format!("https://{}", server.admin), &["--ca", &cert]);
        assert!(!good && all.contains("does not speak TLS"), "{all}");
    }
}

#[test]
fn what_is_exported_changes_nothing_when_it_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(serve(&data));
    let analyst = token(&data, "analyst");
    let server = serve(&data);
    let tool = |args: &[&str]| {
        let (told, good, all) = run(footpath().args(args).args(["--url", &server.url, "--token", &analyst]));
        assert!(good, "{all}");
        told
    };
    let funnels = file(folder.path(), "funnels.toml", FUNNELS);
    assert_eq!(tool(&["apply", "-f", &funnels, "--dry-run"]), "would create funnel checkout\n");
    assert_eq!(tool(&["apply", "-f", &funnels]), "created funnel checkout\n");
    assert_eq!(tool(&["apply", "-f", &funnels]), "unchanged funnel checkout\n");
    let exported = tool(&["export"]);
    let again = file(folder.path(), "again.toml", &exported);
    assert_eq!(tool(&["apply", "-f", &again]), "unchanged funnel checkout\n");
    assert_eq!(tool(&["export"]), exported);
    let changed = file(folder.path(), "changed.toml", &exported.replace("\"1h\"", "\"2h\""));
    assert_eq!(tool(&["apply", "-f", &changed]), "updated funnel checkout\n");
    let other = file(folder.path(), "other.toml", &exported.replace("checkout", "other"));
    assert_eq!(tool(&["apply", "-f", &other, "--prune"]), "created funnel other\ndeleted funnel checkout\n");
    assert!(!tool(&["export"]).contains("checkout"));
}

const ALL_KINDS: &str = r#"
[[metric]]
id = "rate"
conversion = { funnel = "paid" }

[[funnel]]
id = "paid"
preset = "posthog"
window = "1h"

[[funnel.step]]
events = ["view"]
where = [{ any = [{ segment = "pro" }, { property = "plan", operator = "is_not_set" }] }]

[[funnel.step]]
events = ["pay"]

[[segment]]
id = "pro"
where = [{ property = "plan", operator = "equals", values = ["pro"] }]
"#;

#[test]
fn what_is_used_is_created_before_what_uses_it_and_deleted_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(serve(&data));
    let analyst = token(&data, "analyst");
    let server = serve(&data);
    let tool = |args: &[&str]| {
        let (told, good, all) = run(footpath().args(args).args(["--url", &server.url, "--token", &analyst]));
        assert!(good, "{all}");
        told
    };
    let file_of_all = file(folder.path(), "all.toml", ALL_KINDS);
    let created = "created segment pro\ncreated funnel paid\ncreated metric rate\n";
    assert_eq!(tool(&["apply", "-f", &file_of_all]), created);
    let exported = tool(&["export"]);
    let again = file(folder.path(), "again.toml", &exported);
    let unchanged = created.replace("created", "unchanged");
    assert_eq!(tool(&["apply", "-f", &file_of_all]), unchanged);
    assert_eq!(tool(&["apply", "-f", &again]), unchanged);
    assert_eq!(tool(&["export"]), exported);
    let nothing = file(folder.path(), "nothing.toml", "");
    let deleted = "deleted metric rate\ndeleted funnel paid\ndeleted segment pro\n";
    assert_eq!(tool(&["apply", "-f", &nothing, "--prune"]), deleted);
}

#[test]
fn the_funnel_that_the_page_shows_can_be_applied() {
    let page = include_str!("../dashboard/index.html");
    let (_, example) = page.split_once("<pre id=\"funnel-example\">").unwrap();
    let (example, _) = example.split_once("</pre>").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(serve(&data));
    let analyst = token(&data, "analyst");
    let server = serve(&data);
    let funnel = file(folder.path(), "funnel.toml", example);
    let (told, good, all) =
        run(footpath().args(["apply", "-f", &funnel, "--url", &server.url, "--token", &analyst]));
    assert!(good && told == "created funnel checkout\n", "{all}");
}

#[test]
fn a_file_with_a_mistake_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = file(folder.path(), "good.toml", FUNNELS);
    let bad = file(folder.path(), "bad.toml", &FUNNELS.replace("title", "tite"));
    // No server is needed to see it.
    let (told, ended_well, all) = run(footpath().args(["apply", "-f", &good, &bad, "--token", "t"]));
    assert!(!ended_well && told.is_empty() && all.contains("bad.toml") && all.contains("tite"), "{all}");
}

#[test]
fn a_funnel_that_no_server_takes_stops_all_before_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let good = file(folder.path(), "good.toml", FUNNELS);
    let bad = file(folder.path(), "bad.toml", &FUNNELS.replace("checkout", "Check out"));
    for dry in [&[][..], &["--dry-run"]] {
        let (told, ended_well, all) =
            run(footpath().args(["apply", "-f", &good, &bad, "--token", "t"]).args(dry));
        assert!(
            !ended_well && told.is_empty() && all.contains("bad.toml") && all.contains("Check out"),
            "{all}"
        );
    }
}

#[test]
fn advice_can_be_followed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = serve(&data).key.clone().unwrap();
    let admin = token(&data, "admin");
    let server = serve(&data);
    let funnels = file(folder.path(), "funnels.toml", FUNNELS);
    let tools: [(&[&str], &str); 3] =
        [(&["export"], "viewer"), (&["apply", "-f", &funnels], "analyst"), (&["link"], "admin")];
    for (tool, role) in tools {
        let with = |more: &[&str]| {
            let (_, good, all) = run(footpath().args(tool).args(["--url", &server.url]).args(more));
            (good, all)
        };
        let advice = format!("footpath token --role {role}");
        for token in [&[][..], &["--token", "nonsense"], &["--token", &key]] {
            let (good, all) = with(token);
            assert!(!good && all.contains(&advice), "{tool:?} {token:?}: {all}");
        }
        let (good, all) = with(&["--token", &admin, "--project", "none"]);
        assert!(!good && all.contains("no such project") && !all.contains("ListProjects"), "{all}");
        let asked = ["token", "--role", role, "--url", &server.url, "--token", &admin];
        let (advised, good, all) = run(footpath().args(asked));
        assert!(good, "{all}");
        let (good, all) = with(&["--token", advised.trim()]);
        assert!(good, "{tool:?} as {role}: {all}");
    }
    let asked = ["token", "--role", "admin", "--project", "default", "--url", &server.url, "--token", &admin];
    let (narrow, ..) = run(footpath().args(asked));
    let (_, good, all) = run(footpath().args(["link", "--url", &server.url, "--token", narrow.trim()]));
    assert!(!good && all.contains("all projects") && all.contains("--role admin"), "{all}");
}

#[test]
fn tokens_come_from_a_stopped_servers_folder_or_from_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = serve(&data);
    let (_, good, all) = run(footpath().args(["token", "--data"]).arg(&data));
    assert!(!good && all.contains("stop that server"), "{all}");
    drop(server);
    let (viewer, admin) = (token(&data, "viewer"), token(&data, "admin"));
    let server = serve(&data);
    let ask = |token: &str, role: &str| {
        run(footpath().args([
            "token",
            "--role",
            role,
            "--project",
            "default",
            "--url",
            &server.url,
            "--token",
            token,
        ]))
    };
    let (analyst, good, all) = ask(&admin, "analyst");
    assert!(good, "{all}");
    let (_, good, all) = ask(&viewer, "admin");
    assert!(!good && all.contains("higher role"), "{all}");
    let (_, good, all) = ask("nonsense", "viewer");
    assert!(!good && all.contains("footpath token"), "{all}");
    let export =
        |token: &str| run(footpath().args(["export", "--url", &server.url, "--token", token.trim()]));
    assert!(export(&analyst).1);
}
