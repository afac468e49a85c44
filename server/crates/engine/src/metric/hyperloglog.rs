//! HyperLogLog: how many distinct persons, approximately, in 16 KiB.
//!
//! Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007, with the
//! estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017 (section 3), which needs no
//! table of corrections and holds from none to 2^64. The registers are the maximum over a set: no order matters, and a union is
//! the maximum of both. Nobody can be taken out.

use crate::identity::ActorKey;
use crate::metric::codec::{BadBytes, take_array};

const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The highest rank: all bits behind the index are zeros.
const MOST: usize = (64 - INDEX_BITS + 1) as usize;

/// The relative standard error: `1.04 / sqrt(registers)`.
pub(crate) const STANDARD_ERROR: f64 = 0.008125;

/// A sketch of a set of persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HyperLogLog {
    registers: Box<[u8; REGISTERS]>,
}

impl HyperLogLog {
    pub(crate) fn new() -> Self {
        Self { registers: Box::new([0; REGISTERS]) }
    }

    pub(crate) fn add(&mut self, person: ActorKey) {
        let hash = mix(person.0);
        let index = (hash >> (64 - INDEX_BITS)) as usize;
        // The bit behind the last ends the run of zeros.
        let rest = hash << INDEX_BITS | 1 << (INDEX_BITS - 1);
        let rank = rest.leading_zeros() as u8 + 1;
        self.registers[index] = self.registers[index].max(rank);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.registers.iter_mut().zip(other.registers.iter()) {
            *own = (*own).max(*other);
        }
    }

    /// How many distinct persons were added, about.
    pub(crate) fn estimate(&self) -> u64 {
        let mut of_rank = [0_u32; MOST + 1];
        self.registers.iter().for_each(|rank| of_rank[usize::from(*rank).min(MOST)] += 1);
        let registers = REGISTERS as f64;
        let mut z = registers * tau(1.0 - f64::from(of_rank[MOST]) / registers);
        for count in of_rank[1..MOST].iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += registers * sigma(f64::from(of_rank[0]) / registers);
        let alpha = 0.5 / std::f64::consts::LN_2;
        (alpha * registers * registers / z).round() as u64
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.registers.as_slice());
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let registers: [u8; REGISTERS] = take_array(bytes)?;
        let sound = registers.iter().all(|rank| usize::from(*rank) <= MOST);
        if sound { Ok(Self { registers: Box::new(registers) }) } else { Err(BadBytes) }
    }
}

/// The finaliser of splitmix64. A key is a hash, but the keys of one lane end alike.
fn mix(key: u64) -> u64 {
    let x = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Ertl's algorithm 5: what empty registers add.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// Ertl's algorithm 6: what full registers add.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(persons: impl Iterator<Item = u64>) -> HyperLogLog {
        let mut sketch = HyperLogLog::new();
        persons.for_each(|person| sketch.add(ActorKey(person)));
        sketch
    }

    #[test]
    fn estimates_lie_within_four_standard_errors() {
        assert_eq!(HyperLogLog::new().estimate(), 0);
        for persons in [1, 10, 1_000, 20_000, 60_000, 300_000_u64] {
            // Keys that differ in their upper bits only, as in one lane.
            let estimate = sketch((0..persons).map(|person| person << 8)).estimate();
            let error = (estimate as f64 / persons as f64 - 1.0).abs();
            assert!(error < 4.0 * STANDARD_ERROR, "{persons} {estimate}");
        }
    }

    #[test]
    fn a_union_counts_everybody_once() {
        let (mut a, b) = (sketch(0..30_000), sketch(20_000..50_000));
        a.merge(&b);
        assert_eq!(a, sketch(0..50_000));
    }
}
