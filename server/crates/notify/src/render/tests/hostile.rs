//! Texts that try to break out.

use proptest::prelude::*;
use serde_json::Value;

use super::{golden_notice, kinds, rendered};
use crate::render::Message;
use crate::{Driver, Notice};

/// The notice with this text in every place that takes one.
fn hostile(text: &str) -> Notice {
    let own = || text.to_owned();
    let driver = Driver {
        what: own(),
        contribution: Some(f64::NAN),
        before: Some(f64::INFINITY),
        after: Some(-1e300),
    };
    Notice {
        id: own(),
        project: own(),
        environment: own(),
        incident: own(),
        rule: own(),
        title: own(),
        series: Some(own()),
        summary: own(),
        what: own(),
        condition: own(),
        unit: Some(own()),
        drivers: vec![driver; 50],
        annotations: vec![own(); 50],
        owner: own(),
        runbook: format!("https://a.example/{text}"),
        link: format!("https://a.example/?{text}"),
        channel: Some(own()),
        value: Some(f64::NAN),
        ..golden_notice()
    }
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

fn assert_slack_takes(body: &Value) {
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    for block in blocks {
        let length = |value: &Value| value["text"].as_str().unwrap().chars().count();
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&length(&block["text"]))),
            "section" if block["fields"].is_array() => {
                assert!(block["fields"].as_array().unwrap().iter().all(|field| length(field) <= 2_000));
            }
            "section" => assert!(length(&block["text"]) <= 3_000),
            _ => assert!(length(&block["elements"][0]) <= 3_000),
        }
    }
    assert_marked_up_verbatim(body);
    let mut texts = Vec::new();
    strings(body, &mut texts);
    for text in texts {
        for call in ["@channel", "@here", "@everyone", "@all", "@group"] {
            assert!(!text.to_lowercase().contains(call), "{text}");
        }
        let markup = text.match_indices('<').all(|(at, _)| text[at..].starts_with("<https://a.example/"));
        assert!(markup, "{text}");
    }
}

/// What is marked up says that nothing else is to be made of it.
fn assert_marked_up_verbatim(value: &Value) {
    if value["type"] == "mrkdwn" {
        assert_eq!(value["verbatim"], true, "{value}");
    }
    match value {
        Value::Array(values) => values.iter().for_each(assert_marked_up_verbatim),
        Value::Object(fields) => fields.values().for_each(assert_marked_up_verbatim),
        _ => {}
    }
}

fn assert_pagerduty_takes(body: &Value) {
    assert!(body["payload"]["summary"].as_str().unwrap().chars().count() <= 1_024);
    assert!(body["dedup_key"].as_str().unwrap().chars().count() <= 255);
    assert!(body.to_string().len() < 512 * 1_024);
}

fn assert_mail_is_whole(mail: &str) {
    let known =
        ["From", "Subject", "Date", "Message-ID", "To", "Auto-Submitted", "MIME-Version", "Content-Type"];
    for line in mail.split_once("\n\n").unwrap().0.replace("\n ", " ").lines() {
        let name = line.split_once(':').unwrap_or_default().0;
        assert!(known.contains(&name), "{line}");
    }
    assert_eq!(mail.matches("\nContent-Type: text/").count(), 2);
    assert!(mail.lines().all(|line| line.len() <= 998));
}

fn assert_holds(text: &str) {
    let notice = hostile(text);
    for (name, kind) in kinds() {
        match rendered(kind, &notice) {
            Message::Mail(mail) => {
                assert_mail_is_whole(&String::from_utf8_lossy(&mail.formatted()).replace("\r\n", "\n"))
            }
            Message::Http(request) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert!(
                    request.headers.iter().all(|(_, value)| http::HeaderValue::from_str(value).is_ok()),
                    "{name}"
                );
                assert!(request.body.len() < 128 * 1_024, "{name}: {}", request.body.len());
                match name {
                    "slack" => assert_slack_takes(&body),
                    "pagerduty" => assert_pagerduty_takes(&body),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn hostile_texts_break_no_shape() {
    let texts = [
        "",
        "\r\nBcc: everybody@example.com\r\n\r\nbody",
        "@channel @HERE x@everyone @@all @group #general https://evil.example",
        "<!channel> <https://evil.example|bank> </td><script>alert(1)</script> & * _ ~ `",
        "\u{202e}txet desrever\u{2066}\u{0}\u{7}",
        "\"}],\"routing_key\":\"x\" \\u0000 \u{2028}",
        "--\r\n.\r\nQUIT\r\n",
    ];
    for text in texts {
        assert_holds(text);
    }
    for character in ["&", "<", "a", "é", "😀", "\n", "'"] {
        assert_holds(&character.repeat(64 * 1_024));
    }
}

#[test]
fn a_long_value_takes_no_room_from_the_number() {
    let series = Some(format!("os = {}", "é".repeat(10_000)));
    let notice = Notice { series, ..golden_notice() };
    for (name, line) in [("slack", "/text"), ("pagerduty", "/payload/summary")] {
        let (_, kind) = kinds().into_iter().find(|(kind, _)| *kind == name).unwrap();
        let Message::Http(request) = rendered(kind, &notice) else { panic!("no request") };
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let line = body.pointer(line).unwrap().as_str().unwrap();
        assert!(line.ends_with(&format!("…: {}", notice.what)) && line.chars().count() < 160, "{line}");
    }
}

/// Of all characters: proptest's own strings have no control characters.
fn any_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_breaks_a_shape(text in any_text()) {
        assert_holds(&text);
    }

    /// A delivery is stored as JSON and read again.
    #[test]
    fn a_notice_survives_storage(text in any_text()) {
        let stored = serde_json::to_string(&hostile(&text)).unwrap();
        let read: Notice = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(read.summary, text);
        prop_assert_eq!(read.value, None);
    }
}
