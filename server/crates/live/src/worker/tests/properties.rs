//! Funnels that read properties of persons and groups, whatever order sets, merges and restarts come in.

use footpath_model::changes::{Operation, groups, person_operations};
use footpath_model::definition::{AsOf, Condition, Filter, Op as Compare, Scope};
use footpath_model::filter::{Entities, Moment, Whose};
use footpath_model::props::Value;
use footpath_model::wire::put_fixed64;

use super::*;

/// The first of the shapes below.
pub const FIRST: u8 = 13;
/// How many there are.
pub const SHAPES: u8 = 14;

fn person(key: &str, as_of: AsOf) -> PropertyRef {
    PropertyRef { scope: Scope::Person, property: key.into(), as_of }
}

fn group(kind: &str, key: &str, as_of: AsOf) -> PropertyRef {
    PropertyRef { scope: Scope::Group(kind.into()), property: key.into(), as_of }
}

fn is(by: PropertyRef, op: Compare, value: &str) -> Filter {
    let PropertyRef { scope, property, as_of } = by;
    Filter::Is(Condition { scope, property, as_of, op, values: vec![value.into()] })
}

fn broken_down(plain: FunnelDefinition, by: PropertyRef, attribution: Attribution) -> FunnelDefinition {
    FunnelDefinition { breakdown: Some(FunnelBreakdown { by, attribution }), ..plain }
}

/// The same with a filter at one of the steps, counted from 0.
fn filtered(mut plain: FunnelDefinition, step: usize, filter: Filter) -> FunnelDefinition {
    plain.steps[step].filters.push(filter);
    plain
}

pub fn shape(plain: FunnelDefinition, shape: u8) -> (FunnelDefinition, Range, Option<Filter>) {
    let minutes = Range::Last { n: 5, unit: RollingUnit::Minutes };
    let always = Range::Last { n: 3650, unit: RollingUnit::Days };
    let plan = |as_of| is(person("plan", as_of), Compare::In, "p1");
    let of_company = |as_of| is(group("company", "plan", as_of), Compare::In, "p1");
    let companies = FunnelDefinition { counting: Counting::Groups("company".into()), ..plain.clone() };
    let (definition, range) = match shape - FIRST {
        0 => (filtered(plain, 1, plan(AsOf::AtEvent)), always),
        1 => (filtered(plain, 1, plan(AsOf::Current)), minutes),
        2 => (filtered(plain, 1, plan(AsOf::AtEntry)), always),
        3 => (filtered(plain, 0, of_company(AsOf::AtEvent)), always),
        4 => (filtered(plain, 1, of_company(AsOf::Current)), minutes),
        5 => (broken_down(plain, person("plan", AsOf::AtEvent), Attribution::FirstTouch), always),
        6 => (broken_down(plain, person("visits", AsOf::Current), Attribution::LastTouch), always),
        7 => (FunnelDefinition { hold: vec![person("plan", AsOf::AtEvent)], ..plain }, minutes),
        8 => (filtered(companies, 0, plan(AsOf::AtEvent)), always),
        9 => (filtered(companies, 1, is(group("team", "plan", AsOf::Current), Compare::NotEq, "p0")), always),
        10 => (FunnelDefinition { order: Order::Strict, ..plain }, always),
        11 => {
            let many = is(person("visits", AsOf::AtEvent), Compare::Gte, "2");
            let exclusions = vec![Exclusion {
                events: vec!["n3".into()],
                filters: vec![many],
                after_step: 1,
                before_step: 3,
            }];
            (FunnelDefinition { exclusions, ..plain }, minutes)
        }
        12 => {
            let by = group("company", "plan", AsOf::Current);
            let plain = FunnelDefinition { counting: Counting::Conversions, ..plain };
            (broken_down(plain, by, Attribution::FirstTouch), always)
        }
        _ => {
            let mixed = filtered(plain, 2, Filter::not(plan(AsOf::Current)));
            let by = group("company", "visits", AsOf::AtEvent);
            (broken_down(filtered(mixed, 0, of_company(AsOf::AtEvent)), by, Attribution::AllSteps), always)
        }
    };
    let internal = (shape - FIRST == 10).then(|| plan(AsOf::AtEvent));
    (definition, range, internal)
}

/// How many changes there are.
pub const CHANGES: u8 = 21;

/// One change of the person, the company or the team of an event: `PropertyChanges`, and whose.
fn change(number: u8) -> (u8, Vec<u8>) {
    let (whose, what) = (number / 7, number % 7);
    let text = |value: &str| {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, value.as_bytes());
        out
    };
    let entry = |field: u32, key: &str, value: &dyn Fn(&mut Vec<u8>)| {
        let (mut entry, mut out) = (Vec::new(), Vec::new());
        put_bytes(&mut entry, 1, key.as_bytes());
        value(&mut entry);
        put_bytes(&mut out, field, &entry);
        out
    };
    let changes = match what {
        0 | 1 => entry(1, "plan", &|out| put_bytes(out, 2, &text(&format!("p{what}")))),
        2 => entry(2, "plan", &|out| put_bytes(out, 2, &text("p1"))),
        3 => {
            let mut out = Vec::new();
            put_bytes(&mut out, 3, b"plan");
            out
        }
        4 | 5 => entry(4, "visits", &|out| put_fixed64(out, 2, 1.0_f64.to_bits())),
        _ => entry(2, "visits", &|out| put_bytes(out, 2, &[0x10, 7])),
    };
    (whose, changes)
}

/// `Event.person` and `Event.groups` of an event: it names a company and mostly a team, and may change something of one.
pub fn changes(second: i64, number: Option<u8>) -> Vec<u8> {
    let (whose, own) = number.map_or((9, Vec::new()), change);
    let mut changes = Vec::new();
    if whose == 0 {
        put_bytes(&mut changes, 13, &own);
    }
    let named = [("company", format!("g{}", second % 2)), ("team", format!("t{}", second % 3))];
    for (at, (kind, id)) in (1..).zip(named) {
        if kind == "team" && second % 5 == 0 && whose != at {
            continue;
        }
        let mut group = Vec::new();
        put_bytes(&mut group, 1, kind.as_bytes());
        put_bytes(&mut group, 2, id.as_bytes());
        if whose == at {
            put_bytes(&mut group, 3, &own);
        }
        put_bytes(&mut changes, 14, &group);
    }
    changes
}

/// Something that was done to a property, as the log has it.
#[derive(Debug, Clone)]
pub struct Done {
    whose: Owned,
    key: String,
    /// Event time and id, and the kind of operation.
    order: (i64, u128, u8),
    operation: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Person(ActorKey),
    Group(String, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Text(String),
    Int(i64),
}

#[derive(Debug, Clone)]
enum What {
    SetOnce(Kept),
    Set(Kept),
    Add(i64),
    Unset,
}

impl What {
    fn new(operation: &Operation<'_>) -> (u8, Self) {
        let kept = |encoded: &[u8]| match Value::decode(encoded).unwrap().unwrap() {
            Value::String(text) => Kept::Text(text.to_owned()),
            Value::Int(number) => Kept::Int(number),
            other => panic!("{other:?} is never sent"),
        };
        match operation {
            Operation::SetOnce(value) => (0, Self::SetOnce(kept(value))),
            Operation::Set(value) => (1, Self::Set(kept(value))),
            Operation::Add(amount) => (2, Self::Add(*amount as i64)),
            Operation::Unset => (3, Self::Unset),
        }
    }

    fn after(&self, before: Option<Kept>) -> Option<Kept> {
        match (self, before) {
            (Self::SetOnce(_), Some(before)) => Some(before),
            (Self::SetOnce(value), None) | (Self::Set(value), _) => Some(value.clone()),
            (Self::Add(amount), Some(Kept::Int(number))) => Some(Kept::Int(number + amount)),
            (Self::Add(amount), None) => Some(Kept::Int(*amount)),
            (Self::Add(_), text) => text,
            (Self::Unset, _) => None,
        }
    }
}

/// What an event of a person does.
pub fn done(person: ActorKey, order: (i64, u128), changes: &[u8]) -> Vec<Done> {
    let one = |whose: Owned, (key, operation): (&str, Operation<'_>)| {
        let (rank, operation) = What::new(&operation);
        Done { whose, key: key.to_owned(), order: (order.0, order.1, rank), operation }
    };
    let of_groups = groups(changes).flat_map(|group| {
        let whose = Owned::Group(group.kind.to_owned(), group.id.to_owned());
        group.operations().map(move |change| one(whose.clone(), change)).collect::<Vec<_>>()
    });
    person_operations(changes).map(|change| one(Owned::Person(person), change)).chain(of_groups).collect()
}

/// All that was done, asked by the events of one person.
pub struct Naive<'a> {
    pub done: &'a [Done],
    pub person: ActorKey,
}

impl Entities for Naive<'_> {
    fn property(&self, whose: Whose<'_>, key: &str, moment: Moment, see: &mut dyn FnMut(&Value<'_>)) {
        let whose = match whose {
            Whose::Person => Owned::Person(self.person),
            Whose::Group(kind, id) => Owned::Group(kind.to_owned(), id.to_owned()),
        };
        let is_before = |done: &&Done| moment.is_none_or(|moment| (done.order.0, done.order.1) <= moment);
        let mut own: Vec<&Done> = self
            .done
            .iter()
            .filter(|done| done.whose == whose && done.key == key)
            .filter(is_before)
            .collect();
        own.sort_by_key(|done| done.order);
        match own.into_iter().fold(None, |value, done| done.operation.after(value)) {
            Some(Kept::Text(text)) => see(&Value::String(&text)),
            Some(Kept::Int(number)) => see(&Value::Int(number)),
            None => {}
        }
    }
}

fn change_op() -> impl Strategy<Value = Op> {
    (0_u8..5, 0_u8..4, 0_u8..4, 0_i64..400, 0..CHANGES).prop_map(|(anonymous, user, name, second, change)| {
        Op::Change { anonymous, user, name, second, change }
    })
}

fn op_of_properties() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => op(),
        30 => change_op(),
        3 => (0_u8..3, FIRST..FIRST + SHAPES).prop_map(|(funnel, shape)| Op::Put { funnel, shape }),
        10 => Just(Op::Step),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn live_equals_batch_where_properties_are_read(ops in prop::collection::vec(op_of_properties(), 1..200)) {
        let mut bench = Bench::new();
        for op in &ops {
            bench.run(op);
        }
        bench.check();
        bench.run(&Op::Wait { seconds: 240 });
        bench.check();
    }

    /// One shape from the first event on, so that each is met with many changes.
    #[test]
    fn each_shape_follows_changes(shape in FIRST..FIRST + SHAPES, ops in prop::collection::vec(op_of_properties(), 1..100)) {
        let mut bench = Bench::new();
        bench.run(&Op::Put { funnel: 3, shape });
        for op in &ops {
            bench.run(op);
        }
        bench.check();
    }
}

fn set(second: i64, change: u8) -> Op {
    Op::Change { anonymous: 1, user: 0, name: 3, second, change }
}

fn event(name: u8, second: i64) -> Op {
    Op::Event { anonymous: 1, user: 0, name, second }
}

/// The units that are to be read again.
fn stale(bench: &mut Bench) -> usize {
    bench.worker.projects.values_mut().flat_map(ProjectLive::views).map(|(_, view)| view.stale().len()).sum()
}

fn reached(bench: &Bench) -> Vec<u64> {
    let shown = bench.hub.view(1, &ViewKey::Funnel("f0".into())).unwrap().borrow().clone();
    let Numbers::Funnel(numbers) = &shown.numbers else { panic!("{shown:?}") };
    numbers.reached.clone()
}

/// A funnel whose second step wants the plan p1 at the event.
fn at_event() -> Bench {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: FIRST });
    bench.check();
    bench
}

#[test]
fn a_set_in_its_turn_changes_nothing_that_was_counted() {
    let mut bench = at_event();
    let step_that_sets = Op::Change { anonymous: 1, user: 0, name: 1, second: 30, change: 1 };
    for op in [event(0, 10), set(20, 0), event(1, 25), step_that_sets, set(40, 0), event(1, 50)] {
        bench.run(&op);
        bench.run(&Op::Step);
        assert_eq!(stale(&mut bench), 0, "{op:?}");
    }
    assert_eq!(reached(&bench), [1, 1, 0]);
    bench.check();
}

#[test]
fn a_late_set_holds_the_watermark_until_its_person_was_read_again() {
    let mut bench = at_event();
    [event(0, 10), event(1, 30)].iter().for_each(|op| bench.run(op));
    bench.check();
    assert_eq!(reached(&bench), [1, 0, 0]);
    let before = bench.log.durable_end();
    bench.run(&set(20, 1));
    bench.run(&Op::Step);
    assert_eq!(bench.hub.complete().borrow().position, before);
    bench.check();
    assert_eq!(reached(&bench), [1, 1, 0]);
}

#[test]
fn a_merge_brings_the_properties_of_the_other() {
    let mut bench = at_event();
    bench.run(&Op::Change { anonymous: 2, user: 1, name: 3, second: 5, change: 1 });
    [event(0, 10), event(1, 30)].iter().for_each(|op| bench.run(op));
    bench.check();
    assert_eq!(reached(&bench), [1, 0, 0]);
    bench.run(&Op::Merge { from: "a1", into: "u1" });
    bench.check();
    assert_eq!(reached(&bench), [1, 1, 0]);
    bench.run(&Op::Unmerge { id: "a1" });
    bench.check();
    assert_eq!(reached(&bench), [1, 0, 0]);
}

#[test]
fn a_property_that_is_first_set_before_the_link_marks_nobody() {
    let mut bench = at_event();
    [set(5, 2), event(0, 10), event(1, 30)].iter().for_each(|op| bench.run(op));
    bench.run(&Op::Identify { anonymous: 1, user: 1 });
    bench.run(&Op::Step);
    assert_eq!(stale(&mut bench), 0);
    bench.check();
    assert_eq!(reached(&bench), [1, 1, 0]);
}

#[test]
fn a_restart_knows_the_properties() {
    let mut bench = at_event();
    [event(0, 10), set(20, 1)].iter().for_each(|op| bench.run(op));
    bench.check();
    bench.run(&Op::Stop);
    assert!(bench.worker.filling.is_empty(), "nothing has to be folded again");
    bench.run(&event(1, 30));
    bench.run(&set(15, 3));
    bench.check();
    assert_eq!(reached(&bench), [1, 1, 0]);
}

/// An addition comes that is older than what is kept of its person's; a reading of all of them is under way.
fn too_late() -> Bench {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: FIRST + 6 });
    bench.run(&event(0, 1));
    [10, 20, 30, 40].iter().for_each(|second| bench.run(&set(*second, 4)));
    bench.check();
    bench.run(&set(5, 4));
    bench.run(&Op::Step);
    let [persons, _] = bench.worker.projects[&1].book.all_stale();
    assert_eq!(persons.len(), 1);
    bench
}

#[test]
fn what_comes_while_properties_are_read_counts() {
    let mut bench = too_late();
    bench.run(&set(50, 4));
    bench.check();
}

#[test]
fn whoever_is_merged_while_properties_are_read_brings_them() {
    let mut bench = too_late();
    [45, 55].iter().for_each(|second| {
        bench.run(&Op::Change { anonymous: 2, user: 0, name: 3, second: *second, change: 4 });
    });
    bench.run(&Op::Merge { from: "a2", into: "a1" });
    bench.check();
}

#[test]
fn a_restart_while_properties_are_read_begins_again() {
    let mut bench = too_late();
    bench.worker.finish();
    bench.restart();
    assert!(bench.worker.filling.is_empty(), "nothing has to be folded again");
    bench.check();
}

#[test]
fn nothing_is_kept_that_no_funnel_reads() {
    let mut bench = at_event();
    bench.run(&set(20, 1));
    bench.check();
    let kept = |bench: &Bench| bench.worker.projects[&1].book.known().read().len();
    assert_eq!(kept(&bench), 1);
    bench.run(&Op::Delete { funnel: 0 });
    bench.run(&Op::Step);
    assert_eq!(kept(&bench), 0);
    assert!(!bench.worker.projects[&1].book.is_wanted());
}
