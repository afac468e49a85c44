//! Who is who, at one moment.

use std::collections::HashSet;
use std::ops::ControlFlow;

use footpath_engine::{ALIAS, IDENTIFY, IdentityGraph, IdentityReplay, LedgerEntry};
use footpath_model::record::EventSpans;

use crate::error::HistoryError;
use crate::stored::{Columns, Pinned, Scan, StoredRow};

impl Pinned {
    /// Folds the links of all `$identify` and `$alias` events below the position, and what admins decided; files without
    /// links are not read. `id` is the id of the project `number`, which actors are hashed with. Holds the links of one
    /// closed range at a time; of aliases and decisions, which are few, all.
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
        let mut replay = IdentityReplay::new(id);
        ledger.iter().for_each(|entry| replay.control(entry.position, &entry.control));
        self.logged_changes(number, &mut replay)?;
        // Few, and the only ones that need properties.
        self.links(number, ALIAS, Columns::PROPERTIES, &mut |row| {
            replay.event(row.offset, row.index, &spans(row))
        })?;
        let mut ends = self.ranges(number, 0).into_iter().map(|range| range.end);
        let mut end = 0;
        self.links(number, IDENTIFY, Columns::HEAD, &mut |row| {
            if row.offset >= end {
                replay.apply_below(end);
                end = ends.find(|end| *end > row.offset).unwrap_or(row.offset + 1);
            }
            replay.event(row.offset, row.index, &spans(row));
        })?;
        Ok(replay.finish(self.position()))
    }

    /// Events of this name with their ids.
    fn links(
        &self,
        number: u32,
        name: &str,
        columns: Columns,
        each: &mut dyn FnMut(&StoredRow<'_>),
    ) -> Result<(), HistoryError> {
        let names = HashSet::from([name.to_owned()]);
        let columns = Columns { ids: true, ..columns };
        let scan = Scan { names: Some(&names), columns, ..Scan::all(number) };
        self.scan(&scan, &mut |row| {
            each(row);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// What admins decided above the chunks, whether the ledger has it yet or not.
    fn logged_changes(&self, number: u32, replay: &mut IdentityReplay<'_>) -> Result<(), HistoryError> {
        self.controls(number, &mut |position, json| {
            // One that cannot be read was reported where it is carried out.
            if let Ok(control) = serde_json::from_slice(json) {
                replay.control(position, &control);
            }
        })
    }
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
