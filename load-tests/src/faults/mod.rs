//! Puts client processes through everything that a network, a disk and a device do, and holds what they said against what
//! the server has.
//!
//! A round: three clients send through a proxy that follows a drawn weather; their processes get SIGKILL, two share a
//! folder, folders are copied and put back, files cannot grow or are damaged; the server gets SIGKILL as well. Then the
//! weather is fine: every client delivers what it has, and every event that was tracked has to be stored, once.
//! A simulated day does the same to clocks.

mod actor;
mod answer;
mod books;
pub mod client;
mod day;
mod files;
mod liar;
mod orders;
mod plan;
mod process;
mod proxy;
mod round;
mod weather;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

pub use process::Program;
use round::World;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `footpath` program.
    pub server: PathBuf,
    /// What becomes a client process with orders in its environment: see [`client`].
    pub client: Program,
    /// A folder for data, queues and logs; what fails is left there.
    pub folder: PathBuf,
    /// How many rounds.
    pub rounds: u32,
    /// A new data folder, and a simulated day, after this many.
    pub rounds_per_folder: u32,
    /// Events of a simulated day.
    pub day_events: u32,
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
    /// Simulated days.
    pub days: u32,
    /// SIGKILLs, of clients and servers.
    pub kills: u32,
    /// Events tracked.
    pub tracked: u64,
    /// Events said to be on the client's disk.
    pub durable: u64,
    /// Events stored, of rounds.
    pub stored: u64,
    /// Events answered as duplicates.
    pub duplicates: u64,
    /// Events that damaged clients miss.
    pub missing: u64,
    /// Numbers that clients reported as lost; of broken databases also some that had arrived.
    pub named: u64,
    /// Numbers that the server misses and nobody has named.
    pub unnamed: u64,
}

impl Summary {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.tracked += other.tracked;
        self.durable += other.durable;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.missing += other.missing;
        self.named += other.named;
        self.unnamed += other.unnamed;
    }
}

/// Runs; `say` gets a line for each round.
///
/// # Errors
/// The first violation; the message names seed and round, and the event or the client.
pub async fn run(options: &Options, mut say: impl FnMut(&str)) -> anyhow::Result<Summary> {
    let (mut sum, start) = (Summary::default(), Instant::now());
    while sum.rounds < options.rounds && start.elapsed() < options.most {
        let folder = options.folder.join(format!("{:04}", sum.rounds));
        let mut world = World::start(options, &folder).await?;
        let last = sum.rounds.saturating_add(options.rounds_per_folder).min(options.rounds);
        while sum.rounds < last && start.elapsed() < options.most {
            let seed = seed_of(options.seed, sum.rounds);
            let line = world.round(u64::from(sum.rounds), seed).await.with_context(|| {
                format!("seed {}, round {}, left in {}", options.seed, sum.rounds, folder.display())
            })?;
            say(&format!("round {:>3} {line}", sum.rounds));
            sum.rounds += 1;
        }
        let seed = seed_of(options.seed, sum.rounds.saturating_sub(1));
        let line = day::run(&world, options.day_events, seed).await;
        let line = line.with_context(|| format!("the day of seed {seed}, left in {}", folder.display()))?;
        say(&format!("day   {:>3} {line}", sum.days));
        sum.days += 1;
        sum.add(&world.end().await?);
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(sum)
}

/// So that a round can be repeated alone, as the first one of its own seed.
fn seed_of(seed: u64, round: u32) -> u64 {
    seed.wrapping_add(u64::from(round))
}
