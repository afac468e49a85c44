//! The event tail: first what is stored after the cursor, then what comes.

use std::sync::Arc;

use footpath_live::TailFrame;
use footpath_log::LogError;
use footpath_model::record::FrameView;
use footpath_proto::v1;

use crate::context::Context;
use crate::cursor::Cursor;
use crate::live::{WatchState, tail_result, wanted_events};

/// Bytes read from the log at a time when a tail catches up.
const READ_BYTES: usize = 1 << 20;
/// Events in one message.
const PAGE: usize = 500;

/// Follows a project's events until the reader is gone.
pub async fn follow_events(
    context: &Arc<Context>,
    state: &WatchState,
    id: &str,
    target: &v1::EventSubscription,
    cursor: Option<Cursor>,
) {
    let mut tail = context.hub.tail(); // Before the position is read, so that nothing falls between.
    let mut next = cursor.unwrap_or(Cursor { offset: context.hub.progress().borrow().position, index: 0 });
    if !catch_up(context, state, id, target, &mut next).await {
        return;
    }
    while let Some(received) = tail_result(tail.recv().await) {
        match received {
            Ok(frame) if frame.offset < next.offset => {}
            Ok(frame) => {
                if !send_frame(state, id, target, &frame, &mut next).await {
                    return;
                }
            }
            Err(_) => {
                // Too slow for the tail in memory; the log still has what was dropped.
                if !catch_up(context, state, id, target, &mut next).await {
                    return;
                }
            }
        }
    }
}

async fn catch_up(
    context: &Context,
    state: &WatchState,
    id: &str,
    target: &v1::EventSubscription,
    next: &mut Cursor,
) -> bool {
    loop {
        let records = match context.log.read(next.offset, READ_BYTES) {
            Ok(records) => records,
            Err(LogError::Trimmed { first }) => {
                if !state.send_gap(id, "trimmed", first - next.offset).await {
                    return false;
                }
                *next = Cursor { offset: first, index: 0 };
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a tail cannot read the log");
                return false;
            }
        };
        if records.is_empty() {
            return true;
        }
        for record in records {
            let Ok(view) = FrameView::new(&record.payload) else { continue };
            let frame = TailFrame {
                offset: record.offset,
                append_us: record.append_time_us,
                project: view.head.project,
                frame: record.payload.clone(),
            };
            if !send_frame(state, id, target, &frame, next).await {
                return false;
            }
        }
    }
}

async fn send_frame(
    state: &WatchState,
    id: &str,
    target: &v1::EventSubscription,
    frame: &TailFrame,
    next: &mut Cursor,
) -> bool {
    let events =
        if frame.project == state.project() { wanted_events(frame, target, *next) } else { Vec::new() };
    let after = Cursor { offset: frame.offset + 1, index: 0 };
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        let page: Vec<_> = events.by_ref().take(PAGE).collect();
        let last = page.last().map_or(0, |e| e.index + 1);
        let at = if events.peek().is_some() { Cursor { offset: frame.offset, index: last } } else { after };
        if !state.send_events(id, page, at).await {
            return false;
        }
    }
    *next = after;
    true
}
