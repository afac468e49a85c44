//! Persons and groups equal what is reckoned by hand over the events as they were sent.

use footpath_engine::LedgerEntry;

use super::*;
use crate::testing::{Rng, Told, World, key, source, stored, stored_events};
use crate::{GroupQuery, group};

fn ids(world: &World, person: u64) -> BTreeSet<String> {
    let all = world.told.iter().flat_map(|told| [&told.anonymous_id, &told.user_id]);
    let own = all.filter(|id| !id.is_empty() && world.graph.canonical(key(id)).0 == person);
    own.cloned().collect()
}

#[test]
fn persons_equal_those_reckoned_by_hand() {
    let (mut found, mut linked) = (0, 0);
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let world = both.world(u64::MAX);
        for id in ["a0", "a3", "u0", "u2"] {
            let epoch = rng.chance(2).then(|| rng.below(world.graph.epoch() + 1));
            let graph = epoch.map_or_else(|| world.graph.clone(), |epoch| world.graph.as_of(epoch));
            let world = World { graph, told: world.told.clone() };
            let person = world.graph.canonical(key(id)).0;
            let answer = super::person(&source(&pinned), &PersonQuery { id, identity_epoch: epoch }).unwrap();
            let Some(own) = world.persons().remove(&person) else {
                assert_eq!(answer, None);
                continue;
            };
            let answer = answer.unwrap();
            assert_eq!(key(&answer.id).0, person, "seed {seed}");
            assert_eq!(answer.ids[0], answer.id);
            assert_eq!(
                answer.ids.iter().cloned().collect::<BTreeSet<_>>(),
                ids(&world, person),
                "seed {seed}"
            );
            assert_eq!(answer.events, own.len() as u64);
            assert_eq!(answer.first_us, own[0].time_us);
            assert_eq!(answer.last_us, own[own.len() - 1].time_us);
            assert_eq!(answer.identity_epoch, world.graph.epoch());
            let plan = answer.properties.get("plan").map(|plan| plan.view());
            let expected = world.plan(person, None);
            assert_eq!(plan, expected.as_deref().map(Value::String), "seed {seed}");
            found += 1;
            linked += usize::from(answer.ids.len() > 1);
        }
    }
    assert!(found > 100 && linked > 20, "{found} {linked}");
}

#[test]
fn groups_equal_those_reckoned_by_hand() {
    let mut found = 0;
    for seed in 0..40 {
        let both = stored(&mut Rng(seed));
        let pinned = both.chunked.pin();
        let world = both.world(u64::MAX);
        let own = world.by(|told| told.company.clone());
        for id in ["acme", "ajax", "nobody"] {
            let answer = group(&source(&pinned), &GroupQuery { kind: "company", id }).unwrap();
            let Some(own) = own.get(id) else {
                assert_eq!(answer, None);
                continue;
            };
            let answer = answer.unwrap();
            let persons: BTreeSet<u64> = own.iter().map(|told| world.person(told)).collect();
            assert_eq!((answer.events, answer.persons), (own.len() as u64, persons.len() as u64));
            assert_eq!((answer.first_us, answer.last_us), (own[0].time_us, own[own.len() - 1].time_us));
            let seats = answer.properties.get("seats").map(|seats| seats.view());
            assert_eq!(seats, world.seats(id, None).map(Value::Int));
            found += 1;
        }
    }
    assert!(found > 40, "{found}");
}

#[test]
fn decisions_of_admins_name_persons_too() {
    let told = |id: &str| Told { project: 1, name: "open".into(), user_id: id.into(), ..Told::default() };
    let both = stored_events(&[told("ann"), told("bob")]);
    let pinned = both.chunked.pin();
    let control = Control::MergePersons { from: "bob".into(), into: "boss".into(), by: String::new() };
    // Nobody ever sent an event as "boss".
    let ledger = [LedgerEntry { position: 0, control }];
    let source = Source { ledger: &ledger, ..source(&pinned) };
    let answer = super::person(&source, &PersonQuery { id: "bob", identity_epoch: None }).unwrap().unwrap();
    assert_eq!((answer.id.as_str(), answer.ids.len(), answer.events), ("boss", 2, 1));
    let before =
        super::person(&source, &PersonQuery { id: "bob", identity_epoch: Some(0) }).unwrap().unwrap();
    assert_eq!((before.id.as_str(), before.ids.len()), ("bob", 1));
    let later = super::person(&source, &PersonQuery { id: "bob", identity_epoch: Some(2) });
    assert!(matches!(later, Err(QueryError::Epoch { asked: 2, newest: 1 })));
}
