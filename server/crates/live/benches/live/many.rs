//! One funnel or a hundred over 300 names of events, 10,000 persons; how many funnels an event is in decides what it costs.

use divan::Bencher;
use divan::counter::ItemsCount;
use footpath_model::control::CountedFunnel;

use crate::shop::{Shop, funnel, take};
use crate::traffic::{BLOCK, Crowd};

const NAMES: usize = 300;
const CROWD: Crowd = Crowd::of(10_000);

/// Funnels each of whose steps is any of so many names; of a hundred, each name is in that many.
fn funnels(funnels: usize, names: usize) -> Vec<CountedFunnel> {
    let one = |i: usize| {
        let step =
            |step: usize| -> Vec<usize> { (0..names).map(|n| ((3 * i + step) + 100 * n) % NAMES).collect() };
        funnel(&format!("f{i}"), [&step(0), &step(1), &step(2)])
    };
    (0..funnels).map(one).collect()
}

fn frames(bencher: Bencher<'_, '_>, funnels: &[CountedFunnel]) {
    let (mut shop, mut bare) = Shop::open(CROWD, NAMES, funnels);
    bencher
        .counter(ItemsCount::new(BLOCK))
        .with_inputs(|| shop.frames())
        .bench_local_refs(|frames| take(&mut bare, frames));
}

/// Each name is a step of one funnel.
#[divan::bench(args = [1, 100], sample_count = 300, sample_size = 1)]
fn a_name_is_in_one(bencher: Bencher<'_, '_>, count: usize) {
    frames(bencher, &funnels(count, 1));
}

/// Each name is a step of three funnels.
#[divan::bench(args = [1, 100], sample_count = 300, sample_size = 1)]
fn a_name_is_in_three(bencher: Bencher<'_, '_>, count: usize) {
    frames(bencher, &funnels(count, 3));
}
