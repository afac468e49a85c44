//! `footpath export`: a project's definitions as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::definitions::{Funnel, list, write};
use super::remote::Project;

/// Writes a project's funnels as TOML, for people, version control and `footpath apply`.
///
/// Needs a token of role viewer: `footpath token` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Where to write; left out, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "viewer";

/// Writes the file.
///
/// # Errors
/// If the server does not answer or the file cannot be written.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let channel = args.project.connect(ROLE).await?;
    let funnels = list(channel, &args.project, ROLE).await?;
    let funnels = funnels.into_iter().map(Funnel::from_message).collect::<anyhow::Result<_>>()?;
    let head = format!(
        "# The funnels of project {:?}. `footpath apply -f FILE` makes a project what a file says.\n\n",
        args.project.id
    );
    let text = head + &write(funnels)?;
    match &args.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}
