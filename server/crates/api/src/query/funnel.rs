//! Funnels from stored events: numbers, persons, explanations.

use std::sync::Arc;

use footpath_model::control::CountedFunnel;
use footpath_proto::v1;
use footpath_query::{
    Attempted, ExplainAnswer, ExplainQuery, ExplainedEvent, FunnelPerson, FunnelPersons, FunnelPersonsQuery,
    FunnelQuery,
};
use footpath_store::ProjectRow;
use tonic::{Response, Status};

use super::{QueryApi, top};
use crate::convert::{self, conversion_time, slice_value, slice_value_of, timestamp};
use crate::cursor::{Kind, Scope};
use crate::listings::AHEAD;
use crate::status::{invalid, not_found};

/// What names a funnel in a request.
pub(super) struct Named<'a> {
    pub id: &'a str,
    pub funnel: Option<&'a v1::Funnel>,
    pub range: Option<&'a v1::TimeRange>,
}

impl QueryApi {
    /// The funnel that is asked for: a defined one, or one that came along.
    fn counted(&self, project: &ProjectRow, named: &Named<'_>) -> Result<CountedFunnel, Status> {
        let mut asked = match (named.id, named.funnel) {
            ("", Some(funnel)) => {
                // Nobody will ask for it by name.
                let id = if funnel.id.is_empty() { "unnamed" } else { &funnel.id }.to_owned();
                let asked = convert::funnel(&v1::Funnel { id, ..funnel.clone() }, 0, &project.time_zone)?;
                crate::definitions::resolved(&self.context, &project.id, asked)?
            }
            ("", None) => {
                let what = "name a defined funnel in funnel_id, or send one in funnel";
                return Err(invalid("query_invalid", what));
            }
            (id, None) => crate::definitions::required(&self.context, &project.id, id)?,
            (_, Some(_)) => {
                return Err(invalid("query_invalid", "set one of funnel_id and funnel, not both"));
            }
        };
        if named.range.is_some() {
            (asked.range, asked.zone) = convert::range(named.range, &project.time_zone)?;
        }
        Ok(asked)
    }

    pub(super) async fn funnel(
        &self,
        project: &ProjectRow,
        request: v1::QueryFunnelRequest,
    ) -> Result<Response<v1::QueryFunnelResponse>, Status> {
        let named =
            Named { id: &request.funnel_id, funnel: request.funnel.as_ref(), range: request.range.as_ref() };
        let counted = self.counted(project, &named)?;
        let (version, top) = (counted.definition.version, top(request.top)?);
        let asked = self.asked(project)?;
        let now_us = asked.now_us;
        let answer = asked
            .answer(move |source| {
                let query = FunnelQuery {
                    identity_epoch: Some(request.identity_epoch).filter(|epoch| *epoch != 0),
                    compare_previous: request.compare_previous,
                    step_times: true,
                    top,
                    ..FunnelQuery::new(&counted)
                };
                footpath_query::funnel(source, &query)
            })
            .await?;
        let slices = answer.slices.iter().map(|slice| v1::FunnelSlice {
            value: Some(slice_value(&slice.value)),
            reached: slice.reached.clone(),
            conversion_time: conversion_time(&slice.conversion_time),
        });
        let previous = answer.previous.map(|period| v1::FunnelPeriod {
            span: Some(convert::span(period.span, now_us)),
            reached: period.reached,
        });
        let step_times = answer.step_times.iter().map(|time| conversion_time(time).unwrap_or_default());
        Ok(Response::new(v1::QueryFunnelResponse {
            watermark: Some(self.watermark(project, &answer.read)),
            version,
            events_read: answer.read.events,
            labels: answer.labels,
            conversion_time: conversion_time(&answer.conversion_time),
            step_times: step_times.collect(),
            slices: slices.collect(),
            span: Some(convert::span(answer.span, now_us)),
            previous,
            identity_epoch: answer.identity_epoch,
            reached: answer.reached,
        }))
    }

    pub(super) async fn persons(
        &self,
        project: &ProjectRow,
        request: v1::ListFunnelPersonsRequest,
    ) -> Result<Response<v1::ListFunnelPersonsResponse>, Status> {
        let named =
            Named { id: &request.funnel_id, funnel: request.funnel.as_ref(), range: request.range.as_ref() };
        let counted = self.counted(project, &named)?;
        let limit = crate::page_size(request.page_size);
        let value = request.value.as_ref().map(|value| {
            slice_value_of(value)
                .ok_or_else(|| invalid("query_invalid", "value: name a value, not_set or not_reached"))
        });
        let value = value.transpose()?;
        if value.is_some() && counted.definition.breakdown.is_none() {
            return Err(invalid("query_invalid", "value: only of a funnel with a breakdown"));
        }
        let shape = format!("{counted:?}{value:?}");
        let asked_for = [shape.as_str(), &request.step.to_string(), &request.dropped.to_string()];
        let scope = Scope::new(Kind::FunnelPersons, project.number, &asked_for);
        let after = self.context.cursors.open_page(&scope, &request.page_token)?;
        let after = after.parse().ok();
        let now_us = self.context.clock.now_us();
        let known = after.and_then(|after| self.context.listings.behind(&scope, after, now_us));
        if let Some((listing, at)) = known {
            return Ok(self.persons_page(project, &scope, &listing, at, limit));
        }
        let (step, dropped) = (request.step, request.dropped);
        // The first page is all that most want.
        let most = if after.is_some() { limit.max(AHEAD) } else { limit };
        let listing = self
            .asked(project)?
            .answer(move |source| {
                let query = FunnelPersonsQuery {
                    counted: &counted,
                    identity_epoch: None,
                    step,
                    dropped,
                    value,
                    after,
                    limit: most,
                };
                footpath_query::funnel_persons(source, &query)
            })
            .await?;
        let listing = Arc::new(listing);
        if listing.persons.len() > limit {
            self.context.listings.keep(&scope, &listing, now_us);
        }
        Ok(self.persons_page(project, &scope, &listing, 0, limit))
    }

    /// So many of the persons, from the one at `at`.
    fn persons_page(
        &self,
        project: &ProjectRow,
        scope: &Scope,
        listing: &FunnelPersons,
        at: usize,
        limit: usize,
    ) -> Response<v1::ListFunnelPersonsResponse> {
        let rest = &listing.persons[at..];
        let page = &rest[..limit.min(rest.len())];
        let last = if page.len() < rest.len() { page.last().map(|last| last.key) } else { listing.next };
        let next_page_token = last.map(|last| self.context.cursors.seal_page(scope, &last.to_string()));
        Response::new(v1::ListFunnelPersonsResponse {
            persons: page.iter().map(person_message).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
            watermark: Some(self.watermark(project, &listing.read)),
        })
    }

    pub(super) async fn explain(
        &self,
        project: &ProjectRow,
        request: v1::ExplainFunnelRequest,
    ) -> Result<Response<v1::ExplainFunnelResponse>, Status> {
        let named =
            Named { id: &request.funnel_id, funnel: request.funnel.as_ref(), range: request.range.as_ref() };
        let counted = self.counted(project, &named)?;
        let person = request.person;
        let answer = self
            .asked(project)?
            .answer(move |source| {
                let query = ExplainQuery { counted: &counted, identity_epoch: None, person: &person };
                footpath_query::explain(source, &query)
            })
            .await?;
        let answer = answer.ok_or_else(person_unknown)?;
        let watermark = Some(self.watermark(project, &answer.read));
        let ExplainAnswer { person, attempts, summary, events, .. } = answer;
        Ok(Response::new(v1::ExplainFunnelResponse {
            person,
            attempts: attempts.into_iter().map(attempt_message).collect(),
            summary,
            events: events.into_iter().map(event_message).collect(),
            watermark,
        }))
    }
}

/// There is no such person.
pub(crate) fn person_unknown() -> Status {
    not_found("person_unknown", "no event is of this person or group; ListEvents shows who sends")
}

fn steps(steps: Vec<(u32, i64)>) -> Vec<v1::FunnelStepTime> {
    let time = |(step, at_us): (u32, i64)| v1::FunnelStepTime { step, at: Some(timestamp(at_us)) };
    steps.into_iter().map(time).collect()
}

fn person_message(person: &FunnelPerson) -> v1::FunnelPerson {
    let FunnelPerson { id, steps: reached, value, .. } = person;
    v1::FunnelPerson { id: id.clone(), steps: steps(reached.clone()), value: value.as_ref().map(slice_value) }
}

fn attempt_message(attempt: Attempted) -> v1::FunnelAttempt {
    v1::FunnelAttempt {
        steps: steps(attempt.steps),
        converted: attempt.converted,
        stopped_before: attempt.stopped_before,
        reason: attempt.reason.map_or("", footpath_query::Reason::name).to_owned(),
        explanation: attempt.explanation,
        value: attempt.value.as_ref().map(slice_value),
    }
}

fn event_message(event: ExplainedEvent) -> v1::ExplainedEvent {
    v1::ExplainedEvent {
        id: event.id.to_string(),
        name: event.name,
        at: Some(timestamp(event.at_us)),
        steps: event.steps,
        excluded: event.excluded,
        serves: event.serves,
    }
}
