//! Which values are named, and which dimension comes first.

use std::cmp::Ordering;

use super::effect::{Whole, surprise};
use super::evidence::evidence;
use super::numbers::Sides;
use super::{Dispersion, Driver, Kind, Question, Shape, Slice};

/// The least part of the change that makes a value worth naming (Adtributor's `T_EEP`).
const LEAST_OF_VALUE: f64 = 0.1;
/// The part of the change from which a dimension counts as an explanation (Adtributor's `T_EP`).
const ENOUGH_OF_DIMENSION: f64 = 0.67;
/// Most values that explain a change: a longer list explains nothing.
const MOST_VALUES: usize = 5;
/// The chance that a value is named anywhere though everything moved alike, if events come independently of each other.
const FALSE_ALARM: f64 = 0.01;

/// The values that explain the change, best explanation first: the values of one dimension together, then those of the next one. Empty
/// if nothing changed, or everything moved alike.
///
/// Dimensions that go along with the one that is to blame (device and operating system) come after it, and are there all the
/// same: sums by value cannot tell a cause from what goes along with it.
pub fn attribute(question: &Question<'_>) -> Vec<Driver> {
    let shape = effective(question);
    let values: usize = question.dimensions.iter().map(Vec::len).sum();
    // A normal tail is below exp(-z^2 / 2): so no value of all passes by chance more often than that.
    let threshold = (2.0 * (values.max(1) as f64 / FALSE_ALARM).ln()).sqrt();
    let explain = |(dimension, slices): (usize, &Vec<Slice>)| {
        let whole = Whole::of(question, shape, slices);
        Choice { whole, slices, threshold, dispersion: question.dispersion, change: whole.change() }
            .explain(dimension)
    };
    let mut found: Vec<Explanation> = question.dimensions.iter().enumerate().filter_map(explain).collect();
    found.sort_by(Explanation::order);
    found.into_iter().flat_map(|explanation| explanation.drivers).collect()
}

/// Counts of which no part has more above than below are shares.
fn effective(question: &Question<'_>) -> Shape {
    let is_share = |slice: &Slice| {
        [slice.before, slice.after]
            .iter()
            .all(|side| side.above.is_count() && side.below.is_count() && side.above.sum <= side.below.sum)
    };
    let all = || question.dimensions.iter().flatten().all(is_share);
    if question.shape == Shape::Quotient && all() { Shape::Share } else { question.shape }
}

/// What one dimension says.
struct Explanation {
    drivers: Vec<Driver>,
    /// The part of the change that it explains.
    explained: f64,
    /// How much better the values tell the events apart than no values do, less a fee for each of them: as the Bayesian
    /// information criterion weighs it.
    gain: f64,
}

impl Explanation {
    fn order(&self, other: &Self) -> Ordering {
        let is_enough = |of: &Self| of.explained >= ENOUGH_OF_DIMENSION;
        let surprise = |of: &Self| of.drivers.iter().map(|driver| driver.surprise).sum::<f64>();
        is_enough(other)
            .cmp(&is_enough(self))
            .then_with(|| other.gain.total_cmp(&self.gain))
            .then_with(|| surprise(other).total_cmp(&surprise(self)))
    }
}

/// The choice of a dimension's values.
struct Choice<'a> {
    whole: Whole,
    slices: &'a [Slice],
    /// Standard errors from which a difference is none of chance.
    threshold: f64,
    dispersion: Dispersion,
    change: f64,
}

/// What a value did beyond the rest.
#[derive(Debug, Clone, Copy)]
struct Judged {
    kind: Kind,
    /// Its part of the change.
    explained: f64,
    evidence: f64,
}

impl Choice<'_> {
    fn explain(&self, dimension: usize) -> Option<Explanation> {
        if self.change == 0.0 || !self.change.is_finite() {
            return None;
        }
        let (chosen, rest) = self.choose();
        let drivers: Vec<Driver> = chosen
            .iter()
            .filter_map(|(at, kind)| Some((at, self.judge_as(*kind, &self.slices[*at].sides(), &rest)?)))
            .map(|(at, judged)| self.driver(dimension, &self.slices[*at], judged))
            .collect();
        (!drivers.is_empty()).then(|| Explanation {
            explained: drivers.iter().map(|driver| driver.explained).sum(),
            gain: self.gain(&chosen, &rest) - chosen.len() as f64 * self.samples().max(2.0).ln(),
            drivers,
        })
    }

    /// How much better the chosen ones together tell the events apart than nothing does.
    fn gain(&self, chosen: &[(usize, Kind)], rest: &Sides) -> f64 {
        let of_kind = |kind: Kind| {
            let mut own = Sides::default();
            let slices = chosen.iter().filter(|(_, other)| *other == kind);
            slices.for_each(|(at, _)| own += self.slices[*at].sides());
            self.evidence(kind, &own, rest).powi(2)
        };
        [Kind::Volume, Kind::Rate, Kind::Mix].into_iter().map(of_kind).sum()
    }

    /// Takes the value that did most beyond the rest out of it, as long as there is one, and what then is left.
    fn choose(&self) -> (Vec<(usize, Kind)>, Sides) {
        let (mut chosen, mut rest): (Vec<(usize, Kind)>, _) = (Vec::new(), self.whole.sides);
        while chosen.len() < MOST_VALUES {
            let left = self.slices.iter().enumerate();
            let left = left.filter(|(at, _)| chosen.iter().all(|(other, _)| other != at));
            let judged = left.filter_map(|(at, slice)| {
                let own = slice.sides();
                Some((at, self.judge(&own, &(rest - own))?))
            });
            let most = judged.max_by(|(_, a), (_, b)| a.explained.total_cmp(&b.explained));
            let Some((at, Judged { kind, .. })) = most else { break };
            chosen.push((at, kind));
            rest = rest - self.slices[at].sides();
        }
        (chosen, rest)
    }

    /// What a value did, if it is worth naming.
    fn judge(&self, own: &Sides, rest: &Sides) -> Option<Judged> {
        let kinds: &[Kind] = match self.whole.shape {
            Shape::Volume => &[Kind::Volume],
            Shape::Share | Shape::Quotient => &[Kind::Rate, Kind::Mix],
        };
        let judged = kinds.iter().filter_map(|kind| self.judge_as(*kind, own, rest));
        judged.max_by(|a, b| a.explained.total_cmp(&b.explained))
    }

    fn judge_as(&self, kind: Kind, own: &Sides, rest: &Sides) -> Option<Judged> {
        let explained = self.whole.beyond(kind, own, rest) / self.change;
        let evidence = self.evidence(kind, own, rest);
        let is_worth = explained >= LEAST_OF_VALUE && evidence.abs() >= self.threshold;
        let moved = kind != Kind::Mix || self.moved_more(own, rest);
        (is_worth && moved).then_some(Judged { kind, explained, evidence })
    }

    fn evidence(&self, kind: Kind, own: &Sides, rest: &Sides) -> f64 {
        evidence(self.whole.shape, kind, own, rest) / self.dispersion.of(kind).sqrt()
    }

    /// Whether there is so much more or less of a value that it is the one that changed the mix: of two values, both weights change.
    fn moved_more(&self, own: &Sides, rest: &Sides) -> bool {
        let growth = |of: &Sides| {
            let (before, after) = (of.before.below.sum * self.whole.scale, of.after.below.sum);
            ((after + 0.5) / (before + 0.5)).ln().abs()
        };
        growth(own) > growth(rest)
    }

    fn driver(&self, dimension: usize, slice: &Slice, judged: Judged) -> Driver {
        let own = slice.sides();
        let weights = self.whole.weights(&own);
        let volumes = (own.before.above.sum * self.whole.scale, own.after.above.sum);
        let (before, after) = match judged.kind {
            Kind::Volume => volumes,
            Kind::Rate => own.rates().unwrap_or_default(),
            Kind::Mix => weights,
        };
        let (p, q) = if judged.kind == Kind::Volume { self.shares(&own) } else { weights };
        Driver {
            dimension,
            value: slice.value.clone(),
            kind: judged.kind,
            before,
            after,
            contribution: self.whole.effects(&own).of(judged.kind) / self.change,
            explained: judged.explained,
            evidence: judged.evidence,
            surprise: surprise(p, q),
        }
    }

    /// The shares of the volume.
    fn shares(&self, own: &Sides) -> (f64, f64) {
        let share = |own: f64, all: f64| if all > 0.0 { own / all } else { 0.0 };
        let all = &self.whole.sides;
        (share(own.before.above.sum, all.before.above.sum), share(own.after.above.sum, all.after.above.sum))
    }

    fn samples(&self) -> f64 {
        let Sides { before, after } = &self.whole.sides;
        let samples = match self.whole.shape {
            Shape::Volume => before.above.samples + after.above.samples,
            Shape::Share | Shape::Quotient => before.below.samples + after.below.samples,
        };
        samples as f64
    }
}
