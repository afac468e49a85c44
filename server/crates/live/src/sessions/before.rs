//! Persons whose sessions cannot be told from what is kept: their stored events are folded twice, without those that are not in
//! the numbers yet, and with them. The difference is the correction.

use footpath_engine::{
    PersonSessions, Session, SessionChange, SessionCorrection, SessionEvent, SessionRules,
};
use hashbrown::HashSet;

use super::Event;
use crate::blob;

/// What was counted of a person that is wrong: its sessions of these events are in the numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Before {
    /// Events that are not in the numbers.
    pub(super) skipped: HashSet<(i64, u128)>,
    /// Actors whose sessions were counted apart, before they became this person.
    pub(super) apart: Vec<Vec<u64>>,
}

/// What a reading brings: the sessions that were counted, those there are, and the person's state.
pub(super) struct Refolded {
    pub(super) before: Before,
    pub(super) counted: Vec<Folding>,
    pub(super) now: Folding,
}

/// One person's events, folded in their order.
#[derive(Default)]
pub(super) struct Folding {
    pub(super) state: PersonSessions,
    pub(super) sessions: Vec<Session>,
}

impl Folding {
    pub(super) fn push(&mut self, rules: &SessionRules, event: SessionEvent) {
        // In order, an event always has its place.
        let Ok(delta) = self.state.apply(rules, event) else { return };
        if delta.kind != SessionChange::Opened {
            self.sessions.pop();
        }
        self.sessions.push(delta.after);
    }
}

impl Refolded {
    pub(super) fn new(before: Before) -> Self {
        let counted = (0..=before.apart.len()).map(|_| Folding::default()).collect();
        Self { before, counted, now: Folding::default() }
    }

    pub(super) fn push(&mut self, rules: &SessionRules, (event, actor): Event) {
        self.now.push(rules, event);
        if !self.before.skipped.contains(&event.order()) {
            let apart = self.before.apart.iter().position(|actors| actors.contains(&actor));
            self.counted[apart.map_or(0, |at| at + 1)].push(rules, event);
        }
    }

    /// What leads from what was counted to what is.
    pub(super) fn correction(&self) -> SessionCorrection {
        let mut counted: Vec<Session> = self.counted.iter().flat_map(|one| one.sessions.clone()).collect();
        counted.sort_by_key(|session| session.start_us);
        SessionCorrection::between(&counted, &self.now.sessions)
    }
}

impl Before {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        blob::put_u64(out, self.skipped.len() as u64);
        for (time_us, id) in &self.skipped {
            out.extend_from_slice(&time_us.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        blob::put_u64(out, self.apart.len() as u64);
        self.apart.iter().for_each(|actors| blob::put_u64s(out, actors));
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut before = Self::default();
        for _ in 0..blob::take_u64(bytes)? {
            let time_us = blob::take_u64(bytes)?.cast_signed();
            let (low, high) = (blob::take_u64(bytes)?, blob::take_u64(bytes)?);
            before.skipped.insert((time_us, u128::from(high) << 64 | u128::from(low)));
        }
        for _ in 0..blob::take_u64(bytes)? {
            before.apart.push(blob::take_u64s(bytes)?);
        }
        Some(before)
    }
}
