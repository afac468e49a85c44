//! Crash test over the public API: kill -9 under load, then the books. Exits with 1 on a violation.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use footpath_load::crash::{Options, run};

/// Kills a Footpath server under load, restarts it, and checks: nothing acknowledged is lost, nothing counts twice,
/// live numbers equal those of stored events and of the driver's own books.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The `footpath` program.
    #[arg(long, env = "FOOTPATH_BIN", default_value = "target/release/footpath")]
    server: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// A new data folder after this many rounds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds_per_folder: u32,
    /// Begin no new round after this many seconds.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Seed; random when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for data and logs; left there on a violation. A new one in the system's temporary folder when left out.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(random_seed);
    let options = Options {
        server: args.server,
        folder: args.folder.unwrap_or_else(|| std::env::temp_dir().join(format!("footpath-crash-{seed}"))),
        rounds: args.rounds,
        rounds_per_folder: args.rounds_per_folder,
        most: Duration::from_secs(args.seconds),
        seed,
    };
    match run(&options, |line| println!("{line}")).await {
        Ok(sum) => {
            println!(
                "seed {seed}: {} rounds, {} kills, {} events acknowledged, {} answered as duplicates, no violation",
                sum.rounds, sum.kills, sum.acked, sum.duplicates
            );
            ExitCode::SUCCESS
        }
        Err(violation) => {
            eprintln!("VIOLATION: {violation:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "every run should try something else; --seed replays one")]
fn random_seed() -> u64 {
    rand::random::<u64>() >> 32
}
