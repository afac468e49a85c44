//! What the anomaly detector takes for a bucket, all channels included.
//!
//! `cargo bench -p footpath-engine --bench anomaly`

use divan::Bencher;
use divan::counter::ItemsCount;
use footpath_engine::anomaly::{Detector, Direction, Point, SeriesKind, Settings};

const BUCKET_US: i64 = 300_000_000;
/// Five weeks, so that every slot is known.
const WARM_UP: i64 = 5 * 7 * 288;
const BLOCK: i64 = 2016;

fn main() {
    divan::main();
}

/// A day in 300 events a bucket, and something that looks random.
fn point(kind: SeriesKind, i: i64) -> Point {
    let random = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let daily = (i as f64 / 288.0 * std::f64::consts::TAU).sin();
    let count = (300.0 * (1.0 + 0.5 * daily) + random as f64 / 3e5).round();
    let value = match kind {
        SeriesKind::Count | SeriesKind::Value => count,
        SeriesKind::Ratio | SeriesKind::Rate => 0.9 + random as f64 / 3e8,
    };
    let start_us = i * BUCKET_US;
    Point { start_us, local_us: start_us, value, weight: count, annotated: false }
}

fn measure(bencher: Bencher<'_, '_>, kind: SeriesKind) {
    let settings =
        Settings { kind, bucket_us: BUCKET_US, false_alerts_per_month: 1.0, direction: Direction::Both };
    let mut detector = Detector::new(&settings);
    let mut next = 0;
    let mut block = |buckets: i64| {
        next += buckets;
        (next - buckets..next).map(|i| point(kind, i)).collect::<Vec<_>>()
    };
    block(WARM_UP).iter().for_each(|point| _ = divan::black_box(detector.step(point)));
    bencher.counter(ItemsCount::new(BLOCK as u64)).with_inputs(|| block(BLOCK)).bench_local_refs(|points| {
        points.iter().for_each(|point| _ = divan::black_box(detector.step(point)));
    });
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn counts(bencher: Bencher<'_, '_>) {
    measure(bencher, SeriesKind::Count);
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn ratios(bencher: Bencher<'_, '_>) {
    measure(bencher, SeriesKind::Ratio);
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn values(bencher: Bencher<'_, '_>) {
    measure(bencher, SeriesKind::Value);
}
