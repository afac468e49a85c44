//! Readings of stored events, on threads of their own: a person folded again, a new definition folded from the
//! beginning. The worker never waits for them.

use std::collections::HashSet as StdHashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use footpath_engine::{ActorKey, IdentityGraph, PersonFunnel, Rules, SlimEvent};
use footpath_history::{Columns, HistoryError, Pinned, Scan, Stored};
pub use footpath_log::READ_BYTES;
use footpath_log::{Log, pages};
use footpath_model::control::CountedFunnel;
use footpath_model::filter::StepMatcher;
use footpath_model::record::{FrameKind, FrameView};
use hashbrown::{HashMap, HashSet};

use crate::LiveError;
use crate::funnel::LiveFunnel;
use crate::hub::Progress;
use crate::project::ProjectLive;

/// Some persons of one funnel, to be folded from the events stored below a position.
pub struct Refold {
    /// The project's number.
    pub project: u32,
    /// The funnel's id.
    pub funnel: String,
    /// Names the reading in [`LiveFunnel::refolded`].
    pub reading: u64,
    /// Events below it are read.
    pub upto: u64,
    /// How they are folded.
    pub rules: Rules,
    /// Which events count.
    pub matcher: StepMatcher,
    /// The persons' actors, each with its person.
    pub actors: HashMap<u64, u64>,
}

impl Refold {
    /// The job for `persons` of a funnel.
    pub fn new(
        project: u32,
        id: &str,
        funnel: &LiveFunnel,
        identity: &IdentityGraph,
        (reading, upto): (u64, u64),
        persons: &[u64],
    ) -> Self {
        let mut actors = HashMap::new();
        for person in persons {
            actors.insert(*person, *person);
            for member in identity.members(ActorKey(*person)) {
                actors.insert(member.0, *person);
            }
        }
        Self {
            project,
            funnel: id.to_owned(),
            reading,
            upto,
            rules: *funnel.rules(),
            matcher: funnel.matcher().clone(),
            actors,
        }
    }

    /// Reads and folds. What it gives after a `stop` is of no use.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn run(&self, stored: &Stored, stop: &AtomicBool) -> Result<Vec<(u64, PersonFunnel)>, HistoryError> {
        let pinned = stored.pin().upto(self.upto);
        let persons: HashSet<u64> = self.actors.values().copied().collect();
        let mut waiting: Vec<Vec<u64>> = vec![persons.into_iter().collect()];
        let mut folded = Vec::new();
        while let Some(mut persons) = waiting.pop() {
            match (self.events(&pinned, &persons, ALWAYS, stop)?, &persons[..]) {
                (Found::All(events), _) => folded.extend(self.folds(&persons, events)),
                (Found::TooMany { .. }, [one]) => folded.push((*one, self.fold_long(&pinned, *one, stop)?)),
                (Found::TooMany { .. }, _) => {
                    waiting.push(persons.split_off(persons.len() / 2));
                    waiting.push(persons);
                }
            }
        }
        Ok(folded)
    }

    fn folds(&self, persons: &[u64], events: Vec<(u64, SlimEvent)>) -> Vec<(u64, PersonFunnel)> {
        let mut own: HashMap<u64, Vec<SlimEvent>> = persons.iter().map(|p| (*p, Vec::new())).collect();
        events.into_iter().for_each(|(person, event)| own.entry(person).or_default().push(event));
        let fold = |(person, mut own): (u64, Vec<SlimEvent>)| {
            own.sort_unstable_by_key(SlimEvent::order);
            (person, PersonFunnel::rebuild(&self.rules, own))
        };
        own.into_iter().map(fold).collect()
    }

    /// Folds a person with more events than are held at once, a window of event time after the other.
    fn fold_long(
        &self,
        pinned: &Pinned,
        person: u64,
        stop: &AtomicBool,
    ) -> Result<PersonFunnel, HistoryError> {
        let mut folded = PersonFunnel::new(&self.rules);
        let mut windows = vec![ALWAYS];
        while let Some((from_us, to_us)) = windows.pop() {
            if to_us.saturating_sub(from_us) <= 1 {
                // Among events of the same time the order is no matter, and they need not be held.
                self.scan(pinned, &[person], (from_us, to_us), stop, &mut |_, event| {
                    folded.apply(&self.rules, event);
                    true
                })?;
                continue;
            }
            match self.events(pinned, &[person], (from_us, to_us), stop)? {
                Found::All(mut events) => {
                    events.sort_unstable_by_key(|(_, event)| event.order());
                    for (_, event) in events {
                        folded.apply(&self.rules, event);
                    }
                }
                Found::TooMany { middle_us } => {
                    let middle_us = middle_us.max(from_us + 1);
                    windows.extend([(middle_us, to_us), (from_us, middle_us)]);
                }
            }
        }
        Ok(folded)
    }

    /// The events of some persons, unless there are too many to be held.
    fn events(
        &self,
        pinned: &Pinned,
        persons: &[u64],
        times: (i64, i64),
        stop: &AtomicBool,
    ) -> Result<Found, HistoryError> {
        let mut events = Vec::new();
        self.scan(pinned, persons, times, stop, &mut |person, event| {
            events.push((person, event));
            events.len() <= EVENTS_AT_ONCE
        })?;
        if events.len() <= EVENTS_AT_ONCE {
            return Ok(Found::All(events));
        }
        let middle = events.len() / 2;
        let (_, (_, middle), _) = events.select_nth_unstable_by_key(middle, |(_, event)| event.time_us);
        Ok(Found::TooMany { middle_us: middle.time_us })
    }

    /// Gives the events of some persons that count, until `each` has enough.
    fn scan(
        &self,
        pinned: &Pinned,
        persons: &[u64],
        (from_us, to_us): (i64, i64),
        stop: &AtomicBool,
        each: &mut dyn FnMut(u64, SlimEvent) -> bool,
    ) -> Result<(), HistoryError> {
        let persons: HashSet<u64> = persons.iter().copied().collect();
        let own = self.actors.iter().filter(|(_, person)| persons.contains(*person));
        let actors: StdHashSet<u64> = own.map(|(actor, _)| *actor).collect();
        let names = names_of(&self.matcher);
        let scan = Scan {
            from_us,
            to_us,
            actors: Some(&actors),
            names: Some(&names),
            columns: columns_for(&self.matcher),
            ..Scan::all(self.project)
        };
        pinned.scan(&scan, &mut |row| {
            let mask = self.matcher.mask(row.name, row.properties);
            let mut more = true;
            if mask != 0
                && let Some(person) = self.actors.get(&row.head.actor_key)
            {
                let slim = SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask };
                more = each(*person, slim);
            }
            go_on(more && !stop.load(Ordering::Relaxed))
        })?;
        Ok(())
    }
}

/// All event times.
const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// Events that a reading holds, 56 bytes each. In tests so few that all ways to read are gone.
const EVENTS_AT_ONCE: usize = if cfg!(test) { 4 } else { 1 << 20 };

/// What was found of some persons.
enum Found {
    /// Each event with its person.
    All(Vec<(u64, SlimEvent)>),
    /// More than can be held; half of those that were seen lie before this time.
    TooMany { middle_us: i64 },
}

/// A definition to be folded from stored events.
pub struct Fill {
    /// The project's number.
    pub project: u32,
    /// The project's id.
    pub project_id: String,
    /// What is counted.
    pub counted: CountedFunnel,
    /// The position of the definition's own record: from here on it follows the log.
    pub upto: u64,
    /// The time that ranges begin from.
    pub now_us: i64,
    /// Set when nobody wants the result any more.
    pub cancelled: Arc<AtomicBool>,
}

/// A definition folded up to a position.
pub struct Filled {
    /// Holds the funnel and who is who.
    pub scratch: ProjectLive,
    /// Up to here.
    pub position: u64,
    /// Keeps the log from `position` on.
    #[expect(dead_code, reason = "held, not read")]
    pub pinned: Pinned,
}

impl Fill {
    /// Folds the events stored below the definition, then follows the log until it is near `live` (the worker's
    /// position, asked again and again). `None` if it was cancelled.
    ///
    /// # Errors
    /// If stored events cannot be read, or the definition cannot be folded.
    pub fn run(
        &self,
        stored: &Stored,
        log: &dyn Log,
        live: &dyn Fn() -> u64,
        stop: &AtomicBool,
        percent: &mut dyn FnMut(u32),
    ) -> Result<Option<Filled>, LiveError> {
        let wanted = || !self.cancelled.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed);
        if !wanted() {
            return Ok(None);
        }
        // It may have waited for others: what chunks cover by now may be gone from the log.
        let pinned = stored.pin();
        let upto = self.upto.max(pinned.chunks_upto());
        let pinned = pinned.upto(upto);
        let mut scratch = ProjectLive::new(&self.project_id);
        scratch.identity = pinned.identity(self.project, &self.project_id, &[])?;
        let mut funnel = LiveFunnel::new(self.counted.clone(), self.now_us)?;
        self.fold(&pinned, &scratch.identity, &mut funnel, &wanted, percent)?;
        self.fold_late(stored, &scratch.identity, &mut funnel, upto, stop)?;
        let id = self.counted.definition.id.clone();
        scratch.put(&id, funnel);
        let mut position = upto;
        while position < live() && wanted() {
            position = follow(log, self.project, &mut scratch, position, live())?;
        }
        Ok(wanted().then_some(Filled { scratch, position, pinned }))
    }

    fn fold(
        &self,
        pinned: &Pinned,
        identity: &IdentityGraph,
        funnel: &mut LiveFunnel,
        wanted: &dyn Fn() -> bool,
        percent: &mut dyn FnMut(u32),
    ) -> Result<(), LiveError> {
        let matcher = funnel.matcher().clone();
        let names = names_of(&matcher);
        let scan = Scan { names: Some(&names), columns: columns_for(&matcher), ..Scan::all(self.project) };
        let mut told = 0;
        pinned.scan(&scan, &mut |row| {
            let mask = matcher.mask(row.name, row.properties);
            if mask != 0 {
                let slim = SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask };
                let at = Progress { position: row.offset, processed_us: 0 };
                funnel.apply(identity.canonical(ActorKey(row.head.actor_key)), slim, at);
            }
            // Rows come file by file; within a file positions go up and down.
            let now = (row.offset * 100 / pinned.position().max(1)) as u32;
            if now > told {
                told = now;
                percent(now);
            }
            go_on(wanted())
        })?;
        Ok(())
    }

    /// Persons whose events lie so far out of order that the first pass could not place them.
    fn fold_late(
        &self,
        stored: &Stored,
        identity: &IdentityGraph,
        funnel: &mut LiveFunnel,
        upto: u64,
        stop: &AtomicBool,
    ) -> Result<(), LiveError> {
        while funnel.wants_reading() && !self.cancelled.load(Ordering::Relaxed) {
            let persons = funnel.begin_reading(0, Progress { position: upto, processed_us: 0 });
            let id = &self.counted.definition.id;
            let job = Refold::new(self.project, id, funnel, identity, (0, upto), &persons);
            for (person, fold) in job.run(stored, stop)? {
                funnel.refolded(0, person, fold);
            }
        }
        Ok(())
    }
}

/// Applies what the log holds of a project from `position` to before `upto`, a few megabytes at most; returns the
/// next position.
///
/// # Errors
/// If the log cannot be read.
pub fn follow(
    log: &dyn Log,
    number: u32,
    project: &mut ProjectLive,
    position: u64,
    upto: u64,
) -> Result<u64, LiveError> {
    let Some(page) = pages(log, position..upto).next().transpose()? else { return Ok(position) };
    for record in &page.records {
        let Ok(frame) = FrameView::new(&record.payload) else { continue };
        if frame.head.project != number {
            continue;
        }
        let at = Progress { position: record.offset, processed_us: record.append_time_us };
        match frame.head.kind {
            FrameKind::Events => project.apply(&frame, at),
            // One that cannot be read is reported by the worker.
            FrameKind::Control => {
                serde_json::from_slice(frame.context).iter().for_each(|control| project.control(control, at));
            }
        }
    }
    Ok(page.end)
}

fn go_on(yes: bool) -> ControlFlow<()> {
    if yes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn names_of(matcher: &StepMatcher) -> StdHashSet<String> {
    matcher.names().map(|(name, _)| name.to_owned()).collect()
}

fn columns_for(matcher: &StepMatcher) -> Columns {
    let conditions = matcher.names().any(|(_, steps)| steps.has_conditions());
    if conditions { Columns::PROPERTIES } else { Columns::HEAD }
}
