//! What the server can be measured by: every number that /metrics and OTLP show, read where it is kept.
//!
//! docs/operations.md lists the names; a test walks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use footpath_api::Context;
use footpath_api::metrics::{ACK_BUCKETS_US, Reasons};
use footpath_history::ChunkCounters;
use footpath_live::Progress;
use footpath_log::sequencer::{GROUP_BUCKETS, SYNC_BUCKETS_US};
use footpath_notify::Counts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use tokio::sync::Semaphore;

const MICRO: f64 = 1e-6;

/// Whether a number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// A number, or one for each value of a label.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its name, without `_total`.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// The label's name; empty for a single number.
    pub label: &'static str,
    /// The label's values and their numbers.
    pub values: Vec<(String, f64)>,
}

/// Counts by size.
#[derive(Debug, Clone)]
pub struct Distribution {
    name: &'static str,
    help: &'static str,
    /// Upper bounds and what lies below each but not below the one before.
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

/// A reader of the log.
pub struct Consumer {
    name: &'static str,
    progress: Box<dyn Fn() -> Progress + Send + Sync>,
}

impl Consumer {
    /// A consumer and how to ask how far it is.
    pub fn new(name: &'static str, progress: impl Fn() -> Progress + Send + Sync + 'static) -> Self {
        Self { name, progress: Box::new(progress) }
    }
}

/// Where the numbers are.
pub struct Readings {
    context: Arc<Context>,
    consumers: Vec<Consumer>,
    chunks: Arc<ChunkCounters>,
    room: Arc<Semaphore>,
    max_connections: usize,
}

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

impl Readings {
    /// Reads from `context`, the log's `consumers`, the writer of `chunks` and the `room` for connections.
    pub fn new(
        context: Arc<Context>,
        consumers: Vec<Consumer>,
        chunks: Arc<ChunkCounters>,
        room: Arc<Semaphore>,
        max_connections: usize,
    ) -> Self {
        Self { context, consumers, chunks, room, max_connections }
    }

    /// All single numbers.
    pub fn all(&self) -> Vec<Reading> {
        [self.events(), self.log(), self.reading(), self.chunks(), self.load(), self.alerts()].concat()
    }

    fn events(&self) -> Vec<Reading> {
        let metrics = &self.context.metrics;
        vec![
            counter("footpath_events_stored", "Events on disk because of a batch", &metrics.stored),
            counter("footpath_events_duplicate", "Events that were on disk already", &metrics.duplicates),
            by_reason("footpath_events_refused", "Events not stored, by reason", &metrics.refused),
            by_reason(
                "footpath_batches_refused",
                "Batches refused as a whole, by reason",
                &metrics.batches_refused,
            ),
            counter("footpath_received_bytes", "Bytes of batches, decompressed", &metrics.received_bytes),
            counter(
                "footpath_bodies_refused",
                "Requests refused because all memory for bodies was taken",
                &metrics.bodies_refused,
            ),
            counter_of(
                "footpath_refused_not_kept",
                "Refused events that could not be kept for reading",
                self.context.ingest.refused_dropped(),
            ),
            gauge(
                "footpath_events_missing",
                "Numbered events known to be missing, over all projects; ListGaps names them",
                self.context.ingest.missing_in_all() as f64,
            ),
        ]
    }

    fn log(&self) -> Vec<Reading> {
        let log = self.context.ingest.metrics();
        let healthy = f64::from(u8::from(log.healthy.load(Ordering::Relaxed)));
        vec![
            counter("footpath_log_groups", "Groups made durable", &log.groups),
            counter("footpath_log_groups_failed", "Groups the log refused", &log.groups_failed),
            counter("footpath_log_bytes", "Payload bytes made durable", &log.bytes),
            counter("footpath_log_busy", "Batches refused because the queue was full", &log.busy),
            gauge("footpath_log_healthy", "1 while the log takes batches, else 0", healthy),
            gauge(
                "footpath_pace_seconds",
                "Time a group waits so that readers keep up",
                count(&log.pace_us) * MICRO,
            ),
            gauge("footpath_queue_batches", "Batches waiting for their group", count(&log.queue_depth)),
            gauge("footpath_queue_bytes", "Bytes waiting for their group", count(&log.queue_bytes)),
        ]
    }

    /// How far whoever reads the log is behind it.
    fn reading(&self) -> Vec<Reading> {
        let end = self.context.log.durable_end();
        let now_us = self.context.clock.now_us();
        let seconds = |progress: Progress| {
            // A consumer that has read nothing yet is as far behind as the log's first record is old: not known here.
            let behind = progress.position < end && progress.processed_us > 0;
            if behind { (now_us - progress.processed_us).max(0) as f64 * MICRO } else { 0.0 }
        };
        let all: Vec<_> = self.consumers.iter().map(|one| (one.name.to_owned(), (one.progress)())).collect();
        let records = all.iter().map(|(name, at)| (name.clone(), end.saturating_sub(at.position) as f64));
        let times = all.iter().map(|(name, at)| (name.clone(), seconds(*at)));
        let live = *self.context.hub.complete().borrow();
        let (checks, drift) = self.context.hub.reconciliations().totals();
        vec![
            counter_of(
                "footpath_reconciliations",
                "Comparisons of a view's live numbers with stored events",
                checks,
            ),
            counter_of(
                "footpath_reconciliation_drift",
                "Live numbers that differed from stored events and were put right; expected to be 0",
                drift,
            ),
            labelled(
                "footpath_consumer_lag_records",
                "Log records a consumer has yet to read",
                "consumer",
                records.collect(),
            ),
            labelled(
                "footpath_consumer_lag_seconds",
                "Age of what a consumer read last; 0 when it is at the end",
                "consumer",
                times.collect(),
            ),
            gauge(
                "footpath_watermark_age_seconds",
                "Age of live answers' watermark; 0 when every stored event is in",
                seconds(live),
            ),
        ]
    }

    fn chunks(&self) -> Vec<Reading> {
        let chunks = &self.chunks;
        vec![
            counter(
                "footpath_chunk_events_skipped",
                "Stored events that are in no chunk because they cannot be encoded",
                &chunks.skipped_events,
            ),
            counter(
                "footpath_chunk_frames_skipped",
                "Log records that are in no chunk because they cannot be read",
                &chunks.skipped_frames,
            ),
            counter(
                "footpath_chunk_failures",
                "Attempts to write chunks that failed and were made again",
                &chunks.failures,
            ),
        ]
    }

    fn alerts(&self) -> Vec<Reading> {
        let counts = self.context.deliverer.counters().all();
        let by_kind = |name, help, of: fn(&Counts) -> u64| {
            let values = counts.iter().map(|one| (one.kind.to_owned(), of(one) as f64)).collect();
            Reading { name, help, kind: Kind::Counter, label: "kind", values }
        };
        let open = self.context.alerts.open_incidents() as f64;
        vec![
            gauge(
                "footpath_incidents_open",
                "Incidents of alert rules that are open, over all projects",
                open,
            ),
            counter_of(
                "footpath_incidents_unreadable",
                "Times that a stored incident could not be read; the log names it",
                self.context.alerts.unreadable(),
            ),
            by_kind("footpath_alert_attempts", "Attempts to send an alert, by kind of destination", |one| {
                one.attempts
            }),
            by_kind("footpath_alerts_delivered", "Alerts that a receiver took", |one| one.delivered),
            by_kind("footpath_alerts_failed", "Alerts that were given up; ListDeliveries says why", |one| {
                one.failed
            }),
        ]
    }

    fn load(&self) -> Vec<Reading> {
        let context = &self.context;
        let watches: Vec<_> = context.watches.lock().values().cloned().collect();
        let subscriptions: usize = watches.iter().map(|watch| watch.subscriptions()).sum();
        let connections = self.max_connections - self.room.available_permits().min(self.max_connections);
        vec![
            gauge("footpath_watches", "Open Watch streams", watches.len() as f64),
            gauge("footpath_subscriptions", "Subscriptions on open Watch streams", subscriptions as f64),
            by_reason("footpath_gaps", "Gap markers sent to subscribers, by reason", &context.metrics.gaps),
            gauge("footpath_body_bytes", "Memory taken by request bodies", context.budgets.in_use() as f64),
            gauge(
                "footpath_body_bytes_limit",
                "Memory that request bodies may take",
                context.budgets.bytes() as f64,
            ),
            gauge("footpath_connections", "Open connections on the main port", connections as f64),
            gauge("process_resident_memory_bytes", "Resident memory of the process", resident_bytes()),
        ]
    }

    fn distributions(&self) -> Vec<Distribution> {
        let log = self.context.ingest.metrics();
        let (acks, ack_sum) = self.context.metrics.ack_time.read();
        vec![
            distribution(
                ("footpath_ack_seconds", "Time from a batch's receipt to its answer"),
                (&ACK_BUCKETS_US, &acks, MICRO),
                ack_sum,
            ),
            distribution(
                ("footpath_log_sync_seconds", "Time to write and sync a group"),
                (&SYNC_BUCKETS_US, &load_all(&log.sync_time), MICRO),
                log.sync_time_us.load(Ordering::Relaxed),
            ),
            distribution(
                ("footpath_log_group_batches", "Batches in a durable group"),
                (&GROUP_BUCKETS, &load_all(&log.group_size), 1.0),
                log.committed.load(Ordering::Relaxed),
            ),
        ]
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for reading in self.all() {
            let kind = match reading.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(reading.name, reading.help, None, kind)?;
            for (value, number) in &reading.values {
                if reading.label.is_empty() {
                    encode(reading.kind, *number, &mut metric)?;
                } else {
                    let labels = [(reading.label, value.as_str())];
                    encode(reading.kind, *number, &mut metric.encode_family(&labels)?)?;
                }
            }
        }
        for one in self.distributions() {
            let count = one.buckets.iter().map(|(_, count)| count).sum();
            encoder
                .encode_descriptor(one.name, one.help, None, MetricType::Histogram)?
                .encode_histogram::<NoLabelSet>(one.sum, count, &one.buckets, None)?;
        }
        Ok(())
    }
}

fn encode(kind: Kind, number: f64, metric: &mut MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
    match kind {
        Kind::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&number, None),
        Kind::Gauge => metric.encode_gauge(&number),
    }
}

fn count(number: &AtomicU64) -> f64 {
    number.load(Ordering::Relaxed) as f64
}

fn load_all(numbers: &[AtomicU64]) -> Vec<u64> {
    numbers.iter().map(|number| number.load(Ordering::Relaxed)).collect()
}

fn counter(name: &'static str, help: &'static str, number: &AtomicU64) -> Reading {
    counter_of(name, help, number.load(Ordering::Relaxed))
}

fn counter_of(name: &'static str, help: &'static str, number: u64) -> Reading {
    Reading { name, help, kind: Kind::Counter, label: "", values: vec![(String::new(), number as f64)] }
}

fn gauge(name: &'static str, help: &'static str, number: f64) -> Reading {
    Reading { name, help, kind: Kind::Gauge, label: "", values: vec![(String::new(), number)] }
}

fn labelled(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: Vec<(String, f64)>,
) -> Reading {
    Reading { name, help, kind: Kind::Gauge, label, values }
}

fn by_reason(name: &'static str, help: &'static str, reasons: &Reasons) -> Reading {
    let values = reasons.all().into_iter().map(|(reason, number)| (reason, number as f64)).collect();
    Reading { name, help, kind: Kind::Counter, label: "reason", values }
}

/// `counts` has one more than `bounds`, for what is beyond them; `unit` turns both bounds and sum into the name's unit.
fn distribution(
    (name, help): (&'static str, &'static str),
    (bounds, counts, unit): (&[u64], &[u64], f64),
    sum: u64,
) -> Distribution {
    let bounds = bounds.iter().map(|&bound| bound as f64 * unit).chain([f64::MAX]);
    Distribution { name, help, buckets: bounds.zip(counts.iter().copied()).collect(), sum: sum as f64 * unit }
}

/// 0 where the system does not say.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<f64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or_default() * rustix::param::page_size() as f64
}
