//! Where alert rules get their numbers: from the live path where it follows what they watch, else from stored events.

use std::sync::Arc;

use footpath_alert::{Numbers as AlertNumbers, NumbersError, Seen};
use footpath_engine::metric::{MetricSeries, Table};
use footpath_live::{Numbers, Progress, Shape, ViewKey};
use footpath_model::alert::{CountedRule, Driver, Series};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::{Control, CountedMetric};
use footpath_model::definition::{Aggregate, Measure, Term};
use footpath_model::range::Range;
use footpath_model::record::Outcome;
use footpath_query::{MetricAnswer, MetricQuery, QueryError, Source};
use footpath_store::ProjectRow;
use tonic::Status;

use crate::context::Context;
use crate::live::current;
use crate::query::QueryApi;

/// Values of a breakdown that are looked at, so that a known one that has become small is still seen.
const TOP: usize = 1_000;

/// A question about a metric.
pub(crate) struct Asked {
    /// What is counted.
    pub counted: CountedMetric,
    /// IANA name of the zone that buckets are cut in.
    pub zone: String,
    /// From inclusive, to exclusive; microseconds since 1970.
    pub span: (i64, i64),
    /// How many values of a breakdown are named.
    pub top: usize,
}

/// What to do as long as the live path does not have a metric that it can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Wait for it: there is a rule, so that it comes.
    Wait,
    /// Ask stored events.
    Stored,
}

/// Numbers of this server.
pub struct LiveNumbers {
    context: Arc<Context>,
}

impl LiveNumbers {
    /// Of what `context` serves.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// A metric over a span: from the live path if it is followed there because a rule watches the same, else from stored events.
    pub(crate) async fn over(
        &self,
        project: &ProjectRow,
        asked: Asked,
        absent: Absent,
    ) -> Result<Table, NumbersError> {
        let view = footpath_live::by_content(asked.counted.clone());
        let key = view.map(|view| ViewKey::Metric(view.definition.id));
        match key.filter(|key| absent == Absent::Wait || self.is_live(project, key)) {
            Some(key) => self.live(project, key, asked).await,
            None => table(self.stored(project, asked, None).await?),
        }
    }

    fn is_live(&self, project: &ProjectRow, key: &ViewKey) -> bool {
        self.context.hub.standing(project.number, key).is_some_and(|standing| standing.live)
    }

    /// A metric from stored events, cut if a unit is named.
    async fn stored(
        &self,
        project: &ProjectRow,
        Asked { counted, zone, span: (from_us, to_us), top }: Asked,
        unit: Option<CalendarUnit>,
    ) -> Result<MetricAnswer, NumbersError> {
        let answer = self.asked(project, move |source| {
            let range = &Range::Fixed { from_us, to_us };
            let (counted, zone) = (&counted, zone.as_str());
            footpath_query::metric(
                source,
                &MetricQuery { counted, range, zone, unit, compare_previous: false, top },
            )
        });
        answer.await
    }

    /// Something from stored events.
    pub(crate) async fn asked<T: Send + 'static>(
        &self,
        project: &ProjectRow,
        ask: impl FnOnce(&Source<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, NumbersError> {
        let asked = QueryApi::new(Arc::clone(&self.context)).asked(project).map_err(failed)?;
        asked.answer(ask).await.map_err(failed)
    }

    /// A metric from the live path, once it has read what it needs for that.
    async fn live(
        &self,
        project: &ProjectRow,
        key: ViewKey,
        Asked { zone, span: (from_us, to_us), top, .. }: Asked,
    ) -> Result<Table, NumbersError> {
        let range = Range::Fixed { from_us, to_us };
        let shape = Shape { metric: None, range, zone, unit: None, top };
        let answered = self.context.hub.ask(project.number, key, shape).await;
        match answered.map(|shown| shown.numbers) {
            Ok(Numbers::Metric(numbers)) => Ok(numbers.table),
            _ => Err(NumbersError("the live path has no numbers yet".into())),
        }
    }

    /// Up to when everything that was acknowledged is counted, microseconds since 1970; `None` before the live path has its state.
    pub(crate) fn processed_us(&self) -> Option<i64> {
        self.progress().map(|progress| progress.processed_us)
    }

    /// Before the worker has its state there are no numbers.
    fn progress(&self) -> Option<Progress> {
        let is_reading = self.context.hub.read().borrow().position == 0;
        let is_behind = is_reading && self.context.log.durable_end() > 0;
        (!is_behind).then(|| current(&self.context))
    }
}

fn failed(status: Status) -> NumbersError {
    NumbersError(status.message().to_owned())
}

impl AlertNumbers for LiveNumbers {
    fn now_us(&self) -> i64 {
        self.context.clock.now_us()
    }

    fn projects(&self) -> Result<Vec<ProjectRow>, NumbersError> {
        self.context.store.projects().map_err(|error| NumbersError(error.to_string()))
    }

    fn seen(&self, project: u32) -> Option<Seen> {
        let (mut live, stored) = (self.progress()?, self.context.projection.progress());
        // How many events came is read from the store, which follows the log by itself: numbers whose events it has not yet would look like a silence.
        if stored.position < live.position {
            live.processed_us = live.processed_us.min(stored.processed_us);
        }
        let missing = self.context.ingest.missing(project);
        Some(Seen { position: live.position, processed_us: live.processed_us, missing })
    }

    fn events(&self, project: u32, from_us: i64, to_us: i64) -> Result<u64, NumbersError> {
        const MINUTE_US: i64 = 60_000_000;
        let (from, to) = (from_us.div_euclid(MINUTE_US), (to_us + MINUTE_US - 1).div_euclid(MINUTE_US));
        let cells = self.context.store.ledger(project, from, to);
        let cells = cells.map_err(|error| NumbersError(error.to_string()))?;
        let stored = cells.iter().filter(|(cell, _)| cell.outcome == Outcome::Stored as u8);
        Ok(stored.map(|(_, count)| *count).sum())
    }

    async fn table(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
    ) -> Result<Table, NumbersError> {
        self.over(project, asked(rule, rule.watched(), span, TOP), Absent::Wait).await
    }

    async fn past(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
        unit: CalendarUnit,
    ) -> Result<Vec<MetricSeries>, NumbersError> {
        let asked = asked(rule, rule.watched(), span, rule.definition.top());
        let answer = self.stored(project, asked, Some(unit)).await?;
        Ok(answer.series)
    }

    async fn alive(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
        unit: CalendarUnit,
    ) -> Result<Vec<i64>, NumbersError> {
        let mut counted = rule.watched();
        counted.definition.breakdown = None;
        let term = Term { events: Vec::new(), filters: Vec::new(), aggregate: Aggregate::Count };
        counted.definition.measure = Measure::Events(term);
        let answer = self.stored(project, asked(rule, counted, span, 1), Some(unit)).await?;
        let buckets = answer.series.iter().flat_map(|series| &series.buckets);
        Ok(buckets.filter(|(_, measured)| measured.volume() > 0).map(|(start_us, _)| *start_us).collect())
    }

    async fn drivers(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        series: &Series,
        span: (i64, i64),
    ) -> Vec<Driver> {
        let found = super::drivers::drivers(&self.context, project, rule, series, span).await;
        found.unwrap_or_else(|status| {
            tracing::warn!(reason = status.message(), "what moved an alert's number cannot be told");
            Vec::new()
        })
    }

    async fn record(&self, project: &ProjectRow, control: Control) -> Result<(), NumbersError> {
        self.context.record(project, &control).await.map_err(failed)
    }
}

fn asked(rule: &CountedRule, counted: CountedMetric, span: (i64, i64), top: usize) -> Asked {
    Asked { counted, zone: rule.zone.clone(), span, top }
}

fn table(answer: MetricAnswer) -> Result<Table, NumbersError> {
    let mut series = answer.series;
    let (rows, total) = match answer.total {
        Some(total) => (Some(series), Some(total)),
        None => (None, series.pop()),
    };
    let total = total.ok_or_else(|| NumbersError("the query answered nothing".into()))?;
    Ok(Table { keys: Vec::new(), rows, total, overflow: answer.overflow, cut: false })
}
