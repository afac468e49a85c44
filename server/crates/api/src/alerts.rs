//! AlertService: incidents, what rules see, destinations, annotations.

use std::pin::Pin;
use std::sync::Arc;

use footpath_engine::alert::AlertFold;
use footpath_model::alert::CountedRule;
use footpath_model::control::Control;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::context::Context;

mod annotations;
mod deliveries;
mod destination;
mod destinations;
mod drivers;
mod incidents;
mod messages;
mod mute;
pub mod numbers;
mod series;
mod simulate;
mod tail;

pub use tail::{follow_alerts, scope};

/// The service.
#[derive(Clone)]
pub struct AlertApi {
    context: Arc<Context>,
}

type Simulating = Pin<Box<dyn Stream<Item = Result<v1::SimulateAlertRuleResponse, Status>> + Send>>;

impl AlertApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Writes a change into the log; returns when what follows from it can be read.
    async fn record(&self, project: &ProjectRow, control: Control) -> Result<(), Status> {
        self.context.record(project, &control).await
    }
}

/// Who a call is by, as records name them.
fn by(caller: &Caller) -> String {
    match caller {
        Caller::Token(claims) => claims.sub.clone(),
        Caller::Key(_) | Caller::Anyone => String::new(),
    }
}

#[tonic::async_trait]
impl v1::alert_service_server::AlertService for AlertApi {
    type SimulateAlertRuleStream = Simulating;

    async fn simulate_alert_rule(
        &self,
        request: Request<v1::SimulateAlertRuleRequest>,
    ) -> Result<Response<Simulating>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.simulate(project, request.into_inner())
    }

    async fn list_alert_series(
        &self,
        request: Request<v1::ListAlertSeriesRequest>,
    ) -> Result<Response<v1::ListAlertSeriesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.series(&project, &request.into_inner())
    }

    async fn mute_alert_rule(
        &self,
        request: Request<v1::MuteAlertRuleRequest>,
    ) -> Result<Response<v1::MuteAlertRuleResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let by = by(&self.context.caller(&request));
        let v1::MuteAlertRuleRequest { alert_rule_id: id, until, .. } = request.into_inner();
        crate::definitions::required::<CountedRule>(&self.context, &project.id, &id)?;
        let now_us = self.context.clock.now_us();
        let until_us = mute::until_us(now_us, until.as_ref())?;
        let muted = |fold: &AlertFold| fold.rule(&id).map(|rule| rule.muted_until_us);
        let known_us = self.context.alerts.read(project.number, muted).flatten();
        // Where the fold cannot say it, the record does.
        if known_us.is_none_or(|known_us| mute::changes(now_us, known_us, until_us)) {
            self.record(&project, Control::MuteRule { id, until_us, by }).await?;
        }
        Ok(Response::new(v1::MuteAlertRuleResponse {}))
    }

    async fn list_incidents(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.incidents(&project, &request.into_inner())
    }

    async fn get_incident(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::GetIncidentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.incident(&project, &request.get_ref().incident_id)
    }

    async fn change_incident(
        &self,
        request: Request<v1::ChangeIncidentRequest>,
    ) -> Result<Response<v1::ChangeIncidentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let by = by(&self.context.caller(&request));
        self.change(&project, by, request.into_inner()).await
    }

    async fn create_destination(
        &self,
        request: Request<v1::CreateDestinationRequest>,
    ) -> Result<Response<v1::CreateDestinationResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.create_one(&project, request.into_inner().destination.unwrap_or_default()).await
    }

    async fn list_destinations(
        &self,
        request: Request<v1::ListDestinationsRequest>,
    ) -> Result<Response<v1::ListDestinationsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.destinations(&project, &request.into_inner())
    }

    async fn update_destination(
        &self,
        request: Request<v1::UpdateDestinationRequest>,
    ) -> Result<Response<v1::UpdateDestinationResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.update_one(&project, request.into_inner()).await
    }

    async fn delete_destination(
        &self,
        request: Request<v1::DeleteDestinationRequest>,
    ) -> Result<Response<v1::DeleteDestinationResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete_one(&project, &request.get_ref().destination_id).await
    }

    async fn send_test_alert(
        &self,
        request: Request<v1::SendTestAlertRequest>,
    ) -> Result<Response<v1::SendTestAlertResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.send_test(&project, &request.get_ref().destination_id).await
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.deliveries(&project, &request.into_inner())
    }

    async fn create_annotation(
        &self,
        request: Request<v1::CreateAnnotationRequest>,
    ) -> Result<Response<v1::CreateAnnotationResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let by = by(&self.context.caller(&request));
        self.annotate(&project, by, request.into_inner().annotation.unwrap_or_default()).await
    }

    async fn list_annotations(
        &self,
        request: Request<v1::ListAnnotationsRequest>,
    ) -> Result<Response<v1::ListAnnotationsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.annotations(&project, &request.into_inner())
    }

    async fn delete_annotation(
        &self,
        request: Request<v1::DeleteAnnotationRequest>,
    ) -> Result<Response<v1::DeleteAnnotationResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete_annotated(&project, request.into_inner().annotation_id).await
    }
}
