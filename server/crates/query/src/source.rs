//! What a question is asked of: one moment of one project.

use std::sync::Arc;

use footpath_engine::{IdentityGraph, LedgerEntry, SessionRules};
use footpath_history::{Pinned, Scan};

use crate::QueryError;

/// Which project is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    /// Its number in the log.
    pub number: u32,
    /// Its id, which actors are hashed with.
    pub id: &'a str,
}

/// One moment of one project: every question is answered from one of these.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The stored events.
    pub pinned: &'a Pinned,
    /// Whose they are.
    pub project: Project<'a>,
    /// The project's control records that change identity: at least all below [`Pinned::chunks_upto`].
    pub ledger: &'a [LedgerEntry],
    /// How the project cuts sessions.
    pub sessions: SessionRules,
    /// What time it is, microseconds since 1970.
    pub now_us: i64,
}

/// What an answer was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Read {
    /// The log position (exclusive) it holds for.
    pub position: u64,
    /// The append time of the last frame in it, microseconds since 1970.
    pub processed_us: i64,
    /// Events looked at: those in the range that have a name that matters.
    pub events: u64,
}

/// A span of time: from inclusive, to exclusive, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from_us: i64,
    /// Its end; `None` where it reaches to now, and what clients' clocks date ahead is in it.
    pub to_us: Option<i64>,
}

impl Source<'_> {
    /// Every event, with nothing but its head.
    pub(crate) fn all(&self) -> Scan<'static> {
        Scan::all(self.project.number)
    }

    /// Who is who, now or at an earlier epoch.
    pub(crate) fn identity(&self, epoch: Option<u64>) -> Result<Arc<IdentityGraph>, QueryError> {
        let graph = self.pinned.shared_identity(self.project.number, self.project.id, self.ledger)?;
        match epoch {
            None => Ok(graph),
            Some(asked) if asked > graph.epoch() => Err(QueryError::Epoch { asked, newest: graph.epoch() }),
            Some(asked) => Ok(Arc::new(graph.as_of(asked))),
        }
    }

    /// What an answer was read from.
    pub(crate) fn read(&self, events: u64) -> Read {
        Read { position: self.pinned.position(), processed_us: self.pinned.processed_us(), events }
    }
}

impl Span {
    /// All of time.
    pub(crate) const ALWAYS: Self = Self { from_us: i64::MIN, to_us: None };

    /// As ranges resolve.
    pub(crate) fn of((from_us, to_us): (i64, Option<i64>)) -> Self {
        Self { from_us, to_us }
    }

    /// Whether a moment lies in it.
    pub(crate) fn holds(&self, time_us: i64) -> bool {
        time_us >= self.from_us && self.to_us.is_none_or(|to_us| time_us < to_us)
    }
}
