//! The Footpath client beside glean. Each measurement is made in a process of its own for one subject; `table` makes all of
//! them and prints one table. `load-tests/glean/run.sh`

#![allow(clippy::disallowed_methods)] // It measures, so it asks the machine for the time.

mod event;
mod measure;
mod ours;
mod subject;
mod table;
mod theirs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::ours::Ours;
use crate::subject::{Subject as _, record_all};
use crate::theirs::Theirs;

#[derive(Parser)]
#[command(about = "The Footpath client beside glean")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything, as one table.
    Table {
        /// How often latency is measured, in turn.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// What a call costs its caller.
    Latency(Run),
    /// How many events are there after an `abort`, medians of five.
    Survive(Run),
    /// Bytes of the data folder.
    Disk(Run),
    /// Bytes of the bodies that are sent.
    Wire(Run),
    /// Resident memory.
    Memory(Run),
    /// A part of `survive`: records and aborts.
    #[command(hide = true)]
    Record(Run),
    /// A part of `survive`: delivers what is there and counts it.
    #[command(hide = true)]
    Count(Run),
}

#[derive(Args)]
struct Run {
    who: Who,
    /// How many events.
    #[arg(long, default_value_t = 10_000)]
    events: u64,
    /// After how many events glean puts together a ping; 500 is its own.
    #[arg(long, default_value_t = 500)]
    max_events: usize,
    /// Microseconds between two events.
    #[arg(long, default_value_t = 0)]
    pause_us: u64,
    /// `survive`: milliseconds from the last call to the `abort`.
    #[arg(long, default_value_t = 0)]
    later_ms: u64,
    /// `memory`: waits for the subject's thread after each so many events; all at once by default.
    #[arg(long)]
    portion: Option<u64>,
    /// Where the data lies; a new folder by default.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    Footpath,
    Glean,
}

fn main() -> Result<()> {
    let figures = match Cli::parse().command {
        Command::Table { rounds } => return table::print(rounds),
        Command::Survive(run) => table::survive(&run)?,
        Command::Latency(run) => run.offline(|subject, _| either!(subject, s => measure::latency(&s)))?,
        Command::Disk(run) => {
            run.offline(|subject, folder| either!(subject, s => measure::disk(s, folder, run.events)))?
        }
        Command::Memory(run) => {
            let portion = run.portion.unwrap_or(run.events);
            run.offline(|subject, _| either!(subject, s => measure::memory(&s, run.events, portion)))?
        }
        Command::Record(run) => {
            let later = Duration::from_millis(run.later_ms);
            run.offline(
                |subject, _| either!(subject, s => measure::record_and_abort(&s, run.events, run.pause(), later)),
            )?
        }
        Command::Wire(run) => run.online(run.events)?,
        Command::Count(run) => run.online(0)?, // Only what an earlier run left.
    };
    println!("{figures}");
    Ok(())
}

/// One of the two.
enum Either {
    Ours(Ours),
    Theirs(Theirs),
}

/// Does the same with either; each is compiled for its own, so that no call is made through a pointer.
macro_rules! either {
    ($subject:expr, $name:ident => $body:expr) => {
        match $subject {
            Either::Ours($name) => $body,
            Either::Theirs($name) => $body,
        }
    };
}
use either;

impl Run {
    fn pause(&self) -> Duration {
        Duration::from_micros(self.pause_us)
    }

    /// With a subject whose attempts to send all fail.
    fn offline(&self, measure: impl FnOnce(Either, &Path) -> Result<Value>) -> Result<Value> {
        self.in_folder(|folder| {
            let subject = match self.who {
                Who::Footpath => Either::Ours(Ours::open(folder, Arc::new(ours::Offline))?),
                Who::Glean => Either::Theirs(Theirs::open(folder, theirs::Offline, self.max_events)?),
            };
            measure(subject, folder)
        })
    }

    /// Records events, delivers them and whatever else was there, and counts.
    fn online(&self, events: u64) -> Result<Value> {
        self.in_folder(|folder| match self.who {
            Who::Footpath => ours_online(folder, events, self.pause()),
            Who::Glean => theirs_online(folder, events, self.pause(), self.max_events),
        })
    }

    fn in_folder(&self, run: impl FnOnce(&Path) -> Result<Value>) -> Result<Value> {
        match &self.folder {
            Some(folder) => run(folder),
            None => run(tempfile::tempdir()?.path()),
        }
    }
}

fn ours_online(folder: &Path, events: u64, pause: Duration) -> Result<Value> {
    let server = Arc::new(ours::Counting::default());
    let subject = Ours::open(folder, Arc::<ours::Counting>::clone(&server))?;
    subject.hold();
    record_all(&subject, events, pause);
    subject.settle()?;
    subject.deliver()?;
    subject.end()?;
    let sent = server.sent();
    Ok(json!({
        "events": server.stored(), "sent": sent.events, "bodies": sent.batches, "plain": sent.plain,
        "packed": sent.packed, "packed usual": sent.packed_usual,
    }))
}

fn theirs_online(folder: &Path, events: u64, pause: Duration, max_events: usize) -> Result<Value> {
    let server = theirs::Counting::default();
    let subject = Theirs::open(folder, server.clone(), max_events)?;
    record_all(&subject, events, pause);
    subject.submit();
    subject.settle()?;
    theirs::wait_for_uploads(folder)?;
    subject.end()?;
    let sent = server.sent()?;
    Ok(json!({
        "events": sent.events, "sent": sent.events, "bodies": sent.pings, "plain": sent.plain,
        "packed": sent.packed, "packed usual": sent.packed,
    }))
}
