//! How far the numbers of persons vary: who does something once does it again, so a hundred events are less evidence than a hundred
//! persons.

use std::collections::HashMap;

use footpath_engine::attribution::{Dispersion, Shape};

use super::board::Line;

/// Persons that are looked at in a span; of more, a half, a quarter, ...: their keys are hashes.
const MOST_PERSONS: usize = if cfg!(test) { 16 } else { 1 << 16 };

/// What a person adds up to, above and below the line.
#[derive(Debug, Clone, Copy, Default)]
struct Person {
    sums: [f64; 2],
    squares: [f64; 2],
}

/// The numbers of the persons of one span, and what was found in those before.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    persons: HashMap<u64, Person>,
    /// Only persons are kept whose keys end in so many zeros.
    zeros: u32,
    /// What is above varies so much by person, and by event.
    above: Pair,
    below: Pair,
    rate: Pair,
}

/// Squares by person, and as if each event were by somebody else.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    by_person: f64,
    by_event: f64,
}

impl Pair {
    fn dispersion(self) -> f64 {
        if self.by_event > 0.0 { (self.by_person / self.by_event).max(1.0) } else { 1.0 }
    }
}

impl Clusters {
    pub(super) fn add(&mut self, person: u64, line: Line, number: f64) {
        if !self.keeps(person) {
            return;
        }
        let own = self.persons.entry(person).or_default();
        own.sums[line as usize] += number;
        own.squares[line as usize] += number * number;
        while self.persons.len() > MOST_PERSONS {
            self.zeros += 1;
            let zeros = self.zeros;
            self.persons.retain(|person, _| person.trailing_zeros() >= zeros);
        }
    }

    fn keeps(&self, person: u64) -> bool {
        person.trailing_zeros() >= self.zeros
    }

    /// Adds up a span, and forgets its persons.
    pub(super) fn end_span(&mut self, shape: Shape) {
        let sum = |of: &dyn Fn(&Person) -> f64| self.persons.values().map(of).sum::<f64>();
        let [above, below] = [0, 1].map(|line| Pair {
            by_person: sum(&|own| own.sums[line] * own.sums[line]),
            by_event: sum(&|own| own.squares[line]),
        });
        let (over, under) = (sum(&|own| own.sums[0]), sum(&|own| own.sums[1]));
        let rate = if under > 0.0 { over / under } else { 0.0 };
        let residue = |own: &Person| (own.sums[0] - rate * own.sums[1]).powi(2);
        let of_share = (above.by_event - rate * over).max(0.0);
        // As the kernel has it: counts of which no more are above than below are shares.
        let is_share =
            shape == Shape::Share || (above.by_event == over && below.by_event == under && rate <= 1.0);
        let by_event = if is_share { of_share } else { above.by_event + rate * rate * below.by_event };
        let by_person = sum(&residue);
        for (all, own) in [
            (&mut self.above, above),
            (&mut self.below, below),
            (&mut self.rate, Pair { by_person, by_event }),
        ] {
            all.by_person += own.by_person;
            all.by_event += own.by_event;
        }
        self.persons.clear();
    }

    pub(super) fn dispersion(&self, shape: Shape) -> Dispersion {
        let volume = if shape == Shape::Volume { self.above } else { self.below };
        Dispersion { volume: volume.dispersion(), rate: self.rate.dispersion() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn events_of_one_person_are_one_piece_of_evidence() {
        let mut rng = Rng(1);
        let mut clusters = Clusters::default();
        // More persons than are kept; each does everything five times, and fails always or never.
        for _ in 0..2_000 {
            let person = rng.below(u64::MAX);
            let fails = rng.chance(2);
            for _ in 0..5 {
                clusters.add(person, Line::Below, 1.0);
                clusters.add(person, Line::Above, f64::from(u8::from(fails)));
            }
        }
        assert!(clusters.persons.len() <= MOST_PERSONS && clusters.zeros > 3);
        clusters.end_span(Shape::Share);
        let Dispersion { volume, rate } = clusters.dispersion(Shape::Share);
        assert!((volume - 5.0).abs() < 1e-9 && (rate - 5.0).abs() < 1e-9, "{volume} {rate}");
        assert_eq!(Clusters::default().dispersion(Shape::Volume), Dispersion::default());
    }
}
