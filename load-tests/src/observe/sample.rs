//! What one look at the server shows, and tables of many.

use std::collections::BTreeMap;
use std::fmt;

use super::metrics::Metrics;

const MIB: f64 = 1_048_576.0;

/// How far a consumer is behind the log's end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lag {
    /// Log records (a batch is one).
    pub records: f64,
    /// Age of what it read last, in seconds.
    pub seconds: f64,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Since the first look.
    pub seconds: f64,
    /// Events stored so far.
    pub events: f64,
    /// Batches answered so far.
    pub batches: f64,
    /// Resident memory.
    pub resident_bytes: f64,
    /// Payload bytes that the log took so far.
    pub log_bytes: f64,
    /// Bytes of the log's segments on disk.
    pub log_disk_bytes: f64,
    /// Snapshots and deltas that the watch got so far.
    pub changes: u64,
    /// By consumer.
    pub lags: BTreeMap<String, Lag>,
}

impl Sample {
    /// Takes what it needs from `metrics`.
    ///
    /// # Errors
    /// When a metric is missing.
    pub fn of(seconds: f64, metrics: &Metrics) -> anyhow::Result<Self> {
        let mut lags: BTreeMap<String, Lag> = BTreeMap::new();
        for (consumer, records) in metrics.by_label("footpath_consumer_lag_records") {
            lags.entry(consumer.to_owned()).or_default().records = records;
        }
        for (consumer, seconds) in metrics.by_label("footpath_consumer_lag_seconds") {
            lags.entry(consumer.to_owned()).or_default().seconds = seconds;
        }
        anyhow::ensure!(!lags.is_empty(), "/metrics names no consumer");
        Ok(Self {
            seconds,
            events: metrics.get("footpath_events_stored_total")?,
            batches: metrics.get("footpath_ack_seconds_count")?,
            resident_bytes: metrics.get("process_resident_memory_bytes")?,
            log_bytes: metrics.get("footpath_log_bytes_total")?,
            log_disk_bytes: 0.0,
            changes: 0,
            lags,
        })
    }
}

/// All looks of a run, in order.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// The consumers' names.
    pub fn consumers(&self) -> Vec<String> {
        self.0.first().map(|sample| sample.lags.keys().cloned().collect()).unwrap_or_default()
    }

    /// The largest lag of a consumer at looks from `from` to `to` seconds; records and seconds each for itself.
    pub fn largest_lag(&self, consumer: &str, from: f64, to: f64) -> Lag {
        let within = self.0.iter().filter(|sample| sample.seconds >= from && sample.seconds < to);
        within.filter_map(|sample| sample.lags.get(consumer)).fold(Lag::default(), |most, lag| Lag {
            records: most.records.max(lag.records),
            seconds: most.seconds.max(lag.seconds),
        })
    }

    /// Seconds from the first look to the last.
    pub fn seconds(&self) -> f64 {
        self.0.last().map_or(0.0, |sample| sample.seconds)
    }

    /// Batches a second, over all.
    pub fn batches_per_s(&self) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return 0.0 };
        (last.batches - first.batches) / (last.seconds - first.seconds).max(f64::EPSILON)
    }

    fn minute(&self, f: &mut fmt::Formatter<'_>, from: &Sample, to: &Sample) -> fmt::Result {
        let time = to.seconds - from.seconds;
        let rate = (to.events - from.events) / time;
        let changes = (to.changes - from.changes) as f64 / time;
        let memory = to.resident_bytes / MIB;
        let (written, disk) = (to.log_bytes / MIB, to.log_disk_bytes / MIB);
        write!(f, "{:6.0} {rate:9.0} {memory:8.0} {written:11.0} {disk:11.0} {changes:9.1}", to.seconds)?;
        for consumer in self.consumers() {
            let lag = self.largest_lag(&consumer, from.seconds, to.seconds);
            write!(f, "  {:>9.0} {:>6.1}", lag.records, lag.seconds)?;
        }
        writeln!(f)
    }
}

/// A row a minute: rates over the minute, the largest lags in it, the rest at its end.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} {:>9} {:>8} {:>11} {:>11} {:>9}",
            "to s", "events/s", "RSS MiB", "log MiB in", "on disk", "changes/s"
        )?;
        for consumer in self.consumers() {
            write!(f, "  {:>16}", format!("{consumer} rec, s"))?;
        }
        writeln!(f)?;
        let mut from = match self.0.first() {
            Some(first) => first,
            None => return Ok(()),
        };
        for (index, sample) in self.0.iter().enumerate() {
            let is_last = index + 1 == self.0.len();
            if sample.seconds > from.seconds && (sample.seconds - from.seconds >= 59.5 || is_last) {
                self.minute(f, from, sample)?;
                from = sample;
            }
        }
        let Some(last) = self.0.last() else { return Ok(()) };
        let trimmed = if last.log_disk_bytes < last.log_bytes { "yes" } else { "no" };
        writeln!(f, "log trimmed: {trimmed}")
    }
}
