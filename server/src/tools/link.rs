//! `footpath link`: a new link that opens the page signed in.

use std::process::ExitCode;

use footpath_proto::v1;
use v1::admin_service_client::AdminServiceClient;

use super::remote::{Project, SignedChannel, explain_for};

/// Makes a new link that opens the page signed in as an admin. It works once, for ten minutes.
///
/// Needs an admin token for all projects: `footpath token --role admin` makes one. A server that starts prints a link too.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "admin";

/// Prints the link.
///
/// # Errors
/// If the server does not answer, or the token does not suffice.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let channel = args.project.connect(ROLE).await?;
    println!("{}", new_link(channel, &args.project.server.url, &args.project.id).await?);
    Ok(ExitCode::SUCCESS)
}

/// A new link to the page at `url`.
///
/// # Errors
/// If the server does not answer, or the token does not suffice.
pub async fn new_link(channel: SignedChannel, url: &str, project: &str) -> anyhow::Result<String> {
    let request = v1::CreateCodeRequest { project: project.to_owned() };
    let answer = AdminServiceClient::new(channel).create_code(request).await;
    let code = answer.map_err(|status| explain_for(ROLE, &status))?.into_inner().code;
    Ok(format!("{}/?code={code}", url.trim_end_matches('/')))
}
