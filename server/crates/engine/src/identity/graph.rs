//! The rules: who may be joined with whom, and by what.

use super::ActorKey;
use super::forest::{Forest, Members, Place};
use super::outcome::{Cause, Moved, Outcome, Refusal};

/// Who is who in one project, now and at every epoch before.
///
/// **Memory**: about 53 bytes a link and 41 a person with links; while a list grows, up to twice that. A pointer that
/// changes again costs 12 bytes and about 14 more.
#[derive(Debug, Clone, Default)]
pub struct IdentityGraph {
    pub(super) forest: Forest,
}

impl IdentityGraph {
    /// No links, epoch 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the changes: what changes an answer of [`IdentityGraph::canonical`] makes a new epoch.
    pub fn epoch(&self) -> u64 {
        self.forest.changes().len() as u64
    }

    /// The person an actor is part of, named by its root; an actor without links is a person of its own.
    #[inline]
    pub fn canonical(&self, actor: ActorKey) -> ActorKey {
        self.forest.find(actor).map_or(actor, |place| self.forest.root(place))
    }

    /// The ids below a person's root, each before those that point at it. With the root itself these are the actors whose
    /// events are the person's.
    pub fn members(&self, root: ActorKey) -> Members<'_> {
        Members(self.forest.find(root).map(|place| self.forest.below(place)))
    }

    /// Where an id points, and by what it came to; `None` for a person's root.
    pub fn pointer(&self, id: ActorKey) -> Option<(ActorKey, Cause)> {
        let (parent, cause) = self.forest.pointer(self.forest.find(id)?)?;
        Some((self.forest.key(parent), cause))
    }

    /// Whether another id was ever pointed at this one.
    pub fn is_known_user(&self, id: ActorKey) -> bool {
        self.forest.find(id).is_some_and(|place| self.forest.is_known_user(place))
    }

    /// How many ids [`IdentityGraph::merge`] of this one would move: its whole person's. At least 1.
    pub fn merge_size(&self, from: ActorKey) -> usize {
        1 + self.members(self.canonical(from)).count()
    }

    /// Makes an anonymous id part of a user. Must follow the order of the log, as all changes must.
    pub fn identify(&mut self, anonymous: ActorKey, user: ActorKey) -> Outcome {
        if self.is_one(anonymous, user) {
            return Outcome::AlreadyOne;
        }
        if let Err(refusal) = self.check_is_free(anonymous).and_then(|()| self.check_is_user(user)) {
            return Outcome::Refused(refusal);
        }
        self.join(anonymous, user, Cause::Identify)
    }

    /// Gives a person another name: one that has no links of its own.
    pub fn alias(&mut self, person: ActorKey, name: ActorKey) -> Outcome {
        if self.is_one(person, name) {
            return Outcome::AlreadyOne;
        }
        match self.check_is_free(name) {
            Ok(()) => self.join(name, person, Cause::Alias),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Makes all of one person part of another. What is unmerged to undo it is [`Moved::from_root`]. Takes the time of
    /// [`IdentityGraph::merge_size`].
    pub fn merge(&mut self, from: ActorKey, into: ActorKey) -> Outcome {
        if self.is_one(from, into) {
            return Outcome::AlreadyOne;
        }
        self.join(self.canonical(from), into, Cause::Merge)
    }

    /// Takes the pointer of an id away: it and all below it are a person of their own, as they were before the link, alias
    /// or merge. A later record may join them again.
    pub fn unmerge(&mut self, id: ActorKey) -> Outcome {
        let Some(place) = self.forest.find(id) else { return Outcome::Refused(Refusal::UnknownId) };
        if self.forest.parent(place).is_none() {
            return Outcome::Refused(Refusal::NotLinked);
        }
        if !self.forest.has_room() {
            return Outcome::Refused(Refusal::Full);
        }
        let from_root = self.forest.root(place);
        let moved = self.forest.point(place, None, Cause::Unmerge);
        self.moved(from_root, &moved)
    }

    fn is_one(&self, a: ActorKey, b: ActorKey) -> bool {
        self.canonical(a) == self.canonical(b)
    }

    /// Checks that an id may become part of somebody without a human's word: it is nobody's, and nobody is its.
    fn check_is_free(&self, id: ActorKey) -> Result<(), Refusal> {
        let Some(place) = self.forest.find(id) else { return Ok(()) };
        if self.forest.parent(place).is_some() {
            return Err(Refusal::Conflict { owner: self.forest.root(place) });
        }
        if self.forest.is_known_user(place) { Err(Refusal::BothUsers) } else { Ok(()) }
    }

    /// Checks that an id is more than some user's anonymous id. Other names of a person, and users that were merged into
    /// another, go on being used as user ids.
    fn check_is_user(&self, id: ActorKey) -> Result<(), Refusal> {
        let Some(place) = self.forest.find(id) else { return Ok(()) };
        let anonymous = matches!(self.forest.pointer(place), Some((_, Cause::Identify)));
        if !anonymous || self.forest.is_known_user(place) {
            return Ok(());
        }
        Err(Refusal::UserIsAnonymous { owner: self.forest.root(place) })
    }

    /// Points a root at an id of another tree. So no loop can form.
    fn join(&mut self, root: ActorKey, to: ActorKey, cause: Cause) -> Outcome {
        if !self.forest.has_room() {
            return Outcome::Refused(Refusal::Full);
        }
        let (child, parent) = (self.forest.intern(root), self.forest.intern(to));
        let moved = self.forest.point(child, Some(parent), cause);
        self.moved(root, &moved)
    }

    /// `moved` holds at least the id whose pointer changed.
    fn moved(&self, from_root: ActorKey, moved: &[Place]) -> Outcome {
        let to_root = moved.first().map_or(from_root, |place| self.forest.root(*place));
        let ids = moved.iter().map(|place| self.forest.key(*place)).collect();
        Outcome::Moved(Moved { epoch: self.epoch(), from_root, to_root, ids })
    }
}
