//! Who was who at an earlier epoch.

use super::forest::NONE;
use super::{IdentityGraph, PointerChange};

impl IdentityGraph {
    /// The changes that lead from epoch `a` to epoch `b`, in order.
    pub fn changes_between(&self, a: u64, b: u64) -> impl Iterator<Item = PointerChange> + '_ {
        let changes = self.forest.changes();
        let within = |epoch: u64| usize::try_from(epoch).map_or(changes.len(), |at| at.min(changes.len()));
        let (from, to) = (within(a), within(b));
        let between = changes.get(from..to).unwrap_or_default();
        between.iter().enumerate().map(move |(i, change)| PointerChange {
            epoch: (from + i + 1) as u64,
            id: self.forest.key(change.child),
            parent: (change.parent != NONE).then(|| self.forest.key(change.parent)),
            cause: change.cause,
        })
    }

    /// The graph as it was at an epoch. Takes the time of making it again.
    #[must_use]
    pub fn as_of(&self, epoch: u64) -> Self {
        let mut then = Self::new();
        for change in self.changes_between(0, epoch) {
            let id = then.forest.intern(change.id);
            let parent = change.parent.map(|parent| then.forest.intern(parent));
            then.forest.point(id, parent, change.cause);
        }
        then
    }
}
