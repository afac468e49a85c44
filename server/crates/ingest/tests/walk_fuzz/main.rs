//! What the walk accepts, prost decodes to the same values; nothing makes it panic. `examples/fuzz_walk.rs` runs the
//! seeded part for as long as you like.

#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

mod bad;
mod mutate;
mod oracle;

use footpath_ingest::limits::Limits;
use footpath_ingest::privacy::MaskPolicy;
use footpath_ingest::walk::{BatchError, Reason, WalkContext, Walked, walk_batch};
use footpath_model::context::Environment;
use footpath_model::id::EventId;
use footpath_model::wire::put_bytes;
use footpath_proto::v1 as pb;
use oracle::{NOW, compare, value};
use proptest::prelude::*;
use prost::Message as _;

fn walk_with(bytes: &[u8], limits: &Limits) -> Result<Walked, BatchError> {
    let mask = MaskPolicy::default();
    let environment = Environment::Prod;
    let ctx = WalkContext { project_id: "shop", environment, received_us: NOW, limits, mask, clocks: None };
    walk_batch(bytes, &ctx, &mut || EventId([7; 16]))
}

fn walk(bytes: &[u8]) -> Result<Walked, BatchError> {
    walk_with(bytes, &Limits::default())
}

fn batch(events: Vec<pb::Event>) -> pb::IngestRequest {
    pb::IngestRequest { batch_id: "b1".into(), events, ..Default::default() }
}

/// A batch of events given as bytes.
fn raw_batch(events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, b"b1");
    events.iter().for_each(|event| put_bytes(&mut out, 7, event));
    out
}

fn kind() -> impl Strategy<Value = pb::Value> {
    use pb::value::Kind;
    let money = ("[A-Z]{3}", 0..100_i64, 0..1_000_000_000).prop_map(|(currency, units, nanos)| pb::Money {
        currency,
        units,
        nanos,
    });
    let leaf = prop_oneof![
        "\\PC{0,20}".prop_map(Kind::StringValue),
        any::<i64>().prop_map(Kind::IntValue),
        (-1e300..1e300).prop_map(Kind::DoubleValue),
        "-?[0-9]{1,6}(\\.[0-9]{1,4})?".prop_map(Kind::DecimalValue),
        money.prop_map(Kind::MoneyValue),
        any::<bool>().prop_map(Kind::BoolValue),
        (0..4_000_000_000_i64)
            .prop_map(|seconds| Kind::TimeValue(prost_types::Timestamp { seconds, nanos: 5000 })),
    ]
    .prop_map(value);
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| value(Kind::ListValue(pb::ListValue { values }))),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..4)
                .prop_map(|values| value(Kind::MapValue(pb::MapValue { values }))),
        ]
    })
}

prop_compose! {
    fn any_event()(
        name in "[a-z_][a-z_$]{0,11}", user in "\\PC{0,10}", anonymous in "\\PC{1,10}", session in "[a-z0-9-]{0,20}",
        seconds in prop::option::of(0..4_102_444_800_i64), id in prop::option::of(1_u128..),
        properties in prop::collection::hash_map("\\PC{1,8}", kind(), 0..5),
        set in prop::collection::hash_map("[a-z]{1,4}", kind(), 0..3),
        add in prop::collection::hash_map("[a-z]{1,4}", -1e9..1e9, 0..3),
    ) -> pb::Event {
        pb::Event {
            raw_id: id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
            name,
            user_id: user,
            anonymous_id: anonymous,
            session_id: session,
            time: seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 1_000 }),
            properties,
            person: Some(pb::PropertyChanges { set, add, ..Default::default() }),
            ..Default::default()
        }
    }
}

fn any_batch() -> impl Strategy<Value = Vec<u8>> {
    let context =
        pb::Context { os: "ios".into(), campaign: Some(pb::Campaign::default()), ..Default::default() };
    prop::collection::vec(any_event(), 0..5).prop_map(move |events| {
        pb::IngestRequest { context: Some(context.clone()), ..batch(events) }.encode_to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn valid_batches_are_taken_whole(bytes in any_batch()) {
        prop_assert_eq!(walk(&bytes).unwrap().refused, []);
        compare(&bytes);
    }

    #[test]
    fn mutated_batches_mean_the_same_or_are_refused(
        mut bytes in any_batch(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..6),
    ) {
        for (index, byte, how) in changes {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        compare(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, event: Vec<u8>) {
        compare(&bytes);
        compare(&raw_batch(&[event]));
    }
}

#[test]
fn structured_mutations_mean_the_same_or_are_refused() {
    let first = std::env::var("FOOTPATH_FIRST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut taken = [0_u32; 3];
    for seed in first..first + 4_000 {
        let found = compare(&mutate::batch(seed));
        taken[0] += u32::from(found.taken);
        taken[1] += u32::from(found.accepted > 0);
        taken[2] += u32::from(found.refused > 0);
    }
    assert!(taken.iter().all(|&count| count > 400), "the inputs are too broken or too good: {taken:?}");
}

#[test]
fn every_truncation_of_a_batch_is_judged() {
    let whole = mutate::valid(1).encode_to_vec();
    for len in 0..whole.len() {
        compare(&whole[..len]);
    }
    assert!(compare(&whole).accepted > 0);
}

#[test]
fn ten_thousand_bad_events_among_good_ones_are_refused_one_by_one() {
    let good = pb::Event { name: "open".into(), anonymous_id: "a".into(), ..Default::default() };
    let mut events = Vec::new();
    for seed in 0..10_000 {
        events.push(good.encode_to_vec());
        events.push(bad::event(seed));
    }
    let limits = Limits { batch_bytes: 64 << 20, batch_events: 20_000, ..Limits::default() };
    let walked = walk_with(&raw_batch(&events), &limits).unwrap();
    assert!(walked.entries.iter().map(|entry| entry.index).eq((0..20_000).step_by(2)));
    assert!(walked.refused.iter().map(|refusal| refusal.index).eq((1..20_000).step_by(2)));
    let mut reasons: Vec<Reason> = walked.refused.iter().map(|refusal| refusal.reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert!(reasons.len() >= 8, "{reasons:?}");
    let written: usize = walked.records.len() - walked.room;
    assert!(written < 10_000 * 200, "memory follows what is taken, not what is sent: {written}");
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let limits = Limits::default();
    let huge = vec![0x3a; limits.batch_bytes + 1];
    assert!(matches!(walk(&huge), Err(BatchError::TooLarge { .. })));
    let many = raw_batch(&vec![Vec::new(); limits.batch_events + 1]);
    assert!(matches!(walk(&many), Err(BatchError::TooMany { .. })));
    let wishes = |count: usize| {
        let wish = pb::PrivacyRequest {
            id: "018bcfe5-687b-7cc9-b0f3-6d4d0c3a1f10".into(),
            kind: 1,
            actor: "u".into(),
        };
        pb::IngestRequest { privacy_requests: vec![wish; count], ..Default::default() }.encode_to_vec()
    };
    assert_eq!(
        walk(&wishes(limits.privacy_requests)).unwrap().privacy_requests.len(),
        limits.privacy_requests
    );
    let refused = walk(&wishes(limits.privacy_requests + 1));
    assert!(matches!(refused, Err(BatchError::TooManyWishes { .. })), "{refused:?}");
    let mut length = vec![0x3a];
    length.extend([0xff; 9]);
    length.push(1);
    assert!(matches!(walk(&length), Err(BatchError::Framing(_))), "a length of 2^64 allocates nothing");
}
