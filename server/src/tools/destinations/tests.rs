use clap::Parser as _;
use v1::destination::Kind;

use super::*;

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &[&str]) -> Result<Args, clap::Error> {
    Cli::try_parse_from(["destinations"].iter().chain(words)).map(|cli| cli.args)
}

#[test]
fn what_is_to_be_done_is_named_once() {
    let add = ["add", "ops", "--kind", "slack"];
    for right in [&[][..], &["test", "ops"], &["delete", "ops", "--token", "t"], &["--token", "t"], &add] {
        assert!(parse(right).is_ok(), "{right:?}: {:?}", parse(right));
    }
    for wrong in [
        &["ops"][..],
        &["test"],
        &["add", "ops"],
        &["add", "ops", "--kind", "fax"],
        &["delete"],
        &["test", "a", "b"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    for severity in ["info", "warning", "critical"] {
        assert!(parse(&[&add[..], &["--min-severity", severity]].concat()).is_ok(), "{severity}");
    }
    assert!(parse(&[&add[..], &["--min-severity", "bad"]].concat()).is_err());
}

fn destination(kind: Kind) -> v1::Destination {
    let (id, title) = ("ops".to_owned(), "On\u{1b}[2J call".to_owned());
    v1::Destination { id, title, kind: Some(kind), ..v1::Destination::default() }
}

#[test]
fn a_destination_is_one_line() {
    let hook = v1::WebhookDestination {
        url: "https://hooks.slack.com/...".into(),
        shape: v1::WebhookShape::Slack.into(),
        ..Default::default()
    };
    assert_eq!(
        text::line(&destination(Kind::Webhook(hook))),
        "ops  slack                 info      https://hooks.slack.com/...  On [2J call"
    );
    let mail = v1::EmailDestination { to: vec!["a@example.com".into(), "b@example.com".into()] };
    let mail = v1::Destination {
        min_severity: v1::AlertSeverity::Critical.into(),
        title: String::new(),
        ..destination(Kind::Email(mail))
    };
    assert_eq!(text::line(&mail), "ops  email                 critical  a@example.com, b@example.com");
}

#[test]
fn a_change_says_what_became_of_what() {
    let hook = |url: &str| Kind::Webhook(v1::WebhookDestination { url: url.into(), ..Default::default() });
    let before = destination(hook("https://a/..."));
    let pager = v1::PagerDutyDestination { url: "https://b".into(), ..Default::default() };
    let after = v1::Destination {
        title: String::new(),
        min_severity: v1::AlertSeverity::Critical.into(),
        ..destination(Kind::PagerDuty(pager))
    };
    assert_eq!(
        text::changed(&before, &after),
        ": kind from webhook to pager_duty, where to from https://a/... to https://b, \
         least severity from info to critical, title from \"On [2J call\" to \"\""
    );
    assert_eq!(text::changed(&before, &before), "");
    assert_eq!(
        text::changed(&before, &destination(hook("https://c/..."))),
        ": where to from https://a/... to https://c/..."
    );
}

#[test]
fn a_test_says_what_came_of_it() {
    let sent = |delivered, outcome: &str| v1::SendTestAlertResponse { delivered, outcome: outcome.into() };
    assert_eq!(text::tested("ops", &sent(true, "answered 200")), "ops: delivered: answered 200");
    assert_eq!(text::tested("ops", &sent(false, "refused\n")), "ops: not delivered: refused ");
}
