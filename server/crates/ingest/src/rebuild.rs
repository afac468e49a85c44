//! An event record as the encoded event it came from, near enough to be shown.

use bytes::Bytes;
use footpath_model::id::Producer;
use footpath_model::record::{FrameHead, FrameKind, FrameView, build_frame};
use footpath_model::wire::{put_bytes, put_uint};

/// The encoded `footpath.v1.Event` of a record.
pub(crate) fn event(record: &[u8]) -> Bytes {
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: false,
        project: 0,
        received_us: 0,
        producer: Producer::default(),
    };
    let frame = build_frame(&head, &[], &[], 1, std::iter::once(record));
    let view = FrameView::new(&frame).ok().and_then(|frame| frame.events().next());
    let Some(view) = view else { return Bytes::new() };
    let (head, spans) = (view.head(), view.spans());
    let mut out = Vec::with_capacity(record.len());
    put_bytes(&mut out, 2, &head.id.0);
    let texts = [(3, spans.name), (5, spans.anonymous_id), (6, spans.user_id), (7, spans.session_id)];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        put_bytes(&mut out, field, text);
    }
    for (field, number) in [(8, u64::from(head.class)), (9, u64::from(head.lane)), (10, head.number)] {
        put_uint(&mut out, field, number);
    }
    out.extend_from_slice(spans.properties);
    out.extend_from_slice(spans.changes);
    out.into()
}
