//! What the walk accepts, prost decodes to the same values; nothing makes it panic.

use proptest::prelude::*;

use super::*;

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
        name in "[a-z_$]{1,12}", user in "\\PC{0,10}", anonymous in "\\PC{1,10}", session in "[a-z0-9-]{0,20}",
        seconds in prop::option::of(0..4_102_444_800_i64), id in prop::option::of(1_u128..),
        properties in prop::collection::hash_map("\\PC{1,8}", kind(), 0..5),
        set in prop::collection::hash_map("[a-z]{1,4}", kind(), 0..3),
        add in prop::collection::hash_map("[a-z]{1,4}", -1e9..1e9, 0..3),
    ) -> pb::Event {
        pb::Event {
            id_bytes: id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
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

/// Every accepted event must equal what prost decodes, masking and kindless values apart.
fn compare(bytes: &[u8]) {
    let limits = Limits::default();
    let nothing = MaskPolicy { cards: false, ibans: false };
    let ctx =
        WalkContext { project_id: "shop", received_us: NOW, limits: &limits, mask: nothing, clocks: None };
    let Ok(walked) = walk_batch(bytes, &ctx, &mut || EventId([7; 16])) else { return };
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
        assert_eq!(request.historical, walked.historical);
        assert_eq!(request.context.unwrap_or_default(), pb::Context::decode(&walked.context[..]).unwrap());
    }
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
    if !sent.id_bytes.is_empty() {
        assert_eq!(sent.id_bytes, head.id.0);
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
