//! A metric on a watch.

use std::sync::Arc;

use footpath_engine::metric::{Measured, MetricSeries};
use footpath_live::{Followed, MetricNumbers, Numbers, Shape, Shown, followed};
use footpath_model::control::CountedMetric;
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use footpath_query::Span;
use tokio::sync::watch::Receiver;

use super::{Ended, StateWatch, Told, is_other, next, refused, state};
use crate::convert::{metric_series, slice_value, span, timestamp};
use crate::definitions::find;

/// A metric in a shape.
pub struct MetricWatch<'a> {
    /// Its id.
    pub metric: &'a str,
    /// How it is looked at.
    pub shape: &'a Shape,
}

impl Told for MetricWatch<'_> {
    fn open(&self, watch: &StateWatch<'_>, again: bool) -> Result<Receiver<Arc<Shown>>, Ended> {
        let unknown = match again {
            true => ("metric_deleted", "the metric was deleted"),
            false => ("metric_unknown", "no such metric; ListMetrics names them"),
        };
        let (context, project) = (watch.context, watch.state.project_row());
        let counted: Option<CountedMetric> = find(context, &project.id, self.metric).ok().flatten();
        let counted = counted.ok_or(unknown)?;
        let (key, metric) = match followed(&counted) {
            Followed::Alone(key) => (key, None),
            Followed::Sessions(key) => (key, Some(self.metric.to_owned())),
            Followed::No => {
                return Ok(context.recounts.watch(context, project, counted, self.shape.clone()));
            }
        };
        let shape = Shape { metric, ..self.shape.clone() };
        context.hub.shape(project.number, key, shape).map_err(|error| refused(error, unknown))
    }

    fn message(&self, watch: &StateWatch<'_>, last: Option<&Shown>, now: &Shown) -> Option<Message> {
        let known = last.filter(|last| !is_other(&last.standing, &now.standing));
        let Some(last) = known else { return Some(self.snapshot(watch, now)) };
        match (&last.numbers, &now.numbers) {
            (Numbers::Metric(last), Numbers::Metric(numbers)) if last.version == numbers.version => {
                delta(watch, last, numbers, now)
            }
            (Numbers::None, Numbers::None) => None,
            _ => Some(self.snapshot(watch, now)),
        }
    }
}

impl MetricWatch<'_> {
    fn snapshot(&self, watch: &StateWatch<'_>, shown: &Shown) -> Message {
        let standing = &shown.standing;
        let snapshot = v1::MetricSnapshot {
            subscription_id: watch.id.to_owned(),
            metric_id: self.metric.to_owned(),
            version: standing.version,
            state: v1::DefinitionState::Backfilling.into(),
            backfill_percent: standing.percent,
            next: next(standing),
            watermark: Some(watch.watermark(shown)),
            cursor: watch.cursor(shown),
            ..v1::MetricSnapshot::default()
        };
        let Numbers::Metric(numbers) = &shown.numbers else { return Message::MetricSnapshot(snapshot) };
        let one = |series: &MetricSeries| metric_series(series, &numbers.percentiles);
        let total = one(&numbers.table.total);
        let (series, total) = match &numbers.table.rows {
            None => (vec![total], None),
            Some(rows) => (rows.iter().map(one).collect(), Some(total)),
        };
        Message::MetricSnapshot(v1::MetricSnapshot {
            version: numbers.version,
            state: state(standing),
            series,
            total,
            span: Some(span_of(watch, numbers)),
            overflow: numbers.table.overflow,
            cut: numbers.table.cut,
            recounted: numbers.recounted,
            ..snapshot
        })
    }
}

fn span_of(watch: &StateWatch<'_>, numbers: &MetricNumbers) -> v1::TimeSpan {
    let (from_us, to_us) = numbers.span;
    span(Span { from_us, to_us }, watch.context.clock.now_us())
}

fn delta(
    watch: &StateWatch<'_>,
    last: &MetricNumbers,
    now: &MetricNumbers,
    shown: &Shown,
) -> Option<Message> {
    if last.table == now.table && last.span == now.span {
        return None;
    }
    let from_us = now.span.0;
    let changed = |last: Option<&MetricSeries>, now_series: &MetricSeries| {
        changed(last, now_series, from_us).map(|change| series(&change, &now.percentiles))
    };
    let total = changed(Some(&last.table.total), &now.table.total);
    let (rows, total) = match (&last.table.rows, &now.table.rows) {
        (Some(before), Some(rows)) => {
            let known = |row: &MetricSeries| before.iter().find(|other| other.value == row.value);
            let there = rows.iter().filter_map(|row| changed(known(row), row));
            let gone = before.iter().filter(|row| rows.iter().all(|other| other.value != row.value));
            let gone = gone.map(|row| v1::MetricSeries {
                value: row.value.as_ref().map(slice_value),
                ..v1::MetricSeries::default()
            });
            (there.chain(gone).collect(), total)
        }
        _ => (total.into_iter().collect(), None),
    };
    Some(Message::MetricDelta(v1::MetricDelta {
        subscription_id: watch.id.to_owned(),
        series: rows,
        total,
        causes: causes(last, now),
        span: Some(span_of(watch, now)),
        watermark: Some(watch.watermark(shown)),
        cursor: watch.cursor(shown),
        overflow: now.table.overflow,
        cut: now.table.cut,
    }))
}

/// What changed of a series: its total, and the buckets that did; `None` in a bucket that has nothing any more.
struct Change<'a> {
    series: &'a MetricSeries,
    buckets: Vec<(i64, Option<&'a Measured>)>,
}

/// What changed of a series in the span that begins at `from_us`; nothing if nothing did.
fn changed<'a>(last: Option<&MetricSeries>, now: &'a MetricSeries, from_us: i64) -> Option<Change<'a>> {
    let before = last.map_or(&[][..], |last| &last.buckets);
    let same = |one: &(i64, Measured)| before.iter().any(|other| other == one);
    let new = now.buckets.iter().filter(|one| !same(one)).map(|(at, value)| (*at, Some(value)));
    let empty = before.iter().map(|(at, _)| *at).filter(|at| *at >= from_us);
    let empty = empty.filter(|at| now.buckets.iter().all(|(own, _)| own != at)).map(|at| (at, None));
    let mut buckets: Vec<_> = new.chain(empty).collect();
    buckets.sort_by_key(|(at, _)| *at);
    let is_new = last.is_none_or(|last| last.total != now.total) || !buckets.is_empty();
    is_new.then_some(Change { series: now, buckets })
}

fn series(change: &Change<'_>, percentiles: &[f64]) -> v1::MetricSeries {
    let there = change.buckets.iter().filter_map(|(at, value)| Some((*at, (*value)?.clone())));
    let shown = MetricSeries { buckets: there.collect(), ..change.series.clone() };
    let mut message = metric_series(&shown, percentiles);
    let empty = change.buckets.iter().filter(|(_, value)| value.is_none());
    message
        .buckets
        .extend(empty.map(|(at, _)| v1::MetricBucket { start: Some(timestamp(*at)), value: None }));
    message
}

/// What changed the numbers between `last` and `now`.
fn causes(last: &MetricNumbers, now: &MetricNumbers) -> Vec<i32> {
    let counted = now.causes.iter().zip(&last.causes).enumerate();
    let mut causes: Vec<i32> =
        counted.filter(|(_, (now, last))| now > last).map(|(i, _)| i as i32 + 1).collect();
    if last.span.0 != now.span.0 {
        causes.push(v1::Cause::WindowMoved.into());
    }
    causes
}
