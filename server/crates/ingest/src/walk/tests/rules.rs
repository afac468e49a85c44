//! One test per rule.

use pb::value::Kind;
use prost_types::value::Kind as Plain;

use super::*;

fn with(extra: &[u8]) -> Vec<u8> {
    let mut bytes = event().encode_to_vec();
    bytes.extend_from_slice(extra);
    bytes
}

fn prop(kind: Kind) -> impl FnOnce(&mut pb::Event) {
    move |e| drop(e.properties.insert("k".into(), value(kind)))
}

#[test]
fn framing_is_judged_event_by_event() {
    assert_eq!(reason_of(with(&[0x0a])), Reason::Malformed);
    assert_eq!(reason_of(with(&[0x00, 0x00])), Reason::Malformed);
    assert_eq!(reason_of(with(&[0x0b, 0x0c])), Reason::GroupNotAllowed);
    assert_eq!(reason_of(with(&[0xc3, 0x06, 0xc4, 0x06])), Reason::GroupNotAllowed);
    assert_eq!(reason_of(with(&[0x50, 0x81, 0x00])), Reason::VarintOverLong);
    assert_eq!(reason_of(with(&[0x08, 0x01])), Reason::WireTypeWrong);
    assert_eq!(reason_of(with(&[0x52, 0x00])), Reason::WireTypeWrong);
    assert_eq!(reason_of(with(&[0x1a, 0x01, b'x'])), Reason::FieldTwice);
}

#[test]
fn a_batch_with_broken_framing_is_refused_whole() {
    let mut bytes = batch(vec![event()]).encode_to_vec();
    bytes.push(0x3a);
    assert_eq!(walk(&bytes).unwrap_err().name(), "batch_malformed");
    let mut bytes = batch(vec![event()]).encode_to_vec();
    bytes.extend_from_slice(&[0x0a, 0x01, b'x']);
    assert_eq!(walk(&bytes).unwrap_err().name(), "batch_field_twice");
    assert_eq!(walk(&[0x0a, 0x01, 0xff]).unwrap_err().name(), "batch_utf8_invalid");
    assert_eq!(walk(&[0x08, 0x01]).unwrap_err().name(), "batch_malformed");
    let mut bad = batch(vec![event()]);
    bad.producer = Some(pb::Producer { install_id: "phone".into(), epoch: 1 });
    assert_eq!(walk(&bad.encode_to_vec()).unwrap_err().name(), "batch_field_invalid");
}

#[test]
fn sizes_are_limited() {
    let limits = Limits { batch_events: 2, batch_bytes: 200, ..Limits::default() };
    let three = batch(vec![event(), event(), event()]).encode_to_vec();
    assert_eq!(walk_with(&three, &limits, None).unwrap_err().name(), "too_many_events");
    assert_eq!(walk_with(&[0; 201], &limits, None).unwrap_err().name(), "batch_too_large");
    assert_eq!(refused(prop(Kind::StringValue("x".repeat(33_000)))), Reason::EventTooLarge);
    assert_eq!(refused(|e| e.name = "x".repeat(256)), Reason::NameTooLong);
    assert_eq!(refused(|e| e.user_id = "x".repeat(513)), Reason::ActorTooLong);
    assert_eq!(refused(|e| e.session_id = "x".repeat(513)), Reason::SessionIdTooLong);
    let many = |e: &mut pb::Event| {
        e.properties = (0..250).map(|i| (format!("k{i}"), value(Kind::IntValue(1)))).collect();
        let more =
            (0..7).map(|i| (format!("p{i}"), prost_types::Value { kind: Some(Plain::BoolValue(true)) }));
        e.plain_properties = Some(prost_types::Struct { fields: more.collect() });
    };
    assert_eq!(refused(many), Reason::TooManyProperties);
    let full = |e: &mut pb::Event| {
        e.properties = (0..257).map(|i| (format!("k{i}"), value(Kind::IntValue(1)))).collect();
    };
    assert_eq!(refused(full), Reason::TooManyProperties);
    assert_eq!(refused(|e| e.groups = vec![group(); 6]), Reason::TooManyGroups);
    assert_eq!(refused(|e| e.groups = vec![pb::GroupChange::default()]), Reason::GroupInvalid);
}

fn group() -> pb::GroupChange {
    pb::GroupChange { r#type: "company".into(), id: "c".into(), changes: None }
}

#[test]
fn names_actors_and_ids_are_needed() {
    assert_eq!(refused(|e| e.name.clear()), Reason::NameMissing);
    assert_eq!(refused(|e| e.anonymous_id.clear()), Reason::ActorMissing);
    assert_eq!(refused(|e| e.id = "not-a-uuid".into()), Reason::IdInvalid);
    assert_eq!(refused(|e| e.raw_id = vec![1; 15]), Reason::IdInvalid);
    assert_eq!(refused(|e| e.raw_id = vec![0; 16]), Reason::IdInvalid);
    let both = |e: &mut pb::Event| {
        e.id = INSTALL.into();
        e.raw_id = vec![1; 16];
    };
    assert_eq!(refused(both), Reason::IdTwice);
}

#[test]
fn a_refusal_names_the_event() {
    let mut bad = event();
    bad.id = INSTALL.into();
    bad.name.clear();
    let walked = walk(&batch(vec![bad]).encode_to_vec()).unwrap();
    assert_eq!(walked.refused[0].event_id, EventId::parse(INSTALL.as_bytes()));
    assert_eq!(walked.refused[0].detail, "name");
}

#[test]
fn ids_are_sent_derived_or_assigned() {
    let mut sent = event();
    sent.raw_id = vec![9; 16];
    let mut all = batch(vec![sent, event()]);
    let kinds = |b: &pb::IngestRequest| -> Vec<_> {
        walk(&b.encode_to_vec()).unwrap().entries.iter().map(|e| (e.key.id, e.key.id_kind)).collect()
    };
    let derived = EventId::derived(b"b1", 1);
    assert_eq!(kinds(&all), [(EventId([9; 16]), IdKind::Sent), (derived, IdKind::Derived)]);
    all.batch_id.clear();
    assert_eq!(kinds(&all)[1], (EventId([1; 16]), IdKind::Assigned));
}

#[test]
fn text_is_utf8_everywhere() {
    for field in [3, 5, 6, 7] {
        let mut event = Vec::new();
        for other in [3, 5] {
            if other != field {
                put_bytes(&mut event, other, b"ok");
            }
        }
        put_bytes(&mut event, field, b"\xff");
        assert_eq!(reason_of(event), Reason::Utf8Invalid, "field {field}");
    }
    let bad: [&[u8]; 4] = [
        b"\x5a\x05\x0a\x01\xff\x12\x00",                  // a key
        b"\x5a\x08\x0a\x01k\x12\x03\x0a\x01\xff",         // a value
        b"\x62\x0a\x0a\x08\x0a\x01k\x12\x03\x1a\x01\xff", // a plain value
        b"\x6a\x03\x1a\x01\xff",                          // unset
    ];
    for bytes in bad {
        assert_eq!(reason_of(with(bytes)), Reason::Utf8Invalid, "{bytes:?}");
    }
}

#[test]
fn keys_stand_once() {
    let entry = b"\x5a\x07\x0a\x01k\x12\x02\x10\x01";
    assert_eq!(reason_of(with(&[entry.as_slice(), entry].concat())), Reason::PropertyTwice);
    let both = |e: &mut pb::Event| {
        e.properties.insert("k".into(), value(Kind::BoolValue(true)));
        e.plain_properties = Some(plain(vec![("k", Plain::BoolValue(true))]));
    };
    assert_eq!(refused(both), Reason::PropertyTwice);
    let null = |e: &mut pb::Event| {
        e.properties.insert("k".into(), value(Kind::BoolValue(true)));
        e.plain_properties = Some(plain(vec![("k", Plain::NullValue(0))]));
    };
    assert_eq!(refused(null), Reason::PropertyTwice);
    let inner = b"\x0a\x07\x0a\x01x\x12\x02\x10\x01".as_slice();
    let nested = [b"\x5a\x19\x0a\x01m\x12\x14\x4a\x12".as_slice(), inner, inner].concat();
    assert_eq!(reason_of(with(&nested)), Reason::PropertyTwice);
    let many: Vec<u8> =
        (0..40_u8).flat_map(|i| [0x5a, 7, 0x0a, 1, b'0' + i % 39, 0x12, 2, 0x10, 1]).collect();
    assert_eq!(reason_of(with(&many)), Reason::PropertyTwice);
    // An entry's key or value, and a value's kind, are singular too.
    assert_eq!(reason_of(with(b"\x5a\x06\x0a\x01k\x0a\x01k")), Reason::FieldTwice);
    assert_eq!(reason_of(with(b"\x5a\x09\x0a\x01k\x12\x04\x10\x01\x30\x01")), Reason::FieldTwice);
}

#[test]
fn numbers_are_finite_and_values_sound() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(refused(prop(Kind::DoubleValue(bad))), Reason::NumberNotFinite);
        let plainly =
            |e: &mut pb::Event| e.plain_properties = Some(plain(vec![("k", Plain::NumberValue(bad))]));
        assert_eq!(refused(plainly), Reason::NumberNotFinite);
        let added = |e: &mut pb::Event| {
            let add = [("k".to_owned(), bad)].into();
            e.person = Some(pb::PropertyChanges { add, ..Default::default() });
        };
        assert_eq!(refused(added), Reason::NumberNotFinite);
    }
    for bad in ["", "1.", ".5", "1e5", "abc", "1.2.3", "--1"] {
        assert_eq!(refused(prop(Kind::DecimalValue(bad.into()))), Reason::DecimalInvalid, "{bad}");
    }
    for (currency, units, nanos) in [("EU", 1, 0), ("eur", 1, 0), ("EUR", 1, -1), ("EUR", 0, 1_000_000_000)] {
        let money = pb::Money { currency: currency.into(), units, nanos };
        assert_eq!(refused(prop(Kind::MoneyValue(money))), Reason::MoneyInvalid);
    }
    let late = prost_types::Timestamp { seconds: 253_402_300_800, nanos: 0 };
    assert_eq!(refused(prop(Kind::TimeValue(late))), Reason::TimeValueInvalid);
}

#[test]
fn nesting_is_limited() {
    let list = |inner| Kind::ListValue(pb::ListValue { values: vec![value(inner)] });
    let five = (0..5).fold(Kind::BoolValue(true), |kind, _| list(kind));
    let mut good = event();
    good.properties.insert("k".into(), value(five.clone()));
    assert_eq!(walk(&batch(vec![good]).encode_to_vec()).unwrap().entries.len(), 1);
    assert_eq!(refused(prop(list(five))), Reason::NestedTooDeep);
    let plain_list = |inner| {
        let values = vec![prost_types::Value { kind: Some(inner) }];
        Plain::ListValue(prost_types::ListValue { values })
    };
    let six = (0..6).fold(Plain::BoolValue(true), |kind, _| plain_list(kind));
    assert_eq!(refused(|e| e.plain_properties = Some(plain(vec![("k", six)]))), Reason::NestedTooDeep);
    // So deep that recursion without a limit would overflow the stack.
    let mut deep = vec![0x30, 0x01];
    for _ in 0..4000 {
        let mut outer = Vec::new();
        put_bytes(&mut outer, 1, &deep);
        deep.clear();
        put_bytes(&mut deep, 8, &outer);
    }
    let mut entry = b"\x0a\x01k".to_vec();
    put_bytes(&mut entry, 2, &deep);
    let mut extra = Vec::new();
    put_bytes(&mut extra, 11, &entry);
    assert_eq!(reason_of(with(&extra)), Reason::NestedTooDeep);
}

#[test]
fn times_are_in_range_and_follow_the_rules() {
    let at =
        |seconds, nanos| move |e: &mut pb::Event| e.time = Some(prost_types::Timestamp { seconds, nanos });
    for (seconds, nanos) in
        [(-1, 0), (4_102_444_801, 0), (i64::MIN, 0), (i64::MAX, 0), (5, -1), (5, 1_000_000_000)]
    {
        assert_eq!(refused(at(seconds, nanos)), Reason::TimeOutOfRange, "{seconds} {nanos}");
    }
    let rule = |seconds: Option<i64>, historical| {
        let mut one = event();
        one.time = seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 7000 });
        let mut all = batch(vec![one]);
        all.historical = historical;
        let walked = walk(&all.encode_to_vec()).unwrap();
        let mut found = None;
        view(&walked, &walked.entries[0], |event| {
            found = Some((event.head().time_us, event.head().time_rule))
        });
        found.unwrap()
    };
    assert_eq!(rule(None, false), (NOW, TimeRule::Received));
    assert_eq!(rule(Some(0), false), (7, TimeRule::AsSent));
    assert_eq!(rule(Some(4_000_000_000), false), (NOW, TimeRule::Future));
    assert_eq!(rule(Some(1), true), (1_000_007, TimeRule::AsSent));
    assert_eq!(rule(Some(4_000_000_000), true), (NOW, TimeRule::Future));
}

#[test]
fn a_batch_for_another_project_is_refused_whole() {
    let named = |project: &str| {
        walk(&pb::IngestRequest { project: project.into(), ..batch(vec![event()]) }.encode_to_vec())
    };
    for project in ["", "shop"] {
        assert_eq!(named(project).unwrap().entries.len(), 1);
    }
    assert_eq!(named("shop2"), Err(BatchError::OtherProject { named: "shop2".into() }));
    let twice = [batch(vec![event()]).encode_to_vec(), vec![0x52, 0, 0x52, 0]].concat();
    assert_eq!(walk(&twice), Err(BatchError::FieldTwice(10)));
}

#[test]
fn a_wrong_clock_is_corrected_for_installs_only() {
    let clocks = ClockOffsets::new(10);
    let mut one = event();
    let hour_ago = NOW / 1_000_000 - 3600;
    one.time = Some(prost_types::Timestamp { seconds: hour_ago - 5, nanos: 0 });
    let mut all = batch(vec![one]);
    all.sent_at = Some(prost_types::Timestamp { seconds: hour_ago, nanos: 0 });
    all.clock_era = "era".into();
    let head = |all: &pb::IngestRequest| {
        let walked = walk_with(&all.encode_to_vec(), &Limits::default(), Some(&clocks)).unwrap();
        let mut head = None;
        view(&walked, &walked.entries[0], |event| head = Some(event.head()));
        head.unwrap()
    };
    assert_eq!(head(&all).time_rule, TimeRule::AsSent);
    all.producer = Some(pb::Producer { install_id: INSTALL.into(), epoch: 1 });
    let corrected = head(&all);
    assert_eq!((corrected.time_rule, corrected.time_us), (TimeRule::Corrected, NOW - 5_000_000));
    assert_eq!(corrected.raw_time_us, (hour_ago - 5) * 1_000_000);
    all.historical = true;
    assert_eq!(head(&all).time_rule, TimeRule::AsSent);
}

#[test]
fn numbered_events_name_their_stream() {
    let mine = u32::from(lane(actor_key("shop", b"a")));
    let number = |class, lane, number| {
        move |e: &mut pb::Event| {
            e.delivery_class = class;
            e.lane = lane;
            e.number = number;
        }
    };
    assert_eq!(refused(number(1, Some(mine ^ 1), 1)), Reason::LaneMismatch);
    assert_eq!(refused(number(0, Some(mine + 256), 0)), Reason::LaneMismatch);
    assert_eq!(refused(number(1, None, 1)), Reason::LaneMissing);
    assert_eq!(refused(number(0, Some(mine), 1)), Reason::ClassMissing);
    assert_eq!(refused(number(4, Some(mine), 1)), Reason::DeliveryClassInvalid);
    assert_eq!(refused(number(1, Some(mine), 1)), Reason::ProducerMissing);
    let mut one = event();
    number(2, Some(mine), 77)(&mut one);
    let mut all = batch(vec![one]);
    all.producer = Some(pb::Producer { install_id: INSTALL.into(), epoch: 5 });
    let walked = walk(&all.encode_to_vec()).unwrap();
    let key = walked.entries[0].key;
    assert_eq!((key.class, u32::from(key.lane), key.number), (2, mine, 77));
    assert_eq!(walked.producer.epoch, 5);
}

#[test]
fn unknown_fields_reach_no_record() {
    let secret = b"SECRET-SECRET";
    let unknown = |number| {
        let mut out = Vec::new();
        put_bytes(&mut out, number, secret);
        out
    };
    let mut val = b"\x0a\x05hello".to_vec();
    val.extend(unknown(20));
    let mut entry = b"\x0a\x01k".to_vec();
    put_bytes(&mut entry, 2, &val);
    entry.extend(unknown(3));
    let mut money = b"\x0a\x03EUR\x10\x05".to_vec();
    money.extend(unknown(4));
    let mut val = Vec::new();
    put_bytes(&mut val, 5, &money);
    let mut entry2 = b"\x0a\x01m".to_vec();
    put_bytes(&mut entry2, 2, &val);
    let mut changes = b"\x1a\x03old".to_vec();
    put_bytes(&mut changes, 1, &entry);
    changes.extend(unknown(5));
    let mut group = b"\x0a\x01t\x12\x01i".to_vec();
    put_bytes(&mut group, 3, &changes);
    group.extend(unknown(4));
    let mut one = with(&unknown(100));
    put_bytes(&mut one, 11, &entry);
    put_bytes(&mut one, 13, &changes);
    put_bytes(&mut one, 11, &entry2);
    put_bytes(&mut one, 14, &group);
    let mut bytes = raw_batch(&[one]);
    let mut campaign = b"\x0a\x03ads".to_vec();
    campaign.extend(unknown(6));
    let mut context = b"\x1a\x03ios".to_vec();
    put_bytes(&mut context, 9, &campaign);
    context.extend(unknown(11));
    put_bytes(&mut bytes, 5, &context);
    bytes.extend(unknown(50));
    let walked = walk(&bytes).unwrap();
    assert_eq!(walked.refused, []);
    let find = |hay: &[u8]| hay.windows(secret.len()).any(|w| w == secret);
    assert!(!find(&walked.records) && !find(&walked.context));
    let context = pb::Context::decode(&walked.context[..]).unwrap();
    assert_eq!((context.os.as_str(), context.campaign.unwrap().source.as_str()), ("ios", "ads"));
    view(&walked, &walked.entries[0], |event| {
        let spans = event.spans();
        let found: Vec<_> = properties(spans.properties).collect();
        assert_eq!(found[0], ("k", Prop::String("hello")));
        assert_eq!(found[1], ("m", Prop::Money { currency: "EUR", units: 5, nanos: 0 }));
        let changes = pb::Event::decode(spans.changes).unwrap();
        assert_eq!(changes.person.unwrap().unset, ["old"]);
        assert_eq!(changes.groups[0].changes.as_ref().unwrap().set.len(), 1);
    });
}

#[test]
fn plain_properties_become_typed_ones() {
    let mut one = event();
    one.properties.insert("typed".into(), value(Kind::IntValue(3)));
    let inner = plain(vec![("n", Plain::NumberValue(2.5)), ("gone", Plain::NullValue(0))]);
    let items = [Plain::StringValue("x".into()), Plain::NullValue(0), Plain::BoolValue(false)];
    let values = items.into_iter().map(|kind| prost_types::Value { kind: Some(kind) }).collect();
    one.plain_properties = Some(plain(vec![
        ("map", Plain::StructValue(inner)),
        ("list", Plain::ListValue(prost_types::ListValue { values })),
        ("null", Plain::NullValue(0)),
    ]));
    let walked = walk(&batch(vec![one]).encode_to_vec()).unwrap();
    view(&walked, &walked.entries[0], |event| {
        let mut found: Vec<_> = properties(event.spans().properties).collect();
        found.sort_by_key(|(key, _)| *key);
        let list = Prop::List(vec![Prop::String("x"), Prop::Bool(false)]);
        let map = Prop::Map(vec![("n", Prop::Double(2.5))]);
        assert_eq!(found, [("list", list), ("map", map), ("typed", Prop::Int(3))]);
    });
}

#[test]
fn card_numbers_and_ibans_never_reach_a_record() {
    let card = "4111 1111 1111 1111";
    let text = || value(Kind::StringValue(format!("card {card}")));
    let mut one = event();
    one.properties.insert("s".into(), text());
    one.properties.insert("d".into(), value(Kind::DecimalValue("4111111111111111".into())));
    one.properties.insert("i".into(), value(Kind::IntValue(4_111_111_111_111_111)));
    let map = pb::MapValue { values: [("m".to_owned(), text())].into() };
    let double = value(Kind::DoubleValue(4_111_111_111_111_111.0));
    let list = pb::ListValue { values: vec![text(), double, value(Kind::MapValue(map))] };
    one.properties.insert("l".into(), value(Kind::ListValue(list)));
    let nested = plain(vec![("x", Plain::StringValue("DE89370400440532013000".into()))]);
    one.plain_properties = Some(plain(vec![
        ("p", Plain::StructValue(nested)),
        ("n", Plain::NumberValue(4_111_111_111_111_111.0)),
    ]));
    let changes = pb::PropertyChanges { set_once: [("c".to_owned(), text())].into(), ..Default::default() };
    one.person = Some(changes.clone());
    one.groups = vec![pb::GroupChange { changes: Some(changes), ..group() }];
    let mut all = batch(vec![one]);
    all.context = Some(pb::Context { device_model: card.into(), ..Default::default() });
    let walked = walk(&all.encode_to_vec()).unwrap();
    let text = String::from_utf8_lossy(&walked.records).into_owned();
    assert!(!text.contains("1111") && !text.contains("DE89"));
    let double = 4_111_111_111_111_111_f64.to_le_bytes();
    assert!(!walked.records.windows(8).any(|bytes| bytes == double));
    assert_eq!((text.matches("[card]").count(), text.matches("[iban]").count()), (9, 1));
    assert_eq!(pb::Context::decode(&walked.context[..]).unwrap().device_model, "[card]");
}

#[test]
fn losses_and_wishes_are_read() {
    let mut all = batch(vec![]);
    let loss = pb::LossRange { delivery_class: 3, lane: 7, from: 2, to: 9, reason: "evicted".into() };
    all.losses = vec![loss.clone()];
    assert_eq!(walk(&all.encode_to_vec()).unwrap_err().name(), "batch_field_invalid");
    all.producer = Some(pb::Producer { install_id: INSTALL.into(), epoch: 5 });
    all.privacy_requests = vec![pb::PrivacyRequest { id: INSTALL.into(), kind: 1, actor: "a".into() }];
    let walked = walk(&all.encode_to_vec()).unwrap();
    assert_eq!(walked.losses, [LostRange { class: 3, lane: 7, from: 2, to: 9, reason: "evicted".into() }]);
    assert_eq!(walked.privacy_requests[0].kind, WishKind::Delete);
    all.losses[0].to = 1;
    assert_eq!(walk(&all.encode_to_vec()).unwrap_err().name(), "batch_field_invalid");
}

#[test]
fn ten_thousand_bad_events_harm_no_good_one() {
    let limits = Limits { batch_events: 20_000, ..Limits::default() };
    let good = event().encode_to_vec();
    let bad = [with(&[0x0a]), vec![], with(&[0x0b]), vec![0xff; 20]];
    let events: Vec<_> =
        (0..20_000).map(|i| if i % 2 == 0 { good.clone() } else { bad[i / 2 % 4].clone() }).collect();
    let walked = walk_with(&raw_batch(&events), &limits, None).unwrap();
    assert_eq!((walked.entries.len(), walked.refused.len()), (10_000, 10_000));
    assert!(walked.entries.iter().all(|entry| entry.index % 2 == 0));
    assert!(walked.refused.iter().all(|refusal| refusal.index % 2 == 1));
}

#[test]
fn a_uuid_is_the_same_batch_however_it_is_written() {
    let id = |batch_id: &str| {
        let bytes = pb::IngestRequest { batch_id: batch_id.into(), ..batch(vec![event()]) }.encode_to_vec();
        walk(&bytes).unwrap().entries[0].key.id
    };
    assert_eq!(id(INSTALL), EventId::derived(INSTALL.as_bytes(), 0));
    assert_eq!(id(&INSTALL.to_uppercase()), id(INSTALL));
    assert_eq!(id(&INSTALL.replace('-', "")), id(INSTALL));
    assert_ne!(id("Hello"), id("hello"));
}

#[test]
fn identify_needs_two_ids_that_stand_for_one_person() {
    let identify = |anonymous: &str, user: &str| pb::Event {
        name: "$identify".into(),
        anonymous_id: anonymous.into(),
        user_id: user.into(),
        ..Default::default()
    };
    let reason = |event: pb::Event| reason_of(event.encode_to_vec()).name();
    assert_eq!(reason(identify("", "mia")), "identify_id_missing");
    assert_eq!(reason(identify("a", "")), "identify_id_missing");
    assert_eq!(reason(identify("a", "null")), "identify_id_invalid");
    assert_eq!(reason(identify(" Guest ", "mia")), "identify_id_invalid");
    assert_eq!(reason(pb::Event { name: "$foo".into(), ..event() }), "name_reserved");
    let good = walk(&batch(vec![identify("a", "mia")]).encode_to_vec()).unwrap();
    assert_eq!(good.refused, []);
}

#[test]
fn an_alias_needs_an_actor_and_a_name_that_stand_for_one_person() {
    let alias = |actor: &str, name: Kind| pb::Event {
        name: "$alias".into(),
        user_id: actor.into(),
        properties: [("alias".to_owned(), value(name))].into(),
        ..Default::default()
    };
    let named = |actor: &str, name: &str| alias(actor, Kind::StringValue(name.into()));
    let reason = |event: pb::Event| reason_of(event.encode_to_vec()).name();
    assert_eq!(reason(named("guest", "mia")), "alias_actor_invalid");
    assert_eq!(reason(named("u-1", "null")), "alias_name_invalid");
    assert_eq!(reason(named("u-1", &"n".repeat(5_000))), "alias_name_invalid");
    assert_eq!(reason(alias("u-1", Kind::IntValue(1))), "alias_name_invalid");
    assert_eq!(reason(pb::Event { name: "$alias".into(), ..event() }), "alias_name_invalid");
    let typed = named("u-1", "mia");
    let untyped = pb::Event {
        properties: Default::default(),
        plain_properties: Some(plain(vec![("alias", Plain::StringValue("mia".into()))])),
        ..typed.clone()
    };
    let good = walk(&batch(vec![typed, untyped]).encode_to_vec()).unwrap();
    assert_eq!(good.refused, []);
}

#[test]
fn a_property_has_a_key_and_a_value() {
    let entry =
        |key: &str, value: pb::Value| refused(|e| drop(e.properties.insert(key.into(), value))).name();
    let one = || value(Kind::IntValue(1));
    assert_eq!(entry("k", pb::Value::default()), "value_missing");
    assert_eq!(entry("", one()), "property_key_invalid");
    assert_eq!(entry(&"k".repeat(256), one()), "property_key_invalid");
    assert_eq!(reason_of(with(b"\x5a\x03\x0a\x01k")).name(), "value_missing");
    let long = plain(vec![(&"k".repeat(256), Plain::BoolValue(true))]);
    assert_eq!(refused(|e| e.plain_properties = Some(long)).name(), "property_key_invalid");
}
