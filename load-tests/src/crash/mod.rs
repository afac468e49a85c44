//! Kills the server under load, again and again, and holds what it says against books of its own.
//!
//! A round: senders and a definer work; after a random time the server gets SIGKILL; it is started again on the same
//! folder, at times killed once more on the way; senders send the very same unacknowledged batches until each is
//! acknowledged. Then nothing is under way, and disk, ledger, stored and live numbers have to agree with the books.

pub(crate) mod api;
mod books;
mod check;
mod funnels;
mod link;
mod plan;
mod round;
mod sender;
pub(crate) mod server;
pub(crate) mod source;
mod tail;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use round::World;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `footpath` program.
    pub server: PathBuf,
    /// A folder for data and logs; what fails is left there.
    pub folder: PathBuf,
    /// How many rounds.
    pub rounds: u32,
    /// A new data folder after this many.
    pub rounds_per_folder: u32,
    /// Begin no new round after this time.
    pub most: Duration,
    /// Of everything random here.
    pub seed: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// Rounds that ended well.
    pub rounds: u32,
    /// SIGKILLs.
    pub kills: u32,
    /// Events acknowledged.
    pub acked: u64,
    /// Events answered as duplicates.
    pub duplicates: u64,
}

/// Runs; `say` gets a line for each round.
///
/// # Errors
/// The first violation; the message names seed and round, and the event or the number.
pub async fn run(options: &Options, mut say: impl FnMut(&str)) -> anyhow::Result<Summary> {
    let (mut sum, start) = (Summary::default(), Instant::now());
    while sum.rounds < options.rounds && start.elapsed() < options.most {
        let folder = options.folder.join(format!("{:04}", sum.rounds));
        let seed = options.seed.wrapping_add(u64::from(sum.rounds));
        let mut world = World::start(&options.server, &folder, seed).await?;
        let last = sum.rounds.saturating_add(options.rounds_per_folder).min(options.rounds);
        while sum.rounds < last && start.elapsed() < options.most {
            let line = world.round(u64::from(sum.rounds)).await.with_context(|| {
                format!("seed {}, round {}, left in {}", options.seed, sum.rounds, folder.display())
            })?;
            say(&format!("round {:>3} {line}", sum.rounds));
            sum.rounds += 1;
        }
        let done = world.end().await?;
        sum.kills += done.kills;
        sum.acked += done.acked;
        sum.duplicates += done.duplicates;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(sum)
}
