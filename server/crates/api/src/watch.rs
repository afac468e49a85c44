//! Numbers on a watch: whole at first, then what changed.

mod active;
mod funnel;
mod metric;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use footpath_live::{Next, Progress, Refused, Shown, Standing, is_of_events};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::sync::watch;
use tonic::Status;

use crate::context::Context;
use crate::cursor::{Cursor, Scope};
use crate::live::{WatchState, watermark};
use crate::status::invalid;

pub use active::ActiveWatch;
pub use funnel::FunnelWatch;
pub use metric::MetricWatch;
pub use sessions::SessionWatch;

/// How long a first snapshot waits for what was acknowledged before it was asked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The least time between two messages, as it was asked for.
///
/// # Errors
/// If it is out of bounds.
pub fn interval(asked_ms: u32) -> Result<Duration, Status> {
    match asked_ms {
        0 => Ok(Duration::from_millis(100)),
        20..=1000 => Ok(Duration::from_millis(u64::from(asked_ms))),
        _ => Err(invalid(
            "interval_invalid",
            "subscriptions: interval_ms is 20 to 1,000; leave it out for 100",
        )),
    }
}

/// Why a subscription ended: the stable reason, and a text for people.
type Ended = (&'static str, &'static str);

/// A view on demand that the live path does not know: it always does, or makes it.
const UNKNOWN: Ended = ("not_followed", "the live path does not follow this");

/// What the live path refuses.
fn refused(refused: Refused, unknown: Ended) -> Ended {
    let full =
        "the project has as many different watches of metrics, sessions and zones open as it may; end some";
    match refused {
        Refused::Unknown => unknown,
        Refused::TooMany => ("limit_reached", full),
    }
}

/// Sessions and active persons are not followed where the filter for internal traffic reads more than events.
fn can_follow(watch: &StateWatch<'_>) -> Result<(), Ended> {
    let settings = crate::settings::of(&*watch.context.store, &watch.state.project_row().id);
    let internal = settings.ok().and_then(|settings| settings.internal);
    let what = "the filter for internal traffic reads properties of persons or groups: sessions and active \
                persons are not followed then; ask ListSessions and QueryMetric";
    let simple = internal.as_ref().is_none_or(is_of_events);
    if simple { Ok(()) } else { Err(("not_followed", what)) }
}

/// Something whose numbers are told.
pub trait Told: Sync {
    /// Where the numbers are; `again` after they were there and went away.
    fn open(&self, watch: &StateWatch<'_>, again: bool) -> Result<watch::Receiver<Arc<Shown>>, Ended>;
    /// What a subscriber has to hear that knows `last`; nothing if no number changed.
    fn message(&self, watch: &StateWatch<'_>, last: Option<&Shown>, now: &Shown) -> Option<Message>;
}

/// One subscription to numbers.
pub struct StateWatch<'a> {
    /// What the services share.
    pub context: &'a Arc<Context>,
    /// The watch.
    pub state: &'a WatchState,
    /// The subscription's id.
    pub id: &'a str,
    /// What its cursors are for.
    pub scope: &'a Scope,
}

impl StateWatch<'_> {
    /// Sends the numbers: whole at first, then what changed, at most once per interval, the first change at once. The
    /// first snapshot holds all that is stored now, and so what any cursor has seen.
    pub async fn follow(&self, told: &dyn Told, interval: Duration) {
        // What was defined a moment ago is in the log already, but the live path may not have read it yet.
        let wanted = self.context.log.durable_end();
        let mut progress = self.context.hub.complete();
        let caught_up = progress.wait_for(|progress| progress.position >= wanted);
        let _ = tokio::time::timeout(PATIENCE, caught_up).await; // Behind, it shows how far it is.
        let mut again = false;
        loop {
            if again {
                // Why the numbers went away is in the store a moment later.
                let last = self.context.log.durable_end().saturating_sub(1);
                let _ = self.context.projection.reached(last).await;
            }
            let mut cell = match told.open(self, again) {
                Ok(cell) => cell,
                Err((reason, message)) => return self.state.end(self.id, reason, message).await,
            };
            if !self.tell(told, &progress, &mut cell, interval).await {
                return;
            }
            again = true;
        }
    }

    /// Tells what comes; false when the reader is gone, true when the numbers are.
    async fn tell(
        &self,
        told: &dyn Told,
        progress: &watch::Receiver<Progress>,
        cell: &mut watch::Receiver<Arc<Shown>>,
        interval: Duration,
    ) -> bool {
        let mut last: Option<Arc<Shown>> = None;
        loop {
            let now = newest(progress, cell);
            if let Some(message) = told.message(self, last.as_deref(), &now) {
                if !self.state.send(message).await {
                    return false;
                }
                let was_told = last.replace(now).is_some();
                if was_told {
                    tokio::time::sleep(interval).await;
                }
            }
            if cell.changed().await.is_err() {
                return true;
            }
        }
    }

    fn watermark(&self, shown: &Shown) -> v1::Watermark {
        watermark(self.context, self.state.project(), shown.standing.at)
    }

    fn cursor(&self, shown: &Shown) -> String {
        let at = Cursor { offset: shown.standing.at.position, ..Cursor::default() };
        self.context.cursors.seal(self.scope, shown.standing.version, at)
    }
}

/// Whether a subscriber has to be told everything anew: another definition, or another state of it.
fn is_other(was: &Standing, is: &Standing) -> bool {
    was.version != is.version || was.live != is.live || was.percent != is.percent || was.next != is.next
}

fn next(standing: &Standing) -> Option<v1::NextVersion> {
    standing.next.map(|Next { version, percent }| v1::NextVersion { version, backfill_percent: percent })
}

fn state(standing: &Standing) -> i32 {
    if standing.live { v1::DefinitionState::Live.into() } else { v1::DefinitionState::Backfilling.into() }
}

/// The numbers, and how complete they are by now: a cell that did not change keeps its old position, while the live path
/// went on; unless it is behind, as a definition can be that has just joined, whatever had been complete before it
/// did. The live path publishes cells first and its progress last, so what it had reached before the cell is read is in it.
fn newest(progress: &watch::Receiver<Progress>, cell: &mut watch::Receiver<Arc<Shown>>) -> Arc<Shown> {
    let reached = *progress.borrow();
    let mut shown = Arc::clone(&cell.borrow_and_update());
    let goes_along = shown.standing.live && !shown.standing.behind;
    if goes_along && shown.standing.at.position < reached.position {
        let at = &mut Arc::make_mut(&mut shown).standing.at;
        at.position = reached.position;
        at.processed_us = at.processed_us.max(reached.processed_us);
    }
    shown
}

#[cfg(test)]
mod tests {
    use footpath_live::Numbers;

    use super::*;

    #[test]
    fn numbers_that_are_behind_do_not_go_along() {
        let at = |position| Progress { position, processed_us: 0 };
        let seen = |live, behind| {
            let standing = Standing { at: at(5), live, behind, ..Standing::default() };
            let (_progress, complete) = watch::channel(at(9));
            let (_shown, mut cell) = watch::channel(Arc::new(Shown { standing, numbers: Numbers::None }));
            newest(&complete, &mut cell).standing.at.position
        };
        assert_eq!((seen(true, false), seen(true, true), seen(false, false)), (9, 5, 5));
    }
}
