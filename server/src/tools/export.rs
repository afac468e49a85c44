//! `footpath export`: a project's definitions as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::definitions::{Client, File, Kind, list, time_zone};
use super::remote::Project;

/// Writes a project's segments, funnels, metrics and alert rules as TOML, for people, version control and `footpath apply`.
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
    let zone = time_zone(channel.clone(), &args.project, ROLE).await?;
    let mut client = Client::new(channel);
    let file = File {
        segments: all(&mut client, args, &zone).await?,
        funnels: all(&mut client, args, &zone).await?,
        metrics: all(&mut client, args, &zone).await?,
        alert_rules: all(&mut client, args, &zone).await?,
    };
    let head = format!(
        "# The definitions of project {:?}. `footpath apply -f FILE` makes a project what a file says.\n\n",
        args.project.id
    );
    let text = head + &file.write()?;
    match &args.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// All of a kind.
async fn all<K: Kind>(client: &mut Client, args: &Args, zone: &str) -> anyhow::Result<Vec<K>> {
    let known = list::<K>(client, &args.project.id, ROLE).await?;
    known.into_iter().map(|message| K::shown(message, zone)).collect()
}
