//! Watches a server while something else puts load on it, and judges whether its consumers keep up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use footpath_load::observe::{Options, Tolerance, Verdict, observe};

/// Opens a watch on a funnel, samples /metrics, and exits with 1 if a consumer's lag grows.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    target: String,
    /// Host and port of the server's admin port.
    #[arg(long, default_value = "127.0.0.1:7401")]
    admin: String,
    /// A token of role viewer.
    #[arg(long, env = "FOOTPATH_TOKEN", hide_env_values = true)]
    token: String,
    /// The project's id.
    #[arg(long, default_value = "default")]
    project: String,
    /// The funnel to watch.
    #[arg(long)]
    funnel: String,
    /// Folder of the server's log: `log` in its data folder.
    #[arg(long)]
    log: PathBuf,
    /// How long, in seconds.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2.0)]
    every: f64,
    /// By what part of the middle third's lag the last third's may be above it.
    #[arg(long, default_value_t = 0.2)]
    tolerance: f64,
    /// By how many seconds more (and the records of so much time) it may be above.
    #[arg(long, default_value_t = 1.0)]
    tolerance_seconds: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    anyhow::ensure!(args.seconds.is_finite() && args.seconds > 0.0, "--seconds has to be above 0");
    anyhow::ensure!(args.every.is_finite() && args.every >= 0.1, "--every has to be at least 0.1");
    let options = Options {
        target: args.target,
        admin: args.admin,
        token: args.token,
        project: args.project,
        funnel: args.funnel,
        log: args.log,
        time: Duration::from_secs_f64(args.seconds),
        every: Duration::from_secs_f64(args.every),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let samples = runtime.block_on(observe(&options))?;
    print!("{samples}");
    let tolerance = Tolerance { part: args.tolerance, seconds: args.tolerance_seconds };
    let verdict = Verdict::of(&samples, tolerance)?;
    print!("{verdict}");
    Ok(if verdict.bounded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
