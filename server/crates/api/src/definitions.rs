//! DefinitionService: a change is a control record in the log; the projection makes it a row.

use std::collections::HashMap;
use std::sync::Arc;

use footpath_live::{Followed, Standing};
use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::SegmentDefinition;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Code, Request, Response, Status};

use crate::context::Context;
use crate::cursor::Scope;
use crate::status::{invalid, store, with_reason};

mod kinds;
mod uses;
mod warnings;

pub use kinds::Kind;
use kinds::read_row;
use uses::{Uses, all, resolve, uses_segment};

/// The service.
#[derive(Clone)]
pub struct DefinitionApi {
    context: Arc<Context>,
}

/// A definition as it stands, and what it names that was never seen.
struct Shown<M> {
    message: M,
    warnings: Vec<v1::DefinitionWarning>,
}

impl DefinitionApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn create<K: Kind>(
        &self,
        project: &ProjectRow,
        message: K::Message,
    ) -> Result<Shown<K::Message>, Status> {
        let asked = K::read(&message, 1, &project.time_zone)?;
        let _turn = self.context.turn.lock().await;
        let wanted = resolve(&self.context, &project.id, asked)?;
        if let Some(known) = find::<K>(&self.context, &project.id, wanted.id())? {
            if known.clone().with_version(1) == wanted {
                return self.shown(project, &known);
            }
            return Err(K::exists());
        }
        self.has_room::<K>(&project.id)?;
        self.context.record(project, &wanted.clone().put()).await?;
        self.shown(project, &wanted)
    }

    /// Whether a project may have one more.
    fn has_room<K: Kind>(&self, project: &str) -> Result<(), Status> {
        let known = self.context.store.definitions(project, K::KIND, None, K::MOST).map_err(store)?;
        if known.len() < K::MOST {
            return Ok(());
        }
        let what = format!("a project has at most {} of the kind {}; delete one first", K::MOST, K::NAME);
        Err(invalid("too_many_definitions", &what))
    }

    async fn update<K: Kind>(
        &self,
        project: &ProjectRow,
        message: K::Message,
        mask: Option<prost_types::FieldMask>,
    ) -> Result<Shown<K::Message>, Status> {
        let _turn = self.context.turn.lock().await;
        let (id, etag) = K::name_of(&message);
        let known = required::<K>(&self.context, &project.id, id)?;
        if !etag.is_empty() && etag != known.version().to_string() {
            let what = format!("the {} was changed meanwhile; read it again and repeat your change", K::NAME);
            return Err(with_reason(Code::Aborted, "etag_mismatch", &what, None));
        }
        let merged = merge::<K>(known.message(), message, mask)?;
        let asked = K::read(&merged, known.version() + 1, &project.time_zone)?;
        let wanted = resolve(&self.context, &project.id, asked)?;
        if wanted.clone().with_version(known.version()) == known {
            return self.shown(project, &known); // Nothing changes, so nothing is folded again.
        }
        let mut changes = vec![wanted.clone().put()];
        changes.extend(followers(&self.context, &project.id, &changes[0])?);
        self.context.record(project, &together(changes)).await?;
        self.shown(project, &wanted)
    }

    async fn delete<K: Kind>(&self, project: &ProjectRow, id: String) -> Result<(), Status> {
        let _turn = self.context.turn.lock().await;
        required::<K>(&self.context, &project.id, &id)?;
        let used = self.used_by::<K>(&project.id, &id)?;
        if !used.is_empty() {
            let what = format!("{} is used by {}; change them first", id, used.join(", "));
            return Err(with_reason(Code::FailedPrecondition, "definition_in_use", &what, None));
        }
        self.context.record(project, &K::delete(id)).await
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

    fn shown<K: Kind>(&self, project: &ProjectRow, known: &K) -> Result<Shown<K::Message>, Status> {
        let warnings = warnings::of(&self.context, project, &known.names())?;
        Ok(Shown { message: known.message(), warnings })
    }

    /// What uses a definition, by kind and id.
    fn used_by<K: Kind>(&self, project: &str, id: &str) -> Result<Vec<String>, Status> {
        let metrics = || all::<CountedMetric>(&self.context, project);
        let rules = || all::<CountedRule>(&self.context, project);
        let name = |kind: &str, id: &str| format!("{kind}/{id}");
        Ok(match K::NAME {
            SegmentDefinition::NAME => {
                let funnels = all::<CountedFunnel>(&self.context, project)?;
                let funnels = funnels.iter().filter(|one| uses_segment(*one, id));
                let funnels: Vec<_> = funnels.map(|one| name("funnel", one.id())).collect();
                let metrics = metrics()?;
                let metrics = metrics.iter().filter(|one| uses_segment(*one, id));
                let rules = rules()?;
                let rules = rules.iter().filter(|one| uses_segment(*one, id));
                let rules = rules.map(|one| name("alert_rule", one.id()));
                funnels.into_iter().chain(metrics.map(|one| name("metric", one.id()))).chain(rules).collect()
            }
            CountedMetric::NAME => {
                let rules = rules()?;
                let of = rules.iter().filter(|one| one.definition.metric == id);
                of.map(|one| name("alert_rule", one.id())).collect()
            }
            CountedFunnel::NAME => {
                let of = |one: &CountedMetric| one.funnel.as_ref().is_some_and(|funnel| funnel.id() == id);
                metrics()?.iter().filter(|one| of(one)).map(|one| name("metric", one.id())).collect()
            }
            _ => Vec::new(),
        })
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

/// A metric asks for a step of a funnel that is about to lose it.
fn in_use(funnel: &str, metric: &CountedMetric) -> Status {
    let what =
        format!("{funnel} would lose a step that metric/{} is made of; change that first", metric.id());
    with_reason(Code::FailedPrecondition, "definition_in_use", &what, None)
}

/// The records of whatever changes along with one: definitions that use it are written again, one version on.
///
/// # Errors
/// FAILED_PRECONDITION if one of them asks for what would be gone; INTERNAL if the store fails.
fn followers(context: &Context, project: &str, change: &Control) -> Result<Vec<Control>, Status> {
    let mut changes = direct_followers(context, project, change)?;
    changes.extend(rules_of(context, project, change, &changes)?);
    Ok(changes)
}

/// The records of rules that watch one of the metrics which are changed.
fn rules_of(
    context: &Context,
    project: &str,
    change: &Control,
    changes: &[Control],
) -> Result<Vec<Control>, Status> {
    let metrics = [change].into_iter().chain(changes).filter_map(|change| match change {
        Control::PutMetric(metric) => Some((metric.id(), metric)),
        _ => None,
    });
    let metrics: HashMap<_, _> = metrics.collect();
    let rewritten = changes.iter().filter_map(|change| match change {
        Control::PutRule(rule) => Some(rule.id()),
        _ => None,
    });
    let rewritten: Vec<_> = rewritten.collect();
    let mut records = Vec::new();
    for mut rule in all::<CountedRule>(context, project)? {
        let Some(metric) = metrics.get(rule.definition.metric.as_str()) else { continue };
        if rewritten.contains(&rule.id()) {
            continue;
        }
        rule.metric = (***metric).clone();
        rule.metric_fits()?;
        let version = rule.version() + 1;
        records.push(rule.with_version(version).put());
    }
    Ok(records)
}

fn direct_followers(context: &Context, project: &str, change: &Control) -> Result<Vec<Control>, Status> {
    match change {
        Control::PutSegment(segment) => rewritten(context, project, &|definition| {
            definition.filters(&mut |filter| {
                filter.each_segment(&mut |one| {
                    if one.segment == segment.id {
                        one.means = Some(Box::new(segment.filter.clone()));
                    }
                });
            });
        }),
        Control::PutFunnel(funnel) => {
            let metrics = all::<CountedMetric>(context, project)?.into_iter();
            let using = metrics.filter(|one| one.funnel.as_ref().is_some_and(|own| own.id() == funnel.id()));
            using
                .map(|mut metric| {
                    metric.funnel = Some(funnel.clone());
                    metric.step_is_there().map_err(|_| in_use(funnel.id(), &metric))?;
                    let version = metric.version() + 1;
                    Ok(metric.with_version(version).put())
                })
                .collect()
        }
        _ => Ok(Vec::new()),
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
    rewritten(context, project, &|definition| definition.set(settings))
}

/// The records of all definitions that `change` makes others of, one version on.
///
/// # Errors
/// INTERNAL if the store fails.
fn rewritten(
    context: &Context,
    project: &str,
    change: &dyn Fn(&mut dyn Uses),
) -> Result<Vec<Control>, Status> {
    fn again<K: Kind>(known: K, change: &dyn Fn(&mut K)) -> Option<K> {
        let mut changed = known.clone();
        change(&mut changed);
        let version = known.version() + 1;
        (changed != known).then(|| changed.with_version(version))
    }
    let mut changes = Vec::new();
    let (mut funnels, mut metrics) = (HashMap::new(), HashMap::new());
    for known in all::<CountedFunnel>(context, project)? {
        if let Some(changed) = again(known, &|funnel| change(funnel)) {
            funnels.insert(changed.id().to_owned(), changed.clone());
            changes.push(changed.put());
        }
    }
    for known in all::<CountedMetric>(context, project)? {
        let changed = again(known, &|metric| {
            change(metric);
            let newer = metric.funnel.as_ref().and_then(|own| funnels.get(own.id()));
            metric.funnel = newer.cloned().map(Box::new).or(metric.funnel.take());
        });
        metrics.extend(changed.as_ref().map(|one| (one.id().to_owned(), one.clone())));
        changes.extend(changed.map(Kind::put));
    }
    for known in all::<CountedRule>(context, project)? {
        let changed = again(known, &|rule| {
            change(rule);
            if let Some(newer) = metrics.get(&rule.definition.metric) {
                rule.metric = newer.clone();
            }
        });
        changes.extend(changed.map(Kind::put));
    }
    Ok(changes)
}

/// Several changes as one record.
pub fn together(mut changes: Vec<Control>) -> Control {
    if changes.len() == 1 {
        return changes.remove(0);
    }
    Control::Several { changes }
}

/// A definition.
///
/// # Errors
/// If the store fails.
pub fn find<K: Kind>(context: &Context, project: &str, id: &str) -> Result<Option<K>, Status> {
    let row = context.store.definition(project, K::KIND, id).map_err(store)?;
    row.map(|row| read_row(&row)).transpose()
}

/// All definitions of a kind in a project.
///
/// # Errors
/// INTERNAL if the store fails.
pub fn all_of<K: Kind>(context: &Context, project: &str) -> Result<Vec<K>, Status> {
    all(context, project)
}

/// A definition, or NOT_FOUND.
///
/// # Errors
/// NOT_FOUND with what to do.
pub fn required<K: Kind>(context: &Context, project: &str, id: &str) -> Result<K, Status> {
    find(context, project, id)?.ok_or_else(K::unknown)
}

/// Puts in what segments, settings and funnels say, for a definition that is only asked for once.
///
/// # Errors
/// INVALID_ARGUMENT where something that is named does not exist.
pub fn resolved<K: Kind>(context: &Context, project: &str, definition: K) -> Result<K, Status> {
    resolve(context, project, definition)
}

fn merge<K: Kind>(
    mut known: K::Message,
    wanted: K::Message,
    mask: Option<prost_types::FieldMask>,
) -> Result<K::Message, Status> {
    let paths = mask.map(|m| m.paths).filter(|p| !p.is_empty());
    let Some(paths) = paths else { return Ok(wanted) };
    for path in paths {
        if !K::take(&mut known, &wanted, &path) {
            let what = format!("update_mask: {path:?} is no field of a {} that can be changed", K::NAME);
            return Err(invalid("update_mask_invalid", &what));
        }
    }
    Ok(known)
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
        let Shown { message, warnings } = self.shown(&project, &known)?;
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
        let Shown { message, warnings } = self.shown(&project, &known)?;
        let (metric, state) = (Some(message), state.into());
        Ok(Response::new(v1::GetMetricResponse { metric, state, backfill_percent, warnings }))
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::GetSegmentResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required::<SegmentDefinition>(&self.context, &project.id, &request.get_ref().segment_id)?;
        let used_by = self.used_by::<SegmentDefinition>(&project.id, known.id())?;
        let Shown { message, warnings } = self.shown(&project, &known)?;
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
        let Shown { message, warnings } = self.shown(&project, &known)?;
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
}
