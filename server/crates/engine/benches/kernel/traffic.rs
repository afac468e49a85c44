//! Events of many persons who take turns: what every bench here folds.

use std::fmt;

use footpath_engine::FunnelEvent;

/// Events in a sample: so few that one lasts under a millisecond, and a busy machine spoils some and not all.
pub const BLOCK: usize = 20_000;
/// How often a person does something, on average.
const PACE_US: i64 = 120_000_000;
/// How late a late event is at most: some of the person's events came before it.
const MOST_LATE_US: u64 = 300_000_000;
/// 2023: far from 1970, where ranges would end.
pub const START_US: i64 = 1_700_000_000_000_000;

/// How many there are, and how they behave.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// How many.
    pub persons: usize,
    /// The k-th busiest has 1/k of the busiest one's events (Zipf), else all have the same.
    pub skewed: bool,
    /// How many of a hundred events are late.
    pub late_percent: u64,
}

impl Crowd {
    /// All alike, all in order.
    pub const fn of(persons: usize) -> Self {
        Self { persons, skewed: false, late_percent: 0 }
    }

    /// A tenth is late.
    pub const fn late(self) -> Self {
        Self { late_percent: 10, ..self }
    }

    /// Few do most.
    pub const fn skewed(self) -> Self {
        Self { skewed: true, ..self }
    }
}

/// All that is measured of funnels.
pub const CROWDS: [Crowd; 8] = [
    Crowd::of(10_000),
    Crowd::of(10_000).late(),
    Crowd::of(10_000).skewed(),
    Crowd::of(10_000).skewed().late(),
    Crowd::of(1_000_000),
    Crowd::of(1_000_000).late(),
    Crowd::of(1_000_000).skewed(),
    Crowd::of(1_000_000).skewed().late(),
];

/// What is measured where only size and lateness matter.
pub const FEW_CROWDS: [Crowd; 4] =
    [Crowd::of(10_000), Crowd::of(10_000).late(), Crowd::of(1_000_000), Crowd::of(1_000_000).late()];

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skew = if self.skewed { " Zipf" } else { "" };
        write!(f, "{:>7} persons{skew}, {:>2} % late", self.persons, self.late_percent)
    }
}

/// One event of somebody.
#[derive(Clone, Copy)]
pub struct Act {
    /// Who, counted from 0.
    pub person: u32,
    /// When.
    pub time_us: i64,
    /// What else there is to choose.
    pub random: u64,
}

impl Act {
    /// As one of a funnel's three steps, whichever.
    pub fn step(&self) -> FunnelEvent {
        let id = (self.time_us as u128) << 64 | u128::from(self.random);
        let steps = 1 << ((self.random >> 60) % 3);
        FunnelEvent { time_us: self.time_us, id, steps, exclusions: 0, part: 0, value: 0 }
    }
}

/// Who does something, and when: without an end, and the same in every run.
pub struct Traffic {
    crowd: Crowd,
    now_us: i64,
    state: u64,
}

impl Traffic {
    /// From the beginning.
    pub fn new(crowd: Crowd) -> Self {
        Self { crowd, now_us: START_US, state: 7 }
    }

    /// The next block.
    pub fn block(&mut self) -> Vec<Act> {
        (0..BLOCK).map(|_| self.act()).collect()
    }

    /// Blocks until everybody has had this many events, on average: then state and memory are as they stay.
    pub fn warm_up(&mut self, events: usize, mut each: impl FnMut(&[Act])) {
        (0..events * self.crowd.persons / BLOCK).for_each(|_| each(&self.block()));
    }

    fn act(&mut self) -> Act {
        self.now_us += PACE_US / self.crowd.persons as i64;
        let is_late = self.next() % 100 < self.crowd.late_percent;
        let late_us = if is_late { (self.next() % MOST_LATE_US) as i64 } else { 0 };
        Act { person: self.person(), time_us: self.now_us - late_us, random: self.next() }
    }

    fn person(&mut self) -> u32 {
        let persons = self.crowd.persons as u64;
        if !self.crowd.skewed {
            return (self.next() % persons) as u32;
        }
        // The inverse of the sum of 1/k, and neighbours in rank are no neighbours in memory.
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (persons as f64).powf(uniform) as u64;
        (rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) % persons) as u32
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}
