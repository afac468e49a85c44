//! A definition folded from all stored events.

use std::collections::HashSet as StdHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use footpath_engine::{ActorKey, LedgerEntry};
use footpath_history::{Columns, Pinned, Scan, Stored};
use footpath_log::{Log, pages};
use footpath_model::record::{FrameKind, FrameView};

use super::{go_on, seen, with_entities};
use crate::LiveError;
use crate::hub::Progress;
use crate::project::ProjectLive;
use crate::view::{Context, Counted, View, ViewKey};

/// Events after which a view counts what it took.
const FLUSH_EVERY: usize = 256;

/// A definition to be folded from stored events.
pub struct Fill {
    /// The project's number.
    pub project: u32,
    /// The project's id.
    pub project_id: String,
    /// What is counted.
    pub counted: Counted,
    /// The position of the definition's own record: from here on it follows the log.
    pub upto: u64,
    /// The time that ranges begin from.
    pub now_us: i64,
    /// Set when nobody wants the result any more.
    pub cancelled: Arc<AtomicBool>,
}

/// A definition folded up to a position.
pub struct Filled {
    /// Holds the view and who is who.
    pub scratch: ProjectLive,
    /// Up to here.
    pub position: u64,
    /// Keeps the log from `position` on.
    #[expect(dead_code, reason = "held, not read")]
    pub pinned: Pinned,
}

/// Who decided who is who, for a project by its number, from a position on.
pub type Ledger = Arc<dyn Fn(u32) -> Result<Vec<LedgerEntry>, LiveError> + Send + Sync>;

/// Where a back-fill reads.
pub struct Sources<'a> {
    /// Stored events.
    pub stored: &'a Stored,
    /// The log.
    pub log: &'a dyn Log,
    /// Decisions about who is who.
    pub ledger: &'a Ledger,
    /// Where the worker is, asked again and again.
    pub live: &'a dyn Fn() -> u64,
    /// Set when the worker stops.
    pub stop: &'a AtomicBool,
}

impl Fill {
    /// What its view is called.
    pub fn key(&self) -> ViewKey {
        self.counted.key()
    }

    /// Folds the events stored below the definition, then follows the log until it is near the worker. `None` if it was
    /// cancelled.
    ///
    /// # Errors
    /// If stored events cannot be read, or the definition cannot be folded.
    pub fn run(
        &self,
        sources: &Sources<'_>,
        percent: &mut dyn FnMut(u32),
    ) -> Result<Option<Filled>, LiveError> {
        let wanted = || !self.cancelled.load(Ordering::Relaxed) && !sources.stop.load(Ordering::Relaxed);
        if !wanted() {
            return Ok(None);
        }
        // It may have waited for others: what chunks cover by now may be gone from the log.
        let pinned = sources.stored.pin();
        let upto = self.upto.max(pinned.chunks_upto());
        let pinned = pinned.upto(upto);
        let mut scratch = ProjectLive::new(&self.project_id);
        let ledger = (sources.ledger)(self.project)?;
        scratch.identity = pinned.identity(self.project, &self.project_id, &ledger)?;
        let mut view = self.counted.view(&self.project_id, self.now_us)?;
        scratch.book.want(view.reads());
        self.fill_book(sources, &pinned, &mut scratch, &wanted)?;
        self.fold(&pinned, &scratch, view.as_mut(), &wanted, percent)?;
        self.read_late(sources, &scratch, view.as_mut(), upto)?;
        scratch.put(view);
        let mut position = upto;
        while position < (sources.live)() && wanted() {
            position = follow(sources.log, self.project, &mut scratch, position, (sources.live)())?;
        }
        Ok(wanted().then_some(Filled { scratch, position, pinned }))
    }

    /// Reads the properties of persons and groups, if the view reads any.
    fn fill_book(
        &self,
        sources: &Sources<'_>,
        pinned: &Pinned,
        scratch: &mut ProjectLive,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), LiveError> {
        if !scratch.book.is_wanted() {
            return Ok(());
        }
        let ProjectLive { identity, book, .. } = scratch;
        let scan = Scan { columns: Columns { rest: true, ..Columns::HEAD }, ..Scan::all(self.project) };
        pinned.scan(&scan, &mut |row| {
            let person = identity.canonical(ActorKey(row.head.actor_key));
            let order = (row.head.time_us, row.head.id.as_u128());
            let at = Progress { position: row.offset, processed_us: 0 };
            book.take(person, order, row.changes, identity, at); // Nobody has seen anything yet.
            go_on(wanted())
        })?;
        let upto = Progress { position: pinned.position(), processed_us: 0 };
        let known = Arc::clone(book.known());
        let context = Context { project: self.project, identity, known: &known };
        while wanted() {
            let Some(mut reading) = book.begin_reading(0, upto, &context) else { break };
            book.read(0, reading(sources.stored, sources.stop)?, identity);
        }
        Ok(())
    }

    fn fold(
        &self,
        pinned: &Pinned,
        scratch: &ProjectLive,
        view: &mut dyn View,
        wanted: &dyn Fn() -> bool,
        percent: &mut dyn FnMut(u32),
    ) -> Result<(), LiveError> {
        let wants = view.wants();
        let numbered: Option<hashbrown::HashMap<&str, usize>> = wants
            .names
            .as_ref()
            .map(|names| names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect());
        let names: Option<StdHashSet<String>> =
            wants.names.as_ref().map(|names| names.iter().cloned().collect());
        let columns = wants.needs.into();
        let from_us = wants.from_us.unwrap_or(i64::MIN);
        let scan = Scan { from_us, names: names.as_ref(), columns, ..Scan::all(self.project) };
        let (mut told, mut taken, mut at) = (0, 0, Progress::default());
        pinned.scan(&scan, &mut |row| {
            let name = numbered.as_ref().map_or(Some(0), |numbered| numbered.get(row.name).copied());
            if let Some(name) = name {
                let person = scratch.identity.canonical(ActorKey(row.head.actor_key));
                let known = scratch.book.of(person);
                view.take(name, &with_entities(seen(row, person), &known));
                taken += 1;
                at = Progress { position: row.offset, processed_us: 0 };
            }
            if taken == FLUSH_EVERY {
                taken = 0;
                view.flush(at);
            }
            // Rows come file by file; within a file positions go up and down.
            let now = (row.offset * 100 / pinned.position().max(1)) as u32;
            if now > told {
                told = now;
                percent(now);
            }
            go_on(wanted())
        })?;
        view.flush(at);
        Ok(())
    }

    /// Units whose events lie so far out of order that the first pass could not place them.
    fn read_late(
        &self,
        sources: &Sources<'_>,
        scratch: &ProjectLive,
        view: &mut dyn View,
        upto: u64,
    ) -> Result<(), LiveError> {
        let (identity, known) = (&scratch.identity, scratch.book.known());
        let context = Context { project: self.project, identity, known };
        let upto = Progress { position: upto, processed_us: 0 };
        while !self.cancelled.load(Ordering::Relaxed) {
            let Some(mut reading) = view.begin_reading(0, upto, &context) else { break };
            view.read(0, reading(sources.stored, sources.stop)?);
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
