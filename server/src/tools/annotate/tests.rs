//! What is noted, and what is printed of it.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &[&str]) -> Result<Args, clap::Error> {
    Cli::try_parse_from(["annotate"].iter().chain(words)).map(|cli| cli.args)
}

#[test]
fn an_id_is_the_annotations_and_not_the_projects() {
    let args = parse(&["Version 2.4", "--id", "v2"]).unwrap();
    assert_eq!((args.annotation(0).id.as_str(), args.project.id.as_str()), ("v2", "default"));
    let args = parse(&["Version 2.4", "--project", "shop"]).unwrap();
    assert_eq!(
        (args.annotation(2_500_000).id.as_str(), args.project.id.as_str()),
        ("release-2500000", "shop")
    );
}

#[test]
fn ids_are_made_of_what_an_id_may_have() {
    assert_eq!(made_id("Black Friday", 1_769_857_200_999_999), "black-friday-1769857200999999");
    assert_eq!(made_id("fête_1", -1), "f-te_1--1");
    assert!(made_id(&"x".repeat(500), i64::MIN).len() <= 64);
}

#[test]
fn it_begins_now_unless_it_says_when() {
    let args = parse(&["Sale", "--from", "2026-11-27T00:00:00Z", "--to", "2026-11-28T00:00:00Z"]).unwrap();
    let sale = args.annotation(5);
    let seconds = |moment: Option<prost_types::Timestamp>| moment.map(|moment| moment.seconds);
    assert_eq!((seconds(sale.from), seconds(sale.to)), (Some(1_795_737_600), Some(1_795_824_000)));
    let now = parse(&["Sale"]).unwrap().annotation(7_000_000);
    assert_eq!((seconds(now.from), seconds(now.to)), (Some(7), None));
}

#[test]
fn a_repetition_differs_in_its_beginning_alone() {
    let wanted = parse(&["Version 2", "--id", "v2"]).unwrap().annotation(9_000_000);
    let known = v1::Annotation { from: Some(timestamp(5)), by: "ci".into(), ..wanted.clone() };
    assert!(is_repeated(&known, &wanted));
    for other in [
        v1::Annotation { id: "v3".into(), ..known.clone() },
        v1::Annotation { text: "Version 3".into(), ..known.clone() },
        v1::Annotation { kind: "sale".into(), ..known.clone() },
        v1::Annotation { to: Some(timestamp(7)), ..known.clone() },
        v1::Annotation { special: true, ..known },
    ] {
        assert!(!is_repeated(&other, &wanted), "{other:?}");
    }
}

#[test]
fn one_thing_is_done_at_a_time() {
    for wrong in [&[][..], &["x", "--list"], &["x", "--delete", "v2"], &["--list", "--delete", "v2"]] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    assert!(parse(&["--list"]).is_ok() && parse(&["--delete", "v2"]).is_ok());
}

#[test]
fn a_line_says_when_and_what() {
    let args = parse(&["Sale\u{1b}[1m", "--kind", "promotion", "--id", "s", "--special"]).unwrap();
    let mut sale = args.annotation(0);
    assert_eq!(
        line(&sale, &Zone::named("UTC")),
        "s  1970-01-01T00:00:00+00:00  promotion: Sale [1m (special)"
    );
    (sale.to, sale.special) = (Some(timestamp(60_000_000)), false);
    let shown = "s  1970-01-01T01:00:00+01:00 to 1970-01-01T01:01:00+01:00  promotion: Sale [1m";
    assert_eq!(line(&sale, &Zone::named("Europe/Zurich")), shown);
}
