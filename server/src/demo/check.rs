//! The books against the disk: what clients say was acknowledged, and what the server has.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::api::{Api, Outcomes};
use super::history::History;
use super::shop::Shop;

/// How long clients may take to deliver after a restart.
const DELIVERY: Duration = Duration::from_secs(60);
/// The server's ledger is written twice a second; after a restart it first catches up.
const LEDGER: Duration = Duration::from_secs(15);

/// What is known before the shop opens.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    /// The ledger.
    pub outcomes: Outcomes,
    /// No event of this start is older (event time).
    pub from_us: i64,
}

/// The comparison.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Events the clients tracked, those of offline phones left out.
    pub tracked: u64,
    /// Events the clients saw acknowledged.
    pub acked: u64,
    /// Acknowledged by the batch that stored them.
    pub stored: u64,
    /// Acknowledged again: stored before the kill, the answer never came.
    pub duplicates: u64,
    /// Events the server will never take.
    pub rejected: u64,
    /// Events that wait for the server.
    pub waiting: u64,
    /// Tracked events that are on disk.
    pub on_disk: u64,
    /// Events that are on disk more than once.
    pub twice: u64,
    /// Acknowledged or tracked, and neither on disk nor waiting.
    pub lost: u64,
    /// The server's ledger since the start, without the history.
    pub ledger: Outcomes,
}

impl Verdict {
    /// Whether nothing is missing and nothing counts twice.
    pub fn is_good(&self) -> bool {
        self.lost == 0
            && self.twice == 0
            && self.waiting == 0
            && self.rejected == 0
            && self.acked == self.on_disk
            && self.acked == self.stored + self.duplicates
            && self.ledger.stored >= self.on_disk
            && self.ledger.duplicate >= self.duplicates
    }

    /// For people.
    pub fn lines(&self) -> [String; 2] {
        let mut first = format!(
            "acked {} = stored {} + duplicate {}, lost {}",
            self.acked, self.stored, self.duplicates, self.lost
        );
        for (count, what) in
            [(self.waiting, "still waiting"), (self.rejected, "refused"), (self.twice, "twice")]
        {
            if count > 0 {
                first.push_str(&format!(", {what} {count}"));
            }
        }
        let second = format!(
            "on disk {} of {} tracked, each once; the server's ledger has stored {} and duplicate {}",
            self.on_disk, self.tracked, self.ledger.stored, self.ledger.duplicate
        );
        [first, second]
    }
}

/// Pauses the trade, lets the clients deliver, and compares.
///
/// # Errors
/// If the server does not answer.
pub async fn check(shop: &Shop, api: &Api, history: &History, before: Before) -> anyhow::Result<Verdict> {
    let _still = shop.pause().await;
    shop.deliver(DELIVERY).await;
    let (sums, ids) = shop.online();
    let mut found: HashMap<String, u64> = HashMap::new();
    for id in api.stored_ids(before.from_us).await? {
        *found.entry(id).or_default() += 1;
    }
    let times = |id: &footpath_client::EventId| found.get(&id.to_string()).copied().unwrap_or_default();
    let counts: Vec<u64> = ids.iter().map(times).collect();
    let on_disk = counts.iter().filter(|&&n| n > 0).count() as u64;
    Ok(Verdict {
        tracked: ids.len() as u64,
        acked: sums.acked,
        stored: sums.stored,
        duplicates: sums.duplicates,
        rejected: sums.rejected,
        waiting: sums.waiting,
        on_disk,
        twice: counts.iter().filter(|&&n| n > 1).count() as u64,
        lost: (ids.len() as u64)
            .saturating_sub(on_disk + sums.waiting)
            .max(sums.acked.saturating_sub(on_disk)),
        ledger: ledger(api, history, before, on_disk).await?,
    })
}

/// The ledger since the start, without the history, when it has caught up with the disk.
async fn ledger(api: &Api, history: &History, before: Before, on_disk: u64) -> anyhow::Result<Outcomes> {
    let until = tokio::time::Instant::now() + LEDGER;
    loop {
        let mut ledger = api.outcomes().await?.since(before.outcomes);
        ledger.stored = ledger.stored.saturating_sub(history.stored.load(Ordering::Relaxed));
        if ledger.stored >= on_disk || tokio::time::Instant::now() > until {
            return Ok(ledger);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
