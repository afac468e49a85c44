//! `footpath`: the server and its tools. This file parses, builds, runs and drains.

mod app;
mod config;
mod demo;
mod ledger;
mod tools;

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
    Demo(demo::Args),
    Send(tools::send::Args),
    Apply(tools::apply::Args),
    Export(tools::export::Args),
    Token(tools::token::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // A server tells what it does; a tool says what its user asked for, and errors.
    let level = if matches!(command, Command::Serve(_)) { "info" } else { "off" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FOOTPATH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    run(command).unwrap_or_else(|error| {
        eprintln!("footpath: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        match command {
            Command::Serve(config) => serve(config).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Send(args) => tools::send::run(&args).await,
            Command::Apply(args) => tools::apply::run(&args).await,
            Command::Export(args) => tools::export::run(&args).await,
            Command::Token(args) => tools::token::run(&args).await,
        }
    });
    runtime.shutdown_background(); // Simulated visitors may still be asleep.
    exit
}

async fn serve(config: config::Config) -> anyhow::Result<ExitCode> {
    let app = app::App::open(&config)?;
    app.announce();
    app.serve(config.listen).await?;
    Ok(ExitCode::SUCCESS)
}
