//! DefinitionService: a change is a control record in the log; the projection makes it a row.

use std::sync::Arc;

use footpath_history::Stop;
use footpath_live::{Followed, Standing};
use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::SegmentDefinition;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Code, Request, Response, Status};

use crate::context::Context;
use crate::cursor::Scope;
use crate::status::{store, with_reason};

mod changes;
mod check;
mod followers;
mod kinds;
mod known;
mod names;
mod turns;
mod uses;
mod warnings;

use changes::{Decided, used_by};
pub use followers::together;
pub use kinds::Kind;
use kinds::read_row;
use known::Known;
use turns::Turns;

/// The service.
#[derive(Clone)]
pub struct DefinitionApi {
    context: Arc<Context>,
    trials: Turns,
}

/// So many checks of definitions run at once; the others wait. Each has a core for as long as it lasts, which events need more.
const TRIALS: usize = 2;

/// A definition as it stands, and what it names that was never seen.
struct Shown<M> {
    message: M,
    warnings: Vec<v1::DefinitionWarning>,
}

impl DefinitionApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, trials: Turns::new(TRIALS) }
    }

    async fn create<K: Kind>(
        &self,
        project: &ProjectRow,
        message: K::Message,
    ) -> Result<Shown<K::Message>, Status> {
        let _turn = self.context.turn.lock().await;
        let known = Known::stored(&*self.context.store, &project.id);
        let decided = changes::create::<K>(&known, &message, &project.time_zone)?;
        self.written(project, decided).await
    }

    async fn update<K: Kind>(
        &self,
        project: &ProjectRow,
        message: K::Message,
        mask: Option<prost_types::FieldMask>,
    ) -> Result<Shown<K::Message>, Status> {
        let _turn = self.context.turn.lock().await;
        let known = Known::stored(&*self.context.store, &project.id);
        let (id, etag) = K::name_of(&message);
        let there = known.required::<K>(id)?;
        if !etag.is_empty() && etag != there.version().to_string() {
            let what = format!("the {} was changed meanwhile; read it again and repeat your change", K::NAME);
            return Err(with_reason(Code::Aborted, "etag_mismatch", &what, None));
        }
        let decided = changes::update::<K>(&known, message, mask, &project.time_zone)?;
        self.written(project, decided).await
    }

    async fn written<K: Kind>(
        &self,
        project: &ProjectRow,
        decided: Decided<K>,
    ) -> Result<Shown<K::Message>, Status> {
        if let Some(record) = &decided.record {
            self.context.record(project, record).await?;
        }
        Ok(self.shown(project, &decided.definition))
    }

    async fn delete<K: Kind>(&self, project: &ProjectRow, id: String) -> Result<(), Status> {
        let _turn = self.context.turn.lock().await;
        let record = changes::delete::<K>(&Known::stored(&*self.context.store, &project.id), &id)?;
        self.context.record(project, &record).await
    }

    fn list<K: Kind>(
        &self,
        project: &ProjectRow,
        page_size: u32,
        page_token: &str,
    ) -> Result<(Vec<K::Message>, String), Status> {
        let size = crate::page_size(page_size);
        let scope = Scope::new(K::PAGES, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, page_token)?;
        let rows = self.context.store.definitions(&project.id, K::KIND, Some(&after), size + 1);
        let mut rows = rows.map_err(store)?;
        let next_page_token = self.context.cursors.cut_page(&scope, &mut rows, size, |row| &row.id);
        let messages = rows.iter().map(|row| read_row::<K>(row).map(|one| one.message()));
        Ok((messages.collect::<Result<_, _>>()?, next_page_token))
    }

    fn shown<K: Kind>(&self, project: &ProjectRow, known: &K) -> Shown<K::Message> {
        Shown { message: known.message(), warnings: warnings::of(&self.context, project, &known.names()) }
    }

    /// Whether the live path counts a definition, and how far it is.
    fn progress(
        &self,
        project: u32,
        key: &footpath_live::ViewKey,
        version: u64,
    ) -> (v1::DefinitionState, u32) {
        match self.context.hub.standing(project, key) {
            Some(standing) if standing.live && standing.version == version => {
                (v1::DefinitionState::Live, 100)
            }
            standing => (
                v1::DefinitionState::Backfilling,
                standing.map_or(0, |standing| percent_of(&standing, version)),
            ),
        }
    }
}

/// How far a version is; another one may count meanwhile.
fn percent_of(standing: &Standing, version: u64) -> u32 {
    match standing.next {
        Some(next) if next.version == version => next.percent,
        _ if standing.version == version => standing.percent,
        _ => 0,
    }
}

/// The records of all definitions that the project's settings make others of.
///
/// # Errors
/// INTERNAL if the store fails.
pub fn resettled(
    context: &Context,
    project: &str,
    settings: &ProjectSettings,
) -> Result<Vec<Control>, Status> {
    followers::resettled(&Known::stored(&*context.store, project), settings)
}

/// A definition.
///
/// # Errors
/// If the store fails.
pub fn find<K: Kind>(context: &Context, project: &str, id: &str) -> Result<Option<K>, Status> {
    Known::stored(&*context.store, project).find(id)
}

/// All definitions of a kind in a project.
///
/// # Errors
/// INTERNAL if the store fails.
pub fn all_of<K: Kind>(context: &Context, project: &str) -> Result<Vec<K>, Status> {
    Known::stored(&*context.store, project).all()
}

/// A definition, or NOT_FOUND.
///
/// # Errors
/// NOT_FOUND with what to do.
pub fn required<K: Kind>(context: &Context, project: &str, id: &str) -> Result<K, Status> {
    Known::stored(&*context.store, project).required(id)
}

/// Puts in what segments, settings and funnels say, for a definition that is only asked for once.
///
/// # Errors
/// INVALID_ARGUMENT where something that is named does not exist.
pub fn resolved<K: Kind>(context: &Context, project: &str, definition: K) -> Result<K, Status> {
    uses::resolve(&Known::stored(&*context.store, project), definition)
}

#[tonic::async_trait]
impl v1::definition_service_server::DefinitionService for DefinitionApi {
    async fn create_funnel(
        &self,
        request: Request<v1::CreateFunnelRequest>,
    ) -> Result<Response<v1::CreateFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let message = request.into_inner().funnel.unwrap_or_default();
        let Shown { message, warnings } = self.create::<CountedFunnel>(&project, message).await?;
        Ok(Response::new(v1::CreateFunnelResponse { funnel: Some(message), warnings }))
    }

    async fn list_funnels(
        &self,
        request: Request<v1::ListFunnelsRequest>,
    ) -> Result<Response<v1::ListFunnelsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let (funnels, next_page_token) =
            self.list::<CountedFunnel>(&project, page.page_size, &page.page_token)?;
        Ok(Response::new(v1::ListFunnelsResponse { funnels, next_page_token }))
    }

    async fn update_funnel(
        &self,
        request: Request<v1::UpdateFunnelRequest>,
    ) -> Result<Response<v1::UpdateFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let (message, mask) = (request.funnel.unwrap_or_default(), request.update_mask);
        let Shown { message, warnings } = self.update::<CountedFunnel>(&project, message, mask).await?;
        Ok(Response::new(v1::UpdateFunnelResponse { funnel: Some(message), warnings }))
    }

    async fn delete_funnel(
        &self,
        request: Request<v1::DeleteFunnelRequest>,
    ) -> Result<Response<v1::DeleteFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete::<CountedFunnel>(&project, request.into_inner().funnel_id).await?;
        Ok(Response::new(v1::DeleteFunnelResponse {}))
    }

    async fn create_metric(
        &self,
        request: Request<v1::CreateMetricRequest>,
    ) -> Result<Response<v1::CreateMetricResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let message = request.into_inner().metric.unwrap_or_default();
        let Shown { message, warnings } = self.create::<CountedMetric>(&project, message).await?;
        Ok(Response::new(v1::CreateMetricResponse { metric: Some(message), warnings }))
    }

    async fn list_metrics(
        &self,
        request: Request<v1::ListMetricsRequest>,
    ) -> Result<Response<v1::ListMetricsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let (metrics, next_page_token) =
            self.list::<CountedMetric>(&project, page.page_size, &page.page_token)?;
        Ok(Response::new(v1::ListMetricsResponse { metrics, next_page_token }))
    }

    async fn update_metric(
        &self,
        request: Request<v1::UpdateMetricRequest>,
    ) -> Result<Response<v1::UpdateMetricResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let (message, mask) = (request.metric.unwrap_or_default(), request.update_mask);
        let Shown { message, warnings } = self.update::<CountedMetric>(&project, message, mask).await?;
        Ok(Response::new(v1::UpdateMetricResponse { metric: Some(message), warnings }))
    }

    async fn delete_metric(
        &self,
        request: Request<v1::DeleteMetricRequest>,
    ) -> Result<Response<v1::DeleteMetricResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete::<CountedMetric>(&project, request.into_inner().metric_id).await?;
        Ok(Response::new(v1::DeleteMetricResponse {}))
    }

    async fn create_segment(
        &self,
        request: Request<v1::CreateSegmentRequest>,
    ) -> Result<Response<v1::CreateSegmentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let message = request.into_inner().segment.unwrap_or_default();
        let Shown { message, warnings } = self.create::<SegmentDefinition>(&project, message).await?;
        Ok(Response::new(v1::CreateSegmentResponse { segment: Some(message), warnings }))
    }

    async fn list_segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let (segments, next_page_token) =
            self.list::<SegmentDefinition>(&project, page.page_size, &page.page_token)?;
        Ok(Response::new(v1::ListSegmentsResponse { segments, next_page_token }))
    }

    async fn update_segment(
        &self,
        request: Request<v1::UpdateSegmentRequest>,
    ) -> Result<Response<v1::UpdateSegmentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let (message, mask) = (request.segment.unwrap_or_default(), request.update_mask);
        let Shown { message, warnings } = self.update::<SegmentDefinition>(&project, message, mask).await?;
        Ok(Response::new(v1::UpdateSegmentResponse { segment: Some(message), warnings }))
    }

    async fn delete_segment(
        &self,
        request: Request<v1::DeleteSegmentRequest>,
    ) -> Result<Response<v1::DeleteSegmentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete::<SegmentDefinition>(&project, request.into_inner().segment_id).await?;
        Ok(Response::new(v1::DeleteSegmentResponse {}))
    }

    async fn get_funnel(
        &self,
        request: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required::<CountedFunnel>(&self.context, &project.id, &request.get_ref().funnel_id)?;
        let key = footpath_live::ViewKey::Funnel(known.id().to_owned());
        let (state, backfill_percent) = self.progress(project.number, &key, known.version());
        let Shown { message, warnings } = self.shown(&project, &known);
        let (funnel, state) = (Some(message), state.into());
        Ok(Response::new(v1::GetFunnelResponse { funnel, state, backfill_percent, warnings }))
    }

    async fn get_metric(
        &self,
        request: Request<v1::GetMetricRequest>,
    ) -> Result<Response<v1::GetMetricResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required::<CountedMetric>(&self.context, &project.id, &request.get_ref().metric_id)?;
        let (state, backfill_percent) = match footpath_live::followed(&known) {
            Followed::Alone(key) => self.progress(project.number, &key, known.version()),
            // The view of sessions has no version of its own.
            Followed::Sessions(key) => self.progress(project.number, &key, 0),
            Followed::No => (v1::DefinitionState::Unspecified, 0),
        };
        let Shown { message, warnings } = self.shown(&project, &known);
        let (metric, state) = (Some(message), state.into());
        Ok(Response::new(v1::GetMetricResponse { metric, state, backfill_percent, warnings }))
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::GetSegmentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required::<SegmentDefinition>(&self.context, &project.id, &request.get_ref().segment_id)?;
        let used_by =
            used_by::<SegmentDefinition>(&Known::stored(&*self.context.store, &project.id), known.id())?;
        let Shown { message, warnings } = self.shown(&project, &known);
        Ok(Response::new(v1::GetSegmentResponse { segment: Some(message), warnings, used_by }))
    }

    async fn create_alert_rule(
        &self,
        request: Request<v1::CreateAlertRuleRequest>,
    ) -> Result<Response<v1::CreateAlertRuleResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let message = request.into_inner().alert_rule.unwrap_or_default();
        let Shown { message, warnings } = self.create::<CountedRule>(&project, message).await?;
        Ok(Response::new(v1::CreateAlertRuleResponse { alert_rule: Some(message), warnings }))
    }

    async fn get_alert_rule(
        &self,
        request: Request<v1::GetAlertRuleRequest>,
    ) -> Result<Response<v1::GetAlertRuleResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required::<CountedRule>(&self.context, &project.id, &request.get_ref().alert_rule_id)?;
        let Shown { message, warnings } = self.shown(&project, &known);
        Ok(Response::new(v1::GetAlertRuleResponse { alert_rule: Some(message), warnings }))
    }

    async fn list_alert_rules(
        &self,
        request: Request<v1::ListAlertRulesRequest>,
    ) -> Result<Response<v1::ListAlertRulesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let (alert_rules, next_page_token) =
            self.list::<CountedRule>(&project, page.page_size, &page.page_token)?;
        Ok(Response::new(v1::ListAlertRulesResponse { alert_rules, next_page_token }))
    }

    async fn update_alert_rule(
        &self,
        request: Request<v1::UpdateAlertRuleRequest>,
    ) -> Result<Response<v1::UpdateAlertRuleResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let (message, mask) = (request.alert_rule.unwrap_or_default(), request.update_mask);
        let Shown { message, warnings } = self.update::<CountedRule>(&project, message, mask).await?;
        Ok(Response::new(v1::UpdateAlertRuleResponse { alert_rule: Some(message), warnings }))
    }

    async fn delete_alert_rule(
        &self,
        request: Request<v1::DeleteAlertRuleRequest>,
    ) -> Result<Response<v1::DeleteAlertRuleResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.delete::<CountedRule>(&project, request.into_inner().alert_rule_id).await?;
        Ok(Response::new(v1::DeleteAlertRuleResponse {}))
    }

    async fn check_definitions(
        &self,
        request: Request<v1::CheckDefinitionsRequest>,
    ) -> Result<Response<v1::CheckDefinitionsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let (context, asked) = (Arc::clone(&self.context), request.into_inner());
        let check = move |stop: &Stop| check::check(&*context.store, &project, &asked, stop);
        let problems = self.trials.run(check).await??;
        Ok(Response::new(v1::CheckDefinitionsResponse { problems }))
    }
}
