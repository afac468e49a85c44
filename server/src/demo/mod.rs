//! `footpath demo`: a server of its own, a shop's history, live traffic through the client core, and incidents on
//! request.
//!
//! The demo starts `footpath serve` as a child process, so that key `k` can kill it for real. Everything it shows it
//! learns as anybody could: by the public API, as an admin.

mod api;
mod board;
mod check;
mod child;
mod data;
mod folder;
mod funnels;
mod history;
mod metrics;
mod notes;
mod panel;
mod rules;
mod run;
mod script;
mod shop;
mod start;
mod visits;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use run::run;
use script::Cue;

use crate::config::address;

/// Shows Footpath with a simulated shop: history, live traffic, late events, an outage, a kill -9.
///
/// Starts a server of its own (own folder, own ports), fills in half a year of a shop's history, and lets visitors
/// come, each through the real client. Open the printed link to see the page.
///
/// Keys: i payment outage, f fix it, k kill -9 the server and check that nothing is lost, r phones return now,
/// l new link to the page, q quit. In a pipe or with --no-keys, --play does the same at given seconds, for example:
///
///   footpath demo --no-keys --seconds 90 --play outage@40,fix@60,kill@70
///
/// The exit code is 0 if every acknowledged event is stored exactly once.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The demo's own folder; made on the first start, kept between starts.
    #[arg(long, default_value = "demo-data", value_name = "FOLDER")]
    data: PathBuf,
    /// Deletes what earlier demos left in the folder first.
    #[arg(long)]
    fresh: bool,
    /// Address of the demo's server: the page and gRPC.
    #[arg(long, default_value = "127.0.0.1:7480", value_parser = address, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Address of the admin port of the demo's server.
    #[arg(long, default_value = "127.0.0.1:7481", value_parser = address, value_name = "ADDRESS")]
    admin_listen: SocketAddr,
    /// Visits a second.
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    rate: f64,
    /// A group of phones loses its connection for so many seconds, comes back with late events, and after as many seconds
    /// the next group follows.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=300))]
    offline_for: u64,
    /// Ends the demo after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Actions at seconds after the start: outage, fix, kill, return, quit.
    #[arg(long, value_delimiter = ',', value_name = "ACTION@SECOND,...")]
    play: Vec<Cue>,
    /// No panel and no keys, even on a terminal: a line a second.
    #[arg(long)]
    no_keys: bool,
    /// Draws the same visits in the same order again; left out, every start differs.
    #[arg(long)]
    seed: Option<u64>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=15.0).contains(&rate) => Ok(rate),
        _ => {
            Err("between 0.1 and 15 visits a second; each visitor is a client with a thread of its own"
                .into())
        }
    }
}
