//! Metrics and sessions from stored events.

use footpath_model::calendar::CalendarUnit;
use footpath_model::control::CountedMetric;
use footpath_proto::v1;
use footpath_query::{MetricQuery, SessionRow, SessionsQuery};
use footpath_store::ProjectRow;
use tonic::{Response, Status};

use super::{QueryApi, top};
use crate::convert::{self, known, metric_series, micros, timestamp};
use crate::cursor::{Kind, Scope};
use crate::status::invalid;

/// The longest span that sessions of everybody are listed for.
const MOST_US: i64 = 31 * 86_400 * 1_000_000;

impl QueryApi {
    /// The metric that is asked for: a defined one, or one that came along.
    fn measured(
        &self,
        project: &ProjectRow,
        request: &v1::QueryMetricRequest,
    ) -> Result<CountedMetric, Status> {
        match (request.metric_id.as_str(), &request.metric) {
            ("", Some(metric)) => {
                let id = if metric.id.is_empty() { "unnamed" } else { &metric.id }.to_owned();
                let asked = convert::metric(&v1::Metric { id, ..metric.clone() }, 0)?;
                crate::definitions::resolved(&self.context, &project.id, asked)
            }
            ("", None) => {
                Err(invalid("query_invalid", "name a defined metric in metric_id, or send one in metric"))
            }
            (id, None) => crate::definitions::required(&self.context, &project.id, id),
            (_, Some(_)) => Err(invalid("query_invalid", "set one of metric_id and metric, not both")),
        }
    }

    pub(super) async fn metric(
        &self,
        project: &ProjectRow,
        request: v1::QueryMetricRequest,
    ) -> Result<Response<v1::QueryMetricResponse>, Status> {
        let counted = self.measured(project, &request)?;
        let (range, zone) = convert::range(request.range.as_ref(), &project.time_zone)?;
        let (unit, top) = (unit(request.unit)?, top(request.top)?);
        let (version, percentiles) = (counted.definition.version, counted.definition.percentiles().to_vec());
        let asked = self.asked(project)?;
        let now_us = asked.now_us;
        let compare_previous = request.compare_previous;
        let answer = asked
            .answer(move |source| {
                let (range, zone, counted) = (&range, zone.as_str(), &counted);
                footpath_query::metric(
                    source,
                    &MetricQuery { counted, range, zone, unit, compare_previous, top },
                )
            })
            .await?;
        let all = |series: &[footpath_query::MetricSeries]| {
            series.iter().map(|one| metric_series(one, &percentiles)).collect()
        };
        Ok(Response::new(v1::QueryMetricResponse {
            series: all(&answer.series),
            total: answer.total.as_ref().map(|total| metric_series(total, &percentiles)),
            previous: all(&answer.previous),
            span: Some(convert::span(answer.span, now_us)),
            watermark: Some(self.watermark(project, &answer.read)),
            version,
            events_read: answer.read.events,
            overflow: answer.overflow,
        }))
    }

    pub(super) async fn sessions(
        &self,
        project: &ProjectRow,
        request: v1::ListSessionsRequest,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let from_us = request.from.as_ref().map_or(i64::MIN, micros);
        let to_us = request.to.as_ref().map_or(i64::MAX, micros);
        if request.person.is_empty() && to_us.saturating_sub(from_us) > MOST_US {
            let what = "from, to: name both, at most 31 days apart, or a person";
            return Err(invalid("query_invalid", what));
        }
        let limit = crate::page_size(request.page_size);
        let with_internal = if request.include_internal { "internal" } else { "" };
        let asked_for = [request.person.as_str(), &from_us.to_string(), &to_us.to_string(), with_internal];
        let scope = Scope::new(Kind::Sessions, project.number, &asked_for);
        let after = self.context.cursors.open_page(&scope, &request.page_token)?;
        let after = after.split_once('.').and_then(|(at, who)| Some((at.parse().ok()?, who.parse().ok()?)));
        let settings = crate::settings::of(&*self.context.store, &project.id)?;
        let internal = settings.internal.filter(|_| !request.include_internal);
        let person = request.person;
        let answer = self
            .asked(project)?
            .answer(move |source| {
                let person = Some(person.as_str()).filter(|person| !person.is_empty());
                let internal = internal.as_ref();
                let query = SessionsQuery { person, from_us, to_us, after, limit, internal };
                footpath_query::sessions(source, &query)
            })
            .await?;
        let next =
            answer.next.map(|(at, who)| self.context.cursors.seal_page(&scope, &format!("{at}.{who}")));
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: answer.sessions.into_iter().map(session_message).collect(),
            next_page_token: next.unwrap_or_default(),
            watermark: Some(self.watermark(project, &answer.read)),
        }))
    }
}

/// What a range is cut into.
pub(crate) fn unit(unit: i32) -> Result<Option<CalendarUnit>, Status> {
    Ok(match known("unit", unit)? {
        v1::MetricBucketUnit::Unspecified => None,
        v1::MetricBucketUnit::Minute => Some(CalendarUnit::Minute),
        v1::MetricBucketUnit::QuarterHour => Some(CalendarUnit::Quarter),
        v1::MetricBucketUnit::Hour => Some(CalendarUnit::Hour),
        v1::MetricBucketUnit::Day => Some(CalendarUnit::Day),
        v1::MetricBucketUnit::Week => Some(CalendarUnit::Week),
        v1::MetricBucketUnit::Month => Some(CalendarUnit::Month),
    })
}

fn session_message(session: SessionRow) -> v1::Session {
    v1::Session {
        person: session.person,
        started_at: Some(timestamp(session.start_us)),
        ended_at: Some(timestamp(session.end_us)),
        events: session.events,
        entry_event: session.entry_event,
        exit_event: session.exit_event,
        bounce: session.events == 1,
        open: session.open,
    }
}
