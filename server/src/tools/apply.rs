//! `footpath apply`: makes a project's definitions what the files say.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use footpath_proto::v1;
use tonic::Status;

use super::definitions::{Client, Found, Kind, Placed, Wanted, list, renamed, time_zone};
use super::remote::{Project, explain_for};

/// Makes a project's segments, funnels, metrics and alert rules what the files say: creates what is missing, changes what differs.
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
    /// Says what would change, refuses what would be refused, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Deletes the project's segments, funnels, metrics and alert rules that no file names.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "analyst";

/// What has to be done about one definition.
enum Step<K: Kind> {
    Keep(String),
    Create(K::Message),
    Update(K::Message),
    Delete(String),
}

/// What has to be done about all of a kind: what the files say, in their order, and what they do not name.
struct Plan<K: Kind> {
    puts: Vec<Step<K>>,
    deletes: Vec<Step<K>>,
}

/// A project on a server.
struct Target<'a> {
    client: Client,
    args: &'a Args,
    zone: String,
}

/// Applies the files.
///
/// # Errors
/// If a file cannot be read or the server would refuse a step (then nothing was changed), or a step fails all the same (the ones before it stand).
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::read(&args.files)?;
    let (mut target, problems) = checked(args, &wanted).await.map_err(|why| wanted.unchecked(why))?;
    wanted.refuse(&problems)?;
    let Wanted { segments, funnels, metrics, alert_rules, .. } = &wanted;
    let of_segments = target.plan(segments).await?;
    let of_funnels = target.plan(funnels).await?;
    let of_metrics = target.plan(metrics).await?;
    let of_rules = target.plan(alert_rules).await?;
    // What is used comes before what uses it, and goes after it.
    target.perform(segments, of_segments.puts).await?;
    target.perform(funnels, of_funnels.puts).await?;
    target.perform(metrics, of_metrics.puts).await?;
    target.perform(alert_rules, of_rules.puts).await?;
    target.perform(alert_rules, of_rules.deletes).await?;
    target.perform(metrics, of_metrics.deletes).await?;
    target.perform(funnels, of_funnels.deletes).await?;
    target.perform(segments, of_segments.deletes).await?;
    Ok(ExitCode::SUCCESS)
}

/// Asks what the server would refuse, counting what the files define together.
async fn checked<'a>(
    args: &'a Args,
    wanted: &Wanted,
) -> anyhow::Result<(Target<'a>, Vec<v1::DefinitionProblem>)> {
    let channel = args.project.connect(ROLE).await?;
    let zone = time_zone(channel.clone(), &args.project, ROLE).await?;
    let mut client = Client::new(channel);
    let checked = client.check_definitions(wanted.request(&args.project.id, args.prune)).await;
    let problems = checked.map_err(|status| explain_for(ROLE, &status))?.into_inner().problems;
    Ok((Target { client, args, zone }, problems))
}

/// What has to be done about a kind; `zone` is the project's.
fn plan<K: Kind>(wanted: &[Placed<K>], known: Vec<K::Message>, zone: &str) -> Plan<K> {
    let named = known.into_iter().map(|message| (K::id_of(&message).to_owned(), message));
    let mut known: HashMap<String, K::Message> = named.collect();
    let mut puts = Vec::new();
    for Placed { definition, message } in wanted {
        let message = message.clone();
        puts.push(match known.remove(definition.id()) {
            None => Step::Create(message),
            Some(current) if is_same::<K>(&message, &current, zone) => Step::Keep(definition.id().to_owned()),
            Some(current) => Step::Update(K::change(message, &current)),
        });
    }
    let mut rest: Vec<String> = known.into_keys().collect();
    rest.sort();
    Plan { puts, deletes: rest.into_iter().map(Step::Delete).collect() }
}

/// Whether both mean the same: a file may leave out what the server fills in.
fn is_same<K: Kind>(wanted: &K::Message, current: &K::Message, zone: &str) -> bool {
    match (K::meaning(wanted, zone), K::meaning(current, zone)) {
        (Ok(wanted), Ok(current)) => wanted == current,
        _ => false,
    }
}

impl Target<'_> {
    async fn plan<K: Kind>(&mut self, wanted: &Found<K>) -> anyhow::Result<Plan<K>> {
        let known = list::<K>(&mut self.client, &self.args.project.id, ROLE).await?;
        let mut plan = plan(&wanted.placed, known, &self.zone);
        if !self.args.prune {
            plan.deletes.clear();
        }
        Ok(plan)
    }

    async fn perform<K: Kind>(&mut self, wanted: &Found<K>, steps: Vec<Step<K>>) -> anyhow::Result<()> {
        for step in steps {
            let (id, told) = (step.id().to_owned(), step.describe(self.args.dry_run));
            let warnings = if self.args.dry_run {
                Vec::new()
            } else {
                let done = step.perform(&mut self.client, &self.args.project.id).await;
                done.map_err(|status| explain_for(ROLE, &status)).with_context(|| {
                    format!(
                        "stopped at {} {id}; what is listed above is done, apply again for the rest",
                        K::NAME
                    )
                })?
            };
            println!("{told}");
            let lists = wanted.get(&id).map(|one| one.definition.lists()).unwrap_or_default();
            for v1::DefinitionWarning { field, name, nearest } in &warnings {
                eprintln!("{} {id}: {}", K::NAME, words(&renamed(field, &lists), name, nearest));
            }
        }
        Ok(())
    }
}

fn words(field: &str, name: &str, nearest: &str) -> String {
    if nearest.is_empty() {
        return format!("warning: {field}: {name:?} was never seen in this project");
    }
    format!("warning: {field}: {name:?} was never seen in this project; {nearest:?} was")
}

impl<K: Kind> Step<K> {
    fn id(&self) -> &str {
        match self {
            Self::Keep(id) | Self::Delete(id) => id,
            Self::Create(message) | Self::Update(message) => K::id_of(message),
        }
    }

    fn describe(&self, dry_run: bool) -> String {
        let (done, would) = match self {
            Self::Keep(_) => ("unchanged", "unchanged"),
            Self::Create(_) => ("created", "would create"),
            Self::Update(_) => ("updated", "would update"),
            Self::Delete(_) => ("deleted", "would delete"),
        };
        format!("{} {} {}", if dry_run { would } else { done }, K::NAME, self.id())
    }

    async fn perform(self, client: &mut Client, project: &str) -> Result<Vec<v1::DefinitionWarning>, Status> {
        match self {
            Self::Keep(_) => Ok(Vec::new()),
            Self::Create(message) => K::create(client, project, message).await,
            Self::Update(message) => K::update(client, project, message).await,
            Self::Delete(id) => K::delete(client, project, id).await.map(|()| Vec::new()),
        }
    }
}
