//! QueryService: answers from stored events.

use std::collections::BTreeMap;
use std::sync::Arc;

use footpath_engine::{LedgerEntry, SessionRules};
use footpath_history::{Pinned, Stop};
use footpath_live::Progress;
use footpath_log::{Gap, StreamKey};
use footpath_model::id::EventId;
use footpath_model::record::Outcome;
use footpath_proto::v1;
use footpath_query::{EventQuery, QueryError, Read, Source};
use footpath_store::ProjectRow;
use tonic::{Request, Response, Status};

use crate::context::Context;
use crate::convert::{self, micros, timestamp};
use crate::cursor::{Cursor, Kind, Scope};
use crate::live::watermark;
use crate::status::{invalid, query, store, unavailable};

mod funnel;
mod metric;
mod reconciliations;

pub(crate) use metric::unit;

pub(crate) use funnel::person_unknown;

/// Microseconds in a minute.
const MINUTE_US: i64 = 60_000_000;

/// The service.
#[derive(Clone)]
pub struct QueryApi {
    context: Arc<Context>,
}

impl QueryApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Everything a question about a project needs.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn asked(&self, project: &ProjectRow) -> Result<Asked, Status> {
        let settings = crate::settings::of(&*self.context.store, &project.id)?;
        Ok(Asked {
            // What is pinned first is in the ledger that is read then.
            pinned: self.context.stored.pin(),
            ledger: self.context.ledger(project.number)?,
            number: project.number,
            id: project.id.clone(),
            sessions: SessionRules::try_from(settings.sessions).unwrap_or_default(),
            now_us: self.context.clock.now_us(),
        })
    }

    /// How complete an answer is.
    pub(crate) fn watermark(&self, project: &ProjectRow, read: &Read) -> v1::Watermark {
        let progress = Progress { position: read.position, processed_us: read.processed_us };
        watermark(&self.context, project.number, progress)
    }
}

/// What a question is asked of.
pub(crate) struct Asked {
    pinned: Pinned,
    ledger: Vec<LedgerEntry>,
    number: u32,
    id: String,
    sessions: SessionRules,
    /// What time it is.
    pub(crate) now_us: i64,
}

impl Asked {
    /// Asks, on a thread where nobody else waits. Reading stops when the caller is gone or its time is over.
    pub(crate) async fn answer<T: Send + 'static>(
        self,
        ask: impl FnOnce(&Source<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Status> {
        let stop = Stop::default();
        // A call that ends early drops this future, and with it the guard.
        let _waiting = stop.on_drop();
        let pinned = self.pinned.with_stop(stop);
        let work = move || {
            let source = Source {
                pinned: &pinned,
                project: footpath_query::Project { number: self.number, id: &self.id },
                ledger: &self.ledger,
                sessions: self.sessions,
                now_us: self.now_us,
            };
            ask(&source)
        };
        blocking(work).await?.map_err(query)
    }
}

/// Values that a breakdown names.
pub(crate) fn top(asked: u32) -> Result<usize, Status> {
    match asked {
        0 => Ok(10),
        1..=100 => Ok(asked as usize),
        _ => Err(invalid("query_invalid", "top: at most 100 values are named")),
    }
}

#[tonic::async_trait]
impl v1::query_service_server::QueryService for QueryApi {
    async fn query_funnel(
        &self,
        request: Request<v1::QueryFunnelRequest>,
    ) -> Result<Response<v1::QueryFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.funnel(&project, request.into_inner()).await
    }

    async fn list_funnel_persons(
        &self,
        request: Request<v1::ListFunnelPersonsRequest>,
    ) -> Result<Response<v1::ListFunnelPersonsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.persons(&project, request.into_inner()).await
    }

    async fn explain_funnel(
        &self,
        request: Request<v1::ExplainFunnelRequest>,
    ) -> Result<Response<v1::ExplainFunnelResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.explain(&project, request.into_inner()).await
    }

    async fn query_metric(
        &self,
        request: Request<v1::QueryMetricRequest>,
    ) -> Result<Response<v1::QueryMetricResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.metric(&project, request.into_inner()).await
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.sessions(&project, request.into_inner()).await
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let (from_us, to_us) =
            (request.from.as_ref().map_or(i64::MIN, micros), request.to.as_ref().map_or(i64::MAX, micros));
        let asked = [request.actor.as_str(), &from_us.to_string(), &to_us.to_string()];
        let scope = Scope::new(Kind::EventPages, project.number, &asked);
        let opened = self.context.cursors.open(&scope, &request.page_token)?;
        let end = self.context.log.durable_end();
        if opened.as_ref().is_some_and(|opened| opened.other_log || opened.at.offset > end) {
            return Err(invalid(
                "cursor_stale",
                "page_token: the server was restored since; start again at the first page",
            ));
        }
        let cursor = opened.map(|opened| opened.at).unwrap_or_default();
        let wanted = EventQuery {
            project: project.number,
            project_id: project.id.clone(),
            actor: request.actor,
            from_us,
            to_us,
            from_position: (cursor.offset, cursor.index),
            limit: crate::page_size(request.page_size),
        };
        let stored = self.context.stored.clone();
        let read = move || footpath_query::events(&stored.pin(), &wanted, &convert::stored_event);
        let page = blocking(read).await?.map_err(query)?;
        let next = page.next.map(|(offset, index)| Cursor { offset, index, ..Cursor::default() });
        let next = next.map(|at| self.context.cursors.seal(&scope, 0, at));
        Ok(Response::new(v1::ListEventsResponse {
            events: page.events,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn query_outcomes(
        &self,
        request: Request<v1::QueryOutcomesRequest>,
    ) -> Result<Response<v1::QueryOutcomesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let from = request.from.as_ref().map_or(i64::MIN, |t| micros(t).div_euclid(MINUTE_US));
        let to = request.to.as_ref().map_or(i64::MAX, |t| micros(t).div_euclid(MINUTE_US));
        let cells = self.context.store.ledger(project.number, from, to).map_err(store)?;
        let mut totals: BTreeMap<(u8, String), u64> = BTreeMap::new();
        let mut minutes: BTreeMap<i64, Vec<v1::OutcomeCount>> = BTreeMap::new();
        for (cell, count) in cells {
            minutes.entry(cell.minute).or_default().push(outcome(cell.outcome, &cell.reason, count));
            *totals.entry((cell.outcome, cell.reason)).or_default() += count;
        }
        let minutes = minutes.into_iter().map(|(minute, counts)| v1::OutcomeMinute {
            minute: Some(timestamp(minute * MINUTE_US)),
            counts,
        });
        let totals = totals.into_iter().map(|((kind, reason), count)| outcome(kind, &reason, count));
        Ok(Response::new(v1::QueryOutcomesResponse { totals: totals.collect(), minutes: minutes.collect() }))
    }

    async fn list_refused_events(
        &self,
        request: Request<v1::ListRefusedEventsRequest>,
    ) -> Result<Response<v1::ListRefusedEventsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let size = crate::page_size(request.get_ref().page_size);
        let rows = self.context.store.refused(&project.id, size).map_err(store)?;
        let events = rows.iter().filter_map(crate::rows::refused_message).collect();
        Ok(Response::new(v1::ListRefusedEventsResponse { events }))
    }

    async fn list_gaps(
        &self,
        request: Request<v1::ListGapsRequest>,
    ) -> Result<Response<v1::ListGapsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let page = request.into_inner();
        let size = crate::page_size(page.page_size);
        let scope = Scope::new(Kind::Gaps, project.number, &[]);
        let after = self.context.cursors.open_page(&scope, &page.page_token)?;
        let ingest = &self.context.ingest;
        let gaps = ingest.gaps(project.number, stream(project.number, &after), size + 1).await;
        let gaps = gaps.ok_or_else(|| {
            unavailable(
                "gaps_behind",
                "the gaps cannot be named in time; ask again, or see whether the log takes batches",
            )
        })?;
        let mut gaps: Vec<_> = gaps.into_iter().map(|gap| (name(&gap.stream), gap)).collect();
        let next_page_token = self.context.cursors.cut_page(&scope, &mut gaps, size, |(name, _)| name);
        let gaps = gaps.into_iter().map(|(_, gap)| gap_message(gap)).collect();
        let missing = ingest.missing(project.number);
        Ok(Response::new(v1::ListGapsResponse { gaps, missing, next_page_token }))
    }

    async fn list_reconciliations(
        &self,
        request: Request<v1::ListReconciliationsRequest>,
    ) -> Result<Response<v1::ListReconciliationsResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        self.reconciliations(&project, request.get_ref())
    }
}

/// A stream's name in a page token.
fn name(stream: &StreamKey) -> String {
    let StreamKey { install, epoch, class, lane, .. } = stream;
    format!("{}.{epoch}.{class}.{lane}", EventId(*install))
}

/// Reads [`name`]; `None` at the beginning of the list.
fn stream(project: u32, name: &str) -> Option<StreamKey> {
    let mut parts = name.split('.');
    let EventId(install) = EventId::parse(parts.next()?.as_bytes())?;
    let epoch = parts.next()?.parse().ok()?;
    let (class, lane) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(StreamKey { project, install, epoch, class, lane })
}

fn gap_message(gap: Gap) -> v1::StreamGap {
    let StreamKey { install, epoch, class, lane, .. } = gap.stream;
    let ranges = gap.ranges.into_iter().map(|(from, to)| v1::NumberRange { from, to });
    v1::StreamGap {
        producer: Some(v1::Producer { install_id: EventId(install).to_string(), epoch }),
        delivery_class: class.into(),
        lane: lane.into(),
        missing: gap.missing,
        ranges: ranges.collect(),
    }
}

fn outcome(kind: u8, reason: &str, count: u64) -> v1::OutcomeCount {
    let outcome = Outcome::from_u8(kind).map_or("unknown", Outcome::name);
    v1::OutcomeCount { outcome: outcome.to_owned(), reason: reason.to_owned(), count }
}

/// Runs what waits for a disk on a thread where nobody else waits.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        crate::status::internal("reading ended unexpectedly; please report this with the server's log")
    })
}
