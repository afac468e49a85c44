//! The event tail: first what is stored after the cursor, then what comes.

use std::sync::Arc;

use footpath_history::StoredRow;
use footpath_live::TailFrame;
use footpath_log::{Log, LogError, Record};
use footpath_model::record::{FrameView, text};
use footpath_proto::v1;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::context::Context;
use crate::convert::stored_event;
use crate::cursor::{Cursor, Kind, Opened, Scope};
use crate::live::WatchState;

/// Bytes read from the log at a time when a tail catches up.
const READ_BYTES: usize = 1 << 20;
/// Events in one message.
const PAGE: usize = 500;

/// What a cursor of this tail is good for.
pub fn scope(project: u32, target: &v1::EventSubscription) -> Scope {
    let mut names: Vec<_> = target.names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.insert(0, &target.actor);
    Scope::new(Kind::Events, project, &names)
}

/// One tail.
struct Tail<'a> {
    context: &'a Context,
    state: &'a WatchState,
    id: &'a str,
    target: &'a v1::EventSubscription,
    scope: &'a Scope,
    next: Cursor,
}

/// Follows a project's events until the reader is gone.
pub async fn follow_events(
    context: &Arc<Context>,
    state: &WatchState,
    id: &str,
    target: &v1::EventSubscription,
    scope: &Scope,
    from: Option<Opened<Cursor>>,
) {
    let frames = context.hub.tail(); // Before the position is read, so that nothing falls between.
    // Not the live path's position: that may be far behind, and lets a new tail begin in the past.
    let now = Cursor { offset: context.log.durable_end(), ..Cursor::default() };
    let next = match from {
        Some(cursor) if cursor.other_log || is_elsewhere(context, cursor.at).await => {
            // How many were left out cannot be known: positions of another log mean nothing in this one.
            if !state.send_gap(id, "other_log", 0).await {
                return;
            }
            now
        }
        Some(cursor) => cursor.at,
        None => now,
    };
    let mut tail = Tail { context, state, id, target, scope, next };
    if tail.follow(frames).await.is_err() {
        state.end(id, "storage_failed", "stored events cannot be read; the server's log says why").await;
    }
}

/// Whether a cursor is of a history that is gone. Where the log cannot be read, the tail will say so.
async fn is_elsewhere(context: &Arc<Context>, at: Cursor) -> bool {
    let log = Arc::clone(&context.log);
    let found = crate::query::blocking(move || at.is_elsewhere(log.as_ref())).await;
    found.is_ok_and(|found| found.unwrap_or_default())
}

impl Tail<'_> {
    async fn follow(&mut self, mut frames: Receiver<Arc<TailFrame>>) -> Result<(), LogError> {
        if !self.catch_up().await? {
            return Ok(());
        }
        loop {
            let goes_on = match frames.recv().await {
                Ok(frame) if frame.offset < self.next.offset => true,
                Ok(frame) => self.send_frame(&frame).await,
                // Too slow for the tail in memory; the log still has what was dropped.
                Err(RecvError::Lagged(_)) => self.catch_up().await?,
                Err(RecvError::Closed) => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Sends what is in the log from `next` on; false when the reader is gone.
    async fn catch_up(&mut self) -> Result<bool, LogError> {
        loop {
            let (log, from) = (Arc::clone(&self.context.log), self.next.offset);
            let read = crate::query::blocking(move || read_page(log.as_ref(), from)).await;
            let failed = |status: tonic::Status| Err(LogError::Failed(status.message().to_owned()));
            let page = match read.unwrap_or_else(failed) {
                Ok(page) => page,
                Err(LogError::Trimmed { first }) => {
                    if !self.state.send_gap(self.id, "trimmed", first - self.next.offset).await {
                        return Ok(false);
                    }
                    self.next = Cursor { offset: first, ..Cursor::default() };
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "a tail cannot read the log");
                    return Err(error);
                }
            };
            if page.end == from {
                return Ok(true);
            }
            for frame in &page.frames {
                if !self.send_frame(frame).await {
                    return Ok(false);
                }
            }
            // Frames that cannot be read are passed, too, or the next page would be this one again.
            if self.next.offset < page.end {
                self.next = Cursor { offset: page.end, ..Cursor::default() };
            }
        }
    }

    async fn send_frame(&mut self, frame: &TailFrame) -> bool {
        let wanted = frame.project == self.state.project();
        let events = if wanted { self.wanted(frame) } else { Vec::new() };
        let read_us = frame.append_us;
        let after = Cursor { offset: frame.offset + 1, index: 0, read_us };
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let page: Vec<_> = events.by_ref().take(PAGE).collect();
            let last = page.last().map_or(0, |e| e.index + 1);
            let more = events.peek().is_some();
            let at = if more { Cursor { offset: frame.offset, index: last, read_us } } else { after };
            let cursor = self.context.cursors.seal(self.scope, 0, at);
            if !self.state.send_events(self.id, page, cursor).await {
                return false;
            }
        }
        self.next = after;
        true
    }

    /// The events of one frame that the subscription wants, from `next` on.
    fn wanted(&self, frame: &TailFrame) -> Vec<v1::StoredEvent> {
        let Ok(view) = FrameView::new(&frame.frame) else { return Vec::new() };
        let after = |index: u32| frame.offset > self.next.offset || index >= self.next.index;
        let events = view.events().filter(|event| {
            let spans = event.spans();
            let named = self.target.names.is_empty() || self.target.names.iter().any(|n| n == event.name());
            let actor = if spans.user_id.is_empty() { spans.anonymous_id } else { spans.user_id };
            let acted = self.target.actor.is_empty() || self.target.actor == text(actor);
            named && acted && after(event.head().index)
        });
        let at = (frame.offset, frame.append_us);
        events.map(|event| stored_event(&StoredRow::of_frame(at, &view, &event))).collect()
    }
}

/// What the log holds from a position on.
struct Page {
    /// Without those that cannot be read.
    frames: Vec<TailFrame>,
    /// The position behind it; where it began if the log has no more.
    end: u64,
}

fn read_page(log: &dyn Log, from: u64) -> Result<Page, LogError> {
    let records = log.read(from, READ_BYTES)?;
    let frame = |record: &Record| {
        let view = FrameView::new(&record.payload).ok()?;
        Some(TailFrame {
            offset: record.offset,
            append_us: record.append_time_us,
            project: view.head.project,
            frame: record.payload.clone(),
        })
    };
    let end = records.last().map_or(from, |last| last.offset + 1);
    Ok(Page { frames: records.iter().filter_map(frame).collect(), end })
}

#[cfg(test)]
mod tests {
    use footpath_log::{Entry, MemoryLog};
    use footpath_model::record::control_frame;

    use super::*;

    #[test]
    fn a_frame_that_cannot_be_read_is_passed() {
        let log = MemoryLog::default();
        let good = control_frame(1, 0, b"{}");
        for payload in [vec![1, 2, 3], good, vec![1, 2, 3]] {
            log.append_group(&[Entry { append_time_us: 0, payload: payload.into() }]).unwrap();
        }
        let page = read_page(&log, 0).unwrap();
        assert_eq!((page.frames.len(), page.frames[0].offset, page.end), (1, 1, 3));
        let only_bad = read_page(&log, 2).unwrap();
        assert_eq!((only_bad.frames.len(), only_bad.end), (0, 3));
        assert_eq!(read_page(&log, 3).unwrap().end, 3);
    }
}
