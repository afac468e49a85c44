//! The Footpath side of `query-bench.sh`: loads a set of `query/model.py` and answers questions about it.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use footpath_load::observe::metrics::scrape;
use footpath_load::query::{Asking, Question, Set, send};

const CHUNKS_BEHIND: &str = "footpath_consumer_lag_records{consumer=\"chunks\"}";
const PATIENCE_S: u32 = 300;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Loads a set of behaviour over gRPC, and times questions about it.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    target: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Sends all events of a set as history; exits with 1 unless each was stored.
    Load {
        /// The project key.
        #[arg(long, env = "FOOTPATH_KEY", hide_env_values = true)]
        key: String,
        /// Host and port of /metrics: waits until everything is in chunks.
        #[arg(long, default_value = "127.0.0.1:7401")]
        admin: String,
        /// The folder of `model.py`.
        folder: PathBuf,
    },
    /// Reads a question a line (funnel, daily, hourly) and prints the answer with its time as JSON.
    Ask {
        /// A token that may query.
        #[arg(long, env = "FOOTPATH_TOKEN", hide_env_values = true)]
        token: String,
        /// The project's id.
        #[arg(long, default_value = "default")]
        project: String,
        /// The beginning of the range.
        #[arg(long, default_value = "2026-01-01T00:00:00Z")]
        from: String,
        /// Its end.
        #[arg(long, default_value = "2026-01-31T00:00:00Z")]
        to: String,
    },
}

fn main() -> anyhow::Result<()> {
    let Args { target, what } = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match what {
        What::Load { key, admin, folder } => {
            let set = Arc::new(Set::open(&folder)?);
            let sent = runtime.block_on(send(&target, &key, set))?;
            let rate = sent.stored as f64 / sent.took.as_secs_f64();
            println!("{} events stored in {:.1} s, {rate:.0}/s", sent.stored, sent.took.as_secs_f64());
            runtime.block_on(settled(&admin))?;
        }
        What::Ask { token, project, from, to } => {
            let mut asking = runtime.block_on(Asking::open(&target, &token, &project, (from, to)))?;
            for line in std::io::stdin().lock().lines() {
                let question: Question = line?.trim().parse()?;
                let answer = runtime.block_on(asking.ask(question))?;
                println!("{}", serde_json::to_string(&answer)?);
            }
        }
    }
    Ok(())
}

/// Waits until the chunk writer has nothing left to do.
async fn settled(admin: &str) -> anyhow::Result<()> {
    for _ in 0..PATIENCE_S {
        if scrape(admin).await?.get(CHUNKS_BEHIND)? == 0.0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    anyhow::bail!("the events are not in chunks after {PATIENCE_S} s")
}
