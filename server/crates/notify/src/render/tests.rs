//! Golden files in `golden/`. `UPDATE_GOLDEN=1` writes the files anew.

mod hostile;

use std::path::PathBuf;

use serde_json::Value;

use super::{Message, Request, render};
use crate::{
    Destination, DestinationKind, MailSecurity, MailServer, Notice, NoticeKind, PAGERDUTY_URL, Secret,
    Severity, WebhookShape,
};

const SENT_US: i64 = 1_764_300_621_000_000;

fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn golden_notice() -> Notice {
    serde_json::from_str(&std::fs::read_to_string(golden_path("notice.json")).unwrap()).unwrap()
}

fn webhook(shape: WebhookShape) -> DestinationKind {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    DestinationKind::Webhook { url: Secret::new("https://hooks.example/alerts"), secret, shape }
}

/// Every kind of destination, by the name of its golden file.
fn kinds() -> Vec<(&'static str, DestinationKind)> {
    let routing_key = Secret::new("0123456789abcdef0123456789abcdef");
    vec![
        ("webhook", webhook(WebhookShape::Json)),
        ("slack", webhook(WebhookShape::Slack)),
        ("alertmanager_webhook", webhook(WebhookShape::Alertmanager)),
        (
            "alertmanager_api",
            DestinationKind::AlertmanagerApi { url: Secret::new("https://alerts.example/") },
        ),
        ("pagerduty", DestinationKind::PagerDuty { routing_key, url: Secret::new(PAGERDUTY_URL) }),
        (
            "email",
            DestinationKind::Email {
                to: vec!["oncall@example.com".into(), "Web <web@example.com>".into()],
                server: None,
            },
        ),
    ]
}

fn relay() -> MailServer {
    MailServer {
        host: "mail.example".into(),
        port: 587,
        security: MailSecurity::Starttls,
        username: None,
        password: None,
        from: "Footpath <alerts@footpath.example>".into(),
    }
}

fn rendered(kind: DestinationKind, notice: &Notice) -> Message {
    let destination =
        Destination { id: "on-call".into(), title: "On call".into(), kind, min_severity: Severity::Info };
    destination.check(false).unwrap();
    render(&destination, notice, SENT_US, Some(&relay())).unwrap()
}

/// What is sent, as a page: headers, an empty line, the body; JSON so that people can read it.
fn page(message: &Message) -> String {
    match message {
        Message::Mail(mail) => String::from_utf8(mail.formatted()).unwrap().replace("\r\n", "\n"),
        Message::Http(Request { url, headers, body }) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let body: Value = serde_json::from_slice(body).unwrap();
            format!("POST {url}\n{headers}\n{}\n", serde_json::to_string_pretty(&body).unwrap())
        }
    }
}

fn assert_golden(name: &str, shown: &str) {
    let path = golden_path(&format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, shown).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), shown, "{name}");
}

#[test]
fn every_shape_is_as_in_its_file() {
    let opened = golden_notice();
    let end = Notice {
        id: "019ac9a4-7c00-7000-8000-000000000002".into(),
        kind: NoticeKind::Resolved,
        at_us: opened.at_us + 3_600_000_000,
        ..opened.clone()
    };
    for (name, kind) in kinds() {
        assert_golden(name, &page(&rendered(kind.clone(), &opened)));
        assert_golden(&format!("{name}_resolved"), &page(&rendered(kind, &end)));
    }
}

/// Each block after `<!-- golden: name -->` in the page for readers is the file of that name.
#[test]
fn the_page_for_readers_shows_what_is_sent() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/alert-messages.md");
    let text = std::fs::read_to_string(path).unwrap();
    let examples: Vec<_> = text.split("<!-- golden: ").skip(1).collect();
    assert_eq!(examples.len(), kinds().len());
    for example in examples {
        let (name, rest) = example.split_once(" -->").unwrap();
        let block = rest.split("```").nth(1).unwrap().trim_start_matches("http\n");
        assert_eq!(block, std::fs::read_to_string(golden_path(&format!("{name}.txt"))).unwrap(), "{name}");
    }
}

/// How often a message for Slack says something: in its text, which stands alone in notifications, and in its blocks.
fn said_to_slack(notice: &Notice, what: &str) -> (usize, usize) {
    let Message::Http(request) = rendered(kinds().remove(1).1, notice) else { panic!("no request") };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let count = |value: &Value| value.to_string().matches(what).count();
    (count(&body["text"]), count(&body["blocks"]))
}

#[test]
fn slack_is_told_the_title_and_the_series_once() {
    let notice = golden_notice();
    assert_eq!(said_to_slack(&notice, &notice.title), (1, 1));
    assert_eq!(said_to_slack(&notice, "DE"), (1, 1));
    assert_eq!(said_to_slack(&notice, &notice.what), (1, 1));
    // What an earlier version stored says all of it.
    let stored = Notice { what: String::new(), ..golden_notice() };
    assert_eq!(said_to_slack(&stored, &stored.summary), (1, 1));
}

#[test]
fn kinds_become_the_receivers_actions() {
    let key = |kind| {
        let notice = Notice { kind, ..golden_notice() };
        let Message::Http(request) = rendered(kinds().remove(4).1, &notice) else { panic!("no request") };
        serde_json::from_slice::<Value>(&request.body).unwrap()["event_action"].as_str().unwrap().to_owned()
    };
    let actions = NoticeKind::ALL.map(key);
    assert_eq!(actions, ["trigger", "trigger", "acknowledge", "resolve", "trigger", "trigger"]);
}

#[test]
fn an_escalation_ends_the_alert_of_the_lower_severity() {
    let notice = Notice { kind: NoticeKind::Escalated, ..golden_notice() };
    let Message::Http(request) = rendered(kinds().remove(3).1, &notice) else { panic!("no request") };
    let alerts: Value = serde_json::from_slice(&request.body).unwrap();
    let ends = |severity: &str| {
        let alert =
            alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["severity"] == severity).unwrap();
        alert["endsAt"].as_str().unwrap().to_owned()
    };
    assert!(ends("critical") > ends("warning"));
    assert_eq!(ends("warning"), ends("info"));
}

#[test]
fn an_incident_is_one_thread_of_mail() {
    let opened = mail_headers(&golden_notice());
    let later = mail_headers(&Notice { id: "other".into(), kind: NoticeKind::Resolved, ..golden_notice() });
    let header = |headers: &str, name: &str| {
        let line = headers.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(header(&later, "References"), header(&opened, "Message-ID"));
    assert_ne!(header(&later, "Message-ID"), header(&opened, "Message-ID"));
    assert_eq!(header(&later, "Subject"), format!("Re: {}", header(&opened, "Subject")));
}

fn mail_headers(notice: &Notice) -> String {
    let page = page(&rendered(kinds().remove(5).1, notice));
    page.split_once("\n\n").unwrap().0.replace("\n ", " ")
}
