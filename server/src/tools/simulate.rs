//! `footpath simulate`: what an alert rule would have sent.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use footpath_proto::v1;
use jiff::Timestamp;
use v1::alert_service_client::AlertServiceClient;
use v1::simulate_alert_rule_request::Rule;
use v1::simulate_alert_rule_response::Message;
use v1::slice_value::Kind as Value;

use super::definitions::{File, Kind as _};
use super::remote::{Project, explain_for};
use super::span::Range;

/// Runs an alert rule over stored events and shows the alerts that it would have sent. Changes nothing.
///
/// The rule is one of the project's, or one of a file that was not applied yet.
///
/// Needs a token of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The rule's id; may be left out if the file has only one.
    #[arg(required_unless_present = "file")]
    rule: Option<String>,
    /// A file with the rule.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where alerts are shown, as in "last 30 days"; left out, the last 30 days, of rules by the minute 6.
    #[arg(long)]
    range: Option<Range>,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "analyst";

/// Shows the alerts, and in the end how many there are.
///
/// # Errors
/// If the file has no such rule, or the server does not answer or does not take it.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rule = args.rule()?;
    let mut client = AlertServiceClient::new(args.project.connect(ROLE).await?);
    let range =
        args.range.clone().map(|range| v1::TimeRange { kind: Some(range.into()), ..Default::default() });
    let request = v1::SimulateAlertRuleRequest { project: args.project.id.clone(), rule: Some(rule), range };
    let stream = client.simulate_alert_rule(request).await;
    let mut stream = stream.map_err(|status| explain_for(ROLE, &status))?.into_inner();
    while let Some(message) = stream.message().await.map_err(|status| explain_for(ROLE, &status))? {
        match message.message {
            Some(Message::Percent(percent)) => eprintln!("{percent} %"),
            Some(Message::Alert(alert)) => println!("{}", line(&alert)),
            Some(Message::Summary(summary)) => println!("{}", total(&summary)),
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn rule(&self) -> anyhow::Result<Rule> {
        let Some(file) = &self.file else {
            return Ok(Rule::AlertRuleId(self.rule.clone().unwrap_or_default()));
        };
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let rules = File::parse(&text).with_context(|| file.display().to_string())?.alert_rules;
        let named = |id: &String| rules.iter().find(|rule| rule.id == *id);
        let found = match (&self.rule, rules.as_slice()) {
            (Some(id), _) => named(id),
            (None, [only]) => Some(only),
            (None, _) => bail!("{} has {} alert rules: name one", file.display(), rules.len()),
        };
        let found = found.with_context(|| format!("{} has no such alert rule", file.display()))?;
        Ok(Rule::AlertRule(found.message()?))
    }
}

fn line(alert: &v1::SimulatedAlert) -> String {
    let at = alert.at.as_ref().map(footpath_api::convert::micros).unwrap_or_default();
    let at = Timestamp::from_microsecond(at).map(|at| at.to_string()).unwrap_or_default();
    let kind = alert.kind().as_str_name().trim_start_matches("ALERT_KIND_").to_ascii_lowercase();
    let value = match alert.value.as_ref().and_then(|value| value.kind.as_ref()) {
        Some(Value::Value(text)) => format!("  {text}"),
        Some(Value::NotSet(_)) => "  (not set)".into(),
        _ => String::new(),
    };
    let seen = alert.judgement.as_ref().map(seen).unwrap_or_default();
    format!("{at}  {kind}{value}{seen}")
}

fn seen(judgement: &v1::Judgement) -> String {
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), footpath_alert::number);
    let band = format!("{} to {}", number(judgement.low), number(judgement.high));
    let channel =
        if judgement.channel.is_empty() { String::new() } else { format!(", {}", judgement.channel) };
    format!("  {} (usual {band}{channel})", number(judgement.number))
}

fn total(summary: &v1::SimulationSummary) -> String {
    let v1::SimulationSummary { buckets, series, incidents, alerts, learning, .. } = summary;
    let rate = footpath_alert::number(summary.alerts_per_series_and_month);
    format!(
        "{incidents} incidents, {alerts} messages; {rate} incidents for each of {series} series and month; {buckets} buckets, {learning} of them while it learned"
    )
}
