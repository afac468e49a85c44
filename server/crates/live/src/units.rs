//! The units of one view, so many of them with all that is known of them; of more, the quietest have little left.

use crate::table::{State, Table, Unit};

/// Units that lose what is known of them at a time, so that nobody waits.
const AT_ONCE: usize = 4096;

/// A block of an image holds units that are awake.
pub const AWAKE: u8 = 0;
/// A block of an image holds quiet units.
pub const QUIET: u8 = 1;

/// Units with their states `S`, and the quiet ones, of which `Q` is left. Nobody is in both.
#[derive(Debug)]
pub struct Units<S, Q> {
    /// Those with all that is known of them.
    pub awake: Table<S>,
    /// Those without.
    pub quiet: Table<Q>,
    most_awake: usize,
}

impl<S, Q> Default for Units<S, Q> {
    fn default() -> Self {
        Self { awake: Table::default(), quiet: Table::default(), most_awake: usize::MAX }
    }
}

impl<S: State, Q: State> Units<S, Q> {
    /// Keeps so many awake from now on; all until then.
    pub fn bound(&mut self, most_awake: usize) {
        self.most_awake = most_awake;
    }

    /// Whether more are awake than there may be.
    pub fn is_too_many(&self) -> bool {
        self.awake.len() > self.most_awake
    }

    /// Has the quietest of those that may go lose their states, some at a time. `left` says what is left of one; without, it is forgotten.
    pub fn make_room(&mut self, may_go: impl Fn(&S) -> bool, mut left: impl FnMut(u64, S) -> Option<Q>) {
        for _ in 0..self.awake.len().saturating_sub(self.most_awake).min(AT_ONCE) {
            let Some(Unit { key, state }) = self.awake.take_quietest(&may_go) else { return };
            if let Some(left) = left(key, state) {
                self.quiet.change(key, || left);
            }
        }
    }

    /// Whether a unit is there, and quiet.
    #[inline]
    pub fn is_quiet(&self, key: u64) -> bool {
        !self.quiet.is_empty() && self.quiet.slot(key).is_some()
    }

    /// Whether a unit is there.
    pub fn has(&self, key: u64) -> bool {
        self.awake.slot(key).is_some() || self.is_quiet(key)
    }

    /// Begins a copy of this moment; one that was under way is forgotten.
    pub fn begin_copy(&mut self) {
        self.awake.begin_copy();
        self.quiet.begin_copy();
    }

    /// Copies the next `slots` slots behind `out`, behind what they hold: [`AWAKE`] or [`QUIET`]. False when nothing is left.
    pub fn copy_slice(&mut self, slots: usize, out: &mut Vec<u8>) -> bool {
        if self.awake.is_copying() {
            out.push(AWAKE);
            self.awake.copy_slice(slots, out);
            return true;
        }
        out.push(QUIET);
        self.quiet.copy_slice(slots, out)
    }

    /// Whether a copy is under way.
    pub fn is_copying(&self) -> bool {
        self.awake.is_copying() || self.quiet.is_copying()
    }

    /// Forgets a copy that is under way.
    pub fn end_copy(&mut self) {
        self.awake.end_copy();
        self.quiet.end_copy();
    }
}
