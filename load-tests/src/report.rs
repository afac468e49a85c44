//! What a run found, for people and for scripts.

use std::fmt;
use std::time::Duration;

use footpath_proto::v1::IngestResponse;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Counts while a run goes on.
#[derive(Debug)]
pub struct Tally {
    sent: u64,
    stored: u64,
    duplicates: u64,
    refused: u64,
    errors: u64,
    first_error: Option<String>,
    first_refusal: Option<String>,
    window_events: u64,
    window_batches: u64,
    latency: Histogram<u64>,
    service: Histogram<u64>,
}

impl Tally {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// Never with the bounds in use (3 digits, any range).
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            sent: 0,
            stored: 0,
            duplicates: 0,
            refused: 0,
            errors: 0,
            first_error: None,
            first_refusal: None,
            window_events: 0,
            window_batches: 0,
            latency: histogram()?,
            service: histogram()?,
        })
    }

    /// Counts a batch that got no usable answer.
    pub fn error(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    /// Counts what became of a batch of `events`.
    pub fn answer(&mut self, events: usize, answer: &IngestResponse) {
        self.sent += events as u64;
        self.stored += u64::from(answer.stored);
        self.duplicates += u64::from(answer.duplicates);
        self.refused += answer.refused.len() as u64;
        if let Some(refusal) = answer.refused.first() {
            self.first_refusal.get_or_insert_with(|| format!("{}: {}", refusal.reason, refusal.message));
        }
    }

    /// Counts a batch that was answered inside the measured window.
    pub fn in_window(&mut self, events: usize) {
        self.window_events += events as u64;
        self.window_batches += 1;
    }

    /// Records the time since the batch was due, and since it was sent.
    pub fn latency(&mut self, since_due: Duration, since_sent: Duration) {
        self.latency.saturating_record(micros(since_due));
        self.service.saturating_record(micros(since_sent));
    }
}

/// 1 µs to 10 min in 3 digits. The bounds matter: `saturating_record` never grows a histogram.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p999: f64,
    max: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2}")
    }
}

/// How a run was made.
#[derive(Debug, Clone, Serialize)]
pub struct Setup {
    /// `saturate`, or `open_loop`.
    pub mode: &'static str,
    /// Where it was sent to.
    pub target: String,
    /// How many connections.
    pub connections: usize,
    /// Most batches under way on a connection.
    pub in_flight: usize,
    /// Events in a batch.
    pub batch_events: usize,
    /// Mean bytes of a batch.
    pub batch_bytes: usize,
    /// Bytes of all templates.
    pub rotation_bytes: usize,
    /// Persons that events are drawn from.
    pub persons: usize,
    /// Events per second on the schedule; `None` when saturating.
    pub offered_events_per_s: Option<f64>,
}

/// A finished run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    setup: Setup,
    seconds: f64,
    events_per_s: f64,
    batches_per_s: f64,
    answered: u64,
    stored: u64,
    duplicates: u64,
    refused: u64,
    errors: u64,
    first_error: Option<String>,
    first_refusal: Option<String>,
    /// From the moment a batch was due: corrected for coordinated omission in an open loop.
    latency_ms: Latency,
    /// From the moment it was sent.
    service_ms: Latency,
    generator_cpu_percent: Option<f64>,
    server_cpu_percent: Option<f64>,
}

impl Report {
    /// Sums up `tally` over a window of `seconds`; CPU seconds are those used in the window.
    pub fn new(setup: Setup, tally: &Tally, seconds: f64, cpu: Option<f64>, server_cpu: Option<f64>) -> Self {
        let percent = |used: f64| used / seconds * 100.0;
        Self {
            setup,
            seconds,
            events_per_s: tally.window_events as f64 / seconds,
            batches_per_s: tally.window_batches as f64 / seconds,
            answered: tally.sent,
            stored: tally.stored,
            duplicates: tally.duplicates,
            refused: tally.refused,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            first_refusal: tally.first_refusal.clone(),
            latency_ms: Latency::of(&tally.latency),
            service_ms: Latency::of(&tally.service),
            generator_cpu_percent: cpu.map(percent),
            server_cpu_percent: server_cpu.map(percent),
        }
    }

    /// Why the run proves nothing, if so: every event has to be answered as stored, exactly once.
    pub fn fault(&self) -> Option<String> {
        let Self { errors, duplicates, refused, .. } = self;
        if *errors > 0 {
            let first = self.first_error.as_deref().unwrap_or_default();
            return Some(format!("{errors} batches failed, the first with {first}"));
        }
        if *duplicates > 0 {
            return Some(format!("{duplicates} fresh events were answered as duplicates"));
        }
        if *refused > 0 {
            let first = self.first_refusal.as_deref().unwrap_or_default();
            return Some(format!("{refused} events were refused, the first as {first}"));
        }
        if self.stored != self.answered {
            return Some(format!(
                "{} events were sent and {} answered as stored",
                self.answered, self.stored
            ));
        }
        (self.answered == 0).then(|| "nothing was answered".to_owned())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = &self.setup;
        writeln!(f, "{} {} for {:.1} s", setup.mode, setup.target, self.seconds)?;
        writeln!(
            f,
            "  {} connections, batches of {} events and {} bytes, {:.0} MiB in rotation, {} persons",
            setup.connections,
            setup.batch_events,
            setup.batch_bytes,
            setup.rotation_bytes as f64 / 1_048_576.0,
            setup.persons
        )?;
        writeln!(f, "  {:.0} events/s, {:.1} batches/s", self.events_per_s, self.batches_per_s)?;
        if let Some(offered) = setup.offered_events_per_s {
            writeln!(f, "  {offered:.0} events/s offered")?;
        }
        writeln!(f, "  latency ms (since due)   {}", self.latency_ms)?;
        writeln!(f, "  latency ms (since sent)  {}", self.service_ms)?;
        let Self { stored, duplicates, refused, errors, .. } = self;
        writeln!(f, "  stored {stored}  duplicates {duplicates}  refused {refused}  errors {errors}")?;
        for (name, percent) in
            [("generator", self.generator_cpu_percent), ("server", self.server_cpu_percent)]
        {
            if let Some(percent) = percent {
                writeln!(f, "  {name} used {percent:.0} % of a core")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use footpath_proto::v1::Refusal;

    use super::*;

    fn report(answer: &IngestResponse) -> Report {
        let mut tally = Tally::new().unwrap();
        tally.answer(10, answer);
        let setup = Setup {
            mode: "saturate",
            target: String::new(),
            connections: 1,
            in_flight: 1,
            batch_events: 10,
            batch_bytes: 1,
            rotation_bytes: 1,
            persons: 1,
            offered_events_per_s: None,
        };
        Report::new(setup, &tally, 1.0, None, None)
    }

    #[test]
    fn latencies_of_any_size_are_kept() {
        let mut tally = Tally::new().unwrap();
        for ms in [1, 18, 18, 18, 90_000] {
            tally.latency(Duration::from_millis(ms), Duration::from_millis(ms));
        }
        let latency = Latency::of(&tally.latency);
        assert!((latency.p50 - 18.0).abs() < 0.1, "{latency}");
        assert!((latency.max - 90_000.0).abs() < 100.0, "{latency}");
    }

    #[test]
    fn only_a_run_whose_events_were_all_stored_is_good() {
        let good = IngestResponse { stored: 10, ..IngestResponse::default() };
        assert_eq!(report(&good).fault(), None);
        let twice = IngestResponse { stored: 9, duplicates: 1, ..IngestResponse::default() };
        assert!(report(&twice).fault().unwrap().contains("duplicates"));
        let refused =
            IngestResponse { stored: 9, refused: vec![Refusal::default()], ..IngestResponse::default() };
        assert!(report(&refused).fault().unwrap().contains("refused"));
        let short = IngestResponse { stored: 9, ..IngestResponse::default() };
        assert!(report(&short).fault().unwrap().contains("9 answered"));
    }
}
