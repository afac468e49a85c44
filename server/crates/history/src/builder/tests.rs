//! What goes into chunks comes out as it was; what cannot go in stops nothing.

use std::sync::Arc;

use footpath_log::disk::Disk;
use footpath_log::{Log, MemoryLog, SimDisk};
use footpath_model::definition::{AsOf, Condition, Op, Scope};
use footpath_model::filter::{Facts, Test};
use footpath_model::props::{Value, properties};
use footpath_proto::v1 as pb;
use pb::value::Kind as PbKind;
use proptest::prelude::*;

use super::*;
use crate::schema::Kind;
use crate::schema::Promoted;
use crate::stored::{Columns, Scan, Stored, StoredRow};
use crate::testing::{self, Event, NOW_US, Rng, Row};

fn pb_value(kind: PbKind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn leaf() -> impl Strategy<Value = pb::Value> {
    let text = prop_oneof![any::<String>(), Just(String::new()), Just("$x".to_owned())];
    let int = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0), -9..9_i64];
    let double = prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), Just(-0.0), Just(1.0)];
    let money = ("[A-Z]{3}", any::<i64>(), -999_999_999..=999_999_999_i32)
        .prop_map(|(currency, units, nanos)| pb::Money { currency, units, nanos });
    let time = (-62_135_596_800..=253_402_300_799_i64, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos });
    prop_oneof![
        text.prop_map(PbKind::StringValue),
        int.prop_map(PbKind::IntValue),
        double.prop_map(PbKind::DoubleValue),
        "[+-]?[0-9]{1,20}(\\.[0-9]{1,12})?".prop_map(PbKind::DecimalValue),
        money.prop_map(PbKind::MoneyValue),
        any::<bool>().prop_map(PbKind::BoolValue),
        time.prop_map(PbKind::TimeValue),
    ]
    .prop_map(pb_value)
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", any::<String>(), Just("$time".to_owned()), Just("$$".to_owned())]
}

fn value() -> impl Strategy<Value = pb::Value> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4)
            .prop_map(|values| PbKind::ListValue(pb::ListValue { values }));
        let map = prop::collection::hash_map(key(), inner, 0..4)
            .prop_map(|values| PbKind::MapValue(pb::MapValue { values }));
        prop_oneof![list, map].prop_map(pb_value)
    })
}

fn event() -> impl Strategy<Value = Event> {
    let properties = || prop::collection::hash_map(key(), value(), 0..6);
    let id = || prop_oneof![Just(String::new()), "[a-c]", any::<String>()];
    (properties(), properties(), id(), id(), id(), 0..testing::DAY_US * 3).prop_map(
        |(properties, set, anonymous_id, user_id, session_id, time)| {
            let changes = pb::PropertyChanges { set, unset: vec!["x".into()], ..Default::default() };
            let person = (time % 2 == 0).then_some(changes);
            let message = pb::Event { properties, person, ..pb::Event::default() };
            let (name, time_us) = ("open".to_owned(), NOW_US + time);
            Event { name, anonymous_id, user_id, session_id, time_us, message, number: time as u64 }
        },
    )
}

/// Conditions around a value: what it equals, contains and lies beside.
fn conditions(key: &str, value: &Value<'_>) -> Vec<Condition> {
    let text = match value {
        Value::String(text) | Value::Decimal(text) => (*text).to_owned(),
        other => other.to_json().to_string(),
    };
    let wanted = [text, "true".to_owned(), "0.5".to_owned()];
    let ops = [Op::In, Op::NotEq, Op::Contains, Op::Gt, Op::Gte, Op::Lt, Op::IsSet, Op::IsNotSet];
    let pairs = ops.into_iter().flat_map(|op| wanted.iter().cloned().map(move |value| (op, value)));
    let condition = |(op, value)| Condition {
        property: key.to_owned(),
        scope: Scope::Event,
        as_of: AsOf::AtEvent,
        op,
        values: vec![value],
    };
    pairs.map(condition).collect()
}

fn same_properties(before: &StoredRow<'_>, after: &StoredRow<'_>) {
    assert_eq!(Row::of(before), Row::of(after));
    for (key, value) in properties(before.properties) {
        for condition in conditions(key, &value) {
            let test = Test::new(&condition.clone().into()).unwrap();
            let holds = |properties| test.holds(&Facts { properties, ..Facts::default() });
            let (was, is) = (holds(before.properties), holds(after.properties));
            assert_eq!(was, is, "{condition:?} on {value:?}");
        }
    }
}

fn comes_back(batches: &[Vec<Event>], promoted: &[Promoted]) {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    for (batch, events) in (0..).zip(batches) {
        testing::append(&log, testing::frame(1, batch, events));
    }
    let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
    let scan = Scan { columns: Columns::ALL, ..Scan::all(1) };
    let from_log = stored.pin();
    testing::flush(&mut testing::builder(&log, &chunks, promoted), &log);
    let from_chunks = stored.pin();
    from_log
        .scan(&scan, &mut |before| {
            let mut found = 0;
            let one = from_chunks.scan(&scan, &mut |after| {
                if (after.offset, after.index) == (before.offset, before.index) {
                    same_properties(before, after);
                    found += 1;
                }
                std::ops::ControlFlow::Continue(())
            });
            assert_eq!(one.unwrap().records, 0);
            assert_eq!(found, 1);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_event_comes_back_as_it_was(batches in prop::collection::vec(prop::collection::vec(event(), 0..4), 0..4)) {
        comes_back(&batches, &[]);
    }

    #[test]
    fn promoted_properties_come_back_too(batches in prop::collection::vec(prop::collection::vec(event(), 0..4), 0..4)) {
        let promoted = |key: &str, kind| Promoted { key: key.to_owned(), kind };
        let kinds = [Kind::String, Kind::Money, Kind::Json, Kind::Bool, Kind::Time, Kind::Double];
        let mut all: Vec<_> = kinds.into_iter().map(|kind| promoted("a", kind)).collect();
        all.push(promoted("b", Kind::Int));
        comes_back(&batches, &all);
    }
}

#[test]
fn damaged_frames_and_events_stop_nothing() {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    let event = || Event { name: "open".into(), user_id: "u".into(), time_us: NOW_US, ..Event::default() };
    testing::append(&log, vec![1, 2, 3]);
    let mut cut_short = testing::frame(1, 1, &[event(), event()]);
    cut_short.pop();
    testing::append(&log, cut_short);
    testing::append(&log, testing::frame(1, 2, &[Event { time_us: i64::MAX, ..event() }, event()]));
    let mut builder = testing::builder(&log, &chunks, &[]);
    testing::flush(&mut builder, &log);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = builder.counters();
    assert_eq!((count(&counters.skipped_frames), count(&counters.skipped_events)), (1, 2));
    assert_eq!((count(&counters.rows), count(&counters.position)), (2, 3));
    assert_eq!(chunks.manifest().upto, 3);
}

#[test]
fn a_frame_of_a_newer_version_is_waited_for() {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    testing::append(&log, testing::frame(1, 1, &[]));
    let mut newer = testing::frame(1, 2, &[]);
    newer[0] += 1;
    testing::append(&log, newer);
    let mut builder = testing::builder(&log, &chunks, &[]);
    assert!(matches!(builder.step(NOW_US, 0), Err(HistoryError::Newer { .. })));
    assert!(matches!(builder.step(NOW_US, 0), Err(HistoryError::Newer { .. })));
    assert_eq!(chunks.manifest().upto, 0);
}

#[test]
fn the_event_that_fails_is_found_and_the_others_stay() {
    let log = Arc::new(MemoryLog::default());
    testing::fill(&log, &mut Rng(3), 30);
    let mut gathered = Gathered::default();
    for record in log.read(0, usize::MAX).unwrap() {
        gathered.take(&record).unwrap();
    }
    let keys = gathered.parts.values().next().unwrap();
    let poison = keys[keys.len() / 2];
    let left = sound(keys, &|few| !few.contains(&poison));
    assert_eq!(left.len(), keys.len() - 1);
    assert!(!left.contains(&poison));
    assert!(sound(keys, &|_| false).is_empty());
}

#[test]
fn a_range_is_closed_by_rows_bytes_or_age() {
    let one = WriterOptions { age_us: i64::MAX, ..WriterOptions::default() };
    for (options, now_us, closes) in [
        (one.clone(), NOW_US, false),
        (WriterOptions { rows: 3, ..one.clone() }, NOW_US, true),
        (WriterOptions { bytes: 500, ..one.clone() }, NOW_US, true),
        (WriterOptions { age_us: 60_000_000, ..one.clone() }, NOW_US + 59_999_999, false),
        (WriterOptions { age_us: 60_000_000, ..one }, NOW_US + 60_000_000, true),
    ] {
        let log = Arc::new(MemoryLog::default());
        let chunks = testing::chunks(SimDisk::new(1));
        let event = Event { name: "open".into(), user_id: "u".into(), time_us: NOW_US, ..Event::default() };
        for batch in 0..4 {
            testing::append(&log, testing::frame(1, batch, std::slice::from_ref(&event)));
        }
        let shared = Arc::clone(&log) as Arc<dyn Log>;
        let mut builder = Builder::new(shared, Arc::clone(&chunks), options.clone(), Arc::default()).unwrap();
        while builder.step(now_us, 0).unwrap() && builder.covered() == 0 {}
        assert_eq!(builder.covered() > 0, closes, "{options:?} at {now_us}");
        if closes && options.rows == 3 {
            assert_eq!(builder.covered(), 3);
        }
    }
}

#[test]
fn what_is_there_joins_an_old_range_before_it_is_closed() {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    let options = WriterOptions { age_us: 1, ..WriterOptions::default() };
    let shared = Arc::clone(&log) as Arc<dyn Log>;
    let mut builder = Builder::new(shared, Arc::clone(&chunks), options, Arc::default()).unwrap();
    for round in 0..2 {
        testing::fill(&log, &mut Rng(1), 4);
        assert!(builder.step(NOW_US + 60_000_000, 0).unwrap());
        assert_eq!(builder.covered(), 0, "round {round}");
    }
    assert!(builder.step(NOW_US + 60_000_000, 0).unwrap());
    assert_eq!((builder.covered(), chunks.manifest().number), (8, 1));
}

#[test]
fn a_range_that_could_not_be_written_is_written_before_more_is_gathered() {
    let disk = SimDisk::new(1);
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(disk.clone()));
    testing::fill(&log, &mut Rng(3), 30);
    let mut builder = testing::builder(&log, &chunks, &[]);
    for good in 0..12 {
        disk.fail_names_after(Some(good)); // So many files of the range are written.
        assert!(builder.step(NOW_US, log.durable_end()).is_err());
        testing::fill(&log, &mut Rng(good), 2);
    }
    disk.fail_names_after(None);
    assert!(builder.step(NOW_US, 0).unwrap());
    assert_eq!(builder.covered(), 30);
    testing::flush(&mut builder, &log);
    let mut on_disk: Vec<_> =
        disk.list().unwrap().into_iter().filter(|name| name.ends_with(".parquet")).collect();
    let manifest = chunks.manifest();
    let mut named: Vec<_> = manifest.files.iter().map(|file| file.path.clone()).collect();
    on_disk.sort();
    named.sort();
    assert_eq!(on_disk, named);
}

#[test]
fn a_range_of_a_thousand_days_makes_few_files_and_every_event_is_found_by_its_time() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    let on = |day: i64| Event {
        name: "open".into(),
        user_id: format!("u{}", day % 7),
        time_us: NOW_US - day * testing::DAY_US,
        ..Event::default()
    };
    for project in [1, 2] {
        testing::append(&log, testing::frame(project, 1, &(0..1000).map(on).collect::<Vec<_>>()));
    }
    testing::append(&log, testing::frame(3, 1, &[on(5)]));
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    let files = |project| chunks.manifest().files.iter().filter(|file| file.project == project).count();
    assert_eq!([1, 2, 3].map(files), [crate::gather::OWN_DAYS + 1, crate::gather::OWN_DAYS + 1, 1]);
    let pinned = Stored::new(log, chunks).pin();
    for day in [0, 63, 64, 65, 500, 999] {
        let from_us = NOW_US - day * testing::DAY_US;
        let scan = Scan { from_us, to_us: from_us + testing::DAY_US, ..Scan::all(2) };
        assert_eq!(testing::rows(&pinned, &scan).len(), 1, "{day} days ago");
    }
}
