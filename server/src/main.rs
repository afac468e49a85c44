//! `footpath`: the server and its tools. This file parses, builds, runs and drains.

mod admin;
mod alerting;
mod allocator;
mod app;
mod backlog;
mod config;
mod demo;
mod listener;
mod pipeline;
mod projector;
mod readings;
mod series;
mod telemetry;
mod tools;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use footpath_model::clock::SystemClock;

#[derive(Parser)]
#[command(name = "footpath", version, about = "Real-time user-behaviour analytics, gRPC first.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server with everything embedded.
    Serve(Box<config::Config>),
    Demo(demo::Args),
    Send(tools::send::Args),
    Apply(tools::apply::Args),
    Annotate(tools::annotate::Args),
    Simulate(tools::simulate::Args),
    Incidents(tools::incidents::Args),
    Destinations(tools::destinations::Args),
    Deliveries(tools::deliveries::Args),
    Export(tools::export::Args),
    Token(tools::token::Args),
    Link(tools::link::Args),
    TypedEvents(tools::typed_events::Args),
}

fn main() -> ExitCode {
    allocator::keep_freed_memory();
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
    if !matches!(command, Command::Serve(_)) {
        telemetry::for_a_tool()?;
    }
    if matches!(command, Command::Serve(_) | Command::Demo(_)) {
        keep_files_private();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        match command {
            Command::Serve(config) => serve(&config).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Send(args) => tools::send::run(&args).await,
            Command::Apply(args) => tools::apply::run(&args).await,
            Command::Annotate(args) => tools::annotate::run(&args).await,
            Command::Simulate(args) => tools::simulate::run(&args).await,
            Command::Incidents(args) => tools::incidents::run(&args).await,
            Command::Destinations(args) => tools::destinations::run(&args).await,
            Command::Deliveries(args) => tools::deliveries::run(&args).await,
            Command::Export(args) => tools::export::run(&args).await,
            Command::Token(args) => tools::token::run(&args).await,
            Command::Link(args) => tools::link::run(&args).await,
            Command::TypedEvents(args) => tools::typed_events::run(&args),
        }
    });
    runtime.shutdown_timeout(LEFTOVERS); // Streams of readers that are gone, simulated visitors that are asleep.
    exit
}

/// Events, keys and secrets lie in the files: nobody but their owner reads what is made from now on.
fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

async fn serve(config: &config::Config) -> anyhow::Result<ExitCode> {
    let stop = app::StopSignal::listen()?;
    let telemetry = telemetry::Telemetry::start(config)?;
    let app = app::App::open(config, Arc::new(SystemClock))?;
    app.announce(config)?;
    app.serve(config, telemetry, stop).await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_can_be_parsed() {
        Cli::command().debug_assert();
    }
}
