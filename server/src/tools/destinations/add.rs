//! A destination that is added. What is secret comes from a file or from standard input: command lines are seen by others, and kept.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use footpath_proto::v1;
use v1::destination::Kind;

use super::kind::KindName;
use super::{CHANGES, Client, all, text};
use crate::tools::definitions::Word;
use crate::tools::remote::{Project, explain_for};

/// Adds a destination. Needs role admin.
///
/// What is secret is the first line of standard input, or of --secret-file: the URL of a webhook, of Slack or of an
/// Alertmanager, the routing key of PagerDuty. Email has no secret.
///
/// A webhook's requests are signed; the secret for that is made by the server and printed, once.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Its id, 1 to 64 of a-z, 0-9, "-", "_"; rules name it.
    id: String,
    /// What it is.
    #[arg(long, value_enum)]
    kind: KindName,
    /// For people.
    #[arg(long)]
    title: Option<String>,
    /// Less severe alerts are not sent there: info, warning or critical. Left out, info.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    min_severity: Option<v1::AlertSeverity>,
    /// Addresses, for email; repeat it for several.
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// PagerDuty's address, where it is not that of its American region.
    #[arg(long, value_name = "URL")]
    events_url: Option<String>,
    /// A file with what is secret; left out, or -, standard input.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A file with a secret of your own that a webhook's requests are signed with: whsec_ and base64.
    #[arg(long, value_name = "FILE")]
    signing_secret_file: Option<PathBuf>,
    /// Changes the destination that has this id, instead of adding one. Title and severity stay where they are left out.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    project: Project,
}

fn severity(word: &str) -> Result<v1::AlertSeverity, String> {
    Word::named(word).map(|Word(severity)| severity)
}

/// Adds or changes it.
///
/// # Errors
/// If an option does not fit the kind, the secret cannot be read, or the server does not take it.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.check()?;
    let secret = args.kind.secret().map(|what| secret(what, args.secret_file.as_deref())).transpose()?;
    let signing =
        args.signing_secret_file.as_deref().map(|file| secret_line("signing secret", file)).transpose()?;
    let destination = args.destination(secret.unwrap_or_default(), signing.unwrap_or_default());
    let mut client = Client::new(args.project.connect(CHANGES).await?);
    let (told, made) = match args.replace {
        true => update(args, &mut client, destination).await?,
        false => create(args, &mut client, destination).await?,
    };
    println!("{told}");
    if let Some(secret) = made_secret(&made) {
        println!("signing secret, shown once: {secret}");
    }
    Ok(ExitCode::SUCCESS)
}

type Done = anyhow::Result<(String, v1::Destination)>;

async fn create(args: &Args, client: &mut Client, destination: v1::Destination) -> Done {
    let (project, destination) = (args.project.id.clone(), Some(destination));
    let created = client.create_destination(v1::CreateDestinationRequest { project, destination }).await;
    let created = created.map_err(|status| explain_for(CHANGES, &status))?.into_inner();
    Ok((format!("created destination {}", args.id), created.destination.unwrap_or_default()))
}

/// Says what becomes of what: a destination may be another one's by a slip, and be another kind afterwards.
async fn update(args: &Args, client: &mut Client, destination: v1::Destination) -> Done {
    let known = all(client, &args.project, CHANGES).await?;
    // What is not there the server refuses.
    let before = known.into_iter().find(|one| one.id == args.id).unwrap_or_default();
    let destination = Some(v1::Destination { etag: before.etag.clone(), ..destination });
    let (project, update_mask) = (args.project.id.clone(), Some(args.mask()));
    let request = v1::UpdateDestinationRequest { project, destination, update_mask };
    let updated = client.update_destination(request).await;
    let updated = updated.map_err(|status| explain_for(CHANGES, &status))?.into_inner();
    let after = updated.destination.unwrap_or_default();
    Ok((format!("updated destination {}{}", args.id, text::changed(&before, &after)), after))
}

/// The secret that the server made. Slack looks at no signature, so nobody has to keep it.
fn made_secret(created: &v1::Destination) -> Option<&str> {
    let Some(Kind::Webhook(hook)) = &created.kind else { return None };
    Some(hook.secret.as_str()).filter(|secret| !secret.is_empty() && hook.shape() != v1::WebhookShape::Slack)
}

impl Args {
    /// Whether the options fit the kind.
    fn check(&self) -> anyhow::Result<()> {
        let is_webhook =
            matches!(self.kind, KindName::Webhook | KindName::Slack | KindName::AlertmanagerWebhook);
        ensure!(self.kind != KindName::Email || !self.to.is_empty(), "for email, name addresses with --to");
        ensure!(self.kind == KindName::Email || self.to.is_empty(), "--to is for email only");
        ensure!(
            self.kind == KindName::PagerDuty || self.events_url.is_none(),
            "--events-url is for pager_duty only"
        );
        ensure!(
            is_webhook || self.signing_secret_file.is_none(),
            "--signing-secret-file is for webhooks only"
        );
        ensure!(self.kind.secret().is_some() || self.secret_file.is_none(), "email has no secret");
        Ok(())
    }

    /// What is changed: where it goes, and what else was named.
    fn mask(&self) -> prost_types::FieldMask {
        let kind = match self.kind {
            KindName::Webhook | KindName::Slack | KindName::AlertmanagerWebhook => "webhook",
            KindName::Alertmanager => "alertmanager",
            KindName::PagerDuty => "pager_duty",
            KindName::Email => "email",
        };
        let title = self.title.as_ref().map(|_| "title");
        let severity = self.min_severity.map(|_| "min_severity");
        let paths = [Some(kind), title, severity].into_iter().flatten().map(str::to_owned);
        prost_types::FieldMask { paths: paths.collect() }
    }

    fn destination(&self, secret: String, signing: String) -> v1::Destination {
        let kind = match self.kind {
            KindName::Webhook | KindName::Slack | KindName::AlertmanagerWebhook => {
                Kind::Webhook(v1::WebhookDestination {
                    url: secret,
                    secret: signing,
                    shape: self.kind.shape().into(),
                })
            }
            KindName::Alertmanager => Kind::Alertmanager(v1::AlertmanagerDestination { url: secret }),
            KindName::PagerDuty => Kind::PagerDuty(v1::PagerDutyDestination {
                routing_key: secret,
                url: self.events_url.clone().unwrap_or_default(),
            }),
            KindName::Email => Kind::Email(v1::EmailDestination { to: self.to.clone() }),
        };
        v1::Destination {
            id: self.id.clone(),
            title: self.title.clone().unwrap_or_default(),
            kind: Some(kind),
            min_severity: self.min_severity.unwrap_or(v1::AlertSeverity::Info).into(),
            ..v1::Destination::default()
        }
    }
}

/// What is secret, from a file or from standard input.
fn secret(what: &str, file: Option<&Path>) -> anyhow::Result<String> {
    if let Some(file) = file.filter(|file| file.as_os_str() != "-") {
        return secret_line(what, file);
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("the {what}:");
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).context("cannot read standard input")?;
    first_line(what, "standard input", &line)
}

fn secret_line(what: &str, file: &Path) -> anyhow::Result<String> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    first_line(what, &name, &text)
}

/// Says nothing of what is there: it may be another secret.
fn first_line(what: &str, from: &str, text: &str) -> anyhow::Result<String> {
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => bail!("the first line of {from} must be the {what}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_left_out_is_not_replaced() {
        let mask = |options: &[&str]| {
            let line = ["add", "ops", "--replace"].iter().chain(options);
            Tool::try_parse_from(line).unwrap().args.mask().paths
        };
        assert_eq!(mask(&["--kind", "slack"]), ["webhook"]);
        assert_eq!(mask(&["--kind", "pager_duty", "--title", ""]), ["pager_duty", "title"]);
        assert_eq!(mask(&["--kind", "email", "--min-severity", "info"]), ["email", "min_severity"]);
    }
}
