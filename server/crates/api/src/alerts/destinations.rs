//! Destinations and deliveries.

use footpath_model::alert::CountedRule;
use footpath_notify::{Destination, Notice, NoticeKind, Verdict};
use footpath_proto::v1;
use footpath_store::{DeliveryFilter, DeliveryRow, DestinationRow, ProjectRow};
use tonic::{Code, Response, Status};

use super::deliveries::Heads;
use super::destination::{asked, kept, merged, shown, wrong};
use super::{AlertApi, deliveries};
use crate::cursor::{Kind, Scope};
use crate::status::{internal, not_found, store, with_reason};

/// A stored destination and its version.
struct Known {
    destination: Destination,
    version: u64,
}

impl AlertApi {
    pub(super) async fn create_one(
        &self,
        project: &ProjectRow,
        message: v1::Destination,
    ) -> Result<Response<v1::CreateDestinationResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        let known = self.known(project, &message.id)?;
        let wanted = asked(&message, known.as_ref().map(|known| &known.destination), &self.context.codes)?;
        match known {
            Some(Known { destination, version }) if destination == wanted => {
                return Ok(created(shown(&destination, version)));
            }
            Some(_) => {
                let what =
                    "a destination with this id and other content exists; update it or choose another id";
                return Err(with_reason(Code::AlreadyExists, "destination_exists", what, None));
            }
            None => {}
        }
        self.put(project, &wanted, 1)?;
        let mut destination = shown(&wanted, 1);
        show_made_secret(&mut destination, &message, &wanted);
        Ok(created(destination))
    }

    pub(super) async fn update_one(
        &self,
        project: &ProjectRow,
        request: v1::UpdateDestinationRequest,
    ) -> Result<Response<v1::UpdateDestinationResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        let message = request.destination.unwrap_or_default();
        let known = self.required_destination(project, &message.id)?;
        if !message.etag.is_empty() && message.etag != known.version.to_string() {
            let what = "the destination was changed meanwhile; read it again and repeat your change";
            return Err(with_reason(Code::Aborted, "etag_mismatch", what, None));
        }
        let message = merged(shown(&known.destination, known.version), message, request.update_mask)?;
        let wanted = kept(&message, &known.destination, &self.context.codes)?;
        let version = known.version + u64::from(wanted != known.destination);
        self.put(project, &wanted, version)?;
        let mut destination = shown(&wanted, version);
        if !is_webhook(&known.destination) {
            show_made_secret(&mut destination, &message, &wanted);
        }
        Ok(Response::new(v1::UpdateDestinationResponse { destination: Some(destination) }))
    }

    fn put(&self, project: &ProjectRow, wanted: &Destination, version: u64) -> Result<(), Status> {
        self.context.deliverer.check(wanted).map_err(|error| wrong(&error.to_string()))?;
        let json = serde_json::to_string(wanted).map_err(|error| internal(&error.to_string()))?;
        let (id, project_id) = (wanted.id.clone(), project.id.clone());
        let row = DestinationRow { project: project_id, id, version, json };
        self.context.store.put_destination(&row).map_err(store)?;
        let put = self.context.deliverer.put(&project.id, wanted.clone());
        put.map_err(|error| wrong(&error.to_string()))
    }

    pub(super) fn destinations(
        &self,
        project: &ProjectRow,
        page: &v1::ListDestinationsRequest,
    ) -> Result<Response<v1::ListDestinationsResponse>, Status> {
        let context = &self.context;
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Destinations, project.number, &[]);
        let after = context.cursors.open_page(&scope, &page.page_token)?;
        let rows = context.store.destinations(&project.id, Some(&after), size + 1);
        let mut rows = rows.map_err(store)?;
        let next_page_token = context.cursors.cut_page(&scope, &mut rows, size, |row| &row.id);
        let message = |row: &DestinationRow| Ok(shown(&read(row)?, row.version));
        let destinations = rows.iter().map(message).collect::<Result<_, Status>>()?;
        Ok(Response::new(v1::ListDestinationsResponse { destinations, next_page_token }))
    }

    pub(super) async fn delete_one(
        &self,
        project: &ProjectRow,
        id: &str,
    ) -> Result<Response<v1::DeleteDestinationResponse>, Status> {
        let _turn = self.context.turn.lock().await;
        self.required_destination(project, id)?;
        let rules = crate::definitions::all_of::<CountedRule>(&self.context, &project.id)?;
        let using = rules.iter().filter(|rule| rule.definition.destinations.iter().any(|own| own == id));
        let using: Vec<_> = using.map(|rule| format!("alert_rule/{}", rule.definition.id)).collect();
        if !using.is_empty() {
            let what = format!("{id} is used by {}; change them first", using.join(", "));
            return Err(with_reason(Code::FailedPrecondition, "definition_in_use", &what, None));
        }
        let removed = self.context.deliverer.remove(&project.id, id).await;
        removed.map_err(|error| internal(&error.to_string()))?;
        self.context.store.delete_destination(&project.id, id).map_err(store)?;
        Ok(Response::new(v1::DeleteDestinationResponse {}))
    }

    pub(super) async fn send_test(
        &self,
        project: &ProjectRow,
        id: &str,
    ) -> Result<Response<v1::SendTestAlertResponse>, Status> {
        let known = self.required_destination(project, id)?;
        let notice = self.test(project);
        let outcome = self.context.deliverer.send_now(&known.destination, &notice).await;
        let delivered = outcome.verdict == Verdict::Delivered;
        if delivered {
            // It is there again. It may have been changed or deleted meanwhile: its queue knows.
            self.context.deliverer.retry(&project.id, id);
        }
        Ok(Response::new(v1::SendTestAlertResponse { delivered, outcome: outcome.words }))
    }

    /// A message that says that it is a test.
    fn test(&self, project: &ProjectRow) -> Notice {
        let now_us = self.context.clock.now_us();
        Notice {
            id: footpath_model::id::EventId(self.context.codes.random_bytes()).to_string(),
            kind: NoticeKind::Test,
            project: project.id.clone(),
            environment: "prod".into(),
            incident: "test".into(),
            rule: "test".into(),
            title: "A test".into(),
            series: None,
            severity: footpath_notify::Severity::Info,
            summary: format!("A test of the project {}: alerts reach this destination.", project.title),
            what: "Alerts reach this destination.".into(),
            condition: "somebody asked for it".into(),
            value: None,
            expected: None,
            low: None,
            high: None,
            unit: None,
            window: footpath_notify::Window { from_us: now_us, to_us: now_us },
            completeness: footpath_notify::Completeness { processed_us: now_us, ..Default::default() },
            drivers: Vec::new(),
            annotations: Vec::new(),
            owner: String::new(),
            runbook: String::new(),
            link: self.context.public_url.clone(),
            opened_us: now_us,
            at_us: now_us,
            p_value: None,
            channel: None,
        }
    }

    pub(super) fn deliveries(
        &self,
        project: &ProjectRow,
        page: &v1::ListDeliveriesRequest,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let context = &self.context;
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Deliveries, project.number, &[&page.destination_id, &page.incident_id]);
        let after = context.cursors.open_page(&scope, &page.page_token)?;
        let after = deliveries::place(&after);
        let filter = DeliveryFilter {
            destination: Some(page.destination_id.as_str()).filter(|id| !id.is_empty()),
            incident: Some(page.incident_id.as_str()).filter(|id| !id.is_empty()),
        };
        let after = after.as_ref().map(|(us, id, n)| (*us, id.as_str(), *n));
        let rows = context.store.deliveries(project.number, filter, after, size + 1).map_err(store)?;
        if rows.is_empty() && page.page_token.is_empty() {
            self.can_have_deliveries(project, filter)?;
        }
        let mut rows: Vec<(String, DeliveryRow)> =
            rows.into_iter().map(|row| (deliveries::name(&row), row)).collect();
        let next_page_token = context.cursors.cut_page(&scope, &mut rows, size, |(name, _)| name);
        let heads = Heads::of(&*context.store, rows.iter().map(|(_, row)| row))?;
        let message = |(_, row): &(String, DeliveryRow)| deliveries::message(row, &heads);
        let deliveries = rows.iter().map(message).collect::<Result<_, Status>>()?;
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries, next_page_token }))
    }

    /// Of what is gone there may still be deliveries; where there are none, a name that nothing has is a misspelling.
    fn can_have_deliveries(&self, project: &ProjectRow, of: DeliveryFilter<'_>) -> Result<(), Status> {
        of.destination.map(|id| self.required_destination(project, id)).transpose()?;
        of.incident.map(|id| self.required(project, id)).transpose()?;
        Ok(())
    }

    fn known(&self, project: &ProjectRow, id: &str) -> Result<Option<Known>, Status> {
        let row = self.context.store.destination(&project.id, id).map_err(store)?;
        row.map(|row| Ok(Known { destination: read(&row)?, version: row.version })).transpose()
    }

    fn required_destination(&self, project: &ProjectRow, id: &str) -> Result<Known, Status> {
        let unknown = || not_found("destination_unknown", "no such destination; ListDestinations names them");
        self.known(project, id)?.ok_or_else(unknown)
    }
}

fn created(destination: v1::Destination) -> Response<v1::CreateDestinationResponse> {
    Response::new(v1::CreateDestinationResponse { destination: Some(destination) })
}

/// The one time that a secret is shown: when the server made it.
fn is_webhook(destination: &Destination) -> bool {
    matches!(destination.kind, footpath_notify::DestinationKind::Webhook { .. })
}

fn show_made_secret(message: &mut v1::Destination, asked: &v1::Destination, made: &Destination) {
    use v1::destination::Kind;
    let (Some(Kind::Webhook(shown)), Some(Kind::Webhook(asked))) = (&mut message.kind, &asked.kind) else {
        return;
    };
    if let footpath_notify::DestinationKind::Webhook { secret, .. } = &made.kind
        && asked.secret.is_empty()
    {
        shown.secret = secret.expose().to_owned();
    }
}

fn read(row: &DestinationRow) -> Result<Destination, Status> {
    serde_json::from_str(&row.json)
        .map_err(|error| internal(&format!("the stored destination {:?} cannot be read: {error}", row.id)))
}
