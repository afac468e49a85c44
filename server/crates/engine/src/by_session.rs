//! A person's funnel where every session counts on its own: a chain keeps to one session.
//!
//! The sessions are those of [`crate::session`], and within one the funnel is a fold of [`crate::general`]. Two rules join them:
//! a session that begins earlier than was known takes its fold along, and two sessions that become one join their folds. What
//! neither can do without older events is answered with [`Change::NeedsRefold`].
//!
//! **Memory**: 80 bytes and those of [`PersonSessions`], and a [`GeneralPerson`] for each session with an event that concerns the funnel.
//! Once a session is too old to change, 12 bytes are left of each attempt; where the range moves its fold stays until it has left
//! the range.

use std::collections::BTreeMap;

use crate::general::{Attempt, FunnelEvent, GeneralPerson, GeneralRules, fold_general};
use crate::image::{BadImage, take};
use crate::person::{Change, NeedsRefold};
use crate::session::{
    MergedSessions, PersonSessions, SessionDelta, SessionEvent, SessionRules, fold_sessions,
};
use crate::tally::{Tallies, Tally, decode_all, encode_all};

/// How one session is folded, and how sessions are cut.
#[derive(Debug, Clone, Copy)]
pub struct BySessionRules<'a> {
    /// The funnel within a session.
    pub funnel: &'a GeneralRules,
    /// Where sessions begin and end.
    pub sessions: &'a SessionRules,
}

impl BySessionRules<'_> {
    fn moves(&self) -> bool {
        self.funnel.options().moving
    }
}

/// The attempts in one person's events, sorted by (time, id), session after session, for a range that begins at `from_us`.
pub fn fold_by_session(rules: BySessionRules<'_>, from_us: i64, sorted: &[FunnelEvent]) -> Vec<Attempt> {
    let slots: Vec<_> = fold_sessions(rules.sessions, sorted.iter().map(|event| event.time_us)).collect();
    let mut attempts = Vec::new();
    let mut rest = sorted;
    for session in slots.chunk_by(|a, b| a.number == b.number) {
        let (own, later) = rest.split_at(session.len());
        rest = later;
        attempts.extend(fold_general(rules.funnel, from_us, own.iter().copied()));
    }
    attempts
}

/// The funnel in one session.
#[derive(Debug, Clone)]
struct InSession {
    fold: GeneralPerson,
    /// Its answer for the range as it stands; worked out when somebody asks.
    answer: Option<Answer>,
}

/// What one session counts for.
#[derive(Debug, Clone)]
struct Answer {
    tallies: Tallies,
    /// As [`GeneralPerson::falls_after`].
    falls_after: Option<i64>,
}

impl PartialEq for InSession {
    /// The answer follows from the fold.
    fn eq(&self, other: &Self) -> bool {
        self.fold == other.fold
    }
}

impl InSession {
    fn new(fold: GeneralPerson) -> Self {
        Self { fold, answer: None }
    }

    fn answer(&mut self, rules: &GeneralRules, from_us: i64) -> &Answer {
        self.answer.get_or_insert_with(|| Answer {
            tallies: Tallies::of(&self.fold.attempts(rules, from_us), rules.options().steps),
            falls_after: self.fold.falls_after(rules, from_us),
        })
    }

    fn advance(&mut self, rules: &GeneralRules, from_us: i64, back: bool) -> Result<(), NeedsRefold> {
        self.fold.advance(rules, from_us)?;
        let falls = |answer: &Answer| answer.falls_after.is_some_and(|moment| moment < from_us);
        self.answer.take_if(|answer| back || falls(answer));
        Ok(())
    }

    /// Whether nothing counts any more, whatever becomes of the range's beginning.
    fn is_over(&mut self, rules: &GeneralRules, from_us: i64) -> bool {
        let answer = self.answer(rules, from_us);
        answer.tallies == Tallies::None && answer.falls_after.is_none()
    }
}

/// One person's funnel, session by session, while events arrive in any order. Every call must pass the [`BySessionRules`] it was
/// made with.
#[derive(Debug, Clone, PartialEq)]
pub struct BySession {
    sessions: PersonSessions,
    /// By the beginnings of their sessions.
    funnels: BTreeMap<i64, InSession>,
    /// What sessions count for that are too old to change, where the range does not move.
    settled: Vec<Tally>,
    from_us: i64,
    /// Whether something is gone that could count in a range that begins earlier.
    forgot: bool,
}

impl BySession {
    /// A person without events, for a range that begins at `from_us` now.
    pub fn new(from_us: i64) -> Self {
        Self {
            sessions: PersonSessions::new(),
            funnels: BTreeMap::new(),
            settled: Vec::new(),
            from_us,
            forgot: false,
        }
    }

    /// Takes an event, in whatever order it arrives: all events of the person make its sessions, whether they match a step or
    /// not. It must not have come before.
    pub fn apply(&mut self, rules: BySessionRules<'_>, event: FunnelEvent) -> Change {
        let of_session = SessionEvent { time_us: event.time_us, id: event.id, name: 0 };
        let Ok(delta) = self.sessions.apply(rules.sessions, of_session) else { return Change::NeedsRefold };
        let Ok(joined) = self.follow(rules, &delta) else { return Change::NeedsRefold };
        let change = self.fold(rules, delta.after.start_us, event);
        self.settle(rules);
        if joined && change == Change::Irrelevant { Change::Late } else { change }
    }

    /// Takes the folds along to where their sessions begin now. True if two became one.
    fn follow(&mut self, rules: BySessionRules<'_>, delta: &SessionDelta) -> Result<bool, NeedsRefold> {
        let mut joined = false;
        for before in delta.before().iter().filter(|before| before.start_us != delta.after.start_us) {
            let Some(own) = self.funnels.remove(&before.start_us) else { continue };
            joined |= self.put(rules, delta.after.start_us, own)?;
        }
        Ok(joined)
    }

    /// Adds a fold to the session that begins then. True if there was one.
    fn put(&mut self, rules: BySessionRules<'_>, start_us: i64, own: InSession) -> Result<bool, NeedsRefold> {
        let Some(known) = self.funnels.get_mut(&start_us) else {
            self.funnels.insert(start_us, own);
            return Ok(false);
        };
        let fold = GeneralPerson::merge(rules.funnel, &known.fold, &own.fold)?;
        *known = InSession::new(fold);
        Ok(true)
    }

    fn fold(&mut self, rules: BySessionRules<'_>, start_us: i64, event: FunnelEvent) -> Change {
        let funnel = rules.funnel;
        if !funnel.concerns(event.steps, event.exclusions) {
            return Change::Irrelevant;
        }
        let from_us = self.from_us;
        let new = || InSession::new(GeneralPerson::new(funnel, from_us));
        let own = self.funnels.entry(start_us).or_insert_with(new);
        let change = own.fold.apply(funnel, event);
        match change {
            Change::InOrder | Change::Late => own.answer = None,
            Change::Irrelevant if own.fold.is_empty() => {
                self.funnels.remove(&start_us);
                self.forgot = true;
            }
            Change::Irrelevant | Change::Duplicate | Change::NeedsRefold => {}
        }
        change
    }

    /// Keeps nothing but the numbers of sessions that no event can change any more.
    fn settle(&mut self, rules: BySessionRules<'_>) {
        if self.sessions.settled() == 0 || rules.moves() {
            return;
        }
        while let Some(oldest) = self.funnels.first_entry()
            && is_settled(&self.sessions, *oldest.key())
        {
            let mut oldest = oldest.remove();
            self.settled.extend_from_slice(oldest.answer(rules.funnel, self.from_us).tallies.as_slice());
        }
    }

    /// Joins the states of two actors that are one person. Their ranges begin at the same time.
    ///
    /// # Errors
    /// [`NeedsRefold`] if their sessions, or the funnels in sessions that become one, cannot be joined in memory.
    pub fn merge(rules: BySessionRules<'_>, a: &Self, b: &Self) -> Result<Self, NeedsRefold> {
        let merged = PersonSessions::merge(rules.sessions, &a.sessions, &b.sessions);
        let MergedSessions { person, correction } = merged.map_err(|_| NeedsRefold)?;
        let begins_now = |start_us: i64| {
            let moved = correction.removed.iter().any(|old| old.start_us == start_us);
            let mut added = correction.added.iter().filter(|_| moved);
            added.find(|new| (new.start_us..=new.end_us).contains(&start_us))
        };
        let mut joined = Self {
            sessions: person,
            funnels: BTreeMap::new(),
            settled: [&a.settled[..], &b.settled[..]].concat(),
            from_us: a.from_us,
            forgot: a.forgot || b.forgot,
        };
        for (start_us, own) in a.funnels.iter().chain(&b.funnels) {
            let start_us = begins_now(*start_us).map_or(*start_us, |session| session.start_us);
            joined.put(rules, start_us, own.clone())?;
        }
        joined.settle(rules);
        Ok(joined)
    }

    /// The range begins at `from_us` now.
    ///
    /// # Errors
    /// [`NeedsRefold`] if stored events have to be read to know what counts from there on.
    pub fn advance(&mut self, rules: BySessionRules<'_>, from_us: i64) -> Result<(), NeedsRefold> {
        if from_us == self.from_us || !rules.moves() {
            return Ok(());
        }
        let back = from_us < self.from_us;
        if back && self.forgot {
            return Err(NeedsRefold);
        }
        self.funnels.values_mut().try_for_each(|own| own.advance(rules.funnel, from_us, back))?;
        self.from_us = from_us;
        let (sessions, before) = (&self.sessions, self.funnels.len());
        let stays = |start_us: &i64, own: &mut InSession| {
            !is_settled(sessions, *start_us) || !own.is_over(rules.funnel, from_us)
        };
        self.funnels.retain(stays);
        self.forgot |= self.funnels.len() < before;
        Ok(())
    }

    /// What its sessions count for.
    pub fn tallies(&mut self, rules: BySessionRules<'_>) -> Tallies {
        let from_us = self.from_us;
        let own = self.funnels.values_mut();
        let own = own.flat_map(|own| own.answer(rules.funnel, from_us).tallies.as_slice());
        self.settled.iter().chain(own).copied().collect()
    }

    /// The range's beginning behind which it counts for something else, without any event.
    pub fn falls_after(&mut self, rules: BySessionRules<'_>) -> Option<i64> {
        let from_us = self.from_us;
        self.funnels.values_mut().filter_map(|own| own.answer(rules.funnel, from_us).falls_after).min()
    }

    /// As [`GeneralPerson::is_heavy`], with many sessions as well.
    pub fn is_heavy(&self, many: usize) -> bool {
        let sessions = self.settled.len() + self.funnels.len();
        sessions > many || self.funnels.values().any(|own| own.fold.is_heavy(many))
    }

    /// Appends the state, for images: the sessions, the range's beginning (8 bytes), whether something is gone (1), what settled
    /// sessions count for, how many folds there are (4), and each with its session's beginning (8).
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.sessions.encode(out);
        out.extend_from_slice(&self.from_us.to_le_bytes());
        out.push(u8::from(self.forgot));
        encode_all(&self.settled, out);
        out.extend_from_slice(&(self.funnels.len() as u32).to_le_bytes());
        for (start_us, own) in &self.funnels {
            out.extend_from_slice(&start_us.to_le_bytes());
            own.fold.encode(out);
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are cut, belong to other rules, or break an invariant of the state.
    pub fn decode(rules: BySessionRules<'_>, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        let sessions = PersonSessions::decode(rules.sessions, bytes)?;
        let from_us = i64::from_le_bytes(take(bytes)?);
        let [forgot] = take(bytes)?;
        let settled = decode_all(bytes)?;
        let mut funnels = BTreeMap::new();
        for _ in 0..u32::from_le_bytes(take(bytes)?) {
            let start_us = i64::from_le_bytes(take(bytes)?);
            let fold = GeneralPerson::decode(rules.funnel, bytes)?;
            funnels.insert(start_us, InSession::new(fold));
        }
        Ok(Self { sessions, funnels, settled, from_us, forgot: forgot != 0 })
    }
}

/// Whether a session that began then is too old to change.
fn is_settled(sessions: &PersonSessions, start_us: i64) -> bool {
    sessions.sessions().next().is_some_and(|oldest| start_us < oldest.start_us)
}

#[cfg(test)]
mod tests;
