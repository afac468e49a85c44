//! What has to hold when nothing is under way: the disk, the ledger, stored and live numbers, against the books.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};

use super::api::{Api, Ledger, Numbers};
use super::funnels::{Funnels, Spec};
use super::link::Link;

/// The ledger is a projection and comes a moment later.
const LEDGER: Duration = Duration::from_secs(30);
/// Between two looks at it.
const AGAIN: Duration = Duration::from_millis(50);

/// Compares everything.
///
/// # Errors
/// The first violation, naming the event or the number.
pub async fn everything(api: &Api, link: &Link, funnels: &Funnels) -> anyhow::Result<()> {
    let events = api.events().await?;
    link.books().compare(&events, true)?;
    ledger(api, link, events.len() as u64).await?;
    definitions(api, funnels).await?;
    for (id, spec) in &funnels.known {
        funnel(api, link, id, spec).await.with_context(|| format!("funnel {id}: {spec:?}"))?;
    }
    if let Some(id) = funnels.deleted.as_ref().filter(|id| !funnels.known.contains_key(*id)) {
        ensure!(api.query(id).await?.is_none(), "funnel {id} was deleted and still answers");
    }
    Ok(())
}

/// Compares what a restart found, before anything is sent to it: a batch without an answer may be there or not.
///
/// # Errors
/// The first violation.
pub async fn untouched(api: &Api, link: &Link) -> anyhow::Result<()> {
    let events = api.events().await?;
    link.books().compare(&events, false)?;
    for funnel in api.funnels().await? {
        same_numbers(api, &funnel.id).await.with_context(|| format!("funnel {}", funnel.id))?;
    }
    Ok(())
}

/// Received is the sum of outcomes. What was stored is known exactly; an attempt without an answer may have become
/// anything, once.
async fn ledger(api: &Api, link: &Link, stored: u64) -> anyhow::Result<()> {
    let until = Instant::now() + LEDGER;
    let mut ledger = api.ledger().await?;
    while !fits(ledger, link, stored) && Instant::now() < until {
        sleep(AGAIN).await;
        ledger = api.ledger().await?;
    }
    let tally = link.books().tally;
    ensure!(
        fits(ledger, link, stored),
        "{ledger:?} does not fit {stored} stored events and answers {tally:?}"
    );
    Ok(())
}

fn fits(ledger: Ledger, link: &Link, stored: u64) -> bool {
    let tally = link.books().tally;
    let answered = tally.stored + tally.duplicates + tally.refused;
    let received = ledger.stored + ledger.duplicates + ledger.invalid + ledger.other;
    let within = |count: u64, least: u64| (least..=least + tally.unknown).contains(&count);
    ledger.stored == stored
        && within(ledger.stored, tally.stored)
        && within(ledger.duplicates, tally.duplicates)
        && within(ledger.invalid, tally.refused)
        && within(received, answered)
}

/// What is listed is what was confirmed.
async fn definitions(api: &Api, funnels: &Funnels) -> anyhow::Result<()> {
    let listed = api.funnels().await?;
    let mut listed: BTreeMap<_, _> = listed.into_iter().map(|funnel| (funnel.id.clone(), funnel)).collect();
    for (id, spec) in &funnels.known {
        let found = listed.remove(id).with_context(|| format!("funnel {id} was confirmed and is gone"))?;
        let wanted = spec.message(id);
        let same =
            (&found.steps, found.window, &found.range) == (&wanted.steps, wanted.window, &wanted.range);
        ensure!(same, "funnel {id} is {found:?}, confirmed was {wanted:?}");
    }
    ensure!(listed.is_empty(), "funnels that should not be: {:?}", listed.keys());
    Ok(())
}

/// Books = stored = live, at an equal or later position.
async fn funnel(api: &Api, link: &Link, id: &str, spec: &Spec) -> anyhow::Result<()> {
    let counted = spec.count(&link.books());
    let Numbers { reached, expected, .. } = same_numbers(api, id).await?;
    ensure!(reached == counted, "stored events and live give {reached:?}, the books {counted:?}");
    ensure!(expected == 0, "{expected} numbered events are called missing; all were acknowledged");
    Ok(())
}

/// Live at an equal or later position, by the same definition, shows what stored events give.
async fn same_numbers(api: &Api, id: &str) -> anyhow::Result<Numbers> {
    let stored = api.query(id).await?.context("it exists and does not answer")?;
    let live = api.watched(id, stored.position, stored.version).await?;
    let same = (&live.reached, live.version) == (&stored.reached, stored.version);
    ensure!(same, "live shows {live:?}, stored events give {stored:?}");
    Ok(stored)
}
