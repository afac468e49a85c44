//! Buckets of both sides, by what is compared with each other.

use std::collections::BTreeMap;

use super::{Bucket, Compared, Nature};

const WEEK_US: i64 = 7 * 86_400_000_000;
/// Of the buckets after, the part that has to have its kind before.
const LEAST_COVERED: f64 = 0.8;
/// Fewer slots than these leave nothing to tell the dispersion from.
const LEAST_SLOTS: usize = 4;

/// What is compared with each other: the buckets of one slot of the week, or all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Stratum {
    pub(super) before: Vec<Bucket>,
    pub(super) after: Vec<Bucket>,
}

impl Stratum {
    fn is_whole(&self) -> bool {
        !self.before.is_empty() && !self.after.is_empty()
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Strata {
    pub(super) each: Vec<Stratum>,
    pub(super) by_slot: bool,
}

impl Strata {
    /// `None` if there is too little.
    pub(super) fn new(compared: &Compared<'_>) -> Option<Self> {
        let known = |bucket: &&Bucket| is_known(compared.nature, bucket);
        let side = |buckets: &[Bucket]| {
            buckets.iter().filter(known).map(|bucket| sound(compared.nature, bucket)).collect()
        };
        let (before, after): (Vec<Bucket>, Vec<Bucket>) = (side(compared.before), side(compared.after));
        if before.len() < 2 || after.len() < 2 {
            return None;
        }
        let by_slot = by_slot(compared.width_us, &before, &after);
        Some(by_slot.unwrap_or_else(|| Self { each: vec![Stratum { before, after }], by_slot: false }))
    }

    pub(super) fn before(&self) -> impl Iterator<Item = &Bucket> {
        self.each.iter().flat_map(|stratum| &stratum.before)
    }

    pub(super) fn after(&self) -> impl Iterator<Item = &Bucket> {
        self.each.iter().flat_map(|stratum| &stratum.after)
    }

    /// Buckets beyond what is estimated: one level for each stratum, and the change.
    pub(super) fn freedom(&self) -> f64 {
        let buckets = self.before().count() + self.after().count();
        buckets.saturating_sub(self.each.len() + 1).max(1) as f64
    }
}

/// Counts are known to be 0 where there are none; a share of nothing is not known.
fn is_known(nature: Nature, bucket: &Bucket) -> bool {
    let finite = bucket.above.is_finite();
    match nature {
        Nature::Count => finite && bucket.above >= 0.0,
        Nature::Value => finite,
        Nature::Share | Nature::Quotient => {
            finite && bucket.above >= 0.0 && bucket.below.is_finite() && bucket.below > 0.0
        }
    }
}

/// Counts and values are of one bucket each.
fn sound(nature: Nature, bucket: &Bucket) -> Bucket {
    match nature {
        Nature::Count | Nature::Value => Bucket { below: 1.0, ..*bucket },
        Nature::Share => Bucket { above: bucket.above.min(bucket.below), ..*bucket },
        Nature::Quotient => *bucket,
    }
}

fn by_slot(width_us: i64, before: &[Bucket], after: &[Bucket]) -> Option<Strata> {
    let mut slots: BTreeMap<i64, Stratum> = BTreeMap::new();
    let slot = |bucket: &Bucket| bucket.start_us.rem_euclid(WEEK_US) / width_us.max(1);
    before.iter().for_each(|bucket| slots.entry(slot(bucket)).or_default().before.push(*bucket));
    after.iter().for_each(|bucket| slots.entry(slot(bucket)).or_default().after.push(*bucket));
    let each: Vec<Stratum> = slots.into_values().filter(Stratum::is_whole).collect();
    let covered: usize = each.iter().map(|stratum| stratum.after.len()).sum();
    let enough = each.len() >= LEAST_SLOTS && covered as f64 >= LEAST_COVERED * after.len() as f64;
    enough.then_some(Strata { each, by_slot: true })
}
