//! Load generator over the public API: fresh events out of pre-encoded batches, latencies that hide nothing.
//!
//! Pin it apart from the server: `taskset -c 0 SERVER`, `taskset -c 1 footpath-load ...`.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use tokio::time::{Instant, sleep_until};

use footpath_load::clock::cpu_seconds;
use footpath_load::report::{Report, Setup, Tally};
use footpath_load::run::{self, Connection, Window};
use footpath_load::source::{self, Shape, Source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sends fresh events to a Footpath server and measures; exits with 1 unless every event was stored, once.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    target: String,
    /// The project key.
    #[arg(long, env = "FOOTPATH_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The project's id: part of what the lanes are made of.
    #[arg(long, default_value = "default")]
    project: String,
    /// Send as fast as the server answers.
    #[arg(long, conflicts_with = "rate", required_unless_present_any = ["rate", "descriptors"])]
    saturate: bool,
    /// Send this many events per second on a schedule that waits for no answer.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds to send before measuring.
    #[arg(long, default_value_t = 2.0)]
    warmup: f64,
    /// Connections, each with an install of its own.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Most batches under way on a connection; default 2 when saturating, else as many as the rotation holds.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: Option<u16>,
    /// Events in a batch.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// About how many bytes an event takes.
    #[arg(long, default_value_t = 260, value_parser = clap::value_parser!(u16).range(200..=16_384))]
    event_bytes: u16,
    /// Persons that the events are drawn from.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    persons: u32,
    /// MiB of batches in rotation: more than the last-level cache.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    rotation_mib: u16,
    /// Seed of installs and draws; random when left out. A seed sent twice to one server makes duplicates.
    #[arg(long)]
    seed: Option<u64>,
    /// Process id of the server, to report its CPU use too.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Only write the API's descriptors (a FileDescriptorSet) to this file, for ghz and grpcurl.
    #[arg(long)]
    descriptors: Option<std::path::PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(path) = &args.descriptors {
        std::fs::write(path, footpath_proto::DESCRIPTORS)?;
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(args.seconds.is_finite() && args.seconds > 0.0, "--seconds has to be above 0");
    anyhow::ensure!(args.warmup.is_finite() && args.warmup >= 0.0, "--warmup cannot be negative");
    if let Some(rate) = args.rate {
        anyhow::ensure!(rate.is_finite() && rate > 0.0, "--rate has to be above 0");
    }
    let report =
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&args))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    let Some(fault) = report.fault() else { return Ok(ExitCode::SUCCESS) };
    eprintln!("FAILED: {fault}");
    Ok(ExitCode::FAILURE)
}

/// Connects, sends, and sums up.
async fn measure(args: &Args) -> anyhow::Result<Report> {
    let (connections, setup) = connect(args).await?;
    let tally = Arc::new(Mutex::new(Tally::new()?));
    let start = Instant::now();
    let from = start + Duration::from_secs_f64(args.warmup);
    let window = Window { from, to: from + Duration::from_secs_f64(args.seconds) };
    let meter = tokio::spawn(meter(window, args.server_pid));
    if let Some(rate) = args.rate {
        let interval = Duration::from_secs_f64(f64::from(args.batch) / rate);
        run::open_loop(&connections, interval, start, window, &tally).await;
    } else {
        run::saturate(&connections, setup.in_flight, window, &tally).await;
    }
    let (cpu, server_cpu) = meter.await?;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Report::new(setup, &tally, args.seconds, cpu, server_cpu))
}

/// Makes the sources and opens the connections.
async fn connect(args: &Args) -> anyhow::Result<(Vec<Arc<Connection>>, Setup)> {
    let count = usize::from(args.connections);
    let (batch, event_bytes) = (usize::from(args.batch), usize::from(args.event_bytes));
    let least = usize::from(args.in_flight.unwrap_or(2));
    let templates = (usize::from(args.rotation_mib) << 20).div_ceil(batch * event_bytes * count).max(least);
    let in_flight = args.in_flight.map_or(if args.saturate { 2 } else { templates }, usize::from);
    let shape = Shape { events: batch, event_bytes, templates };
    let lanes = source::lanes(&args.project, args.persons as usize);
    let seed = args.seed.unwrap_or_else(random_seed);
    let mut rotation_bytes = 0;
    let mut connections = Vec::with_capacity(count);
    for index in 0..count {
        let source = Source::new(shape, Arc::clone(&lanes), index as u64, seed);
        rotation_bytes += source.bytes();
        let connection = Connection::open(&args.target, args.key.as_deref(), source, in_flight).await?;
        connections.push(Arc::new(connection));
    }
    let setup = Setup {
        mode: if args.saturate { "saturate" } else { "open_loop" },
        target: args.target.clone(),
        connections: count,
        in_flight,
        batch_events: batch,
        batch_bytes: rotation_bytes / (count * templates),
        rotation_bytes,
        persons: args.persons as usize,
        offered_events_per_s: args.rate,
    };
    Ok((connections, setup))
}

/// CPU seconds that this process and the server use within the window.
async fn meter(window: Window, server: Option<u32>) -> (Option<f64>, Option<f64>) {
    let read = || (cpu_seconds(None), server.and_then(|pid| cpu_seconds(Some(pid))));
    sleep_until(window.from).await;
    let before = read();
    sleep_until(window.to).await;
    let after = read();
    let used = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
    (used(before.0, after.0), used(before.1, after.1))
}

#[allow(clippy::disallowed_methods, reason = "every run needs installs of its own; --seed replays one")]
fn random_seed() -> u64 {
    rand::random()
}
