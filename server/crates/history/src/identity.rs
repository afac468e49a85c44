//! Who is who, at one moment.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use footpath_engine::{ALIAS, IDENTIFY, IdentityGraph, IdentityReplay, LedgerEntry};
use footpath_model::record::EventSpans;
use parking_lot::Mutex;

use crate::error::HistoryError;
use crate::stored::{Columns, Pinned, Scan, StoredRow};

/// For each project that was asked about, who is who at the end of chunks: the links of files are read once, not for every
/// question. About 53 bytes a link.
#[derive(Default)]
pub(crate) struct KnownGraphs(Mutex<HashMap<u32, AtPosition>>);

/// A graph, and the position (exclusive) it holds for.
type AtPosition = (u64, Arc<IdentityGraph>);

impl KnownGraphs {
    /// The graph to go on from up to `upto`.
    fn before(&self, project: u32, upto: u64) -> AtPosition {
        let known = self.0.lock().get(&project).cloned();
        known.filter(|(at, _)| *at <= upto).unwrap_or_default()
    }

    /// Keeps the newest.
    fn keep(&self, project: u32, upto: u64, graph: &Arc<IdentityGraph>) {
        let mut known = self.0.lock();
        if known.get(&project).is_none_or(|(at, _)| *at < upto) {
            known.insert(project, (upto, Arc::clone(graph)));
        }
    }
}

impl Pinned {
    /// Folds the links of all `$identify` and `$alias` events below the position, and what admins decided; files without
    /// links are not read, and no file twice. `id` is the id of the project `number`, which actors are hashed with. Holds the links
    /// of one closed range at a time; of aliases and decisions, which are few, all.
    ///
    /// The `ledger` holds the project's control records that change identity: at least all below
    /// [`Pinned::chunks_upto`]. What lies above is found in the log, too.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn identity(
        &self,
        number: u32,
        id: &str,
        ledger: &[LedgerEntry],
    ) -> Result<IdentityGraph, HistoryError> {
        self.shared_identity(number, id, ledger).map(Arc::unwrap_or_clone)
    }

    /// As [`Pinned::identity`]; where nothing above the chunks changes it, nothing is copied.
    ///
    /// # Errors
    /// As [`Pinned::identity`].
    pub fn shared_identity(
        &self,
        number: u32,
        id: &str,
        ledger: &[LedgerEntry],
    ) -> Result<Arc<IdentityGraph>, HistoryError> {
        let asked = Asked { number, id, ledger };
        let upto = self.chunks_upto();
        if self.position() < upto {
            return self.replayed(&asked, AtPosition::default(), self.position());
        }
        let graphs = self.pin.graphs();
        let graph = self.replayed(&asked, graphs.before(number, upto), upto)?;
        graphs.keep(number, upto, &graph);
        self.replayed(&asked, (upto, graph), self.position())
    }

    /// Goes on from a graph up to a position, which is the end of a closed range or the pinned one.
    fn replayed(
        &self,
        asked: &Asked<'_>,
        (from, graph): AtPosition,
        upto: u64,
    ) -> Result<Arc<IdentityGraph>, HistoryError> {
        if from == upto {
            return Ok(graph);
        }
        let mut replay = IdentityReplay::after(asked.id, graph);
        let news = asked.ledger.iter().filter(|entry| (from..upto).contains(&entry.position));
        news.for_each(|entry| replay.control(entry.position, &entry.control));
        self.logged_changes(asked.number, from..upto, &mut replay)?;
        let below = self.clone().upto(upto);
        // Few, and the only ones that need properties.
        below.links(asked.number, from, ALIAS, Columns::PROPERTIES, &mut |row| {
            replay.event(row.offset, row.index, &spans(row))
        })?;
        let mut ends = self.ranges(asked.number, from).into_iter().map(|range| range.end);
        let mut end = from;
        below.links(asked.number, from, IDENTIFY, Columns::HEAD, &mut |row| {
            if row.offset >= end {
                replay.apply_below(end);
                end = ends.find(|end| *end > row.offset).unwrap_or(row.offset + 1);
            }
            replay.event(row.offset, row.index, &spans(row));
        })?;
        Ok(replay.finish(upto))
    }

    /// Events of this name from a position on, with their ids.
    fn links(
        &self,
        number: u32,
        from_position: u64,
        name: &str,
        columns: Columns,
        each: &mut dyn FnMut(&StoredRow<'_>),
    ) -> Result<(), HistoryError> {
        let names = HashSet::from([name.to_owned()]);
        let columns = Columns { ids: true, ..columns };
        let scan = Scan { names: Some(&names), columns, from_position, ..Scan::all(number) };
        self.scan(&scan, &mut |row| {
            each(row);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// What admins decided above the chunks, whether the ledger has it yet or not.
    fn logged_changes(
        &self,
        number: u32,
        positions: Range<u64>,
        replay: &mut IdentityReplay<'_>,
    ) -> Result<(), HistoryError> {
        self.controls(number, positions, &mut |position, json| {
            // One that cannot be read was reported where it is carried out.
            if let Ok(control) = serde_json::from_slice(json) {
                replay.control(position, &control);
            }
        })
    }
}

/// Who is asked about.
struct Asked<'a> {
    number: u32,
    id: &'a str,
    ledger: &'a [LedgerEntry],
}

fn spans<'r>(row: &StoredRow<'r>) -> EventSpans<'r> {
    EventSpans {
        name: row.name.as_bytes(),
        anonymous_id: row.anonymous_id.as_bytes(),
        user_id: row.user_id.as_bytes(),
        properties: row.properties,
        ..EventSpans::default()
    }
}

#[cfg(test)]
mod tests {
    use footpath_engine::{ActorKey, link_control, link_event};
    use footpath_log::{Log, MemoryLog, SimDisk, pages};
    use footpath_model::control::Control;
    use footpath_model::id::actor_key;
    use footpath_model::record::{FrameKind, FrameView, control_frame};
    use footpath_proto::v1 as pb;

    use super::*;
    use crate::stored::Stored;
    use crate::testing::{self, Event, NOW_US, Rng};

    const NAMES: [&str; 3] = ["open", IDENTIFY, ALIAS];

    fn id(rng: &mut Rng) -> String {
        format!("{}{}", ["a", "u"][rng.below(2) as usize], rng.below(5))
    }

    fn event(rng: &mut Rng) -> Event {
        let kind = Some(pb::value::Kind::StringValue(id(rng)));
        let properties = [("alias".to_owned(), pb::Value { kind })].into();
        Event {
            name: NAMES[rng.below(3) as usize].into(),
            anonymous_id: id(rng),
            user_id: id(rng),
            time_us: NOW_US + rng.below(3) as i64 * testing::DAY_US,
            message: pb::Event { properties, ..pb::Event::default() },
            ..Event::default()
        }
    }

    fn control(rng: &mut Rng) -> Control {
        match rng.below(3) {
            0 => Control::UnmergePerson { id: id(rng), by: String::new() },
            1 => Control::MergePersons { from: id(rng), into: id(rng), by: String::new() },
            _ => Control::DeleteFunnel { id: "f".into() },
        }
    }

    fn fill(log: &MemoryLog, rng: &mut Rng) {
        for _ in 0..rng.below(12) {
            let events: Vec<_> = (0..rng.below(4)).map(|_| event(rng)).collect();
            let json = serde_json::to_vec(&control(rng)).unwrap();
            let project = 1 + rng.below(5) as u32 / 4;
            testing::append(
                log,
                match rng.below(4) {
                    0 => control_frame(project, NOW_US, &json),
                    _ => testing::frame(project, log.durable_end(), &events),
                },
            );
        }
    }

    /// The log in its order; and what a ledger has of it below a position.
    fn naive(log: &MemoryLog, upto: u64, ledger_upto: u64) -> (IdentityGraph, Vec<LedgerEntry>) {
        let (mut graph, mut ledger) = (IdentityGraph::new(), Vec::new());
        for record in pages(log, 0..log.durable_end()).flat_map(|page| page.unwrap().records) {
            let frame = FrameView::new(&record.payload).unwrap();
            if frame.head.project != 1 {
                continue;
            }
            if frame.head.kind == FrameKind::Control {
                let control: Control = serde_json::from_slice(frame.context).unwrap();
                if record.offset < upto {
                    link_control(&mut graph, "shop", &control);
                }
                if record.offset < ledger_upto && control.changes_identity() {
                    ledger.push(LedgerEntry { position: record.offset, control });
                }
            }
            for event in frame.events().filter(|_| record.offset < upto) {
                link_event(&mut graph, "shop", &event);
            }
        }
        (graph, ledger)
    }

    /// Compares the graph at a random position; gives its epoch.
    fn check(log: &MemoryLog, stored: &Stored, rng: &mut Rng, seed: u64) -> u64 {
        let pinned = stored.pin();
        let ledger_upto = pinned.chunks_upto() + rng.below(5);
        let end = log.durable_end();
        let pinned = if rng.below(3) == 0 { pinned } else { pinned.upto(rng.below(end + 1)) };
        let (expected, ledger) = naive(log, pinned.position(), ledger_upto);
        let found = pinned.identity(1, "shop", &ledger).unwrap();
        assert_eq!(found.epoch(), expected.epoch(), "seed {seed}");
        for id in ["a", "u"].iter().flat_map(|kind| (0..5).map(move |i| format!("{kind}{i}"))) {
            let key = ActorKey(actor_key("shop", id.as_bytes()));
            assert_eq!(found.pointer(key), expected.pointer(key), "seed {seed}");
        }
        found.epoch()
    }

    #[test]
    fn chunks_log_and_ledger_give_the_graph_of_the_whole_log() {
        let mut changes = 0;
        for seed in 0..200 {
            let mut rng = Rng(seed);
            let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(seed)));
            let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
            for _ in 0..rng.below(4) {
                fill(&log, &mut rng);
                testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
                // What is kept of one question must be right for the next.
                for _ in 0..rng.below(3) {
                    check(&log, &stored, &mut rng, seed);
                }
            }
            fill(&log, &mut rng);
            check(&log, &stored, &mut rng, seed);
            changes += check(&log, &stored, &mut rng, seed);
        }
        assert!(changes > 500, "too little to prove anything: {changes}");
    }

    #[test]
    fn files_are_read_once_for_who_is_who() {
        let (log, disk) = (Arc::new(MemoryLog::default()), SimDisk::new(1));
        let chunks = testing::chunks(disk.clone());
        (0..9).for_each(|seed| fill(&log, &mut Rng(seed)));
        testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
        let pinned = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks)).pin();
        let (_, ledger) = naive(&log, pinned.position(), pinned.position());
        let first = pinned.shared_identity(1, "shop", &ledger).unwrap();
        for file in &chunks.manifest().files {
            footpath_log::disk::Disk::remove(&disk, &file.path).unwrap();
        }
        let second = pinned.shared_identity(1, "shop", &ledger).unwrap();
        assert!(first.epoch() > 0 && Arc::ptr_eq(&first, &second));
    }
}
