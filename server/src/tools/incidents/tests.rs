//! What is asked of the server, and what is printed of its answers.

use clap::Parser;

use super::*;

const HOUR_US: i64 = 3_600_000_000;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &[&str]) -> Result<Args, clap::Error> {
    Cli::try_parse_from(["incidents"].iter().chain(words)).map(|cli| cli.args)
}

fn change(words: &[&str]) -> Option<Change> {
    parse(&[&["3f0c"], words].concat()).unwrap().wish.change(HOUR_US)
}

#[test]
fn every_option_is_a_change() {
    assert_eq!(change(&[]), None);
    assert_eq!(change(&["--acknowledge"]), Some(Change::Acknowledge(v1::AcknowledgeIncident {})));
    assert_eq!(change(&["--resolve"]), Some(Change::Resolve(v1::ResolveIncident {})));
    assert_eq!(change(&["--comment", "seen"]), Some(Change::Comment("seen".into())));
    assert_eq!(change(&["--mute", "2h"]), Some(Change::MuteUntil(timestamp(3 * HOUR_US))));
    assert_eq!(change(&["--mute", "0s"]), Some(Change::MuteUntil(timestamp(0))));
    assert_eq!(change(&["--owner", "ann"]), Some(Change::Owner("ann".into())));
    let action = v1::IncidentAction { text: "rolled back".into(), ..Default::default() };
    assert_eq!(change(&["--action", "rolled back"]), Some(Change::Action(action)));
}

#[test]
fn one_change_of_one_incident_at_a_time() {
    for wrong in [
        &["3f0c", "--acknowledge", "--resolve"][..],
        &["3f0c", "--owner", "ann", "--comment", "x"],
        &["--acknowledge"],
        &["--action", "x"],
        &["--open", "--resolve"],
        &["3f0c", "--open"],
        &["3f0c", "--mute", "soon"],
        &["3f0c", "9a"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    let negative = parse(&["3f0c", "--mute", "-1h"]).unwrap_err().to_string();
    assert!(negative.contains("\"-1h\" is negative"), "{negative}");
    for right in [&[][..], &["--open"], &["3f0c"], &["3f0c", "--mute", "1d"]] {
        assert!(parse(right).is_ok(), "{right:?}");
    }
}

fn incident() -> v1::Incident {
    v1::Incident {
        id: "00000000000003f0".into(),
        alert_rule_id: "failed".into(),
        metric_id: "payments".into(),
        value: Some(v1::SliceValue { kind: Some(v1::slice_value::Kind::Value("de\u{1b}[2J".into())) }),
        environments: vec!["prod".into(), "staging".into()],
        severity: v1::AlertSeverity::Critical.into(),
        state: v1::IncidentState::Open.into(),
        summary: "Payments (de): 5, allowed is at most 2.5\nx".into(),
        from: Some(timestamp(HOUR_US)),
        opened_at: Some(timestamp(HOUR_US + 60_000_000)),
        told: Some(judgement()),
        completeness: Some(v1::AlertCompleteness {
            processed: Some(timestamp(HOUR_US)),
            position: 7,
            expected: 3,
        }),
        ..v1::Incident::default()
    }
}

fn judgement() -> v1::Judgement {
    v1::Judgement { number: Some(5.0), high: Some(2.5), ..v1::Judgement::default() }
}

fn event(kind: v1::AlertKind, by: &str, text: &str, judgement: Option<v1::Judgement>) -> v1::IncidentEvent {
    let (by, text) = (by.to_owned(), text.to_owned());
    let (kind, at) = (kind.into(), Some(timestamp(HOUR_US)));
    v1::IncidentEvent { kind, at, judgement, by, text, muted_until: None }
}

#[test]
fn an_incident_is_one_line() {
    let line = text::line(&incident(), &Zone::named("Europe/Zurich"));
    let shown = "00000000000003f0  open          critical  1970-01-01T02:00:00+01:00  failed  Payments (de): 5, allowed is at most 2.5 x";
    assert_eq!(line, shown);
    let muted = v1::Incident { muted_until: Some(timestamp(3 * HOUR_US)), ..incident() };
    let line = text::line(&muted, &Zone::named("Europe/Zurich"));
    assert_eq!(line, format!("{shown}  (muted until 1970-01-01T04:00:00+01:00)"));
}

#[test]
fn an_incident_without_a_story_has_no_empty_sections() {
    let story = text::story(&incident(), &[], &Zone::named("UTC"));
    let shown = "\
00000000000003f0  open          critical  1970-01-01T01:00:00+00:00  failed  Payments (de): 5, allowed is at most 2.5 x
  rule          failed
  metric        payments
  value         de [2J
  environments  prod, staging
  told first    1970-01-01T01:01:00+00:00
  told last     5, allowed is at most 2.5
  complete      to 1970-01-01T01:00:00+00:00, 3 events were missing
";
    assert_eq!(story, shown);
}

#[test]
fn a_story_has_drivers_annotations_actions_and_events() {
    let driver = v1::Driver {
        property: Some(v1::PropertyReference { property: "platform".into(), ..Default::default() }),
        value: Some(v1::SliceValue { kind: Some(v1::slice_value::Kind::NotSet(true)) }),
        kind: v1::DriverKind::Rate.into(),
        contribution: 0.825,
        before: Some(0.2),
        after: None,
    };
    let annotation = v1::Annotation {
        id: "v2".into(),
        text: "Version 2".into(),
        kind: "release".into(),
        ..Default::default()
    };
    let action = v1::IncidentAction {
        text: "rolled back".into(),
        at: Some(timestamp(HOUR_US)),
        by: "ann".into(),
        comparison: "40 % less".into(),
    };
    let full = v1::Incident {
        drivers: vec![driver],
        annotations: vec![annotation],
        actions: vec![action],
        ..incident()
    };
    let events = [
        event(v1::AlertKind::Opened, "", "", Some(judgement())),
        event(v1::AlertKind::Commented, "ann", "looks\nodd", None),
        event(v1::AlertKind::Acknowledged, "ben", "", None),
        v1::IncidentEvent {
            muted_until: Some(timestamp(3 * HOUR_US)),
            ..event(v1::AlertKind::Muted, "ben", "", None)
        },
        event(v1::AlertKind::Muted, "ann", "", None),
    ];
    let story = text::story(&full, &events, &Zone::named("UTC"));
    let (_, sections) = story.split_once("Likely").unwrap();
    let shown = " drivers:
  platform = (not set)  rate, 82.5 % of the change, 0.2 before, - after
Around its beginning:
  v2  -  release: Version 2
Actions:
  1970-01-01T01:00:00+00:00 by ann: rolled back; 40 % less
Events:
  1970-01-01T01:00:00+00:00  opened: 5, allowed is at most 2.5
  1970-01-01T01:00:00+00:00  commented by ann: looks odd
  1970-01-01T01:00:00+00:00  acknowledged by ben
  1970-01-01T01:00:00+00:00  muted until 1970-01-01T03:00:00+00:00 by ben
  1970-01-01T01:00:00+00:00  unmuted by ann
";
    assert_eq!(sections, shown);
}
