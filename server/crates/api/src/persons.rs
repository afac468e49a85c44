//! PersonService: who is who, and what is known of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use footpath_engine::props::PropertyValue;
use footpath_engine::{IdentityGraph, LinkRequest, Outcome, Refusal};
use footpath_model::control::Control;
use footpath_proto::v1;
use footpath_query::{GroupQuery, PersonQuery, Source};
use footpath_store::ProjectRow;
use tonic::{Code, Request, Response, Status};

use crate::access::{Caller, Role};
use crate::context::Context;
use crate::convert::{json_struct, timestamp};
use crate::query::{QueryApi, blocking, person_unknown};
use crate::status::{invalid, query, with_reason};

/// The service.
#[derive(Clone)]
pub struct PersonApi {
    context: Arc<Context>,
    queries: QueryApi,
}

impl PersonApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { queries: QueryApi::new(Arc::clone(&context)), context }
    }

    /// Who is who now.
    async fn graph(&self, project: &ProjectRow) -> Result<IdentityGraph, Status> {
        let (stored, ledger) = (self.context.stored.clone(), self.context.ledger(project.number)?);
        let (number, id) = (project.number, project.id.clone());
        let read = move || stored.pin().identity(number, &id, &ledger);
        blocking(read).await?.map_err(|error| query(error.into()))
    }

    /// The id of the person that an id is of; the id itself while nobody has sent an event under it.
    async fn name(&self, project: &ProjectRow, id: String) -> Result<String, Status> {
        let asked = self.queries.asked(project)?;
        let own = id.clone();
        let query = move |source: &Source<'_>| {
            footpath_query::person(source, &PersonQuery { id: &id, identity_epoch: None })
        };
        Ok(asked.answer(query).await?.map_or(own, |person| person.id))
    }

    /// Writes a decision about who is who, if it changes anything; how many ids it moves.
    async fn decide(&self, project: &ProjectRow, caller: &Caller, change: &Control) -> Result<u64, Status> {
        let _turn = self.context.turn.lock().await;
        let request = LinkRequest::of_control(&project.id, change);
        let mut graph = self.graph(project).await?;
        let moved = match request.map_or(Outcome::AlreadyOne, |request| graph.apply(request)) {
            Outcome::Refused(refusal) => return Err(refused(refusal)),
            Outcome::AlreadyOne => return Ok(0),
            Outcome::Moved(moved) => moved.ids.len(),
        };
        if moved > self.context.merge_limit {
            caller.at_least(Role::Admin)?;
        }
        self.context.record(project, change).await?;
        Ok(moved as u64)
    }
}

fn refused(refusal: Refusal) -> Status {
    with_reason(Code::FailedPrecondition, "identity_refused", &refusal.to_string(), None)
}

/// Checks that ids are as short as those of events have to be.
fn check_ids(context: &Context, ids: &[&String]) -> Result<(), Status> {
    let most = usize::from(context.ingest.limits().id_bytes);
    if ids.iter().all(|id| id.len() <= most) {
        return Ok(());
    }
    Err(invalid("query_invalid", &format!("an id has at most {most} bytes, as in events")))
}

fn who(caller: &Caller) -> String {
    match caller {
        Caller::Token(claims) => claims.sub.clone(),
        Caller::Key(_) | Caller::Anyone => String::new(),
    }
}

fn properties(known: &BTreeMap<String, PropertyValue>) -> prost_types::Struct {
    json_struct(known.iter().map(|(key, value)| (key.clone(), value.view().to_json())).collect())
}

#[tonic::async_trait]
impl v1::person_service_server::PersonService for PersonApi {
    async fn get_person(
        &self,
        request: Request<v1::GetPersonRequest>,
    ) -> Result<Response<v1::GetPersonResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let v1::GetPersonRequest { id, identity_epoch, .. } = request.into_inner();
        let identity_epoch = Some(identity_epoch).filter(|epoch| *epoch != 0);
        let asked = self.queries.asked(&project)?;
        let answer = asked
            .answer(move |source| footpath_query::person(source, &PersonQuery { id: &id, identity_epoch }));
        let person = answer.await?.ok_or_else(person_unknown)?;
        Ok(Response::new(v1::GetPersonResponse {
            properties: Some(properties(&person.properties)),
            first_seen: Some(timestamp(person.first_us)),
            last_seen: Some(timestamp(person.last_us)),
            events: person.events,
            identity_epoch: person.identity_epoch,
            watermark: Some(self.queries.watermark(&project, &person.read)),
            id: person.id,
            ids: person.ids,
        }))
    }

    async fn get_group(
        &self,
        request: Request<v1::GetGroupRequest>,
    ) -> Result<Response<v1::GetGroupResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let v1::GetGroupRequest { r#type, id, .. } = request.into_inner();
        let asked = self.queries.asked(&project)?;
        let answer =
            asked.answer(move |source| footpath_query::group(source, &GroupQuery { kind: &r#type, id: &id }));
        let group = answer.await?.ok_or_else(person_unknown)?;
        Ok(Response::new(v1::GetGroupResponse {
            properties: Some(properties(&group.properties)),
            first_seen: Some(timestamp(group.first_us)),
            last_seen: Some(timestamp(group.last_us)),
            events: group.events,
            persons: group.persons,
            watermark: Some(self.queries.watermark(&project, &group.read)),
        }))
    }

    async fn merge_persons(
        &self,
        request: Request<v1::MergePersonsRequest>,
    ) -> Result<Response<v1::MergePersonsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let caller = self.context.caller(&request);
        let v1::MergePersonsRequest { from, into, .. } = request.into_inner();
        check_ids(&self.context, &[&from, &into])?;
        let change = Control::MergePersons { from, into: into.clone(), by: who(&caller) };
        let moved = self.decide(&project, &caller, &change).await?;
        let person = self.name(&project, into).await?;
        Ok(Response::new(v1::MergePersonsResponse { person, moved }))
    }

    async fn unmerge_person(
        &self,
        request: Request<v1::UnmergePersonRequest>,
    ) -> Result<Response<v1::UnmergePersonResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let caller = self.context.caller(&request);
        let id = request.into_inner().id;
        check_ids(&self.context, &[&id])?;
        let change = Control::UnmergePerson { id, by: who(&caller) };
        let moved = self.decide(&project, &caller, &change).await?;
        Ok(Response::new(v1::UnmergePersonResponse { moved }))
    }
}
