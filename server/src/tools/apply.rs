//! `footpath apply`: makes a project's definitions what the files say.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use footpath_api::convert;
use footpath_proto::v1;
use v1::definition_service_client::DefinitionServiceClient;

use super::definitions::{Funnel, list, parse};
use super::remote::{Project, SignedChannel, explain, explain_for};

/// Makes a project's funnels what the files say: creates what is missing, changes what differs.
///
/// The files are TOML, as `footpath export` writes them; applying an export changes nothing. A changed funnel is
/// back-filled from stored events.
///
/// Needs a token of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A file with definitions, or - for standard input; repeat it for several.
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Says what would change, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Deletes the project's funnels that no file names.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "analyst";

/// What has to be done about one funnel.
enum Step {
    Keep(String),
    Create(v1::Funnel),
    Update(v1::Funnel),
    Delete(String),
}

/// Applies the files.
///
/// # Errors
/// If a file cannot be read (then nothing was changed), or the server refuses a step (the ones before it stand).
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wanted = read(&args.files)?;
    let channel = args.project.connect(ROLE).await?;
    let known = list(channel.clone(), &args.project, ROLE).await?;
    for step in plan(wanted, known, args.prune)? {
        if !args.dry_run {
            step.perform(channel.clone(), &args.project.id).await.with_context(|| {
                format!("stopped at {}; what is listed above is done, apply again for the rest", step.id())
            })?;
        }
        println!("{}", step.describe(args.dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Funnel>> {
    let mut funnels: Vec<Funnel> = Vec::new();
    for file in files {
        for funnel in parse(&text(file)?).with_context(|| file.display().to_string())? {
            if funnels.iter().any(|known| known.id == funnel.id) {
                bail!("{}: the funnel {:?} is defined twice", file.display(), funnel.id);
            }
            check(&funnel).with_context(|| format!("{}: the funnel {:?}", file.display(), funnel.id))?;
            funnels.push(funnel);
        }
    }
    Ok(funnels)
}

/// What the server will check, before the first funnel is changed.
fn check(funnel: &Funnel) -> anyhow::Result<()> {
    let message = funnel.to_message()?;
    convert::funnel(&message, 1, "UTC").map_err(|status| explain(&status))?;
    Ok(())
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}

/// What has to be done, in the files' order.
fn plan(wanted: Vec<Funnel>, known: Vec<v1::Funnel>, prune: bool) -> anyhow::Result<Vec<Step>> {
    let mut known: HashMap<String, v1::Funnel> = known.into_iter().map(|f| (f.id.clone(), f)).collect();
    let mut steps = Vec::new();
    for funnel in wanted {
        let mut message = funnel.to_message()?;
        steps.push(match known.remove(&funnel.id) {
            None => Step::Create(message),
            // Both sides in the same words: a file may leave out what the server fills in.
            Some(current) => {
                message.etag.clone_from(&current.etag);
                if Funnel::from_message(current)? == Funnel::from_message(message.clone())? {
                    Step::Keep(funnel.id)
                } else {
                    Step::Update(message)
                }
            }
        });
    }
    let mut rest: Vec<String> = known.into_keys().filter(|_| prune).collect();
    rest.sort();
    steps.extend(rest.into_iter().map(Step::Delete));
    Ok(steps)
}

impl Step {
    fn id(&self) -> &str {
        match self {
            Self::Keep(id) | Self::Delete(id) => id,
            Self::Create(funnel) | Self::Update(funnel) => &funnel.id,
        }
    }

    fn describe(&self, dry_run: bool) -> String {
        let (done, would) = match self {
            Self::Keep(_) => ("unchanged", "unchanged"),
            Self::Create(_) => ("created", "would create"),
            Self::Update(_) => ("updated", "would update"),
            Self::Delete(_) => ("deleted", "would delete"),
        };
        format!("{} {}", if dry_run { would } else { done }, self.id())
    }

    async fn perform(&self, channel: SignedChannel, project: &str) -> anyhow::Result<()> {
        let mut definitions = DefinitionServiceClient::new(channel);
        let project = project.to_owned();
        let result = match self {
            Self::Keep(_) => return Ok(()),
            Self::Create(funnel) => {
                let funnel = Some(funnel.clone());
                definitions.create_funnel(v1::CreateFunnelRequest { project, funnel }).await.map(drop)
            }
            Self::Update(funnel) => {
                let funnel = Some(funnel.clone());
                let request = v1::UpdateFunnelRequest { project, funnel, update_mask: None };
                definitions.update_funnel(request).await.map(drop)
            }
            Self::Delete(id) => {
                let request = v1::DeleteFunnelRequest { project, funnel_id: id.clone() };
                definitions.delete_funnel(request).await.map(drop)
            }
        };
        result.map_err(|status| explain_for(ROLE, &status))
    }
}
