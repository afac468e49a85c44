//! Whether what a value did differs from what the rest did by more than chance.

use super::numbers::{Amount, Numbers, Sides};
use super::{Kind, Shape};

/// Fewer numbers than these, before and after together, are no evidence: the normal approximations below need some.
const LEAST_SAMPLES: u64 = 10;
/// A rate has to be known on both sides by at least so many.
const LEAST_A_SIDE: u64 = 5;
/// Numbers of the usual spread that are added to a value's own: a rate of 0 of 6 is not known exactly.
const PRIOR: f64 = 2.0;

/// Standard errors between a value and the rest, with a sign; 0 where too little is known.
pub(super) fn evidence(shape: Shape, kind: Kind, own: &Sides, rest: &Sides) -> f64 {
    match kind {
        Kind::Volume => volumes((own.before.above, own.after.above), (rest.before.above, rest.after.above)),
        Kind::Mix => volumes((own.before.below, own.after.below), (rest.before.below, rest.after.below)),
        Kind::Rate => rates(shape, own, rest),
    }
}

/// Before and after.
type Pair = (Amount, Amount);

/// Whether two volumes grew alike: the signed root of the likelihood ratio of a table of two by two (the G-test), which holds for small
/// counts where a difference over its standard error is far off. Sums are divided by what they move in steps of.
fn volumes(own: Pair, rest: Pair) -> f64 {
    if own.0.samples + own.1.samples < LEAST_SAMPLES {
        return 0.0;
    }
    let all = [own.0, own.1, rest.0, rest.1];
    if all.iter().any(|amount| amount.sum < 0.0) {
        return signed_sums(own, rest);
    }
    let ((a, b), (c, d)) = (steps(own), steps(rest));
    let (own_sum, rest_sum, before, after) = (a + b, c + d, a + c, b + d);
    let sum = own_sum + rest_sum;
    if own_sum <= 0.0 || rest_sum <= 0.0 || before <= 0.0 || after <= 0.0 {
        return 0.0;
    }
    let term = |found: f64, row: f64, column: f64| {
        if found > 0.0 { found * (found * sum / (row * column)).ln() } else { 0.0 }
    };
    let own_terms = term(a, own_sum, before) + term(b, own_sum, after);
    let rest_terms = term(c, rest_sum, before) + term(d, rest_sum, after);
    let ratio = 2.0 * (own_terms + rest_terms).max(0.0);
    ratio.sqrt().copysign(b * sum - own_sum * after)
}

/// Sums as numbers of steps of their root mean square size.
fn steps((before, after): Pair) -> (f64, f64) {
    let sum = before.sum + after.sum;
    let step = if sum > 0.0 { (before.squares + after.squares) / sum } else { 1.0 };
    (before.sum / step, after.sum / step)
}

/// The same for sums that can be negative: a difference over its standard error.
fn signed_sums(own: Pair, rest: Pair) -> f64 {
    if rest.0.sum == 0.0 {
        return 0.0;
    }
    let growth = rest.1.sum / rest.0.sum;
    let of_growth = (rest.1.squares + growth * growth * rest.0.squares) / (rest.0.sum * rest.0.sum);
    let variance = own.1.squares + growth * growth * own.0.squares + own.0.sum * own.0.sum * of_growth;
    over(own.1.sum - growth * own.0.sum, variance)
}

/// Whether two rates changed alike: the difference of their changes over its standard error.
fn rates(shape: Shape, own: &Sides, rest: &Sides) -> f64 {
    let sides = [&own.before, &own.after, &rest.before, &rest.after];
    if sides.iter().any(|side| side.below.samples < LEAST_A_SIDE) {
        return 0.0;
    }
    let (Some(rates), Some(others)) = (own.rates(), rest.rates()) else { return 0.0 };
    let usual = usual(shape, &sides);
    let variance = sides.iter().map(|side| variance(shape, side, usual)).sum();
    over((rates.1 - rates.0) - (others.1 - others.0), variance)
}

fn over(difference: f64, variance: f64) -> f64 {
    if variance > 0.0 { difference / variance.sqrt() } else { 0.0 }
}

/// The squared distances of what is above from what the rate says.
fn residue(shape: Shape, side: &Numbers) -> f64 {
    let Some(rate) = side.rate() else { return 0.0 };
    match shape {
        Shape::Quotient => side.above.squares + rate * rate * side.below.squares,
        Shape::Share | Shape::Volume => (side.above.squares - rate * side.above.sum).max(0.0),
    }
}

/// The residue of one of what is below, over all sides.
fn usual(shape: Shape, sides: &[&Numbers]) -> f64 {
    let residue: f64 = sides.iter().map(|side| residue(shape, side)).sum();
    let samples: u64 = sides.iter().map(|side| side.below.samples).sum();
    residue / samples.max(1) as f64
}

/// The variance of a side's rate.
fn variance(shape: Shape, side: &Numbers, usual: f64) -> f64 {
    let samples = side.below.samples as f64;
    let spread = (residue(shape, side) + PRIOR * usual) / (samples + PRIOR);
    spread * samples / (side.below.sum * side.below.sum)
}
