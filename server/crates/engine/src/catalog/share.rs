//! Which events' properties are looked at.
//!
//! Counting a name costs some 10 ns; looking at all properties of an event costs 500 ns, and several times that when
//! thousands of names have pushed each other out of the processor's cache. So an event is looked at if any of these holds:
//! 1. it is among the first [`A_SECOND`] of its name in this second of receipt, and the project's [`ALL_A_SECOND`] are not
//!    used up: while few events come, all are looked at, and an hour of quiet hides nothing;
//! 2. it is among the first [`FIRST`] of its name since the start, and the project's [`FIRST_A_SECOND`] are not used up: a
//!    rare name is seen in full beside frequent ones;
//! 3. its id falls into one of [`EVERY`] shares: by the id, not by its place, so that a batch whose events come in a
//!    fixed order hides none of them.
//!
//! At 500,000 events/s that is at most 9,900 events a second, 2 %. A property that one in a thousand events of such a flood
//! has is still seen some four times a second.

use footpath_model::id::EventId;

/// Of a name, since the start.
pub(super) const FIRST: u32 = 1_000;
/// Of a name, in a second.
pub(super) const A_SECOND: u32 = 200;
/// Of a project, in a second.
pub(super) const ALL_A_SECOND: u32 = 4_000;
/// Of a project, in a second, among the first of their names.
const FIRST_A_SECOND: u32 = 2_000;
/// Of what is left, one in so many.
pub(super) const EVERY: u64 = 128;
/// Batches are stored a little out of the order of their receipt. A clock that was set back further begins anew.
const OUT_OF_ORDER_S: i64 = 5;

/// What the project has left in this second.
#[derive(Debug)]
pub(super) struct Share {
    second: i64,
    left: u32,
    first_left: u32,
}

/// What one name has had.
#[derive(Debug, Default)]
pub(super) struct Turn {
    second: i64,
    in_second: u32,
    /// Since the start; stands still at [`FIRST`].
    first: u32,
}

impl Default for Share {
    /// Before all times.
    fn default() -> Self {
        Self { second: i64::MIN, left: 0, first_left: 0 }
    }
}

impl Share {
    /// What comes next was received at this time, in microseconds.
    pub(super) fn at(&mut self, at_us: i64) {
        let second = at_us.div_euclid(1_000_000);
        let same = self.second.saturating_sub(OUT_OF_ORDER_S)..=self.second;
        if !same.contains(&second) {
            *self = Self { second, left: ALL_A_SECOND, first_left: FIRST_A_SECOND };
        }
    }

    /// Whether to look at an event, and if so, that it was.
    #[inline]
    pub(super) fn takes(&mut self, turn: &mut Turn, id: EventId) -> bool {
        if turn.second != self.second {
            (turn.second, turn.in_second) = (self.second, 0);
        }
        if turn.in_second < A_SECOND && self.left > 0 {
            turn.in_second += 1;
            turn.first = FIRST.min(turn.first + 1);
            self.left -= 1;
            return true;
        }
        if turn.first < FIRST && self.first_left > 0 {
            turn.first += 1;
            self.first_left -= 1;
            return true;
        }
        is_chosen(id)
    }
}

/// One in [`EVERY`] ids. Mixed, because ids that are made by a rule share most of their bits.
#[inline]
pub(super) fn is_chosen(id: EventId) -> bool {
    let id = id.as_u128();
    // The odd constants of SplitMix64's finaliser.
    let mixed = ((id >> 64) as u64 ^ (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 32).wrapping_mul(0x94d0_49bb_1331_11eb) >> (64 - EVERY.trailing_zeros()) == 0
}

const _: () = assert!(EVERY.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `events` are looked at, all of one name and received at once.
    fn looked_at(share: &mut Share, turn: &mut Turn, events: u32) -> u32 {
        let id = |i: u32| EventId::derived(b"batch", i);
        (0..events).map(|i| u32::from(share.takes(turn, id(i)))).sum()
    }

    fn used_up() -> Turn {
        Turn { first: FIRST, ..Turn::default() }
    }

    #[test]
    fn the_first_of_a_name_are_looked_at_then_so_many_a_second_then_a_share() {
        let (mut share, mut turn) = (Share::default(), Turn::default());
        share.at(7_000_000);
        assert_eq!(looked_at(&mut share, &mut turn, FIRST), FIRST);
        let of_many = looked_at(&mut share, &mut turn, 100_000);
        assert!((700..860).contains(&of_many), "{of_many} of 100,000");
        share.at(8_000_000);
        let of_many = looked_at(&mut share, &mut turn, 100_000);
        assert!((900..1_060).contains(&of_many), "{of_many} of 100,000");
    }

    #[test]
    fn a_second_out_of_order_is_no_new_one_but_a_clock_set_back_is() {
        let mut share = Share::default();
        let mut turn = used_up();
        let mut looked_at = |at_us| {
            share.at(at_us);
            let id = (0..).map(|i| EventId::derived(b"b", i)).find(|id| !is_chosen(*id)).unwrap();
            (0..1_000).filter(|_| share.takes(&mut turn, id)).count()
        };
        assert_eq!(looked_at(100_000_000), A_SECOND as usize);
        assert_eq!(looked_at(99_000_000), 0);
        assert_eq!(looked_at(100_900_000), 0);
        assert_eq!(looked_at(101_000_000), A_SECOND as usize);
        assert_eq!(looked_at(50_000_000), A_SECOND as usize);
        assert_eq!(looked_at(i64::MIN), A_SECOND as usize);
        assert_eq!(looked_at(i64::MAX), A_SECOND as usize);
    }

    #[test]
    fn many_names_share_the_project_s_allowance() {
        let mut share = Share::default();
        share.at(7_000_000);
        let of_all: u32 = (0..100).map(|_| looked_at(&mut share, &mut used_up(), 200)).sum();
        let beyond = 100 * 200 - ALL_A_SECOND;
        let chosen = of_all - ALL_A_SECOND;
        assert!(chosen < 3 * beyond / EVERY as u32, "{chosen} of {beyond}");
    }

    #[test]
    fn the_first_of_many_names_have_a_bound_too() {
        let mut share = Share::default();
        share.at(7_000_000);
        let all = ALL_A_SECOND + FIRST_A_SECOND;
        let of_all: u32 = (0..10_000).map(|_| looked_at(&mut share, &mut Turn::default(), 1)).sum();
        assert!((all..all + 100).contains(&of_all), "{of_all}");
    }

    #[test]
    fn ids_of_every_kind_are_chosen_alike() {
        let v7 = |i: u32| EventId::v7(i64::from(i) * 1_000, [7; 10]);
        let counted = |i: u32| EventId(u128::from(i).to_be_bytes());
        let high = |i: u32| EventId((u128::from(i) << 96).to_be_bytes());
        let derived = |i: u32| EventId::derived(&i.to_le_bytes(), 0);
        let of_all = |id: &dyn Fn(u32) -> EventId| (0..128_000).filter(|i| is_chosen(id(*i))).count();
        let counts = [of_all(&v7), of_all(&counted), of_all(&high), of_all(&derived)];
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?} of 1,000");
    }
}
