//! Who was who at an earlier epoch.

use hashbrown::HashMap;

use super::forest::{Change, Forest, NONE, Place};
use super::{ActorKey, IdentityGraph, PointerChange};

impl IdentityGraph {
    /// The person an actor was part of at an epoch, for a few actors: takes the time of its pointers. For many of them
    /// [`IdentityGraph::as_of`] is faster.
    pub fn canonical_at(&self, actor: ActorKey, epoch: u64) -> ActorKey {
        let Some(mut place) = self.forest.find(actor) else { return actor };
        while let Some(parent) = self.forest.parent_at(place, epoch) {
            place = parent;
        }
        self.forest.key(place)
    }

    /// The ids that were below a person's root at an epoch. Takes the time of the person's ids, and of the changes since.
    pub fn members_at(&self, root: ActorKey, epoch: u64) -> Vec<ActorKey> {
        let Some(start) = self.forest.find(root) else { return Vec::new() };
        let since = Since::new(&self.forest, epoch);
        let mut found = vec![start];
        let mut at = 0;
        while let Some(place) = found.get(at).copied() {
            since.children(place, &mut found);
            at += 1;
        }
        found[1..].iter().map(|place| self.forest.key(*place)).collect()
    }

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

/// What must be undone to see an earlier epoch.
struct Since<'g> {
    forest: &'g Forest,
    epoch: u64,
    /// By the id they pointed at then: ids that point elsewhere now.
    gone: HashMap<Place, Vec<Place>>,
}

impl<'g> Since<'g> {
    fn new(forest: &'g Forest, epoch: u64) -> Self {
        let first = usize::try_from(epoch).unwrap_or(usize::MAX);
        let changes: &[Change] = forest.changes().get(first..).unwrap_or_default();
        let mut gone: HashMap<Place, Vec<Place>> = HashMap::new();
        for Change { child, .. } in changes {
            let then = forest.parent_at(*child, epoch);
            if let Some(parent) = then.filter(|_| then != forest.parent(*child)) {
                gone.entry(parent).or_default().push(*child);
            }
        }
        for children in gone.values_mut() {
            children.sort_unstable();
            children.dedup();
        }
        Self { forest, epoch, gone }
    }

    fn children(&self, place: Place, found: &mut Vec<Place>) {
        let stayed = |child: &Place| self.forest.parent_at(*child, self.epoch) == Some(place);
        found.extend(self.forest.children(place).filter(stayed));
        found.extend(self.gone.get(&place).into_iter().flatten());
    }
}
