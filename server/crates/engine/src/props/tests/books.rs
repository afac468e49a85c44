//! A book that follows identity, against the list of all events.

use footpath_model::id::group_key;
use footpath_model::wire::put_fixed64;

use super::naive::{Done, moment, moments, operation, value_at};
use super::*;
use crate::identity::{ActorKey, IdentityGraph, Moved};

const KEYS: [&str; 3] = ["plan", "visits", "unwanted"];
const LIMIT: usize = 4;
const GROUP: (&str, &str) = ("company", "acme");

#[derive(Debug, Clone)]
enum Step {
    Event { actor: u64, moment: Moment, key: usize, operation: PropertyOperation, group: bool },
    Identify(u64, u64),
    Merge(u64, u64),
    Unmerge(u64),
    Image,
}

fn step() -> impl Strategy<Value = Step> {
    let event = (0..4_u64, moment(), 0..3_usize, operation(), any::<bool>());
    prop_oneof![
        12 => event.prop_map(|(actor, moment, key, operation, group)| {
            // An event is one actor's, and done once.
            let moment = Moment::new(moment.time_us, moment.id() & !0xff | u128::from(actor));
            Step::Event { actor, moment, key, operation, group }
        }),
        2 => (0..4_u64, 0..4_u64).prop_map(|(a, b)| Step::Identify(a, b)),
        1 => (0..4_u64, 0..4_u64).prop_map(|(a, b)| Step::Merge(a, b)),
        2 => (0..4_u64).prop_map(Step::Unmerge),
        1 => Just(Step::Image),
    ]
}

fn put_encoded(out: &mut Vec<u8>, value: &PropertyValue) {
    match value {
        PropertyValue::Int(value) => put_uint(out, 2, *value as u64),
        PropertyValue::Double(value) => put_fixed64(out, 3, value.to_bits()),
        PropertyValue::Bool(value) => put_uint(out, 6, u64::from(*value)),
        PropertyValue::Time(us) => {
            let mut timestamp = Vec::new();
            put_uint(&mut timestamp, 1, (us / 1_000_000) as u64);
            put_uint(&mut timestamp, 2, (us % 1_000_000 * 1000) as u64);
            put_bytes(out, 7, &timestamp);
        }
        PropertyValue::Encoded(bytes) => out.extend_from_slice(bytes),
    }
}

/// `PropertyChanges` with one operation.
fn changes(key: &str, operation: &PropertyOperation) -> Vec<u8> {
    let (mut entry, mut value, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut entry, 1, key.as_bytes());
    let field = match operation {
        Set(_) => 1,
        SetOnce(_) => 2,
        Unset => {
            put_bytes(&mut out, 3, key.as_bytes());
            return out;
        }
        Add(amount) => {
            put_fixed64(&mut entry, 2, amount.to_bits());
            4
        }
    };
    if let Set(set) | SetOnce(set) = operation {
        put_encoded(&mut value, set);
        put_bytes(&mut entry, 2, &value);
    }
    put_bytes(&mut out, field, &entry);
    out
}

/// A record's changes: of the person, or of a group.
fn record(key: &str, operation: &PropertyOperation, group: bool) -> Vec<u8> {
    let (changes, mut out) = (changes(key, operation), Vec::new());
    if !group {
        put_bytes(&mut out, 13, &changes);
        return out;
    }
    let mut message = Vec::new();
    put_bytes(&mut message, 1, GROUP.0.as_bytes());
    put_bytes(&mut message, 2, GROUP.1.as_bytes());
    put_bytes(&mut message, 3, &changes);
    put_bytes(&mut out, 14, &message);
    out
}

struct World {
    graph: IdentityGraph,
    book: PropertyBook,
    wanted: [KeyId; 2],
    of_group: KeyId,
    /// Actor, key and what was done; the group's under actor 99.
    done: Vec<(u64, usize, Done)>,
}

const GROUP_ACTOR: u64 = 99;

/// Takes what an event does, and says what became of which properties.
fn apply(
    book: &mut PropertyBook,
    person: ActorKey,
    moment: Moment,
    changes: &[u8],
) -> Vec<(u64, KeyId, HistoryChange)> {
    let mut operations = Vec::new();
    book.each_operation("shop", person, changes, |entity, key, operation| {
        operations.push((entity, key, operation));
    });
    let mut take = |(entity, key, operation)| (entity, key, book.apply(entity, key, moment, operation));
    operations.into_iter().map(&mut take).collect()
}

impl World {
    fn new() -> Self {
        let mut book = PropertyBook::new(LIMIT);
        let of_group = book.want(&Owner::Group(GROUP.0.into()), KEYS[0]);
        let gone = book.want(&Owner::Person, "given up");
        let wanted = [KEYS[0], KEYS[1]].map(|key| book.want(&Owner::Person, key));
        book.forget(gone);
        Self { graph: IdentityGraph::new(), book, wanted, of_group, done: Vec::new() }
    }

    /// What all actors of a person did to a key.
    fn of_person(&self, person: u64, key: usize) -> Vec<Done> {
        let whose =
            |actor: u64| if actor == GROUP_ACTOR { actor } else { self.graph.canonical(ActorKey(actor)).0 };
        let own = self.done.iter().filter(|(actor, own, _)| whose(*actor) == person && *own == key);
        own.map(|(_, _, done)| done.clone()).collect()
    }

    fn refold(&mut self, person: u64, key: KeyId) {
        let at = self.wanted.iter().position(|wanted| *wanted == key).unwrap();
        let rebuilt = History::rebuild(LIMIT, self.of_person(person, at));
        self.book.put(person, key, rebuilt);
    }

    fn run(&mut self, step: &Step) {
        let outcome = match step {
            Step::Event { actor, moment, key, operation, group } => {
                return self.event(*actor, *moment, *key, operation, *group);
            }
            Step::Image => return self.image(),
            Step::Identify(a, b) => self.graph.identify(ActorKey(*a), ActorKey(*b)),
            Step::Merge(a, b) => self.graph.merge(ActorKey(*a), ActorKey(*b)),
            Step::Unmerge(id) => self.graph.unmerge(ActorKey(*id)),
        };
        outcome.moved().iter().for_each(|moved| self.follow(moved));
    }

    fn event(&mut self, actor: u64, moment: Moment, key: usize, operation: &PropertyOperation, group: bool) {
        let owner = if group { GROUP_ACTOR } else { actor };
        self.done.push((owner, key, (moment, operation.clone())));
        let person = self.graph.canonical(ActorKey(actor));
        let touched = apply(&mut self.book, person, moment, &record(KEYS[key], operation, group));
        assert_eq!(touched.len(), usize::from(if group { key == 0 } else { key < 2 }));
        for (entity, key, change) in touched {
            if change == HistoryChange::NeedsRefold && group {
                let rebuilt = History::rebuild(LIMIT, self.of_person(GROUP_ACTOR, 0));
                self.book.put(entity, key, rebuilt);
            } else if change == HistoryChange::NeedsRefold {
                self.refold(entity, key);
            }
        }
    }

    fn follow(&mut self, moved: &Moved) {
        if moved.is_split() {
            for key in self.book.split(moved) {
                self.refold(moved.from_root.0, key);
                self.refold(moved.to_root.0, key);
            }
            return;
        }
        for joined in self.book.join(moved) {
            if let Joined::NeedsRefold { key } = joined {
                self.refold(moved.to_root.0, key);
            }
        }
    }

    fn image(&mut self) {
        let mut bytes = Vec::new();
        self.book.encode(&mut bytes);
        assert!(PropertyBook::decode(&mut &bytes[..bytes.len() - 1]).is_err());
        self.book = PropertyBook::decode(&mut bytes.as_slice()).unwrap();
    }

    fn check(&self) {
        let group = group_key("shop", GROUP.0, GROUP.1);
        let persons = (0..4_u64).map(|actor| self.graph.canonical(ActorKey(actor)).0);
        let gone = (0..4_u64).filter(|actor| self.graph.canonical(ActorKey(*actor)).0 != *actor);
        for (actor, key) in gone.flat_map(|actor| self.wanted.map(|key| (actor, key))) {
            assert!(self.book.history(actor, key).is_none(), "who is no person has no properties");
        }
        for person in persons {
            for (at, key) in self.wanted.iter().enumerate() {
                self.check_entity(person, *key, &self.of_person(person, at));
            }
        }
        self.check_entity(group, self.of_group, &self.of_person(GROUP_ACTOR, 0));
    }

    fn check_entity(&self, entity: u64, key: KeyId, done: &[Done]) {
        let found = self.book.current(entity, key).map(Cow::into_owned);
        assert_eq!(found, value_at(done, Moment::LAST));
        for moment in moments() {
            if let Ok(found) = self.book.value_at(entity, key, moment) {
                assert_eq!(found.map(Cow::into_owned), value_at(done, moment));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_book_knows_what_the_events_of_each_person_did(steps in prop::collection::vec(step(), 0..50)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
    }
}

#[test]
fn keys_are_named_and_given_up() {
    let mut book = PropertyBook::default();
    let plan = book.want(&Owner::Person, "plan");
    let tier = book.want(&Owner::Group("company".into()), "plan");
    assert_ne!(plan, tier);
    assert_eq!(book.key(&Owner::Group("company".into()), "plan"), Some(tier));
    assert_eq!(book.key_name(plan), Some((&Owner::Person, "plan")));
    apply(&mut book, ActorKey(1), at(1), &record("plan", &Set(int(1)), false));
    apply(&mut book, ActorKey(1), at(1), &record("plan", &Set(int(2)), true));
    assert_eq!(book.len(), 2);
    book.forget(plan);
    assert_eq!((book.len(), book.key(&Owner::Person, "plan")), (1, None));
    assert_eq!(book.want(&Owner::Person, "again"), plan);
    assert!(book.current(1, plan).is_none());
    let entity = group_key("shop", "company", "acme");
    assert_eq!(book.current(entity, tier).as_deref(), Some(&int(2)));
}

#[test]
fn a_book_takes_over_the_keys_that_it_did_not_have() {
    let (company, plan, tier) = (Owner::Group("company".into()), "plan", "tier");
    let mut book = PropertyBook::new(LIMIT);
    let own = book.want(&Owner::Person, plan);
    apply(&mut book, ActorKey(1), at(1), &record(plan, &Set(int(1)), false));
    let mut other = PropertyBook::new(LIMIT);
    // Numbered the other way round.
    let keys = [(&company, plan), (&Owner::Person, tier), (&Owner::Person, plan)];
    keys.iter().for_each(|(owner, key)| _ = other.want(owner, key));
    apply(&mut other, ActorKey(1), at(1), &record(plan, &Set(int(2)), false));
    apply(&mut other, ActorKey(1), at(1), &record(tier, &Set(int(3)), false));
    apply(&mut other, ActorKey(1), at(1), &record(plan, &Set(int(4)), true));
    book.adopt(other);
    let value = |book: &PropertyBook, entity, owner: &Owner, key| {
        book.current(entity, book.key(owner, key).unwrap()).map(Cow::into_owned)
    };
    assert_eq!(book.key(&Owner::Person, plan), Some(own));
    assert_eq!(value(&book, 1, &Owner::Person, plan), Some(int(1)), "its own stays");
    assert_eq!(value(&book, 1, &Owner::Person, tier), Some(int(3)));
    assert_eq!(value(&book, group_key("shop", GROUP.0, GROUP.1), &company, plan), Some(int(4)));
    assert_eq!(book.keys().count(), 3);
}

#[test]
fn what_was_rebuilt_replaces_all_that_was_there() {
    let mut book = PropertyBook::new(LIMIT);
    let [plan, visits] = [KEYS[0], KEYS[1]].map(|key| book.want(&Owner::Person, key));
    for (person, value) in [(1, 1), (2, 2)] {
        book.apply(person, plan, at(1), Set(int(value)));
        book.apply(person, visits, at(1), Add(1.0));
    }
    let mut rebuilt = book.emptied(LIMIT);
    let mut shown = Vec::new();
    rebuilt.each_operation(
        "shop",
        ActorKey(1),
        &record(KEYS[0], &Set(int(5)), false),
        |entity, key, done| {
            shown.push((entity, key, done));
        },
    );
    assert_eq!(shown, [(1, plan, Set(int(5)))]);
    rebuilt.apply(1, plan, at(1), Set(int(5)));
    book.replace(1, &mut rebuilt);
    let values = |person| [plan, visits].map(|key| book.current(person, key).map(Cow::into_owned));
    assert_eq!(values(1), [Some(int(5)), None]);
    assert_eq!(values(2), [Some(int(2)), Some(int(1))]);
    assert!(rebuilt.is_empty());
}
