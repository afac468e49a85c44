//! The trees of pointers, and how every pointer came about.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::ActorKey;
use super::outcome::Cause;

/// An id's number: ids are numbered as they appear.
pub(super) type Place = u32;
/// No place, no change.
pub(super) const NONE: u32 = u32::MAX;

/// One id. Its children are a ring, so that one number leads to the last of them and from there to the first.
#[derive(Debug, Clone, Copy)]
struct Node {
    key: ActorKey,
    /// The person: the end of its pointers, kept so that it is found in one step.
    root: ActorKey,
    last_child: Place,
    next_sibling: Place,
    /// The newest change of its pointer.
    latest: u32,
    known_user: bool,
}

const _: () = assert!(size_of::<Node>() == 32, "the memory of a graph is documented");

/// One change of one pointer; its place in the list is the epoch before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) child: Place,
    /// [`NONE`] if it was taken away.
    pub(super) parent: Place,
    pub(super) cause: Cause,
}

const _: () = assert!(size_of::<Change>() == 12, "the memory of a graph is documented");

/// Trees that are never rebalanced: what was joined must come apart again as it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Forest {
    /// Seeded: keys are chosen by clients.
    hasher: DefaultHashBuilder,
    index: HashTable<Place>,
    nodes: Vec<Node>,
    changes: Vec<Change>,
}

impl Forest {
    #[inline]
    pub(super) fn find(&self, key: ActorKey) -> Option<Place> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |place| self.node(*place).key == key).copied()
    }

    /// The place of an id, made if it is new.
    pub(super) fn intern(&mut self, key: ActorKey) -> Place {
        if let Some(place) = self.find(key) {
            return place;
        }
        let place = self.nodes.len() as Place;
        let lone =
            Node { key, root: key, last_child: NONE, next_sibling: NONE, latest: NONE, known_user: false };
        self.nodes.push(lone);
        let Self { hasher, index, nodes, .. } = self;
        let hash = |place: &Place| hasher.hash_one(nodes[*place as usize].key);
        index.insert_unique(hash(&place), place, hash);
        place
    }

    /// Whether another link can be numbered: it may bring two ids.
    pub(super) fn has_room(&self) -> bool {
        self.nodes.len() < NONE as usize - 2 && self.changes.len() < NONE as usize
    }

    #[inline]
    fn node(&self, place: Place) -> &Node {
        &self.nodes[place as usize]
    }

    fn node_mut(&mut self, place: Place) -> &mut Node {
        &mut self.nodes[place as usize]
    }

    pub(super) fn key(&self, place: Place) -> ActorKey {
        self.node(place).key
    }

    #[inline]
    pub(super) fn root(&self, place: Place) -> ActorKey {
        self.node(place).root
    }

    pub(super) fn is_known_user(&self, place: Place) -> bool {
        self.node(place).known_user
    }

    /// Where an id points, and why.
    pub(super) fn pointer(&self, place: Place) -> Option<(Place, Cause)> {
        let change = self.changes.get(self.node(place).latest as usize)?;
        (change.parent != NONE).then_some((change.parent, change.cause))
    }

    pub(super) fn parent(&self, place: Place) -> Option<Place> {
        self.pointer(place).map(|(parent, _)| parent)
    }

    /// Every change, oldest first.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Every id, by its place.
    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = ActorKey> {
        self.nodes.iter().map(|node| node.key)
    }

    /// Points a root at an id of another tree, or takes an id's pointer away. Gives the places that belong to another root
    /// now. Takes the time of their number; taking away also that of the siblings'.
    pub(super) fn point(&mut self, child: Place, parent: Option<Place>, cause: Cause) -> Vec<Place> {
        if let Some(old) = self.parent(child) {
            self.leave(old, child);
        }
        self.record(Change { child, parent: parent.unwrap_or(NONE), cause });
        if let Some(new) = parent {
            self.enter(new, child);
            self.node_mut(new).known_user = true;
        }
        let root = parent.map_or(self.key(child), |parent| self.root(parent));
        let moved: Vec<_> = std::iter::once(child).chain(self.below(child)).collect();
        for place in &moved {
            self.node_mut(*place).root = root;
        }
        moved
    }

    fn record(&mut self, change: Change) {
        let number = self.changes.len() as u32;
        self.changes.push(change);
        self.node_mut(change.child).latest = number;
    }

    fn enter(&mut self, parent: Place, child: Place) {
        let last = std::mem::replace(&mut self.node_mut(parent).last_child, child);
        let first = if last == NONE { child } else { self.node(last).next_sibling };
        self.node_mut(child).next_sibling = first;
        if last != NONE {
            self.node_mut(last).next_sibling = child;
        }
    }

    fn leave(&mut self, parent: Place, child: Place) {
        let last = self.node(parent).last_child;
        let mut before = last;
        while self.node(before).next_sibling != child {
            before = self.node(before).next_sibling;
        }
        let after = self.node(child).next_sibling;
        self.node_mut(before).next_sibling = after;
        if last == child {
            self.node_mut(parent).last_child = if before == child { NONE } else { before };
        }
    }

    /// Everything below an id, parents before children.
    pub(super) fn below(&self, start: Place) -> Below<'_> {
        Below { forest: self, start, at: start }
    }

    pub(super) fn children(&self, place: Place) -> impl Iterator<Item = Place> + '_ {
        let last = self.node(place).last_child;
        let first = (last != NONE).then(|| self.node(last).next_sibling);
        std::iter::successors(first, move |at| (*at != last).then(|| self.node(*at).next_sibling))
    }
}

/// See [`Forest::below`]. Needs no memory: it climbs where it came down.
#[derive(Debug, Clone)]
pub(super) struct Below<'g> {
    forest: &'g Forest,
    start: Place,
    at: Place,
}

impl Below<'_> {
    fn climb(&self) -> Option<Place> {
        let mut at = self.at;
        while at != self.start {
            let parent = self.forest.parent(at)?;
            if self.forest.node(parent).last_child != at {
                return Some(self.forest.node(at).next_sibling);
            }
            at = parent;
        }
        None
    }
}

impl Iterator for Below<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        self.at = self.forest.children(self.at).next().or_else(|| self.climb())?;
        Some(self.at)
    }
}

/// The ids below an id; see [`super::IdentityGraph::members`].
#[derive(Debug, Clone)]
pub struct Members<'g>(pub(super) Option<Below<'g>>);

impl Iterator for Members<'_> {
    type Item = ActorKey;

    fn next(&mut self) -> Option<ActorKey> {
        let below = self.0.as_mut()?;
        below.next().map(|place| below.forest.key(place))
    }
}
