//! What a value contributes to a change.

use super::numbers::Sides;
use super::{Kind, Question, Shape, Slice};

/// What a value contributes to the change, in the unit of the number itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effects {
    /// By how much of it there is: of a volume only.
    pub volume: f64,
    /// By its own rate: of a rate only.
    pub rate: f64,
    /// By its weight: of a rate only.
    pub mix: f64,
}

impl Effects {
    /// The one of a kind.
    pub fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Volume => self.volume,
            Kind::Rate => self.rate,
            Kind::Mix => self.mix,
        }
    }

    /// All of them together.
    pub fn sum(&self) -> f64 {
        self.volume + self.rate + self.mix
    }
}

/// What each value of one dimension contributes, in their order. They add up to the change, but for rounding.
pub fn effects(shape: Shape, scale: f64, slices: &[Slice]) -> Vec<Effects> {
    let whole = Whole::new(shape, scale, Sides::sum(slices));
    slices.iter().map(|slice| whole.effects(&slice.sides())).collect()
}

/// All values of a dimension together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) shape: Shape,
    pub(super) scale: f64,
    pub(super) sides: Sides,
}

impl Whole {
    pub(super) fn new(shape: Shape, scale: f64, sides: Sides) -> Self {
        Self { shape, scale, sides }
    }

    pub(super) fn of(question: &Question<'_>, shape: Shape, slices: &[Slice]) -> Self {
        Self::new(shape, question.scale, Sides::sum(slices))
    }

    /// What is to be explained; 0 for a rate that is not there on one side.
    pub(super) fn change(&self) -> f64 {
        let Sides { before, after } = &self.sides;
        match self.shape {
            Shape::Volume => after.above.sum - self.scale * before.above.sum,
            Shape::Share | Shape::Quotient => match (before.rate(), after.rate()) {
                (Some(before), Some(after)) => after - before,
                _ => 0.0,
            },
        }
    }

    pub(super) fn effects(&self, own: &Sides) -> Effects {
        if self.shape == Shape::Volume {
            let volume = own.after.above.sum - self.scale * own.before.above.sum;
            return Effects { volume, ..Effects::default() };
        }
        let (Some(rates), Some(all)) = (own.rates(), self.sides.rates()) else { return Effects::default() };
        let weights = self.weights(own);
        Effects {
            volume: 0.0,
            rate: mean(weights) * (rates.1 - rates.0),
            mix: (weights.1 - weights.0) * (mean(rates) - mean(all)),
        }
    }

    /// The shares of what is below the line.
    pub(super) fn weights(&self, own: &Sides) -> (f64, f64) {
        let share = |own: f64, all: f64| if all == 0.0 { 0.0 } else { own / all };
        let Sides { before, after } = &self.sides;
        (share(own.before.below.sum, before.below.sum), share(own.after.below.sum, after.below.sum))
    }

    /// What there would not have been, had a value moved as the rest did: a value and the rest are a dimension of two.
    pub(super) fn beyond(&self, kind: Kind, own: &Sides, rest: &Sides) -> f64 {
        if kind == Kind::Volume {
            return own.after.above.sum - self.growth(rest) * own.before.above.sum;
        }
        let (Some(rates), Some(others)) = (own.rates(), rest.rates()) else { return 0.0 };
        let weights = self.weights(own);
        match kind {
            Kind::Mix => (weights.1 - weights.0) * (mean(rates) - mean(others)),
            _ => mean(weights) * ((rates.1 - rates.0) - (others.1 - others.0)),
        }
    }

    /// What the rest's volume was multiplied by; the scale where there was none to multiply.
    fn growth(&self, rest: &Sides) -> f64 {
        let (before, after) = (rest.before.above.sum, rest.after.above.sum);
        if before > 0.0 && after >= 0.0 { after / before } else { self.scale }
    }
}

fn mean((a, b): (f64, f64)) -> f64 {
    (a + b) / 2.0
}

/// Jensen-Shannon surprise of a share that was expected to be `p` and is `q`, in nats (Adtributor, section 4.1).
pub(super) fn surprise(p: f64, q: f64) -> f64 {
    let term = |x: f64| if x > 0.0 { x * (2.0 * x / (p + q)).ln() } else { 0.0 };
    if p < 0.0 || q < 0.0 { 0.0 } else { (term(p) + term(q)) / 2.0 }
}
