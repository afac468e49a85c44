//! `footpath incidents`: lists incidents, shows one with its story, and changes one.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use footpath_api::convert::timestamp;
use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use v1::alert_service_client::AlertServiceClient;
use v1::change_incident_request::Change;

use super::remote::{Project, SignedChannel, explain_for};
use super::span::Window;
use super::zone::Zone;

mod text;

/// Lists incidents, newest first; with an id, shows one with all that happened to it, or changes it.
///
/// A line is: id, state, severity, beginning in the project's time zone, rule, summary, and until when it is muted if it is.
///
/// Needs a token of role viewer, for a change of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The incident's id; left out, all are listed.
    #[arg(value_name = "ID")]
    incident: Option<String>,
    /// Lists only those that are not over.
    #[arg(long, conflicts_with_all = ["incident", "wish"])]
    open: bool,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    project: Project,
}

/// What is to be changed; one thing at a time.
#[derive(Debug, Default, clap::Args)]
#[group(id = "wish", multiple = false, requires = "incident")]
struct Wish {
    /// You look after it.
    #[arg(long)]
    acknowledge: bool,
    /// It is over; if the problem goes on, it is opened again as a new one.
    #[arg(long)]
    resolve: bool,
    /// Remarks on it.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Nobody is told for so long, as in 2h; 0s ends it.
    #[arg(long, value_name = "WINDOW", allow_hyphen_values = true)]
    mute: Option<Window>,
    /// Says who looks after it.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Notes what was done against it: the numbers before and after will be compared.
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
}

impl Wish {
    /// As the API takes it; none if nothing is to be changed.
    fn change(&self, now_us: i64) -> Option<Change> {
        let wishes = [
            self.acknowledge.then_some(Change::Acknowledge(v1::AcknowledgeIncident {})),
            self.resolve.then_some(Change::Resolve(v1::ResolveIncident {})),
            self.comment.clone().map(Change::Comment),
            self.mute.map(|window| Change::MuteUntil(until(now_us, window))),
            self.owner.clone().map(Change::Owner),
            // The server's clock says when: one that is ahead of it would note the future.
            self.action.clone().map(|text| Change::Action(v1::IncidentAction { text, ..Default::default() })),
        ];
        wishes.into_iter().flatten().next()
    }
}

/// The end of a mute that begins now. That of none is long past, whatever the server's clock says.
fn until(now_us: i64, window: Window) -> prost_types::Timestamp {
    timestamp(if window.us == 0 { 0 } else { now_us.saturating_add(window.us) })
}

/// What a token has to be that reads.
const READS: &str = "viewer";
/// What a token has to be that changes.
const CHANGES: &str = "analyst";
/// The most that the API lists at once.
const PAGE: u32 = 1_000;

/// A connection for one role.
struct Tool<'a> {
    args: &'a Args,
    client: AlertServiceClient<SignedChannel>,
    zone: Zone,
    role: &'static str,
}

/// Lists, shows or changes.
///
/// # Errors
/// If there is no such incident, or the server does not answer or does not take the change.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let change = args.wish.change(SystemClock.now_us());
    let role = if change.is_some() { CHANGES } else { READS };
    let channel = args.project.connect(role).await?;
    let zone = Zone::of(channel.clone(), &args.project, role).await?;
    let mut tool = Tool { args, client: AlertServiceClient::new(channel), zone, role };
    match (args.incident.clone(), change) {
        (Some(id), Some(change)) => tool.change(id, change).await?,
        (Some(id), None) => tool.show(id).await?,
        (None, _) => tool.list().await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Tool<'_> {
    fn project(&self) -> String {
        self.args.project.id.clone()
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let mut page_token = String::new();
        loop {
            let open = self.args.open;
            let request =
                v1::ListIncidentsRequest { project: self.project(), open, page_size: PAGE, page_token };
            let page = self.client.list_incidents(request).await;
            let page = page.map_err(|status| explain_for(self.role, &status))?.into_inner();
            for incident in &page.incidents {
                // Whoever reads may have enough, as `head` does.
                writeln!(std::io::stdout(), "{}", text::line(incident, &self.zone))?;
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }

    async fn show(&mut self, incident_id: String) -> anyhow::Result<()> {
        let request = v1::GetIncidentRequest { project: self.project(), incident_id };
        let answer = self.client.get_incident(request).await;
        let answer = answer.map_err(|status| explain_for(self.role, &status))?.into_inner();
        let incident = answer.incident.context("the server shows no incident")?;
        print!("{}", text::story(&incident, &answer.events, &self.zone));
        Ok(())
    }

    async fn change(&mut self, incident_id: String, change: Change) -> anyhow::Result<()> {
        let request =
            v1::ChangeIncidentRequest { project: self.project(), incident_id, change: Some(change) };
        let answer = self.client.change_incident(request).await;
        let answer = answer.map_err(|status| explain_for(self.role, &status))?.into_inner();
        println!("{}", text::line(&answer.incident.unwrap_or_default(), &self.zone));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
