use std::collections::BTreeMap;

use footpath_model::definition::Scope;
use proptest::prelude::*;

use super::reference::{Batch, Event, Val, expected, said, see, seen};
use super::share::{ALL_A_SECOND, EVERY, FIRST};
use super::*;

const SECOND: i64 = 1_000_000;

fn batch(at_us: i64, events: Vec<Event>) -> Batch {
    Batch { at_us, os: None, source: None, events }
}

fn with(name: &'static str, actor: u8, key: &'static str, value: Val) -> Event {
    Event { properties: BTreeMap::from([(key, value)]), ..Event::new(name, actor) }
}

fn text(value: &str) -> Val {
    Val::Text(value.to_owned())
}

/// A text that lives as long as the test: names and keys of a test are `'static`.
fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn golden() {
    let pay = Event {
        properties: BTreeMap::from([("amount", Val::Int(3)), ("plan", text("pro"))]),
        set: BTreeMap::from([("tier", text("gold")), ("since", Val::Int(1))]),
        added: BTreeMap::from([("spent", 3.0)]),
        unset: vec!["trial"],
        group: Some(("company", BTreeMap::from([("size", Val::Real(2.5))]))),
        ..Event::new("pay", 1)
    };
    let other = with("pay", 2, "amount", text("3"));
    let mut first = batch(2 * SECOND, vec![pay, other]);
    (first.os, first.source) = (Some("ios"), Some("mail"));
    let second = batch(SECOND, vec![Event::new("view", 1)]);
    let said = said(&seen([&first, &second]));
    let (at, two) = (2 * SECOND, "string");
    let names = [("pay", (2, at, at)), ("view", (1, SECOND, SECOND))];
    assert_eq!(said.names, BTreeMap::from(names.map(|(name, facts)| (name.to_owned(), facts))));
    let types = |types: &[(&'static str, u64)]| types.iter().copied().collect::<BTreeMap<_, _>>();
    let properties = [
        ("event pay", "amount", types(&[("int", 1), (two, 1)])),
        ("event pay", "plan", types(&[(two, 1)])),
        ("context", "os", types(&[(two, 2)])),
        ("context", "campaign.source", types(&[(two, 2)])),
        ("person", "tier", types(&[(two, 1)])),
        ("person", "since", types(&[("int", 1)])),
        ("person", "spent", types(&[("double", 1)])),
        ("person", "trial", types(&[])),
        ("group company", "size", types(&[("double", 1)])),
    ];
    let place = |owner: &str, key: &str| (owner.to_owned(), key.to_owned());
    let of_first = properties.map(|(owner, key, types)| (place(owner, key), (types, at, at)));
    let mut properties = BTreeMap::from(of_first);
    properties.insert(place("context", "environment"), (types(&[(two, 3)]), SECOND, at));
    assert_eq!(said.properties, properties);
}

#[test]
fn properties_of_one_owner() {
    let group = Some(("company", BTreeMap::from([("size", Val::Int(2))])));
    let set = BTreeMap::from([("tier", text("gold"))]);
    let own = Event { group, set, ..with("pay", 1, "amount", Val::Int(3)) };
    let mut one = batch(SECOND, vec![own, with("view", 1, "page", Val::Int(3))]);
    one.os = Some("ios");
    let catalog = seen([&one]);
    let keys = |owner| {
        let mut keys: Vec<_> = catalog.properties_of(owner).map(|property| property.key).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(Owner::Event("pay")), ["amount"]);
    assert_eq!(keys(Owner::Event("none")), [""; 0]);
    assert_eq!(keys(Owner::Context), ["environment", "os"]);
    assert_eq!(keys(Owner::Person), ["tier"]);
    assert_eq!(keys(Owner::Group("company")), ["size"]);
    assert_eq!(keys(Owner::Group("team")), [""; 0]);
    assert_eq!(catalog.properties().count(), 6);
    for (scope, key) in [
        (Scope::Event, "page"),
        (Scope::Context, "os"),
        (Scope::Person, "tier"),
        (Scope::Group("company".into()), "size"),
    ] {
        assert!(catalog.has_property(&scope, key), "{scope:?}");
        let misspelled = format!("{key}x").to_uppercase();
        assert_eq!(catalog.nearest_property(&scope, &misspelled), Some(key), "{scope:?}");
        assert!(!catalog.has_property(&scope, "siez"), "{scope:?}");
    }
    assert!(!catalog.has_property(&Scope::Group("team".into()), "size"));
    assert_eq!(catalog.nearest_property(&Scope::Group("team".into()), "size"), None);
    assert!(catalog.has_event("pay") && !catalog.has_event("Pay"));
    assert_eq!(catalog.nearest_event("Pay"), Some("pay"));
}

#[test]
fn samples_come_from_five_actors_wherever_the_value_was_sent() {
    let send = |actor: u8| {
        let set = BTreeMap::from([("tier", text("gold")), ("email", text("one for all"))]);
        let group = Some(("company", BTreeMap::from([("size", Val::Int(2))])));
        let own = Event { set, group, ..with("pay", actor, "plan", text("pro")) };
        Batch { at_us: SECOND, os: Some("ios"), source: None, events: vec![own] }
    };
    let samples = |actors: &[u8]| {
        let catalog = seen(&actors.iter().map(|actor| send(*actor)).collect::<Vec<_>>());
        let shown = catalog.properties().flat_map(|property| property.samples.to_vec());
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        shown
    };
    assert_eq!(samples(&[1, 2, 3, 4, 4, 3, 2, 1]), [""; 0]);
    assert_eq!(samples(&[1, 2, 3, 4, 5]), ["2", "gold", "ios", "pro", "prod"]);
    // The context is everybody's in the batch, but counts for one of them.
    let events = (0..9).map(|actor| Event::new("view", actor)).collect();
    let whole = Batch { at_us: SECOND, os: Some("ios"), source: None, events };
    assert!(seen([&whole]).properties().all(|property| property.samples.is_empty()));
}

#[test]
fn names_beyond_the_limit_are_not_kept_and_known_ones_go_on() {
    let events = |range: std::ops::Range<usize>| {
        range.map(|i| with(leak(format!("e{i}")), 1, "k", Val::Int(1))).collect::<Vec<_>>()
    };
    let mut catalog = seen([&batch(SECOND, events(0..EVENT_NAMES))]);
    assert_eq!(catalog.overflow(), Overflow::default());
    see(&mut catalog, [&batch(SECOND, events(EVENT_NAMES - 1..EVENT_NAMES + 5))]);
    assert_eq!(catalog.overflow(), Overflow { names: true, properties: false });
    assert_eq!(catalog.names().count(), EVENT_NAMES);
    let last = catalog.names().find(|(name, _)| *name == format!("e{}", EVENT_NAMES - 1)).unwrap();
    assert_eq!(last.1.count, 2);
    let again = Catalog::load(catalog.changes()).unwrap();
    assert_eq!(again.overflow(), catalog.overflow());
    assert!(again.changes().is_empty());
}

fn wide(name: &'static str, keys: std::ops::Range<usize>) -> Event {
    let keys = keys.map(|i| (leak(format!("k{i}")), Val::Int(1)));
    Event { properties: keys.collect(), ..Event::new(name, 1) }
}

#[test]
fn keys_beyond_the_limits_are_not_kept() {
    let keys_of = |catalog: &Catalog| catalog.properties().count();
    let of_contexts = 1; // The environment.
    let mut catalog = seen([&batch(SECOND, vec![wide("a", 0..KEYS)])]);
    assert!(!catalog.overflow().properties);
    see(&mut catalog, [&batch(SECOND, vec![wide("a", KEYS..KEYS + 1)])]);
    assert!(catalog.overflow().properties);
    assert_eq!(keys_of(&catalog), KEYS + of_contexts);
    let others: Vec<_> = (0..ALL_KEYS / KEYS).map(|i| wide(leak(format!("b{i}")), 0..KEYS)).collect();
    see(&mut catalog, [&batch(SECOND, others)]);
    assert_eq!(keys_of(&catalog), ALL_KEYS);
    // A limit that holds after a start as well.
    let mut again = Catalog::load(catalog.changes()).unwrap();
    see(&mut again, [&batch(SECOND, vec![wide("c", 0..1)])]);
    assert_eq!(keys_of(&again), ALL_KEYS);
    assert!(again.has_event("c"));
}

#[test]
fn types_of_groups_beyond_the_limit_are_not_kept() {
    let of = |i: usize| {
        let group = Some((leak(format!("g{i}")), BTreeMap::from([("size", Val::Int(2))])));
        batch(SECOND, vec![Event { group, ..Event::new("e", 1) }])
    };
    let mut catalog = seen(&(0..GROUP_TYPES).map(of).collect::<Vec<_>>());
    assert!(!catalog.overflow().properties);
    see(&mut catalog, [&of(0), &of(GROUP_TYPES)]);
    assert!(catalog.overflow().properties);
    let of_groups = catalog.properties().filter(|property| matches!(property.owner, Owner::Group(_)));
    assert_eq!(of_groups.count(), GROUP_TYPES);
}

#[test]
fn keys_that_no_property_can_have_are_left_out() {
    let long = leak("k".repeat(256));
    let unset = vec!["", long, leak("k".repeat(255))];
    let catalog = seen([&batch(SECOND, vec![Event { unset, ..Event::new("e", 1) }])]);
    let of_persons = catalog.properties_of(Owner::Person).map(|property| property.key.len());
    assert_eq!(of_persons.collect::<Vec<_>>(), [255]);
    assert!(!catalog.overflow().properties);
}

#[test]
fn candidates_have_a_bound_and_the_newest_stay() {
    let mut catalog = Catalog::new();
    let different = |actor: u8, round: i64| {
        let properties = (0..KEYS).map(|i| (leak(format!("k{i}")), Val::Int(round)));
        Event { properties: properties.collect(), ..Event::new("e", actor) }
    };
    let mut most = 0;
    let mut round = 0;
    for name in ["a", "b", "c", "d", "e", "f"] {
        for _ in 0..20 {
            round += 1;
            let event = Event { name, ..different(1, round) };
            see(&mut catalog, [&batch(round * SECOND, vec![event])]);
            most = most.max(catalog.room.candidates);
        }
    }
    assert!((60_000..=65_536).contains(&most), "{most}");
    let mut ticks = Vec::new();
    catalog.each_owner(&mut |properties| properties.candidate_ticks(&mut ticks));
    assert_eq!(ticks.len(), catalog.room.candidates);
    let of_the_first_name = 20 * KEYS as u64;
    assert!(ticks.iter().all(|tick| *tick > of_the_first_name), "the oldest went");
    // The last values are still known: four more actors make them samples.
    for actor in 2..=5 {
        see(&mut catalog, [&batch(200 * SECOND, vec![Event { name: "f", ..different(actor, round) }])]);
    }
    let shown = catalog.properties_of(Owner::Event("f")).filter(|property| !property.samples.is_empty());
    assert_eq!(shown.count(), KEYS);
}

#[test]
fn of_a_flood_all_events_are_counted_and_a_share_is_looked_at() {
    let events: Vec<_> = (0..9_000).map(|i| with("e", (i % 50) as u8, "k", Val::Int(i))).collect();
    let flood: Vec<_> = (0..20).map(|i| batch(SECOND + i, events.clone())).collect();
    let catalog = seen(&flood);
    let (_, seen) = catalog.names().next().unwrap();
    assert_eq!(seen, Seen { count: 180_000, first_us: SECOND, last_us: SECOND + 19 });
    let looked_at: u64 = catalog.properties().next().unwrap().types.iter().map(|(_, count)| count).sum();
    let share = 180_000 / EVERY;
    assert!((u64::from(FIRST) + share / 2..u64::from(FIRST) + 2 * share).contains(&looked_at), "{looked_at}");
    assert!(u64::from(ALL_A_SECOND) > looked_at - share);
}

#[test]
fn a_frame_without_events_says_nothing() {
    let mut catalog = Catalog::new();
    let empty = Batch { at_us: SECOND, os: Some("ios"), source: None, events: Vec::new() };
    see(&mut catalog, [&empty]);
    assert!(catalog.is_empty() && catalog.changes().is_empty());
    assert_eq!(catalog.properties().count(), 0);
}

#[test]
fn only_what_changed_is_told_and_again_until_it_is_saved() {
    let (a, b) =
        (batch(SECOND, vec![with("a", 1, "k", Val::Int(1))]), batch(SECOND, vec![Event::new("b", 1)]));
    let mut catalog = seen([&a]);
    let addresses = |catalog: &Catalog| {
        let rows = catalog.changes().into_iter();
        let mut rows: Vec<_> = rows.map(|row| (row.kind, row.owner, row.key)).collect();
        rows.sort();
        rows
    };
    let row = |kind, owner: &str, key: &str| (kind, owner.to_owned(), key.to_owned());
    let environment = row(3, "", "environment");
    assert_eq!(addresses(&catalog), [row(1, "a", ""), row(2, "a", "k"), environment.clone()]);
    assert_eq!(addresses(&catalog).len(), 3);
    catalog.saved();
    assert!(addresses(&catalog).is_empty());
    see(&mut catalog, [&b]);
    assert_eq!(addresses(&catalog), [row(1, "b", ""), environment]);
}

#[test]
fn rows_keep_their_form() {
    let catalog = seen([&batch(SECOND, vec![with("a", 1, "k", Val::Int(1))])]);
    let mut rows = catalog.changes();
    rows.sort_by_key(|row| row.kind);
    assert_eq!(rows[0].json, r#"{"count":1,"first_us":1000000,"last_us":1000000}"#);
    assert_eq!(rows[1].json, r#"{"types":{"int":1},"first_us":1000000,"last_us":1000000,"samples":[]}"#);
}

#[test]
fn rows_of_another_version_are_refused() {
    let row = |kind, json: &str| Row { kind, owner: "a".into(), key: "k".into(), json: json.into() };
    for bad in [
        row(1, "{}"),
        row(6, r#"{"types":{},"first_us":1,"last_us":1,"samples":[]}"#),
        row(2, r#"{"types":{"colour":1},"first_us":1,"last_us":1,"samples":[]}"#),
        row(0, ""),
    ] {
        let kind = bad.kind;
        assert_eq!(Catalog::load([bad]).unwrap_err().kind, kind);
    }
}

fn value() -> impl Strategy<Value = Val> {
    let scalar = prop_oneof![
        "[a-c]{0,2}".prop_map(Val::Text),
        (0_i64..3).prop_map(Val::Int),
        (0_i32..3).prop_map(|number| Val::Real(number.into())),
        any::<bool>().prop_map(Val::Truth),
    ];
    prop_oneof![4 => scalar.clone(), 1 => prop::collection::vec(scalar, 0..3).prop_map(Val::Many)]
}

fn values() -> impl Strategy<Value = BTreeMap<&'static str, Val>> {
    prop::collection::btree_map(prop::sample::select(vec!["k", "l", "m", "email"]), value(), 0..3)
}

fn event() -> impl Strategy<Value = Event> {
    let key = prop::sample::select(vec!["k", "n"]);
    let added = prop::collection::btree_map(key.clone(), Just(1.5), 0..2);
    let group = prop::option::of((prop::sample::select(vec!["g", "h"]), values()));
    let name = prop::sample::select(vec!["a", "b", "c"]);
    (name, 0_u8..7, values(), values(), added, prop::collection::vec(key, 0..2), group).prop_map(
        |(name, actor, properties, set, added, unset, group)| Event {
            name,
            actor,
            properties,
            set,
            added,
            unset,
            group,
        },
    )
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let os = prop::option::of(prop::sample::select(vec!["ios", "linux"]));
    let source = prop::option::of(Just("mail"));
    let one = (0_i64..90 * SECOND, os, source, prop::collection::vec(event(), 0..6))
        .prop_map(|(at_us, os, source, events)| Batch { at_us, os, source, events });
    prop::collection::vec(one, 0..20)
}

proptest! {
    #[test]
    fn it_says_what_there_is_to_say(batches in batches()) {
        prop_assert_eq!(said(&seen(&batches)), expected(&batches));
    }

    #[test]
    fn the_order_of_events_does_not_matter(
        (batches, shuffled) in batches().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        prop_assert_eq!(said(&seen(&batches)), said(&seen(&shuffled)));
    }

    /// A restart at any moment, after which the log is read from where the rows were saved, changes nothing.
    #[test]
    fn a_restart_changes_nothing(batches in batches(), saves in prop::collection::vec(any::<bool>(), 20)) {
        let mut rows = BTreeMap::new();
        let mut catalog = Catalog::new();
        for (batch, saves) in batches.iter().zip(saves) {
            see(&mut catalog, [batch]);
            if saves {
                let changes = catalog.changes().into_iter();
                rows.extend(changes.map(|row| ((row.kind, row.owner.clone(), row.key.clone()), row)));
                catalog.saved();
                let samples = |catalog: &Catalog| {
                    let all = catalog.properties().map(|p| (format!("{:?}", p.owner), p.key.to_owned(), p.samples.to_vec()));
                    all.collect::<std::collections::BTreeSet<_>>()
                };
                let again = Catalog::load(rows.values().cloned()).unwrap();
                prop_assert_eq!(samples(&again), samples(&catalog));
                catalog = again;
            }
        }
        prop_assert_eq!(said(&catalog), expected(&batches));
    }

    /// Every sample was sent by five actors under its key, which does not look personal.
    #[test]
    fn no_sample_tells_of_fewer_than_five(batches in batches()) {
        let catalog = seen(&batches);
        for property in catalog.properties_of(Owner::Person) {
            for sample in property.samples {
                let events = batches.iter().flat_map(|batch| &batch.events);
                let shown = |value: &Val| match value {
                    Val::Text(text) => text.clone(),
                    Val::Int(number) => number.to_string(),
                    Val::Real(number) => number.to_string(),
                    Val::Truth(truth) => truth.to_string(),
                    Val::Many(_) => String::new(),
                };
                let sent = events.filter(|event| event.set.get(property.key).is_some_and(|v| shown(v) == *sample));
                let actors: std::collections::BTreeSet<_> = sent.map(|event| event.actor).collect();
                prop_assert!(actors.len() >= SAMPLE_ACTORS && property.key != "email");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(properties: Vec<u8>, changes: Vec<u8>, context: Vec<u8>) {
        changes::each_change(&changes, &mut |_, _, _| {});
        context::each_value(&context, &mut |_, _| {});
        let mut room = Room::default();
        let sight = Sight { at_us: 1, actor: 1, events: 1 };
        for (key, value) in footpath_model::props::undecoded(&properties) {
            Properties::default().see(key, Sent::Value(value), sight, &mut room);
        }
        Properties::default().see(b"k", Sent::Value(&properties), sight, &mut room);
    }
}
