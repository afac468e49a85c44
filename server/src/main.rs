//! `footpath`: the server and its tools. This file parses, builds, runs and drains.

mod app;
mod config;
mod ledger;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    let filter = tracing_subscriber::EnvFilter::try_from_env("FOOTPATH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Serve(config) = Cli::parse().command;
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("footpath: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: config::Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = app::App::open(&config)?;
        app.announce();
        app.serve(config.listen).await
    })
}
