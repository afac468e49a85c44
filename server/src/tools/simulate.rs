//! `footpath simulate`: what an alert rule would have sent.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use footpath_proto::v1;
use tonic::Status;
use v1::alert_service_client::AlertServiceClient;
use v1::simulate_alert_rule_request::Rule;
use v1::simulate_alert_rule_response::Message;

use super::alert_text::{driver, seen, value};
use super::definitions::{AlertRule, Kind as _, Placed, Wanted, Word, in_file};
use super::remote::{Project, explain_for};
use super::span::Range;
use super::zone::Zone;

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
    let asked = args.rule()?;
    let channel = args.project.connect(ROLE).await?;
    let zone = Zone::of(channel.clone(), &args.project, ROLE).await?;
    let mut client = AlertServiceClient::new(channel);
    let range =
        args.range.clone().map(|range| v1::TimeRange { kind: Some(range.into()), ..Default::default() });
    let request =
        v1::SimulateAlertRuleRequest { project: args.project.id.clone(), rule: Some(asked.rule), range };
    let explain = |status| explained(asked.written.as_ref(), &status);
    let mut stream = client.simulate_alert_rule(request).await.map_err(explain)?.into_inner();
    while let Some(message) = stream.message().await.map_err(explain)? {
        match message.message {
            Some(Message::Percent(percent)) => eprintln!("{percent} %"),
            Some(Message::Alert(alert)) => {
                println!("{}", line(&alert, &zone));
                alert.drivers.iter().for_each(|one| println!("    {}", driver(one)));
            }
            Some(Message::Summary(summary)) => println!("{}", total(&summary)),
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The rule that is asked for.
struct Asked {
    rule: Rule,
    /// As a file has it, if one was named.
    written: Option<AlertRule>,
}

impl Args {
    fn rule(&self) -> anyhow::Result<Asked> {
        let Some(file) = &self.file else {
            let id = self.rule.clone().unwrap_or_default();
            return Ok(Asked { rule: Rule::AlertRuleId(id), written: None });
        };
        let wanted = Wanted::read(std::slice::from_ref(file))?;
        let mistakes = wanted.mistakes(&[]);
        let chosen = chosen_of(wanted.alert_rules.placed, self.rule.as_deref());
        let chosen = chosen.with_context(|| file.display().to_string()).map_err(|none| match mistakes {
            Some(mistakes) => anyhow!("{none:#}, and there are mistakes:\n{mistakes}"),
            None => none,
        })?;
        Ok(Asked { rule: Rule::AlertRule(chosen.message), written: Some(chosen.definition) })
    }
}

/// What the server says, of a rule as a file has it if one was named.
fn explained(written: Option<&AlertRule>, status: &Status) -> anyhow::Error {
    let said = explain_for(ROLE, status);
    match written {
        Some(rule) => anyhow!("{}", in_file(&said.to_string(), &rule.lists())),
        None => said,
    }
}

/// The rule of this id; without one, the only rule.
fn chosen_of(mut rules: Vec<Placed<AlertRule>>, id: Option<&str>) -> anyhow::Result<Placed<AlertRule>> {
    let at = match (id, rules.len()) {
        (Some(id), _) => rules.iter().position(|rule| rule.definition.id == id),
        (None, 1) => Some(0),
        (None, count) => bail!("there are {count} alert rules: name one"),
    };
    let at = at.with_context(|| format!("there is no alert rule {:?}", id.unwrap_or_default()))?;
    Ok(rules.swap_remove(at))
}

/// One line: when, what, which value, the number and what was usual.
fn line(alert: &v1::SimulatedAlert, zone: &Zone) -> String {
    let value = value(alert.value.as_ref()).map(|value| format!("  {value}")).unwrap_or_default();
    let seen = alert.judgement.as_ref().map(|judgement| format!("  {}", seen(judgement))).unwrap_or_default();
    format!("{}  {}{value}{seen}", zone.show(alert.at.as_ref()), Word(alert.kind()))
}

/// The last line: how many there were in how long, and how many a month that is where so little says anything of one; where nothing was
/// judged, why.
fn total(summary: &v1::SimulationSummary) -> String {
    let v1::SimulationSummary { buckets, series, incidents, alerts, learning, too_little, missing, .. } =
        summary;
    if *buckets == 0 {
        let why = "in the range there is no whole bucket since the project's first event, or no value of the breakdown";
        return format!("nothing could be judged: {why}");
    }
    let mut unjudged = vec![format!("{learning} of them while it learned")];
    let more = [
        (too_little, "with too little or nothing to be compared with"),
        (missing, "without any event of the project"),
    ];
    unjudged
        .extend(more.iter().filter(|(count, _)| **count > 0).map(|(count, why)| format!("{count} {why}")));
    let looked_at = format!("{buckets} buckets of {series} series, {}", unjudged.join(", "));
    if learning + too_little + missing == *buckets {
        return format!("nothing could be judged: {looked_at}");
    }
    let (incidents, alerts) = (counted(*incidents, "incident"), counted(*alerts, "message"));
    let rate = summary.alerts_per_series_and_month.map_or_else(String::new, |rate| {
        format!("; {} incidents a month for each of {series} series", footpath_alert::number(rate))
    });
    let span = lasted(summary.span.as_ref().map_or(0, |span| span.seconds));
    format!("{incidents}, {alerts} in {span}{rate}; {looked_at}")
}

/// How long it was, in words: days, or hours of less than two days, or minutes.
fn lasted(seconds: i64) -> String {
    const UNITS: [(i64, &str, i64); 2] = [(86_400, "days", 172_800), (3_600, "hours", 7_200)];
    let fits = UNITS.iter().find(|(_, _, least)| seconds >= *least);
    let (unit, word) = fits.map_or((60, "minutes"), |(unit, word, _)| (*unit, *word));
    format!("{} {word}", footpath_alert::number(seconds as f64 / unit as f64))
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::definitions::Source;

    const TWO: &str = "[[alert_rule]]\nid = \"a\"\nmetric = \"m\"\nno_data = {}\n\n[[alert_rule]]\nid = \"b\"\nmetric = \"m\"\nno_data = {}\n";

    fn chosen(text: &str, id: Option<&str>) -> Result<String, String> {
        let mut wanted = Wanted::default();
        wanted.add(Source { file: "f.toml", text });
        let chosen = chosen_of(wanted.alert_rules.placed, id);
        chosen.map(|chosen| chosen.definition.id).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_of_a_file_is_named_or_the_only_one() {
        assert_eq!(chosen(TWO, Some("b")), Ok("b".into()));
        assert_eq!(chosen(TWO.split("\n\n").next().unwrap(), None), Ok("a".into()));
        assert!(chosen(TWO, None).unwrap_err().contains("2 alert rules"));
        assert!(chosen("", None).unwrap_err().contains("0 alert rules"));
        assert!(chosen(TWO, Some("c")).unwrap_err().contains("\"c\""));
    }

    #[test]
    fn an_alert_is_one_line() {
        let judgement = v1::Judgement {
            number: Some(5.0),
            high: Some(2.5),
            channel: "point".into(),
            ..Default::default()
        };
        let value = v1::SliceValue { kind: Some(v1::slice_value::Kind::Value("de\n".into())) };
        let mut alert = v1::SimulatedAlert {
            kind: v1::AlertKind::Opened.into(),
            at: Some(prost_types::Timestamp::default()),
            judgement: Some(judgement),
            ..v1::SimulatedAlert::default()
        };
        let zone = Zone::named("Europe/Zurich");
        assert_eq!(line(&alert, &zone), "1970-01-01T01:00:00+01:00  opened  5, allowed is at most 2.5");
        (alert.value, alert.judgement) = (Some(value), None);
        assert_eq!(line(&alert, &zone), "1970-01-01T01:00:00+01:00  opened  de ");
    }

    #[test]
    fn the_last_line_says_how_many_there_are() {
        let summary = v1::SimulationSummary {
            buckets: 100,
            series: 2,
            incidents: 1,
            alerts: 6,
            alerts_per_series_and_month: Some(1.5),
            learning: 10,
            span: Some(prost_types::Duration { seconds: 10 * 86_400, nanos: 0 }),
            ..v1::SimulationSummary::default()
        };
        let shown = "1 incident, 6 messages in 10 days; 1.5 incidents a month for each of 2 series; 100 buckets of 2 series, 10 of them while it learned";
        assert_eq!(total(&summary), shown);
        let span = Some(prost_types::Duration { seconds: 420, nanos: 0 });
        let short = v1::SimulationSummary { alerts_per_series_and_month: None, span, ..summary };
        assert_eq!(
            total(&short),
            "1 incident, 6 messages in 7 minutes; 100 buckets of 2 series, 10 of them while it learned"
        );
    }

    #[test]
    fn where_nothing_was_judged_the_last_line_says_why() {
        let summary = v1::SimulationSummary { buckets: 100, series: 2, learning: 60, ..Default::default() };
        let some = v1::SimulationSummary { too_little: 30, missing: 9, ..summary };
        assert!(total(&some).ends_with(
            "; 100 buckets of 2 series, 60 of them while it learned, 30 with too little or nothing to be compared with, 9 without any event of the project"
        ));
        let none = v1::SimulationSummary { missing: 40, ..summary };
        assert_eq!(
            total(&none),
            "nothing could be judged: 100 buckets of 2 series, 60 of them while it learned, 40 without any event of the project"
        );
        assert!(
            total(&v1::SimulationSummary::default())
                .starts_with("nothing could be judged: in the range there is no")
        );
    }

    #[test]
    fn how_long_it_was_is_said_in_the_unit_that_fits() {
        for (seconds, words) in [
            (0, "0 minutes"),
            (90, "1.5 minutes"),
            (7_200, "2 hours"),
            (90_000, "25 hours"),
            (518_400, "6 days"),
        ] {
            assert_eq!(lasted(seconds), words);
        }
    }
}
