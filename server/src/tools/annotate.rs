//! `footpath annotate`: notes something that explains numbers, from a release pipeline for instance.

use std::process::ExitCode;

use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use jiff::Timestamp;
use v1::alert_service_client::AlertServiceClient;

use super::remote::{Project, explain_for};

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

/// Notes, lists or deletes.
///
/// # Errors
/// If the server does not answer or does not take it.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut client = AlertServiceClient::new(args.project.connect(ROLE).await?);
    let project = args.project.id.clone();
    if args.list {
        let request = v1::ListAnnotationsRequest { project, page_size: 1_000, ..Default::default() };
        let answer = client.list_annotations(request).await.map_err(|status| explain_for(ROLE, &status))?;
        answer.into_inner().annotations.iter().for_each(|one| println!("{}", line(one)));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(annotation_id) = args.delete.clone() {
        let request = v1::DeleteAnnotationRequest { project, annotation_id };
        client.delete_annotation(request).await.map_err(|status| explain_for(ROLE, &status))?;
        return Ok(ExitCode::SUCCESS);
    }
    let annotation = Some(args.annotation());
    let request = v1::CreateAnnotationRequest { project, annotation };
    let answer = client.create_annotation(request).await.map_err(|status| explain_for(ROLE, &status))?;
    answer.into_inner().annotation.iter().for_each(|one| println!("{}", line(one)));
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn annotation(&self) -> v1::Annotation {
        let now_us = SystemClock.now_us();
        let from_us = self.from.map_or(now_us, Timestamp::as_microsecond);
        let made = || format!("{}-{}", self.kind, from_us / 1_000_000);
        v1::Annotation {
            id: self.id.clone().unwrap_or_else(made),
            text: self.text.clone().unwrap_or_default(),
            kind: self.kind.clone(),
            from: Some(footpath_api::convert::timestamp(from_us)),
            to: self.to.map(|to| footpath_api::convert::timestamp(to.as_microsecond())),
            special: self.special,
            by: String::new(),
        }
    }
}

fn line(annotation: &v1::Annotation) -> String {
    let from = annotation.from.as_ref().map(footpath_api::convert::micros).unwrap_or_default();
    let from = Timestamp::from_microsecond(from).map(|from| from.to_string()).unwrap_or_default();
    let v1::Annotation { id, kind, text, .. } = annotation;
    format!("{id}  {from}  {kind}: {text}")
}
