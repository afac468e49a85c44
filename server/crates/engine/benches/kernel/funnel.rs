//! One funnel of three steps. Every event is one of its steps.

use divan::Bencher;
use divan::counter::ItemsCount;
use footpath_engine::general::{GeneralPerson, GeneralRules, Options, Parts};
use footpath_engine::{Change, FunnelEvent, Plan, SessionRules, UnitFunnel};
use footpath_model::definition::{FunnelDefinition, Step};

use crate::traffic::{Act, BLOCK, CROWDS, Crowd, FEW_CROWDS, Traffic};

const WINDOW_US: i64 = 3_600_000_000;
/// Units whose memory is asked for together, as the live path does.
const TOGETHER: usize = 32;
/// Events of everybody before anything is measured: a tail that is full, and a base.
const WARM_UP: usize = 12;

fn plan() -> Plan {
    let step = |name: &str| Step { events: vec![name.to_owned()], ..Step::default() };
    let steps = ["view", "cart", "pay"].map(step).to_vec();
    let definition = FunnelDefinition { steps, window_us: WINDOW_US, ..FunnelDefinition::default() };
    let plan =
        Plan::new(&definition, (0, None), true, &SessionRules::default()).expect("the definition is sound");
    assert!(plan.fast().is_some(), "the defaults are the fast kernel's");
    plan
}

fn steps(acts: &[Act]) -> Vec<(usize, FunnelEvent)> {
    acts.iter().map(|act| (act.person as usize, act.step())).collect()
}

/// Measures `take`, which folds a block into the units.
fn measure(bencher: Bencher<'_, '_>, crowd: &Crowd, take: Take) {
    let plan = plan();
    let mut units = vec![UnitFunnel::new(&plan, 0); crowd.persons];
    let mut traffic = Traffic::new(*crowd);
    traffic.warm_up(WARM_UP, |acts| take(&plan, &mut units, &steps(acts)));
    bencher
        .counter(ItemsCount::new(BLOCK))
        .with_inputs(|| steps(&traffic.block()))
        .bench_local_refs(|block| take(&plan, &mut units, block));
}

/// The bare fold: nothing but `UnitFunnel::apply`, one event after the other.
#[divan::bench(args = CROWDS, sample_count = 500, sample_size = 1)]
fn one_by_one(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    measure(bencher, crowd, |plan, units, block| {
        for (person, event) in block {
            divan::black_box(units[*person].apply(plan, *event));
        }
    });
}

/// The same, with the memory of the next units asked for together.
#[divan::bench(args = CROWDS, sample_count = 500, sample_size = 1)]
fn together(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    measure(bencher, crowd, |plan, units, block| {
        for together in block.chunks(TOGETHER) {
            together.iter().for_each(|(person, _)| _ = divan::black_box(units[*person].warm()));
            for (person, event) in together {
                divan::black_box(units[*person].apply(plan, *event));
            }
        }
    });
}

/// Gives events, each with its unit's number, to units.
type Take = fn(&Plan, &mut [UnitFunnel], &[(usize, FunnelEvent)]);

/// What the general kernel takes for the same.
#[divan::bench(args = FEW_CROWDS, sample_count = 100, sample_size = 1)]
fn general(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    let options = Options { moving: true, ..Options::new(3, WINDOW_US) };
    let rules = GeneralRules::new(options).expect("the options are sound");
    let mut units = vec![GeneralPerson::new(&rules, 0); crowd.persons];
    let mut traffic = Traffic::new(*crowd);
    let take = |units: &mut [GeneralPerson], block: &[(usize, FunnelEvent)]| {
        block.iter().filter(|(person, event)| units[*person].apply(&rules, *event) == Change::Late).count()
    };
    traffic.warm_up(WARM_UP, |acts| _ = take(&mut units, &steps(acts)));
    bencher
        .counter(ItemsCount::new(BLOCK))
        .with_inputs(|| steps(&traffic.block()))
        .bench_local_refs(|block| take(&mut units, block));
}

/// A person whose every event has another value of what is held constant: what one more costs, with the answer read.
#[divan::bench(args = [10, 1_000, 8_000], sample_count = 200)]
fn a_person_of_so_many_parts(bencher: Bencher<'_, '_>, parts: u64) {
    let options = Options { moving: true, parts: Parts::BestOf, ..Options::new(3, WINDOW_US) };
    let rules = GeneralRules::new(options).expect("the options are sound");
    let mut person = GeneralPerson::new(&rules, 0);
    let mut number = 0;
    let mut take = || {
        number += 1;
        let event = FunnelEvent {
            time_us: number as i64 * 1_000_000,
            id: u128::from(number),
            steps: 1,
            exclusions: 0,
            part: 1 + number % parts,
            value: 0,
        };
        person.apply(&rules, event);
        (person.attempts(&rules, 0), person.falls_after(&rules, 0))
    };
    (0..parts).for_each(|_| drop(take()));
    bencher.counter(ItemsCount::new(1_u64)).bench_local(take);
}
