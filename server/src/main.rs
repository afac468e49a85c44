//! `footpath`: the server and its tools. This file parses, builds, runs and drains.

mod app;
mod config;
mod projector;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "footpath", version, about = "Real-time user-behaviour analytics, gRPC first.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server with everything embedded.
    Serve(config::Config),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("footpath: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let matches = config::parse(Cli::command(), std::env::args_os().collect())?;
    match Cli::from_arg_matches(&matches)?.command {
        Command::Serve(config) => serve(&config),
    }
}

/// What is still running this long after the drain is cut off.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn serve(config: &config::Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_filter)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let app = app::App::open(config)?;
        app.announce();
        app.serve(config.listen).await
    });
    runtime.shutdown_timeout(LEFTOVERS);
    served
}
