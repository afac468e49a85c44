//! `footpath destinations`: where alerts of a project are sent: listed, tried, added, deleted.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use footpath_proto::v1;
use v1::alert_service_client::AlertServiceClient;

use super::remote::{Project, SignedChannel, explain_for};

mod add;
mod kind;
mod text;

/// Lists where alerts are sent, without what is secret; tries, adds or deletes a destination.
///
/// A line is: id, kind, least severity, where to, title.
///
/// Needs a token of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_value_name = "WHAT")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    project: Project,
}

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Sends a message that says it is a test, now, and prints what came of it. Needs role analyst.
    Test(Named),
    Add(add::Args),
    /// Deletes a destination and what is still to be sent there. Needs role admin.
    Delete(Named),
}

/// One destination.
#[derive(Debug, clap::Args)]
struct Named {
    /// Its id.
    id: String,
    #[command(flatten)]
    project: Project,
}

/// What a token has to be that reads and tries.
const READS: &str = "analyst";
/// What a token has to be that changes: destinations hold keys, and make the server send requests.
const CHANGES: &str = "admin";
/// The most that the API lists at once.
const PAGE: u32 = 1_000;

type Client = AlertServiceClient<SignedChannel>;

/// Lists, tries, adds or deletes. The exit code of a test is 0 only if it was taken.
///
/// # Errors
/// If there is no such destination, or the server does not answer or does not take it.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        None => list(&args.project).await,
        Some(What::Test(named)) => test(named).await,
        Some(What::Add(wanted)) => add::run(wanted).await,
        Some(What::Delete(named)) => delete(named).await,
    }
}

async fn list(project: &Project) -> anyhow::Result<ExitCode> {
    let mut client = Client::new(project.connect(READS).await?);
    for destination in all(&mut client, project, READS).await? {
        // Whoever reads may have enough, as `head` does.
        writeln!(std::io::stdout(), "{}", text::line(&destination))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All destinations of a project; `role` is what the caller's command needs.
async fn all(client: &mut Client, project: &Project, role: &str) -> anyhow::Result<Vec<v1::Destination>> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListDestinationsRequest { project: project.id.clone(), page_size: PAGE, page_token };
        let page = client.list_destinations(request).await;
        let page = page.map_err(|status| explain_for(role, &status))?.into_inner();
        all.extend(page.destinations);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = page.next_page_token;
    }
}

async fn test(Named { id, project }: &Named) -> anyhow::Result<ExitCode> {
    let mut client = Client::new(project.connect(READS).await?);
    let request = v1::SendTestAlertRequest { project: project.id.clone(), destination_id: id.clone() };
    let sent = client.send_test_alert(request).await;
    let sent = sent.map_err(|status| explain_for(READS, &status))?.into_inner();
    println!("{}", text::tested(id, &sent));
    Ok(if sent.delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn delete(Named { id, project }: &Named) -> anyhow::Result<ExitCode> {
    let mut client = Client::new(project.connect(CHANGES).await?);
    let request = v1::DeleteDestinationRequest { project: project.id.clone(), destination_id: id.clone() };
    let deleted = client.delete_destination(request).await;
    deleted.map_err(|status| explain_for(CHANGES, &status)).context("nothing was deleted")?;
    println!("deleted destination {id}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
