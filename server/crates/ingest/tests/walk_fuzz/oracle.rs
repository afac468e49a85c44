//! The oracle: what the walk accepts, prost decodes to the same values.

use footpath_ingest::limits::Limits;
use footpath_ingest::privacy::MaskPolicy;
use footpath_ingest::walk::{Entry, WalkContext, Walked, walk_batch};
use footpath_model::context::{Environment, environment};
use footpath_model::id::{EventId, actor_key};
use footpath_model::props::properties;
use footpath_model::record::{EventView, FrameHead, FrameKind, FrameView, build_frame};
use footpath_proto::v1 as pb;
use prost::Message as _;

/// Time of receipt.
pub const NOW: i64 = 1_700_000_000_000_000;

/// What became of an input that the oracle agreed with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Whether the batch was taken.
    pub taken: bool,
    /// Events that became records.
    pub accepted: usize,
    /// Events that were refused.
    pub refused: usize,
}

/// A value of a kind.
pub fn value(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
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

/// Every accepted event must equal what prost decodes, masking and kindless values apart.
pub fn compare(bytes: &[u8]) -> Found {
    let limits = Limits::default();
    let nothing = MaskPolicy { cards: false, ibans: false };
    let ctx = WalkContext {
        project_id: "shop",
        environment: Environment::Dev,
        received_us: NOW,
        limits: &limits,
        mask: nothing,
        clocks: None,
    };
    let Ok(walked) = walk_batch(bytes, &ctx, &mut || EventId([7; 16])) else { return Found::default() };
    assert_eq!(environment(&walked.context), "dev", "whatever was sent");
    assert_eq!(walked.entries.len() + walked.refused.len(), walked.events_total as usize);
    let spans = footpath_model::wire::Fields::new(bytes).flatten().filter(|field| field.number == 7);
    let events: Vec<_> = spans.map(|field| field.bytes().unwrap()).collect();
    assert_eq!(events.len(), walked.events_total as usize);
    for entry in &walked.entries {
        let sent = pb::Event::decode(events[entry.index as usize]).expect("prost takes what the walk takes");
        view(&walked, entry, |event| same(&sent, event));
    }
    if walked.refused.is_empty() {
        let request = pb::IngestRequest::decode(bytes).expect("prost takes what the walk takes");
        assert_eq!(request.batch_id, walked.batch_id);
        assert_eq!(request.clock_era, walked.clock_era);
        assert!(["", "shop"].contains(&&*request.project));
        assert_eq!(request.historical, walked.historical);
        assert_eq!(request.context.unwrap_or_default(), pb::Context::decode(&walked.context[..]).unwrap());
        assert_eq!(request.losses.len(), walked.losses.len());
        assert_eq!(request.privacy_requests.len(), walked.privacy_requests.len());
    }
    Found { taken: true, accepted: walked.entries.len(), refused: walked.refused.len() }
}

fn same(sent: &pb::Event, event: EventView<'_>) {
    let (head, spans) = (event.head(), event.spans());
    assert_eq!(sent.name.as_bytes(), spans.name);
    assert_eq!(sent.user_id.as_bytes(), spans.user_id);
    assert_eq!(sent.anonymous_id.as_bytes(), spans.anonymous_id);
    assert_eq!(sent.session_id.as_bytes(), spans.session_id);
    assert_eq!(sent.number, head.number);
    let actor = if sent.user_id.is_empty() { &sent.anonymous_id } else { &sent.user_id };
    assert_eq!(actor_key("shop", actor.as_bytes()), head.actor_key);
    if let Some(time) = &sent.time {
        assert_eq!(head.raw_time_us, time.seconds * 1_000_000 + i64::from(time.nanos) / 1000);
    }
    if !sent.raw_id.is_empty() {
        assert_eq!(sent.raw_id, head.id.0);
    }
    let typed = pb::Event::decode(spans.properties).unwrap().properties;
    if sent.plain_properties.is_none() {
        assert_eq!(full(&sent.properties), typed);
    }
    let lazily: Vec<_> = properties(spans.properties).map(|(key, _)| key.to_owned()).collect();
    assert_eq!(lazily.len(), typed.len());
    let mut changes = pb::Event::decode(spans.changes).unwrap();
    let mut wanted = (sent.person.clone(), sent.groups.clone());
    tidy(&mut wanted);
    let mut found = (changes.person.take(), changes.groups);
    tidy(&mut found);
    assert_eq!(wanted, found);
}

fn tidy((person, groups): &mut (Option<pb::PropertyChanges>, Vec<pb::GroupChange>)) {
    for changes in person.iter_mut().chain(groups.iter_mut().filter_map(|group| group.changes.as_mut())) {
        changes.set = full(&changes.set);
        changes.set_once = full(&changes.set_once);
    }
}

type Values = std::collections::HashMap<String, pb::Value>;

/// Without values that have no kind, which records leave out.
fn full(values: &Values) -> Values {
    values.iter().filter_map(|(key, value)| Some((key.clone(), full_value(value)?))).collect()
}

fn full_value(found: &pb::Value) -> Option<pb::Value> {
    use pb::value::Kind;
    Some(value(match found.kind.clone()? {
        Kind::ListValue(list) => {
            Kind::ListValue(pb::ListValue { values: list.values.iter().filter_map(full_value).collect() })
        }
        Kind::MapValue(map) => Kind::MapValue(pb::MapValue { values: full(&map.values) }),
        other => other,
    }))
}
