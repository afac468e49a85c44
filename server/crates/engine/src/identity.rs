//! Which actors are one person.
//!
//! Events are stored under the actor they were sent with. The person is derived when they are read: an
//! anonymous id that was identified has a parent, the user. So a link rewrites nothing, and "as of" an earlier
//! epoch is a comparison. Links come from `$identify` records in the order of the log, which makes the graph
//! the same wherever it is built.

use hashbrown::{HashMap, HashSet};

/// An actor's key within a project: the hash of the id it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorKey(pub u64);

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The anonymous actor now belongs to the user, from this epoch on.
    Linked {
        /// The graph's epoch with this link.
        epoch: u64,
    },
    /// It did so before; nothing changed.
    AlreadyLinked,
    /// Both are the same id; nothing to link.
    SameActor,
    /// The anonymous actor belongs to another user. The first link stands: a shared device must not hand one
    /// person's history to the next.
    Conflict {
        /// Whom it belongs to.
        owner: ActorKey,
    },
    /// The "anonymous" actor is a user that others are linked to. `identify` never merges two of these.
    BothUsers,
    /// The "user" is known as an anonymous id of another one.
    UserIsAnonymous {
        /// Whom it belongs to.
        owner: ActorKey,
    },
}

/// Why an id cannot stand for a person. Such ids come from code that sends a missing value as text, and would
/// merge strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoisonId {
    /// Nothing, or only white space.
    #[error("the id is empty")]
    Empty,
    /// A missing value written as text: null, undefined, none, nan, `[object Object]`.
    #[error("the id is a missing value written as text")]
    MissingValue,
    /// Only zeros, as in the nil UUID.
    #[error("the id is all zeros")]
    Zeros,
    /// A word for everybody who is not known: anonymous, guest, unknown.
    #[error("the id is a placeholder for everybody who is not known")]
    Placeholder,
}

/// Checks that an id can stand for one person. Case and surrounding white space do not matter.
///
/// # Errors
/// The reason why not.
pub fn check_id(id: &str) -> Result<(), PoisonId> {
    let id = id.trim();
    if id.is_empty() {
        return Err(PoisonId::Empty);
    }
    let is_one_of = |words: &[&str]| words.iter().any(|word| id.eq_ignore_ascii_case(word));
    if is_one_of(&["null", "undefined", "none", "nan", "[object object]"]) {
        return Err(PoisonId::MissingValue);
    }
    if is_one_of(&["anonymous", "guest", "unknown"]) {
        return Err(PoisonId::Placeholder);
    }
    let all_zeros = id.contains('0') && id.bytes().all(|c| matches!(c, b'0' | b'-' | b'{' | b'}'));
    if all_zeros { Err(PoisonId::Zeros) } else { Ok(()) }
}

/// The links of one project.
///
/// About 48 bytes a link, and 16 a user that has one.
#[derive(Debug, Clone, Default)]
pub struct IdentityGraph {
    /// The user of every anonymous actor.
    owners: HashMap<ActorKey, ActorKey>,
    members: HashMap<ActorKey, Vec<ActorKey>>,
    users: HashSet<ActorKey>,
    /// In the order in which they were made; the epoch is their number.
    links: Vec<(ActorKey, ActorKey)>,
}

impl IdentityGraph {
    /// No links, epoch 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the links: what changes an answer of [`IdentityGraph::canonical`] makes a new epoch.
    pub fn epoch(&self) -> u64 {
        self.links.len() as u64
    }

    /// Links by the ids as sent; `key` hashes an id within the project.
    ///
    /// # Errors
    /// If one of the ids cannot stand for a person; nothing was linked.
    pub fn identify(
        &mut self,
        anonymous: &str,
        user: &str,
        key: impl Fn(&str) -> ActorKey,
    ) -> Result<LinkOutcome, PoisonId> {
        check_id(anonymous)?;
        check_id(user)?;
        Ok(self.link(key(anonymous), key(user)))
    }

    /// Makes an anonymous actor part of a user. Must follow the order of the log. The ids were checked with
    /// [`check_id`].
    pub fn link(&mut self, anonymous: ActorKey, user: ActorKey) -> LinkOutcome {
        if anonymous == user {
            return LinkOutcome::SameActor;
        }
        if let Some(&owner) = self.owners.get(&anonymous) {
            let same = owner == user;
            return if same { LinkOutcome::AlreadyLinked } else { LinkOutcome::Conflict { owner } };
        }
        if self.users.contains(&anonymous) {
            return LinkOutcome::BothUsers;
        }
        if let Some(&owner) = self.owners.get(&user) {
            return LinkOutcome::UserIsAnonymous { owner };
        }
        self.links.push((anonymous, user));
        let epoch = self.epoch();
        self.users.insert(user);
        self.owners.insert(anonymous, user);
        self.members.entry(user).or_default().push(anonymous);
        LinkOutcome::Linked { epoch }
    }

    /// The person an actor is part of, named by its user, or by itself.
    #[inline]
    pub fn canonical(&self, actor: ActorKey) -> ActorKey {
        self.owners.get(&actor).copied().unwrap_or(actor)
    }

    /// The anonymous actors of a user, in the order in which they were linked. With the user itself these are the
    /// actors whose events are the person's.
    pub fn members(&self, user: ActorKey) -> &[ActorKey] {
        self.members.get(&user).map_or(&[], Vec::as_slice)
    }

    /// All links in the order in which they were made, for images: `(anonymous, user)`. Linking them again in this
    /// order gives the same graph and epochs.
    pub fn links(&self) -> &[(ActorKey, ActorKey)] {
        &self.links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ActorKey = ActorKey(1);
    const B: ActorKey = ActorKey(2);
    const U: ActorKey = ActorKey(10);
    const V: ActorKey = ActorKey(11);

    #[test]
    fn anonymous_history_joins_the_user() {
        let mut graph = IdentityGraph::new();
        assert_eq!(graph.canonical(A), A);
        assert_eq!(graph.link(A, U), LinkOutcome::Linked { epoch: 1 });
        assert_eq!(graph.link(B, U), LinkOutcome::Linked { epoch: 2 });
        assert_eq!([A, B, U, V].map(|actor| graph.canonical(actor)), [U, U, U, V]);
        assert_eq!(graph.members(U), [A, B]);
    }

    #[test]
    fn the_first_link_wins() {
        let mut graph = IdentityGraph::new();
        graph.link(A, U);
        assert_eq!(graph.link(A, U), LinkOutcome::AlreadyLinked);
        assert_eq!(graph.link(A, V), LinkOutcome::Conflict { owner: U });
        assert_eq!((graph.canonical(A), graph.epoch()), (U, 1));
        assert!(graph.members(V).is_empty());
    }

    #[test]
    fn linked_users_never_merge_and_one_without_a_link_can_be_claimed() {
        let mut graph = IdentityGraph::new();
        graph.link(A, U);
        graph.link(B, V);
        assert_eq!(graph.link(U, V), LinkOutcome::BothUsers);
        assert_eq!(graph.link(V, U), LinkOutcome::BothUsers);
        assert_eq!(graph.link(B, A), LinkOutcome::Conflict { owner: V });
        assert_eq!(graph.link(ActorKey(3), A), LinkOutcome::UserIsAnonymous { owner: U });
        assert_eq!(graph.link(U, U), LinkOutcome::SameActor);
        assert_eq!(graph.epoch(), 2);
        assert_eq!(graph.link(ActorKey(12), U), LinkOutcome::Linked { epoch: 3 });
    }

    #[test]
    fn poison_is_refused_with_a_reason() {
        use PoisonId::{Empty, MissingValue, Placeholder, Zeros};
        let cases = [
            ("", Empty),
            (" \t", Empty),
            ("null", MissingValue),
            ("NULL", MissingValue),
            ("undefined", MissingValue),
            ("None", MissingValue),
            ("NaN", MissingValue),
            ("[object Object]", MissingValue),
            ("0", Zeros),
            ("00000000-0000-0000-0000-000000000000", Zeros),
            ("{00000000-0000-0000-0000-000000000000}", Zeros),
            ("anonymous", Placeholder),
            ("Guest ", Placeholder),
            ("unknown", Placeholder),
        ];
        for (id, reason) in cases {
            assert_eq!(check_id(id), Err(reason), "{id:?}");
        }
        for id in ["-", "nullable", "guest-17", "10", "a0"] {
            assert_eq!(check_id(id), Ok(()), "{id:?}");
        }
        let mut graph = IdentityGraph::new();
        let key = |id: &str| ActorKey(id.len() as u64);
        assert_eq!(graph.identify("device", "null", key), Err(MissingValue));
        assert_eq!(graph.identify("device", "ann", key), Ok(LinkOutcome::Linked { epoch: 1 }));
    }

    #[test]
    fn links_make_the_same_graph_again() {
        let mut graph = IdentityGraph::new();
        for i in 0..100 {
            graph.link(ActorKey(i), ActorKey(1000 + i % 7));
        }
        let mut again = IdentityGraph::new();
        for (anonymous, user) in graph.links() {
            again.link(*anonymous, *user);
        }
        assert_eq!(again.links(), graph.links());
        assert_eq!(again.epoch(), graph.epoch());
    }
}
