//! Measures from a batch's ack to the first `Watch` delta that has it, while something else puts load on the server.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use footpath_load::delta::{Options, measure};

/// Sends marked batches, watches a funnel that counts them, and reports the time from ack to delta.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    target: String,
    /// The project key.
    #[arg(long, env = "FOOTPATH_KEY", hide_env_values = true)]
    key: String,
    /// A token of role analyst: the funnel is defined with it.
    #[arg(long, env = "FOOTPATH_TOKEN", hide_env_values = true)]
    token: String,
    /// The project's id.
    #[arg(long, default_value = "default")]
    project: String,
    /// The subscription's interval in ms.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(20..=1000))]
    interval: u32,
    /// Marked batches per second; each waits for the ack of the one before.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Seconds to send marks.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seed of persons and pauses; random when left out. A seed sent twice to one server fails.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    anyhow::ensure!(args.rate.is_finite() && args.rate > 0.0, "--rate has to be above 0");
    anyhow::ensure!(args.seconds.is_finite() && args.seconds > 0.0, "--seconds has to be above 0");
    let options = Options {
        target: args.target,
        key: args.key,
        token: args.token,
        project: args.project,
        interval_ms: args.interval,
        rate: args.rate,
        time: Duration::from_secs_f64(args.seconds),
        seed: args.seed.unwrap_or_else(random_seed),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(measure(&options))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print!("{found}");
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::disallowed_methods, reason = "every run needs persons of its own; --seed replays one")]
fn random_seed() -> u64 {
    rand::random()
}
