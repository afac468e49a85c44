//! The part of a scan that lies above the chunks: straight from the log's frames.

use std::ops::{ControlFlow, Range};

use footpath_log::{Log, Record, pages};
use footpath_model::record::{EventView, FrameKind, FrameView, text};

use crate::error::HistoryError;
use crate::stored::{Scan, ScanStats, StoredRow};

/// Gives the wanted events of a range of positions, in log order.
pub(crate) fn scan(
    log: &dyn Log,
    range: Range<u64>,
    scan: &Scan<'_>,
    stats: &mut ScanStats,
    each: &mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, HistoryError> {
    for page in pages(log, range) {
        for record in &page?.records {
            stats.records += 1;
            if one_record(record, scan, stats, each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Gives the control records of a project in a range of positions, in log order: position and JSON.
pub(crate) fn controls(
    log: &dyn Log,
    range: Range<u64>,
    project: u32,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<(), HistoryError> {
    if range.is_empty() {
        return Ok(());
    }
    for page in pages(log, range) {
        for record in &page?.records {
            let Ok(frame) = FrameView::new(&record.payload) else { continue };
            if frame.head.kind == FrameKind::Control && frame.head.project == project {
                each(record.offset, frame.context);
            }
        }
    }
    Ok(())
}

fn one_record(
    record: &Record,
    scan: &Scan<'_>,
    stats: &mut ScanStats,
    each: &mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // A damaged frame was reported when it was counted; a reader goes on.
    let Ok(frame) = FrameView::new(&record.payload) else { return ControlFlow::Continue(()) };
    if frame.head.kind != FrameKind::Events || frame.head.project != scan.project {
        return ControlFlow::Continue(());
    }
    for event in frame.events().filter(|event| wanted(event, scan)) {
        stats.rows += 1;
        each(&StoredRow::of_frame((record.offset, record.append_time_us), &frame, &event))?;
    }
    ControlFlow::Continue(())
}

fn wanted(event: &EventView<'_>, scan: &Scan<'_>) -> bool {
    let head = event.head();
    scan.from_us <= head.time_us
        && head.time_us < scan.to_us
        && scan.actors.is_none_or(|actors| actors.contains(&head.actor_key))
        && scan.names.is_none_or(|names| names.contains(event.name()))
}

impl<'a> StoredRow<'a> {
    /// An event as it lies in the log, in a frame of this position and append time.
    pub fn of_frame((offset, append_us): (u64, i64), frame: &FrameView<'a>, event: &EventView<'a>) -> Self {
        let (head, spans) = (event.head(), event.spans());
        Self {
            offset,
            index: head.index,
            append_us,
            received_us: frame.head.received_us,
            historical: frame.head.historical,
            producer: frame.head.producer,
            head,
            name: text(spans.name),
            anonymous_id: text(spans.anonymous_id),
            user_id: text(spans.user_id),
            session_id: text(spans.session_id),
            properties: spans.properties,
            changes: spans.changes,
            context: frame.context,
        }
    }
}
