//! Fault test of the client over the public API. Exits with 1 on a violation.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use footpath_load::faults::{Options, Program, client, run};

/// Puts Footpath clients through a bad network, SIGKILL, copied, full and damaged disks and wrong clocks, and checks: what
/// was tracked is stored, once, or named as lost.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The `footpath` program.
    #[arg(long, env = "FOOTPATH_BIN", default_value = "target/release/footpath")]
    server: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// A new data folder, and a simulated day, after this many rounds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds_per_folder: u32,
    /// Events of a simulated day.
    #[arg(long, default_value_t = 10_000)]
    day_events: u32,
    /// Begin no new round after this many seconds.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Seed; random when left out. A round says its own, which repeats it as the first one.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for data, queues and logs; left there on a violation. A new one in the system's temporary folder when left
    /// out.
    #[arg(long)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A client process; its orders are in its environment.
    #[command(hide = true)]
    Client,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.part {
        // No runtime: the client has to bring its own, as in most programs.
        Some(Part::Client) => client::run(),
        None => drive(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("VIOLATION: {violation:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn drive(args: Args) -> anyhow::Result<()> {
    let seed = args.seed.unwrap_or_else(random_seed);
    println!("seed {seed}");
    let options = Options {
        server: args.server,
        client: Program { path: std::env::current_exe()?, arguments: vec!["client".into()] },
        folder: args.folder.unwrap_or_else(|| std::env::temp_dir().join(format!("footpath-faults-{seed}"))),
        rounds: args.rounds,
        rounds_per_folder: args.rounds_per_folder,
        day_events: args.day_events,
        most: Duration::from_secs(args.seconds),
        seed,
    };
    let sum = run(&options, |line| println!("{line}")).await?;
    println!(
        "seed {seed}: {} rounds, {} days, {} kills, {} events tracked, {} durable, {} stored, {} answered as duplicates, \
         {} missing of damaged clients, {} named, {} gaps that nobody named, no violation",
        sum.rounds,
        sum.days,
        sum.kills,
        sum.tracked,
        sum.durable,
        sum.stored,
        sum.duplicates,
        sum.missing,
        sum.named,
        sum.unnamed
    );
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "every run should try something else; --seed replays one")]
fn random_seed() -> u64 {
    rand::random::<u64>() >> 32
}
