//! DefinitionService: a change is a control record in the log; the projection makes it a row.

use std::sync::Arc;

use footpath_model::control::{Control, CountedFunnel};
use footpath_proto::v1;
use footpath_store::ProjectRow;
use tonic::{Code, Request, Response, Status};

use crate::context::Context;
use crate::convert::{self, funnel_message};
use crate::cursor::{Kind, Scope};
use crate::status::{invalid, not_found, store, with_reason};

/// The service.
#[derive(Clone)]
pub struct DefinitionApi {
    context: Arc<Context>,
    /// Definitions change one at a time, so that versions are judged against the row they replace.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl DefinitionApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, turn: Arc::default() }
    }

    async fn write(&self, project: &ProjectRow, funnel: CountedFunnel) -> Result<v1::Funnel, Status> {
        let message = funnel_message(&funnel);
        self.record(project, &Control::PutFunnel(Box::new(funnel))).await?;
        Ok(message)
    }

    /// Returns when the change is on disk and in the store.
    async fn record(&self, project: &ProjectRow, control: &Control) -> Result<(), Status> {
        let written = self.context.ingest.control(project.number, control).await;
        self.context.projection.reached(written.map_err(crate::ingest::ingest_error)?).await
    }
}

/// A defined funnel.
///
/// # Errors
/// If the store fails.
pub fn find(context: &Context, project: &str, id: &str) -> Result<Option<CountedFunnel>, Status> {
    let row = context.store.funnel(project, id).map_err(store)?;
    row.map(|row| crate::rows::counted_funnel(&row)).transpose()
}

/// A defined funnel, or NOT_FOUND.
///
/// # Errors
/// NOT_FOUND with what to do.
pub fn required(context: &Context, project: &str, id: &str) -> Result<CountedFunnel, Status> {
    find(context, project, id)?
        .ok_or_else(|| not_found("funnel_unknown", "no such funnel; ListFunnels names them"))
}

fn same(a: &CountedFunnel, b: &CountedFunnel) -> bool {
    let mut b = b.clone();
    b.definition.version = a.definition.version;
    *a == b
}

#[tonic::async_trait]
impl v1::definition_service_server::DefinitionService for DefinitionApi {
    async fn create_funnel(
        &self,
        request: Request<v1::CreateFunnelRequest>,
    ) -> Result<Response<v1::CreateFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let funnel = convert::funnel(&request.into_inner().funnel.unwrap_or_default(), 1)?;
        let _turn = self.turn.lock().await;
        if let Some(known) = find(&self.context, &project.id, &funnel.definition.id)? {
            if same(&known, &funnel) {
                return Ok(Response::new(v1::CreateFunnelResponse { funnel: Some(funnel_message(&known)) }));
            }
            let what = "a funnel with this id and other content exists; update it or choose another id";
            return Err(with_reason(Code::AlreadyExists, "funnel_exists", what, None));
        }
        let funnel = self.write(&project, funnel).await?;
        Ok(Response::new(v1::CreateFunnelResponse { funnel: Some(funnel) }))
    }

    async fn get_funnel(
        &self,
        request: Request<v1::GetFunnelRequest>,
    ) -> Result<Response<v1::GetFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let known = required(&self.context, &project.id, &request.get_ref().funnel_id)?;
        let numbers = self.context.hub.funnel(project.number, &known.definition.id);
        let numbers = numbers.map(|cell| cell.borrow().clone());
        let live = numbers.as_ref().is_some_and(|n| n.live && n.version == known.definition.version);
        let state = if live { v1::FunnelState::Live } else { v1::FunnelState::Backfilling };
        Ok(Response::new(v1::GetFunnelResponse {
            funnel: Some(funnel_message(&known)),
            state: state.into(),
            backfill_percent: if live { 100 } else { numbers.map_or(0, |n| n.percent) },
        }))
    }

    async fn list_funnels(
        &self,
        request: Request<v1::ListFunnelsRequest>,
    ) -> Result<Response<v1::ListFunnelsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Funnels, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let mut rows = self.context.store.funnels(&project.id, Some(&after), size + 1).map_err(store)?;
        let next_page_token = self.context.cursors.cut_page(&scope, &mut rows, size, |row| &row.id);
        let funnels = rows
            .iter()
            .map(|row| crate::rows::counted_funnel(row).map(|funnel| funnel_message(&funnel)))
            .collect::<Result<_, _>>()?;
        Ok(Response::new(v1::ListFunnelsResponse { funnels, next_page_token }))
    }

    async fn update_funnel(
        &self,
        request: Request<v1::UpdateFunnelRequest>,
    ) -> Result<Response<v1::UpdateFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let wanted = request.funnel.unwrap_or_default();
        let _turn = self.turn.lock().await;
        let known = required(&self.context, &project.id, &wanted.id)?;
        let now = funnel_message(&known);
        if !wanted.etag.is_empty() && wanted.etag != now.etag {
            let what = "the funnel was changed meanwhile; read it again and repeat your change";
            return Err(with_reason(Code::Aborted, "etag_mismatch", what, None));
        }
        let merged = merge(now, wanted, request.update_mask)?;
        let funnel = convert::funnel(&merged, known.definition.version + 1)?;
        let funnel = self.write(&project, funnel).await?;
        Ok(Response::new(v1::UpdateFunnelResponse { funnel: Some(funnel) }))
    }

    async fn delete_funnel(
        &self,
        request: Request<v1::DeleteFunnelRequest>,
    ) -> Result<Response<v1::DeleteFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let id = request.into_inner().funnel_id;
        let _turn = self.turn.lock().await;
        required(&self.context, &project.id, &id)?;
        self.record(&project, &Control::DeleteFunnel { id }).await?;
        Ok(Response::new(v1::DeleteFunnelResponse {}))
    }
}

fn merge(
    mut known: v1::Funnel,
    wanted: v1::Funnel,
    mask: Option<prost_types::FieldMask>,
) -> Result<v1::Funnel, Status> {
    let paths = mask.map(|m| m.paths).filter(|p| !p.is_empty());
    let Some(paths) = paths else { return Ok(wanted) };
    for path in paths {
        match path.as_str() {
            "title" => known.title.clone_from(&wanted.title),
            "steps" => known.steps.clone_from(&wanted.steps),
            "window" => known.window = wanted.window,
            "range" => known.range.clone_from(&wanted.range),
            other => {
                let what =
                    format!("update_mask: {other:?} cannot be changed; title, steps, window, range can");
                return Err(invalid("update_mask_invalid", &what));
            }
        }
    }
    Ok(known)
}
