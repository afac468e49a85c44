use footpath_model::id::{actor_key, lane};
use footpath_model::props::{Value as Prop, properties};
use footpath_model::record::{EventView, FrameHead, FrameKind, FrameView, TimeRule, build_frame};
use footpath_model::wire::put_bytes;
use footpath_proto::v1 as pb;
use prost::Message;

use super::*;

mod context;
mod rules;

const NOW: i64 = 1_700_000_000_000_000;
const INSTALL: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn walk(bytes: &[u8]) -> Result<Walked, BatchError> {
    walk_with(bytes, &Limits::default(), None)
}

fn walk_with(bytes: &[u8], limits: &Limits, clocks: Option<&ClockOffsets>) -> Result<Walked, BatchError> {
    let mask = MaskPolicy::default();
    let environment = Environment::Prod;
    let ctx = WalkContext { project_id: "shop", environment, received_us: NOW, limits, mask, clocks };
    let mut next = 0_u8;
    walk_batch(bytes, &ctx, &mut || {
        next += 1;
        EventId([next; 16])
    })
}

fn event() -> pb::Event {
    pb::Event { name: "open".into(), anonymous_id: "a".into(), ..Default::default() }
}

fn batch(events: Vec<pb::Event>) -> pb::IngestRequest {
    pb::IngestRequest { batch_id: "b1".into(), events, ..Default::default() }
}

/// A batch of events given as bytes.
fn raw_batch(events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, b"b1");
    for event in events {
        put_bytes(&mut out, 7, event);
    }
    out
}

fn view(walked: &Walked, entry: &Entry, check: impl FnOnce(EventView<'_>)) {
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: false,
        project: 1,
        received_us: NOW,
        producer: walked.producer,
    };
    let frame = build_frame(&head, &walked.context, &[], 1, std::iter::once(walked.record(entry)));
    check(FrameView::new(&frame).unwrap().events().next().unwrap());
}

/// The reason for refusing the second of three events; its neighbours must be taken.
fn reason_of(bytes: Vec<u8>) -> Reason {
    let good = event().encode_to_vec();
    let walked = walk(&raw_batch(&[good.clone(), bytes, good])).unwrap();
    assert_eq!(walked.entries.iter().map(|e| e.index).collect::<Vec<_>>(), [0, 2], "neighbours");
    assert_eq!(walked.refused.len(), 1);
    assert_eq!(walked.refused[0].index, 1);
    assert_eq!(walked.events_total, 3);
    walked.refused[0].reason
}

fn refused(change: impl FnOnce(&mut pb::Event)) -> Reason {
    let mut event = event();
    change(&mut event);
    reason_of(event.encode_to_vec())
}

fn value(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn plain(pairs: Vec<(&str, prost_types::value::Kind)>) -> prost_types::Struct {
    let fields = pairs.into_iter().map(|(k, kind)| (k.to_owned(), prost_types::Value { kind: Some(kind) }));
    prost_types::Struct { fields: fields.collect() }
}
