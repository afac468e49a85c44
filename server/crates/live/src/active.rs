//! Who was active lately.

use footpath_engine::Moved;
use footpath_engine::metric::ActiveUsers;
use footpath_model::control::left_out;
use footpath_model::definition::Filter;
use footpath_model::filter::{Needs, Test};
use footpath_model::range::Range;
use serde::{Deserialize, Serialize};

use crate::LiveError;
use crate::hub::{Numbers, Progress};
use crate::reconciliation::Figures;
use crate::view::{Counted, Seen, TREMBLE_US, View, Wants};

const HALF_HOUR_US: i64 = 30 * 60_000_000;

/// What is counted of who is active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedActive {
    /// IANA name of the zone that the day is cut in; empty is UTC.
    pub zone: String,
    /// The project's filter for internal traffic and bots.
    pub internal: Option<Filter>,
}

/// How many persons were active in the last minutes, and today.
#[derive(Debug)]
pub struct ActiveView {
    counted: CountedActive,
    counts: Option<Test>,
    users: ActiveUsers,
    now_us: i64,
    changed: bool,
    broken: Option<Progress>,
    copy: Option<Vec<u8>>,
}

impl ActiveView {
    /// Nobody yet, at `now_us`.
    ///
    /// # Errors
    /// If the filter cannot be compiled or the zone is not known.
    pub fn new(counted: CountedActive, now_us: i64) -> Result<Self, LiveError> {
        let (day_us, _) = Range::Today.resolve(now_us, &counted.zone)?;
        Ok(Self {
            counts: left_out(counted.internal.as_ref()).as_ref().map(Test::new).transpose()?,
            users: ActiveUsers::new(now_us, day_us),
            counted,
            now_us,
            changed: true,
            broken: None,
            copy: None,
        })
    }

    fn day_us(&self, now_us: i64) -> i64 {
        Range::Today.resolve(now_us, &self.counted.zone).map_or(now_us, |(from_us, _)| from_us)
    }
}

impl View for ActiveView {
    fn counted(&self) -> Counted {
        Counted::Active(Box::new(self.counted.clone()))
    }

    fn wants(&self) -> Wants {
        let needs = self.counts.as_ref().map_or_else(Needs::default, Test::needs);
        let from_us = self.day_us(self.now_us).min(self.now_us - HALF_HOUR_US);
        Wants { from_us: Some(from_us), ..Wants::all(needs) }
    }

    #[inline]
    fn take(&mut self, _name: usize, seen: &Seen<'_>) {
        if self.counts.as_ref().is_none_or(|test| test.holds(&seen.facts)) {
            self.users.apply(seen.person, seen.facts.order.0);
        }
    }

    fn flush(&mut self, _at: Progress) {
        self.changed = true;
    }

    fn follow(&mut self, moved: &Moved, at: Progress) {
        if !moved.is_split() {
            self.users.merge(moved.from_root, moved.to_root);
            self.changed = true;
        } else if self.users.forget(moved.from_root).is_some() {
            // Whose the last event was, only stored events tell.
            self.broken.get_or_insert(at);
        }
    }

    fn advance(&mut self, now_us: i64, at: Progress) {
        if now_us < self.now_us.saturating_sub(TREMBLE_US) {
            self.broken.get_or_insert(at); // Who was forgotten by a clock that was ahead, stored events tell.
        }
        if now_us.div_euclid(1_000_000) != self.now_us.div_euclid(1_000_000) {
            let before = self.users.active();
            self.users.advance(now_us, self.day_us(now_us));
            self.changed |= self.users.active() != before;
        }
        self.now_us = now_us;
    }

    fn complete(&self, read: Progress) -> Progress {
        self.broken.map_or(read, |since| since.min(read))
    }

    fn broken(&self) -> Option<Progress> {
        self.broken
    }

    fn stale(&self) -> Vec<(u64, Progress)> {
        self.broken.map(|since| (0, since)).into_iter().collect()
    }

    fn mark_stale(&mut self, _unit: u64, since: Progress) {
        self.broken.get_or_insert(since);
    }

    fn begin_copy(&mut self) {
        let mut copy = Vec::new();
        self.users.encode(&mut copy);
        self.copy = Some(copy);
    }

    fn copy_slice(&mut self, _units: usize, out: &mut Vec<u8>) -> bool {
        self.copy.take().into_iter().for_each(|copy| out.extend(copy));
        false
    }

    fn end_copy(&mut self) {
        self.copy = None;
    }

    fn restore(&mut self, mut copied: &[u8]) -> Option<()> {
        self.users = ActiveUsers::decode(&mut copied).ok()?;
        self.now_us = self.users.now_us();
        copied.is_empty().then_some(())
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn touch(&mut self) {
        self.changed = true;
    }

    fn figures(&self, _now_us: i64) -> Figures {
        let active = self.users.active();
        let named =
            [("5 minutes", active.five_minutes), ("30 minutes", active.half_hour), ("today", active.today)];
        named.into_iter().map(|(name, persons)| (name.to_owned(), persons.to_string())).collect()
    }

    fn numbers(&self) -> Numbers {
        Numbers::Active(self.users.active())
    }
}
