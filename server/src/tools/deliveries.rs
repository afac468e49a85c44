//! `footpath deliveries`: messages to destinations, and what became of them.

use std::io::Write as _;
use std::process::ExitCode;

use footpath_proto::v1;
use v1::alert_service_client::AlertServiceClient;

use super::alert_text::plain;
use super::definitions::Word;
use super::remote::{Project, explain_for};
use super::zone::Zone;

/// Lists messages to destinations, newest first: what became of each, how often it was tried, and why it failed.
///
/// A line is: when it was made, in the project's time zone, state, destination, what it tells, incident, tries.
///
/// Needs a token of role analyst: `footpath token --role analyst` makes one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only to this destination.
    #[arg(long, value_name = "ID")]
    destination: Option<String>,
    /// Only of this incident.
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Only those that are not delivered: they are tried again, or were given up.
    #[arg(long)]
    undelivered: bool,
    #[command(flatten)]
    project: Project,
}

/// What its token has to be.
const ROLE: &str = "analyst";
/// The most that the API lists at once.
const PAGE: u32 = 1_000;

/// Lists them.
///
/// # Errors
/// If the server does not answer.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let channel = args.project.connect(ROLE).await?;
    let zone = Zone::of(channel.clone(), &args.project, ROLE).await?;
    let mut client = AlertServiceClient::new(channel);
    let mut page_token = String::new();
    loop {
        let page = client.list_deliveries(args.request(page_token)).await;
        let page = page.map_err(|status| explain_for(ROLE, &status))?.into_inner();
        for delivery in page.deliveries.iter().filter(|one| args.wants(one)) {
            // Whoever reads may have enough, as `head` does.
            writeln!(std::io::stdout(), "{}", line(delivery, &zone))?;
        }
        if page.next_page_token.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        page_token = page.next_page_token;
    }
}

impl Args {
    fn request(&self, page_token: String) -> v1::ListDeliveriesRequest {
        v1::ListDeliveriesRequest {
            project: self.project.id.clone(),
            destination_id: self.destination.clone().unwrap_or_default(),
            incident_id: self.incident.clone().unwrap_or_default(),
            page_size: PAGE,
            page_token,
        }
    }

    fn wants(&self, delivery: &v1::Delivery) -> bool {
        !self.undelivered || delivery.state() != v1::DeliveryState::Delivered
    }
}

/// One line: when it was made, state, destination, what it tells, incident, tries.
fn line(delivery: &v1::Delivery, zone: &Zone) -> String {
    let v1::Delivery { destination_id, incident_id, .. } = delivery;
    let (made, state, kind) =
        (zone.show(delivery.made_at.as_ref()), Word(delivery.state()), Word(delivery.kind()));
    format!("{made}  {state:9}  {destination_id}  {kind:12}  {incident_id}  {}", tries(delivery, zone))
}

/// How often it was tried, when it is tried again, and what the last try came to, if that was no delivery.
fn tries(delivery: &v1::Delivery, zone: &Zone) -> String {
    let count = delivery.attempts;
    let tries = format!("{count} {}", if count == 1 { "try" } else { "tries" });
    let word = if delivery.waits_for.is_empty() { "next" } else { "after an earlier one, that is tried" };
    let next = delivery.next_attempt.as_ref().map(|next| format!(", {word} {}", zone.show(Some(next))));
    let last = delivery.last_attempts.last().filter(|_| delivery.state() != v1::DeliveryState::Delivered);
    let last = last.map(|last| format!(": {}", plain(&last.outcome)));
    [Some(tries), next, last].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use footpath_api::convert::timestamp;

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn delivery(state: v1::DeliveryState, attempts: u32) -> v1::Delivery {
        let attempt = v1::DeliveryAttempt { outcome: "answered 503\u{7}".into(), ..Default::default() };
        v1::Delivery {
            destination_id: "ops".into(),
            incident_id: "00000000000003f0".into(),
            kind: v1::AlertKind::Opened.into(),
            made_at: Some(timestamp(HOUR_US)),
            state: state.into(),
            attempts,
            last_attempts: vec![attempt; attempts.min(10) as usize],
            ..v1::Delivery::default()
        }
    }

    #[test]
    fn a_delivery_is_one_line() {
        let shown = |delivery: &v1::Delivery| line(delivery, &Zone::named("UTC"));
        assert_eq!(
            shown(&delivery(v1::DeliveryState::Delivered, 1)),
            "1970-01-01T01:00:00+00:00  delivered  ops  opened        00000000000003f0  1 try"
        );
        let pending = v1::Delivery {
            next_attempt: Some(timestamp(2 * HOUR_US)),
            ..delivery(v1::DeliveryState::Pending, 3)
        };
        assert_eq!(
            shown(&pending),
            "1970-01-01T01:00:00+00:00  pending    ops  opened        00000000000003f0  3 tries, next 1970-01-01T02:00:00+00:00: answered 503 "
        );
        let waiting =
            v1::Delivery { attempts: 0, last_attempts: Vec::new(), waits_for: "x".into(), ..pending };
        let told = "  0 tries, after an earlier one, that is tried 1970-01-01T02:00:00+00:00";
        assert!(shown(&waiting).ends_with(told), "{}", shown(&waiting));
        let unsent = delivery(v1::DeliveryState::Failed, 0);
        assert!(shown(&unsent).ends_with("  0 tries"), "{}", shown(&unsent));
    }
}
