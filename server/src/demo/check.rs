//! The books against the disk: what clients say was acknowledged, and what the server has.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::api::{Api, Outcomes};
use super::history::History;
use super::shop::{Shop, Sums};

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
            "on disk {} of {} tracked; the server's ledger has stored {} and duplicate {}",
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
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut verdict = compare(&sums, &ids, &api.stored_ids(before.from_us).await?);
    verdict.ledger = ledger(api, history, before, verdict.on_disk).await?;
    Ok(verdict)
}

/// What clients say (`sums`, and the `ids` they tracked) against the ids that are `stored`, by anybody.
fn compare(sums: &Sums, ids: &[String], stored: &[String]) -> Verdict {
    let mut found: HashMap<&str, u64> = HashMap::new();
    for id in stored {
        *found.entry(id).or_default() += 1;
    }
    let counts: Vec<u64> = ids.iter().map(|id| found.get(id.as_str()).copied().unwrap_or_default()).collect();
    let (tracked, on_disk) = (ids.len() as u64, counts.iter().filter(|&&n| n > 0).count() as u64);
    let missing = tracked.saturating_sub(on_disk + sums.waiting);
    Verdict {
        tracked,
        acked: sums.acked,
        stored: sums.stored,
        duplicates: sums.duplicates,
        rejected: sums.rejected,
        waiting: sums.waiting,
        on_disk,
        twice: counts.iter().filter(|&&n| n > 1).count() as u64,
        lost: missing.max(sums.acked.saturating_sub(on_disk)),
        ledger: Outcomes::default(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(acked: u64, stored: u64, waiting: u64, on_disk: &[&str]) -> Verdict {
        let sums = Sums { tracked: 3, acked, stored, duplicates: acked - stored, waiting, rejected: 0 };
        let own = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let verdict = compare(&sums, &own(&["a", "b", "c"]), &own(on_disk));
        let ledger = Outcomes { stored: on_disk.len() as u64, duplicate: acked - stored, refused: 0 };
        Verdict { ledger, ..verdict }
    }

    #[test]
    fn good_is_everything_once_and_others_do_not_matter() {
        assert!(verdict(3, 3, 0, &["a", "b", "c"]).is_good());
        assert!(verdict(3, 2, 0, &["b", "c", "a", "somebody else's"]).is_good());
    }

    #[test]
    fn whatever_is_missing_or_twice_is_bad() {
        let lost = verdict(3, 3, 0, &["a", "c"]);
        assert_eq!((lost.lost, lost.is_good()), (1, false));
        let acked_but_gone = verdict(2, 2, 1, &["a"]);
        assert_eq!((acked_but_gone.lost, acked_but_gone.is_good()), (1, false));
        let twice = verdict(3, 3, 0, &["a", "b", "c", "c"]);
        assert_eq!((twice.twice, twice.is_good()), (1, false));
        let waiting = verdict(2, 2, 1, &["a", "b"]);
        assert_eq!((waiting.lost, waiting.is_good()), (0, false));
        let mut ledger = verdict(3, 3, 0, &["a", "b", "c"]);
        ledger.ledger.stored = 2;
        assert!(!ledger.is_good());
    }
}
