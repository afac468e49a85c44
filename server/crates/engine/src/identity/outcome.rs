//! What a change of identity did, or why it did nothing.

use super::{ActorKey, PoisonId};

/// What became of a change that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody belongs to another person from here on.
    Moved(Moved),
    /// Both ids are the same person already; nothing changed.
    AlreadyOne,
    /// Nothing changed, for this reason.
    Refused(Refusal),
}

impl Outcome {
    /// Who moved, if anybody did.
    pub fn moved(self) -> Option<Moved> {
        if let Self::Moved(moved) = self { Some(moved) } else { None }
    }
}

/// Who belongs to another person now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The graph's epoch with this change.
    pub epoch: u64,
    /// The person they belonged to.
    pub from_root: ActorKey,
    /// The person they belong to now.
    pub to_root: ActorKey,
    /// The ids that moved; the first is the one whose pointer changed. After an identify, alias or merge it is
    /// `from_root`, which is no person any more; after an unmerge it is `to_root`, which was none before.
    pub ids: Vec<ActorKey>,
}

impl Moved {
    /// Whether one person became two, by an unmerge. Else two became one.
    pub fn is_split(&self) -> bool {
        self.ids.first() == Some(&self.to_root)
    }
}

/// Why a change of identity was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An id cannot stand for a person.
    #[error("{0}")]
    Poison(#[from] PoisonId),
    /// The anonymous id, or the new name, belongs to another person. The first link stands: a shared device must not hand one
    /// person's history to the next.
    #[error("the id belongs to another person; the first link stands")]
    Conflict {
        /// Whom it belongs to.
        owner: ActorKey,
    },
    /// The anonymous id, or the new name, is a known user itself.
    #[error("both ids are known users; only a merge joins them")]
    BothUsers,
    /// The "user" is known as an anonymous id only.
    #[error("the user id is known as an anonymous id of another user")]
    UserIsAnonymous {
        /// Whom it belongs to.
        owner: ActorKey,
    },
    /// The id to unmerge was never linked.
    #[error("the id was never linked to another one")]
    UnknownId,
    /// The id to unmerge has no pointer: it is the person that others are linked to, or was unmerged already.
    #[error("the id is a person of its own; there is nothing to take away from it")]
    NotLinked,
    /// No more ids or changes can be numbered.
    #[error("the project's identity graph is full")]
    Full,
}

impl Refusal {
    /// Its stable name, to count and publish by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Poison(_) => "id_invalid",
            Self::Conflict { .. } => "id_taken",
            Self::BothUsers => "both_users",
            Self::UserIsAnonymous { .. } => "user_is_anonymous",
            Self::UnknownId => "id_unknown",
            Self::NotLinked => "not_linked",
            Self::Full => "graph_full",
        }
    }
}

/// What a pointer was set or taken away by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// Taken away.
    Unmerge = 0,
    /// An anonymous id was found to be a user's.
    Identify = 1,
    /// A new name for a person.
    Alias = 2,
    /// Somebody decided that two persons are one.
    Merge = 3,
}

/// One change of one pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointerChange {
    /// The first epoch that shows it.
    pub epoch: u64,
    /// Whose pointer it is.
    pub id: ActorKey,
    /// Where it points from this epoch on; `None` if it was taken away.
    pub parent: Option<ActorKey>,
    /// What it was changed by.
    pub cause: Cause,
}
