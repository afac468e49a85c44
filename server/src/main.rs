//! `footpath`: the server and its tools. This file parses, builds, runs and drains.

mod app;
mod config;
mod demo;
mod projector;
mod tools;

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
    Demo(demo::Args),
    Token(tools::token::Args),
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("footpath: {error:#}");
        ExitCode::FAILURE
    })
}

/// What is still running this long after a command ended is cut off.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn run() -> anyhow::Result<ExitCode> {
    let matches = config::parse(Cli::command(), std::env::args_os().collect())?;
    let command = Cli::from_arg_matches(&matches)?.command;
    start_logging(&command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        match command {
            Command::Serve(config) => serve(&config).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Token(args) => tools::token::run(&args).await,
        }
    });
    runtime.shutdown_timeout(LEFTOVERS); // Streams of readers that are gone, simulated visitors that are asleep.
    exit
}

/// A server tells what it does; a tool says what its user asked for, and errors.
fn start_logging(command: &Command) -> anyhow::Result<()> {
    let filter = match command {
        Command::Serve(config) => tracing_subscriber::EnvFilter::try_new(&config.log_filter)?,
        _ => tracing_subscriber::EnvFilter::try_from_env("FOOTPATH_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off")),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

async fn serve(config: &config::Config) -> anyhow::Result<ExitCode> {
    let app = app::App::open(config)?;
    app.announce();
    app.serve(config.listen).await?;
    Ok(ExitCode::SUCCESS)
}
