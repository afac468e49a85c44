//! `footpath annotate`: notes something that explains numbers, from a release pipeline for instance.

use std::io::Write as _;
use std::process::ExitCode;

use footpath_api::convert::timestamp;
use footpath_api::status::reason_of;
use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use jiff::Timestamp;
use tonic::Status;
use v1::alert_service_client::AlertServiceClient;

use super::alert_text::plain;
use super::remote::{Project, SignedChannel, explain_for};
use super::zone::Zone;

/// Notes something that happened to the project and explains numbers: a release, a promotion, a holiday.
///
/// Alerts name what was noted around their beginning. With --id, repeating the command changes nothing: it keeps the first beginning.
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
    for annotation in all(client, args).await? {
        // Whoever reads may have enough, as `head` does.
        writeln!(std::io::stdout(), "{}", line(&annotation, zone))?;
    }
    Ok(())
}

/// What was noted, newest first.
async fn all(client: &mut Client, args: &Args) -> anyhow::Result<Vec<v1::Annotation>> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListAnnotationsRequest { project: args.project.id.clone(), page_size: PAGE, page_token };
        let page = client.list_annotations(request).await;
        let page = page.map_err(|status| explain_for(ROLE, &status))?.into_inner();
        all.extend(page.annotations);
        if page.next_page_token.is_empty() {
            return Ok(all);
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
    let wanted = args.annotation(SystemClock.now_us());
    let request =
        v1::CreateAnnotationRequest { project: args.project.id.clone(), annotation: Some(wanted.clone()) };
    let noted = match client.create_annotation(request).await {
        Ok(answer) => answer.into_inner().annotation.unwrap_or_default(),
        Err(status) => {
            let known = repeated(client, args, &wanted, &status).await?;
            known.ok_or_else(|| explain_for(ROLE, &status))?
        }
    };
    println!("{}", line(&noted, zone));
    Ok(())
}

/// What an earlier run noted, if this one only repeats it. Without --from both began when they ran, which is no other content.
async fn repeated(
    client: &mut Client,
    args: &Args,
    wanted: &v1::Annotation,
    status: &Status,
) -> anyhow::Result<Option<v1::Annotation>> {
    if args.from.is_some() || reason_of(status).as_deref() != Some("annotation_exists") {
        return Ok(None);
    }
    Ok(all(client, args).await?.into_iter().find(|known| is_repeated(known, wanted)))
}

/// Whether both are the same but for when they began and who noted them.
fn is_repeated(known: &v1::Annotation, wanted: &v1::Annotation) -> bool {
    let known = v1::Annotation { from: wanted.from, by: wanted.by.clone(), ..known.clone() };
    known == *wanted
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
    format!("{kind}-{from_us}")
}

/// One line: id, beginning and end, kind, text.
pub fn line(annotation: &v1::Annotation, zone: &Zone) -> String {
    let v1::Annotation { id, kind, text, from, to, special, .. } = annotation;
    let to = to.as_ref().map(|to| format!(" to {}", zone.show(Some(to)))).unwrap_or_default();
    let special = if *special { " (special)" } else { "" };
    format!("{id}  {}{to}  {}: {}{special}", zone.show(from.as_ref()), plain(kind), plain(text))
}

#[cfg(test)]
mod tests;
