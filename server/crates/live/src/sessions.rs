//! The view of sessions: every person's, as they open, grow and close, and what is measured of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use footpath_engine::lens::Values;
use footpath_engine::{ActorKey, Moved, PersonSessions, SessionChange, SessionEvent, SessionRules};
use footpath_model::control::{CountedMetric, ProjectSettings, SessionLimits, left_out};
use footpath_model::definition::Filter;
use footpath_model::filter::{Needs, Test};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use crate::LiveError;
use crate::blob;
use crate::hub::{Numbers, Progress, SESSION_CHANGES, SessionEventKind, SessionNumbers};
use crate::reading::{Persons, Sees, units_of};
use crate::reconciliation::{Figures, of_table};
use crate::session_measures::{Measures, Right};
use crate::shape::Shape;
use crate::stale::{Finished, Stale};
use crate::table::{State, decode};
use crate::units::{QUIET, Units};
use crate::view::{Brought, Context, Counted, Reading, Seen, TREMBLE_US, View, ViewKey, Wants};
use before::{Before, Refolded};
use quiet::Quiet;

mod before;
mod quiet;

/// Sessions of a person that late events are placed among. In tests so few that events come for older ones.
pub const KEPT: u8 = if cfg!(test) { 2 } else { SessionRules::DEFAULT_KEPT };
/// Nothing is queued.
const NEVER: i64 = i64::MIN;
/// Events of a person that are not counted until it is read; with more all is folded again.
const MOST_SKIPPED: usize = 1 << 20;

/// What is counted of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedSessions {
    /// Where they end.
    pub limits: SessionLimits,
    /// The filter for internal traffic and bots, where it is left out.
    pub internal: Option<Filter>,
    /// Whether internal traffic counts although there is a filter.
    pub with_internal: bool,
    /// The metrics that are made of these sessions.
    pub metrics: Vec<CountedMetric>,
}

impl CountedSessions {
    /// Sessions by a project's settings.
    pub fn of(settings: &ProjectSettings, with_internal: bool, metrics: Vec<CountedMetric>) -> Self {
        Self {
            limits: settings.sessions,
            internal: settings.internal.clone().filter(|_| !with_internal),
            with_internal,
            metrics,
        }
    }

    /// What the view is called.
    pub fn key(&self) -> ViewKey {
        ViewKey::Sessions { internal: self.with_internal }
    }
}

/// An event as sessions see it, and the actor under whom it is stored.
type Event = (SessionEvent, u64);

/// How sessions see events.
#[derive(Debug, Clone)]
struct SessionLens {
    counts: Option<Test>,
    names: Values,
}

impl Sees for SessionLens {
    type Event = Event;

    fn wants(&self) -> Wants {
        Wants::all(self.counts.as_ref().map_or_else(Needs::default, Test::needs))
    }

    #[inline]
    fn see(&self, seen: &Seen<'_>) -> Option<(u64, Event)> {
        if !self.counts.as_ref().is_none_or(|test| test.holds(&seen.facts)) {
            return None;
        }
        let (time_us, id) = seen.facts.order;
        let event = SessionEvent { time_us, id, name: self.names.number(Some(seen.name)) };
        Some((seen.person.0, (event, seen.actor.0)))
    }

    fn order(event: &Event) -> (i64, u128) {
        event.0.order()
    }
}

/// One person.
#[derive(Debug, Default)]
struct SessionUnit {
    sessions: PersonSessions,
    /// Whether it counts as open.
    open: bool,
    /// The moment under which it is queued to be closed.
    queued_us: i64,
}

impl SessionUnit {
    fn new() -> Self {
        Self { queued_us: NEVER, ..Self::default() }
    }
}

impl State for SessionUnit {
    fn encode(&self, out: &mut Vec<u8>) {
        self.sessions.encode(out);
    }

    #[inline]
    fn warm(&self) -> i64 {
        self.sessions.last().map_or(0, |last| last.end_us) ^ self.queued_us
    }
}

/// The view.
#[derive(Debug)]
pub struct SessionsView {
    counted: CountedSessions,
    rules: SessionRules,
    lens: SessionLens,
    /// As many are kept with their sessions as may be, and those who are in one.
    units: Units<SessionUnit, Quiet>,
    stale: Stale<Event>,
    /// Of persons that are wrong.
    before: HashMap<u64, Before>,
    waiting: Vec<(u64, Event)>,
    book: Book,
    copied_sums: Option<Vec<u8>>,
}

/// The numbers, and who changes them next.
#[derive(Debug)]
struct Book {
    measures: Measures,
    open: u64,
    changes: [u64; SESSION_CHANGES],
    /// (moment, person): behind the moment its session is over.
    closing: BinaryHeap<Reverse<(i64, u64)>>,
    now_us: i64,
    revision: u64,
    changed: bool,
}

impl Book {
    fn note(&mut self, kind: SessionEventKind) {
        self.changes[kind as usize] += 1;
        self.revision += 1;
    }

    /// Counts a person in or out of those that are in a session, as of now.
    fn judge(&mut self, rules: &SessionRules, key: u64, unit: &mut SessionUnit) {
        let closes_us = unit.sessions.closes_after(rules);
        let open = closes_us.is_some_and(|closes_us| self.now_us <= closes_us);
        self.open = self.open + u64::from(open) - u64::from(unit.open);
        unit.open = open;
        // A late event that moves the beginning can bring the end nearer.
        let sooner = |closes_us: &i64| unit.queued_us == NEVER || *closes_us < unit.queued_us;
        if let Some(closes_us) = closes_us.filter(|_| open).filter(sooner) {
            unit.queued_us = closes_us;
            self.closing.push(Reverse((closes_us, key)));
        }
    }

    fn leave(&mut self, unit: &SessionUnit) {
        self.open -= u64::from(unit.open);
    }
}

impl SessionsView {
    /// No sessions yet, at `now_us`.
    ///
    /// # Errors
    /// If the filter cannot be compiled, or the settings are out of bounds.
    pub fn new(counted: CountedSessions, now_us: i64) -> Result<Self, LiveError> {
        let names = Values::default();
        let rules = SessionRules::try_from(counted.limits)?.with_kept(KEPT);
        Ok(Self {
            rules,
            lens: SessionLens {
                counts: left_out(counted.internal.as_ref()).as_ref().map(Test::new).transpose()?,
                names: names.clone(),
            },
            units: Units::default(),
            stale: Stale::default(),
            before: HashMap::new(),
            waiting: Vec::new(),
            book: Book {
                measures: Measures::new(&counted.metrics, names, rules, now_us),
                open: 0,
                changes: [0; SESSION_CHANGES],
                closing: BinaryHeap::new(),
                now_us,
                revision: 0,
                changed: true,
            },
            counted,
            copied_sums: None,
        })
    }

    /// Keeps an event of a person that is wrong out of the numbers until it is read; gives it back if the person is not.
    #[inline]
    fn skip(&mut self, person: u64, event: Event, at: Progress) -> Option<Event> {
        let given_back = self.stale.take(person, event);
        if given_back.is_none() {
            self.remember(person, event, at);
        }
        given_back
    }

    fn remember(&mut self, person: u64, event: Event, at: Progress) {
        let before = self.before.entry(person).or_default();
        before.skipped.insert(event.0.order());
        if before.skipped.len() > MOST_SKIPPED {
            self.stale.break_at(at);
        }
    }

    /// Takes one event of one person, stored at `at`.
    #[inline]
    fn apply(&mut self, person: u64, event: Event, at: Progress) {
        let Some(event) = self.skip(person, event, at) else { return };
        if self.units.is_quiet(person) {
            self.stale.mark(person, at);
            return self.remember(person, event, at);
        }
        let known = self.units.awake.change(person, SessionUnit::new);
        let Ok(delta) = known.state.sessions.apply(&self.rules, event.0) else {
            self.stale.mark(person, at);
            return self.remember(person, event, at);
        };
        self.book.note(kind_of(delta.kind));
        let kept = &known.state.sessions;
        let right = self.book.measures.change(ActorKey(person), delta.before(), &[delta.after], kept);
        self.book.judge(&self.rules, person, &mut known.state);
        self.note_right(person, right, at);
    }

    /// Has the numbers put right where a change could not.
    #[inline]
    fn note_right(&mut self, person: u64, right: Right, at: Progress) {
        match right {
            Right::Yes => {}
            Right::ButForPerson => self.stale.mark(person, at),
            Right::No => self.stale.break_at(at),
        }
    }

    /// Two persons became one at `at`: the `ids` of `loser` are `winner`'s now.
    fn join(&mut self, loser: ActorKey, winner: ActorKey, ids: &[ActorKey], at: Progress) {
        let wrong = [self.stale.since(loser.0), self.stale.since(winner.0)].into_iter().flatten().min();
        let is_there = self.units.awake.slot(loser.0).is_some();
        if self.units.is_quiet(loser.0) || is_there && self.units.is_quiet(winner.0) {
            return self.join_quiet(loser, winner, ids, wrong.map_or(at, |since| since.min(at)));
        }
        let Some(lost) = self.units.awake.remove(loser.0) else {
            if let Some(since) = self.stale.remove(loser.0) {
                self.join_wrong(loser, winner, ids, since);
            }
            return;
        };
        self.book.leave(&lost.state);
        let winning = self.units.awake.change(winner.0, SessionUnit::new);
        let merged = PersonSessions::merge(&self.rules, &lost.state.sessions, &winning.state.sessions);
        let (Ok(merged), None) = (merged, wrong) else {
            return self.join_wrong(loser, winner, ids, wrong.map_or(at, |since| since.min(at)));
        };
        winning.state.sessions = merged.person;
        let correction = merged.correction;
        if !correction.removed.is_empty() || !correction.added.is_empty() {
            self.book.note(SessionEventKind::Merged);
        }
        let (removed, added) = (&correction.removed, &correction.added);
        let renamed = self.book.measures.rename(loser, winner);
        let changed = self.book.measures.change(winner, removed, added, &winning.state.sessions);
        self.book.judge(&self.rules, winner.0, &mut winning.state);
        self.note_right(winner.0, renamed.and(changed), at);
    }

    /// What became one person has to be read: both were counted apart.
    fn join_wrong(&mut self, loser: ActorKey, winner: ActorKey, ids: &[ActorKey], since: Progress) {
        let lost = self.before.remove(&loser.0).unwrap_or_default();
        let own = ids.iter().map(|id| id.0).chain([loser.0]);
        let own: HashSet<u64> =
            own.filter(|id| !lost.apart.iter().flatten().any(|other| other == id)).collect();
        let before = self.before.entry(winner.0).or_default();
        before.skipped.extend(lost.skipped);
        before.apart.extend(lost.apart);
        before.apart.push(own.into_iter().collect());
        let renamed = self.book.measures.rename(loser, winner);
        self.note_right(winner.0, renamed, since);
        let wrong = [self.stale.remove(loser.0), self.stale.remove(winner.0)];
        let since = wrong.into_iter().flatten().fold(since, Progress::min);
        self.stale.mark(winner.0, since);
    }

    /// The clock was ahead and was set right: who had been counted out by it is counted again.
    fn go_back(&mut self, at: Progress) {
        if !self.units.quiet.is_empty() {
            return self.stale.break_at(at); // They may be in a session again.
        }
        self.book.closing.clear();
        let Self { units, book, rules, .. } = self;
        units.awake.each(|unit| {
            unit.state.queued_us = NEVER;
            book.judge(rules, unit.key, &mut unit.state);
        });
        self.book.revision += 1;
    }

    fn close_overdue(&mut self) {
        let now_us = self.book.now_us;
        while let Some(Reverse((moment, key))) = self.book.closing.peek().copied() {
            if moment >= now_us {
                return;
            }
            self.book.closing.pop();
            let Some(unit) = self.units.awake.get(key) else { continue };
            if unit.state.queued_us != moment {
                continue; // Queued by somebody who was merged away.
            }
            unit.state.queued_us = NEVER;
            let was_open = unit.state.open;
            self.book.judge(&self.rules, key, &mut unit.state);
            if was_open && !unit.state.open {
                self.book.note(SessionEventKind::Closed);
            }
        }
    }

    fn encode_sums(&self) -> Vec<u8> {
        let mut out = vec![SUMS];
        self.book.measures.encode(&mut out);
        blob::put_u64(&mut out, self.before.len() as u64);
        for (person, before) in &self.before {
            blob::put_u64(&mut out, *person);
            before.encode(&mut out);
        }
        out
    }

    fn decode_sums(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.book.measures.decode(bytes)?;
        for _ in 0..blob::take_u64(bytes)? {
            let person = blob::take_u64(bytes)?;
            self.before.insert(person, Before::decode(bytes)?);
        }
        bytes.is_empty().then_some(())
    }
}

/// What a block of an image holds beside persons: the numbers, and what is wrong with them.
const SUMS: u8 = 2;

fn kind_of(change: SessionChange) -> SessionEventKind {
    match change {
        SessionChange::Opened => SessionEventKind::Opened,
        SessionChange::Extended | SessionChange::Counted => SessionEventKind::Extended,
        SessionChange::Widened => SessionEventKind::Widened,
        SessionChange::Merged => SessionEventKind::Merged,
    }
}

impl View for SessionsView {
    fn counted(&self) -> Counted {
        Counted::Sessions(Box::new(self.counted.clone()))
    }

    fn wants(&self) -> Wants {
        self.lens.wants()
    }

    #[inline]
    fn take(&mut self, _name: usize, seen: &Seen<'_>) {
        self.waiting.extend(self.lens.see(seen));
    }

    fn flush(&mut self, at: Progress) {
        let waiting = std::mem::take(&mut self.waiting);
        let slots: Vec<_> = waiting.iter().map(|(person, _)| self.units.awake.guess(*person)).collect();
        slots.into_iter().flatten().for_each(|slot| self.units.awake.warm(slot));
        for (person, event) in &waiting {
            self.apply(*person, *event, at);
        }
        self.waiting = waiting;
        self.waiting.clear();
        self.make_room();
    }

    fn follow(&mut self, moved: &Moved, at: Progress) {
        if !moved.is_split() {
            return self.join(moved.from_root, moved.to_root, &moved.ids, at);
        }
        if self.units.has(moved.from_root.0) || self.stale.since(moved.from_root.0).is_some() {
            self.stale.break_at(at); // Rare, and asked for by hand: all is folded again.
        }
    }

    fn advance(&mut self, now_us: i64, at: Progress) {
        let back = now_us < self.book.now_us.saturating_sub(TREMBLE_US);
        if now_us <= self.book.now_us && !back {
            return;
        }
        self.book.now_us = now_us;
        self.book.measures.roll(now_us);
        if back {
            self.go_back(at);
        }
        self.close_overdue();
    }

    fn bound(&mut self, most_units: usize) {
        self.units.bound(most_units);
    }

    fn complete(&self, read: Progress) -> Progress {
        self.stale.complete(read)
    }

    fn begin_reading(&mut self, number: u64, upto: Progress, context: &Context<'_>) -> Option<Reading> {
        let persons = self.stale.begin(number, upto)?;
        let before: HashMap<u64, Before> =
            persons.iter().map(|key| (*key, self.before.get(key).cloned().unwrap_or_default())).collect();
        let persons = Persons {
            project: context.project,
            upto: upto.position,
            lens: self.lens.clone(),
            units: units_of(&persons, false, context.identity),
            asked: None,
        };
        let rules = self.rules;
        Some(Box::new(move |stored, stop| {
            let new = |person: u64| Refolded::new(before.get(&person).cloned().unwrap_or_default());
            let folded = persons.fold(stored, stop, &new, &|fold, event| fold.push(&rules, event))?;
            Ok(Box::new(folded) as Brought)
        }))
    }

    fn read(&mut self, number: u64, brought: Brought) {
        let Ok(folded) = brought.downcast::<Vec<(u64, Refolded)>>() else { return };
        for (person, refolded) in *folded {
            let Some(Finished { upto, later, .. }) = self.stale.finish(number, person) else { continue };
            self.before.remove(&person);
            self.units.quiet.remove(person);
            let correction = refolded.correction();
            let known = self.units.awake.change(person, SessionUnit::new);
            known.state.sessions = refolded.now.state.clone();
            let all = &refolded.now.sessions;
            let right = self.book.measures.correct(ActorKey(person), &correction, all);
            self.book.note(SessionEventKind::Corrected);
            self.book.judge(&self.rules, person, &mut known.state);
            self.note_right(person, right, upto);
            for event in later {
                self.apply(person, event, upto);
            }
        }
        self.make_room();
    }

    fn reading_failed(&mut self, number: u64) {
        self.stale.failed(number);
    }

    fn broken(&self) -> Option<Progress> {
        self.stale.broken()
    }

    fn stale(&self) -> Vec<(u64, Progress)> {
        self.stale.all().collect()
    }

    fn mark_stale(&mut self, unit: u64, since: Progress) {
        self.stale.mark(unit, since);
    }

    fn begin_copy(&mut self) {
        self.copied_sums = Some(self.encode_sums());
        self.units.begin_copy();
    }

    fn copy_slice(&mut self, units: usize, out: &mut Vec<u8>) -> bool {
        if let Some(sums) = self.copied_sums.take() {
            out.extend(sums);
            return true;
        }
        self.units.copy_slice(units, out)
    }

    fn end_copy(&mut self) {
        self.copied_sums = None;
        self.units.end_copy();
    }

    fn restore(&mut self, copied: &[u8]) -> Option<()> {
        let (kind, mut copied) = copied.split_first()?;
        match *kind {
            SUMS => return self.decode_sums(&mut copied),
            QUIET => return self.restore_quiet(copied),
            _ => {}
        }
        let mut persons = Vec::new();
        let read = |bytes: &mut &[u8]| PersonSessions::decode(&self.rules, bytes).ok();
        decode(copied, read, |person, sessions| persons.push((person, sessions)))?;
        for (person, sessions) in persons {
            let unit = self.units.awake.change(person, SessionUnit::new);
            unit.state.sessions = sessions;
            self.book.judge(&self.rules, person, &mut unit.state);
        }
        Some(())
    }

    fn values(&self) -> Vec<String> {
        self.lens.names.texts()
    }

    fn restore_values(&mut self, texts: Vec<String>) {
        self.lens.names.restore(texts);
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.book.changed)
    }

    fn touch(&mut self) {
        self.book.changed = true;
        self.book.changes = [0; SESSION_CHANGES];
        self.book.revision += 1;
    }

    fn numbers(&self) -> Numbers {
        Numbers::None
    }

    fn figures(&self, now_us: i64) -> Figures {
        let mut figures = Figures::from([("open".to_owned(), self.book.open.to_string())]);
        let metrics = self.counted.metrics.iter().map(|metric| Some(metric.definition.id.as_str()));
        for shape in metrics.chain([None]).flat_map(Shape::compared) {
            let prefix = format!("{} {:?}", shape.metric.as_deref().unwrap_or("sessions"), shape.unit);
            match self.answer(&shape, now_us) {
                Some(Numbers::Metric(numbers)) => of_table(&prefix, &numbers.table, &mut figures),
                Some(Numbers::Sessions(numbers)) => {
                    let own = SessionNumbers { changes: [0; SESSION_CHANGES], ..*numbers };
                    figures.insert(prefix, format!("{own:?}"));
                }
                _ => {}
            }
        }
        figures
    }

    fn revision(&self) -> u64 {
        self.book.revision
    }

    fn answer(&self, shape: &Shape, now_us: i64) -> Option<Numbers> {
        let laid = shape.lay(now_us).ok()?;
        let Book { measures, open, changes, .. } = &self.book;
        match &shape.metric {
            Some(metric) => measures.metric(metric, &laid, shape.top, changes),
            None => Some(measures.sessions(&laid, *open, *changes)),
        }
    }
}
