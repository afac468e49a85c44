//! `footpath annotate`: notes something that explains numbers, from a release pipeline for instance.

use std::io::Write as _;
use std::process::ExitCode;

use footpath_api::convert::timestamp;
use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use jiff::Timestamp;
use v1::alert_service_client::AlertServiceClient;

use super::alert_text::plain;
use super::remote::{Project, SignedChannel, explain_for};
use super::zone::Zone;

/// Notes something that happened to the project and explains numbers: a release, a promotion, a holiday.
///
/// Alerts name what was noted around their beginning. With --id, repeating the command changes nothing.
///
/// Needs a token of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What happened.
    #[arg(required_unless_present_any = ["list", "delete"])]
    text: Option<String>,
    /// Its id, 1 to 64 of a-z, 0-9, "-", "_"; left out, made of kind and time.
    #[arg(long)]
    id: Option<String>,
    /// What kind of thing, for example release, promotion, holiday.
    #[arg(long, default_value = "release")]
    kind: String,
    /// When it began, as in 2026-01-31T12:00:00Z; left out, now.
    #[arg(long)]
    from: Option<Timestamp>,
    /// When it ended; left out, it was a moment.
    #[arg(long)]
    to: Option<Timestamp>,
    /// Numbers are expected to be unusual: they are judged as those of special days, and teach the usual ones nothing.
    #[arg(long)]
    special: bool,
    /// Lists what was noted, newest first.
    #[arg(long, conflicts_with_all = ["text", "delete"])]
    list: bool,
    /// Deletes what was noted under this id.
    #[arg(long, value_name = "ID", conflicts_with = "text")]
    delete: Option<String>,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "analyst";

/// The most that the API lists at once.
const PAGE: u32 = 1_000;

type Client = AlertServiceClient<SignedChannel>;

/// Notes, lists or deletes.
///
/// # Errors
/// If the server does not answer or does not take it.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let channel = args.project.connect(ROLE).await?;
    let zone = Zone::of(channel.clone(), &args.project, ROLE).await?;
    let mut client = AlertServiceClient::new(channel);
    match args.delete.clone() {
        _ if args.list => list(&mut client, args, &zone).await?,
        Some(id) => delete(&mut client, args, id).await?,
        None => create(&mut client, args, &zone).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &mut Client, args: &Args, zone: &Zone) -> anyhow::Result<()> {
    let mut page_token = String::new();
    loop {
        let request =
            v1::ListAnnotationsRequest { project: args.project.id.clone(), page_size: PAGE, page_token };
        let page = client.list_annotations(request).await;
        let page = page.map_err(|status| explain_for(ROLE, &status))?.into_inner();
        for annotation in &page.annotations {
            // Whoever reads may have enough, as `head` does.
            writeln!(std::io::stdout(), "{}", line(annotation, zone))?;
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}

async fn delete(client: &mut Client, args: &Args, annotation_id: String) -> anyhow::Result<()> {
    let request = v1::DeleteAnnotationRequest { project: args.project.id.clone(), annotation_id };
    client.delete_annotation(request).await.map_err(|status| explain_for(ROLE, &status))?;
    Ok(())
}

async fn create(client: &mut Client, args: &Args, zone: &Zone) -> anyhow::Result<()> {
    let annotation = Some(args.annotation(SystemClock.now_us()));
    let request = v1::CreateAnnotationRequest { project: args.project.id.clone(), annotation };
    let answer = client.create_annotation(request).await;
    let answer = answer.map_err(|status| explain_for(ROLE, &status))?.into_inner();
    println!("{}", line(&answer.annotation.unwrap_or_default(), zone));
    Ok(())
}

impl Args {
    fn annotation(&self, now_us: i64) -> v1::Annotation {
        let from_us = self.from.map_or(now_us, Timestamp::as_microsecond);
        v1::Annotation {
            id: self.id.clone().unwrap_or_else(|| made_id(&self.kind, from_us)),
            text: self.text.clone().unwrap_or_default(),
            kind: self.kind.clone(),
            from: Some(timestamp(from_us)),
            to: self.to.map(|to| timestamp(to.as_microsecond())),
            special: self.special,
            by: String::new(),
        }
    }
}

/// An id out of kind and time: an id's letters only, and no longer than an id may be.
fn made_id(kind: &str, from_us: i64) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let kind: String = kind.chars().take(40).map(letter).collect();
    format!("{kind}-{}", from_us.div_euclid(1_000_000))
}

/// One line: id, beginning and end, kind, text.
pub fn line(annotation: &v1::Annotation, zone: &Zone) -> String {
    let v1::Annotation { id, kind, text, from, to, special, .. } = annotation;
    let to = to.as_ref().map(|to| format!(" to {}", zone.show(Some(to)))).unwrap_or_default();
    let special = if *special { " (special)" } else { "" };
    format!("{id}  {}{to}  {}: {}{special}", zone.show(from.as_ref()), plain(kind), plain(text))
}

#[cfg(test)]
mod tests {
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
        assert_eq!((args.annotation(2_500_000).id.as_str(), args.project.id.as_str()), ("release-2", "shop"));
    }

    #[test]
    fn ids_are_made_of_what_an_id_may_have() {
        assert_eq!(made_id("Black Friday", 1_769_857_200_999_999), "black-friday-1769857200");
        assert_eq!(made_id("fête_1", -1), "f-te_1--1");
        assert!(made_id(&"x".repeat(500), i64::MIN).len() <= 64);
    }

    #[test]
    fn it_begins_now_unless_it_says_when() {
        let args =
            parse(&["Sale", "--from", "2026-11-27T00:00:00Z", "--to", "2026-11-28T00:00:00Z"]).unwrap();
        let sale = args.annotation(5);
        let seconds = |moment: Option<prost_types::Timestamp>| moment.map(|moment| moment.seconds);
        assert_eq!((seconds(sale.from), seconds(sale.to)), (Some(1_795_737_600), Some(1_795_824_000)));
        let now = parse(&["Sale"]).unwrap().annotation(7_000_000);
        assert_eq!((seconds(now.from), seconds(now.to)), (Some(7), None));
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
}
