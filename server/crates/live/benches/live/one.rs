//! One funnel of three steps.

use divan::Bencher;
use divan::counter::ItemsCount;
use footpath_live::bare::Bare;

use crate::shop::{Shop, funnel, take};
use crate::traffic::{BLOCK, Crowd, FEW_CROWDS};

fn open(crowd: &Crowd, kinds: usize) -> (Shop, Bare) {
    Shop::open(*crowd, kinds, &[funnel("f", [&[0], &[1], &[2]])])
}

/// From what is read of a frame to counted numbers: lens, table of persons, fold, totals. Every event is one of the steps.
#[divan::bench(args = FEW_CROWDS, sample_count = 300, sample_size = 1)]
fn events(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    let (mut shop, mut bare) = open(crowd, 3);
    bencher
        .counter(ItemsCount::new(BLOCK))
        .with_inputs(|| shop.events())
        .bench_local_refs(|events| bare.events(0, events));
}

/// From frames to counted numbers. Every event is one of the steps.
#[divan::bench(args = FEW_CROWDS, sample_count = 300, sample_size = 1)]
fn frames_of_steps(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    frames(bencher, crowd, 3);
}

/// From frames to counted numbers. Three of twenty names are steps.
#[divan::bench(args = FEW_CROWDS, sample_count = 300, sample_size = 1)]
fn frames_of_20_names(bencher: Bencher<'_, '_>, crowd: &Crowd) {
    frames(bencher, crowd, 20);
}

fn frames(bencher: Bencher<'_, '_>, crowd: &Crowd, kinds: usize) {
    let (mut shop, mut bare) = open(crowd, kinds);
    bencher
        .counter(ItemsCount::new(BLOCK))
        .with_inputs(|| shop.frames())
        .bench_local_refs(|frames| take(&mut bare, frames));
}
