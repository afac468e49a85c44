//! Sessions, by the time of their beginning or of one person.

mod within;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use footpath_engine::lens::PropertyRead;
use footpath_engine::{ActorKey, IdentityGraph, Session, SessionEvent, fold_person_sessions};
use footpath_history::{Columns, Scan, StoredRow};

use footpath_model::control::left_out;
use footpath_model::definition::Filter;
use footpath_model::filter::{Facts, Test};

use crate::entities::Properties;
use crate::funnel::facts;
use crate::ids::{actors_of, name_of, person_names, person_of};
use crate::units::Units;
use crate::{QueryError, Read, Source};

pub(crate) use within::InSessions;

/// Asks for sessions.
#[derive(Debug, Clone, Copy)]
pub struct SessionsQuery<'a> {
    /// Only of this person, by any of their ids.
    pub person: Option<&'a str>,
    /// Only those that began from this time on, microseconds since 1970.
    pub from_us: i64,
    /// Only those that began before this time.
    pub to_us: i64,
    /// Only behind this one: [`SessionsPage::next`] of the page before.
    pub after: Option<(i64, u64)>,
    /// At most this many.
    pub limit: usize,
    /// Internal traffic, which is in no session.
    pub internal: Option<&'a Filter>,
}

/// A page of sessions, by their beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsPage {
    /// The sessions.
    pub sessions: Vec<SessionRow>,
    /// Behind which session the next page begins; `None` on the last page.
    pub next: Option<(i64, u64)>,
    /// What it was read from.
    pub read: Read,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The person's id.
    pub person: String,
    /// Its first event, microseconds since 1970.
    pub start_us: i64,
    /// Its last event.
    pub end_us: i64,
    /// How many events.
    pub events: u64,
    /// The first event's name.
    pub entry_event: String,
    /// The last event's name.
    pub exit_event: String,
    /// Whether another event could still belong to it: the person is in it, or it lies ahead.
    pub open: bool,
}

/// Reads sessions.
///
/// # Errors
/// If the events cannot be read.
pub fn sessions(source: &Source<'_>, query: &SessionsQuery<'_>) -> Result<SessionsPage, QueryError> {
    let graph = source.identity(None)?;
    let names = EventNames::default();
    let mut page: BTreeMap<(i64, u64), (Session, bool)> = BTreeMap::new();
    let counts = Counts::new(source, &graph, query.internal)?;
    let keep = |row: &StoredRow<'_>| counts.holds(&graph, row);
    let reading = Reading { graph: &graph, names: &names, columns: counts.columns(), keep: &keep };
    let events = each_persons_sessions(source, &reading, query, &mut |person, sessions| {
        let last = sessions.len().saturating_sub(1);
        for (i, session) in sessions.iter().enumerate() {
            let place = (session.start_us, person);
            let open = i == last && source.now_us <= session.closes_after(&source.sessions);
            if query.after.is_none_or(|after| place > after) && query.begins_within(session) {
                page.insert(place, (*session, open));
            }
            if page.len() > query.limit.saturating_add(1) {
                page.pop_last();
            }
        }
    })?;
    let more = page.len() > query.limit && page.pop_last().is_some();
    let next = page.last_key_value().map(|(place, _)| *place).filter(|_| more);
    let persons = person_names(source, &graph, page.keys().map(|(_, person)| *person))?;
    let row = |((_, person), (session, open)): (&(i64, u64), &(Session, bool))| SessionRow {
        person: name_of(&persons, *person),
        start_us: session.start_us,
        end_us: session.end_us,
        events: session.events,
        entry_event: names.name(session.entry),
        exit_event: names.name(session.exit),
        open: *open,
    };
    Ok(SessionsPage { sessions: page.iter().map(row).collect(), next, read: source.read(events) })
}

impl SessionsQuery<'_> {
    /// Up to where events are read: a session that began in the span lasts as long as the project lets it, and whether somebody is
    /// in a session depends on all that lies ahead.
    fn read_until_us(&self, source: &Source<'_>) -> i64 {
        let longest_us = self.to_us.saturating_add(source.sessions.max_us());
        if longest_us >= source.now_us { i64::MAX } else { longest_us.saturating_add(1) }
    }

    /// Whether it began in the span that is asked for.
    fn begins_within(&self, session: &Session) -> bool {
        (self.from_us..self.to_us).contains(&session.start_us)
    }
}

/// Which events count: all but internal traffic.
pub(crate) struct Counts {
    test: Option<Test>,
    properties: Properties,
}

impl Counts {
    pub(crate) fn new(
        source: &Source<'_>,
        graph: &IdentityGraph,
        internal: Option<&Filter>,
    ) -> Result<Self, QueryError> {
        let left_out = left_out(internal);
        let wanted = PropertyRead::of(&left_out, []);
        Ok(Self {
            test: left_out.as_ref().map(Test::new).transpose()?,
            properties: Properties::read(source, graph, &wanted)?,
        })
    }

    pub(crate) fn holds(&self, graph: &IdentityGraph, row: &StoredRow<'_>) -> bool {
        let Some(test) = &self.test else { return true };
        let known = self.properties.of(graph.canonical(ActorKey(row.head.actor_key)).0);
        test.holds(&Facts { entities: Some(&known), ..facts(row) })
    }

    /// What it looks at.
    pub(crate) fn columns(&self) -> Columns {
        self.test.as_ref().map_or(Columns::HEAD, |test| test.needs().into())
    }
}

/// How events are read for sessions.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    pub(crate) graph: &'r IdentityGraph,
    pub(crate) names: &'r EventNames,
    /// What `keep` looks at.
    pub(crate) columns: Columns,
    /// Whether an event is in any session.
    pub(crate) keep: &'r dyn Fn(&StoredRow<'_>) -> bool,
}

/// Calls `each` once for every person with the sessions that can have begun in the span; some of them did not.
pub(crate) fn each_persons_sessions(
    source: &Source<'_>,
    reading: &Reading<'_>,
    query: &SessionsQuery<'_>,
    each: &mut dyn FnMut(u64, Vec<Session>),
) -> Result<u64, QueryError> {
    let (rules, Reading { graph, names, columns, keep }) = (source.sessions, *reading);
    let actors = query.person.map(|id| {
        let person = person_of(source, graph, id);
        actors_of(graph, [person]).into_keys().collect()
    });
    let scan = Scan {
        from_us: query.from_us,
        to_us: query.read_until_us(source),
        actors: actors.as_ref(),
        columns,
        ..source.all()
    };
    let person = |row: &StoredRow<'_>| Some(graph.canonical(ActorKey(row.head.actor_key)).0);
    let units = Units { pinned: source.pinned, scan, unit: &person };
    let mut event = |row: &StoredRow<'_>| keep(row).then(|| names.event(row));
    let read = InSessions { units, rules, graph }.each(&mut event, &mut |person, own| {
        each(person, fold_person_sessions(&rules, own));
    })?;
    Ok(read)
}

/// Names of events, numbered in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct EventNames(RefCell<(HashMap<String, u32>, Vec<String>)>);

impl EventNames {
    pub(crate) fn event(&self, row: &StoredRow<'_>) -> SessionEvent {
        let (time_us, id) = (row.head.time_us, row.head.id.as_u128());
        SessionEvent { time_us, id, name: self.number(row.name) }
    }

    pub(crate) fn number(&self, name: &str) -> u32 {
        let (numbers, names) = &mut *self.0.borrow_mut();
        if let Some(number) = numbers.get(name) {
            return *number;
        }
        let number = names.len() as u32;
        names.push(name.to_owned());
        numbers.insert(name.to_owned(), number);
        number
    }

    pub(crate) fn name(&self, number: u32) -> String {
        self.0.borrow().1.get(number as usize).cloned().unwrap_or_default()
    }
}
