//! Who is who, at one moment.

use std::collections::HashSet;
use std::ops::ControlFlow;

use footpath_engine::{IDENTIFY, IdentityGraph, link_ids};

use crate::error::HistoryError;
use crate::stored::{Columns, Pinned, Scan};

impl Pinned {
    /// Folds the links of all `$identify` events below the position; files without any are not read. `id` is the id of
    /// the project `number`, which actors are hashed with. Holds the links of one closed range at a time.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn identity(&self, number: u32, id: &str) -> Result<IdentityGraph, HistoryError> {
        let names = HashSet::from([IDENTIFY.to_owned()]);
        let scan = Scan { names: Some(&names), columns: Columns::IDS, ..Scan::all(number) };
        let mut ends = self.ranges(number, 0).into_iter().map(|range| range.end);
        let mut links = Links { id, graph: IdentityGraph::new(), waiting: Vec::new() };
        let mut end = 0;
        self.scan(&scan, &mut |row| {
            if row.offset >= end {
                links.fold();
                end = ends.find(|end| *end > row.offset).unwrap_or(row.offset + 1);
            }
            let (anonymous, user) = (row.anonymous_id.to_owned(), row.user_id.to_owned());
            links.waiting.push((row.offset, row.index, anonymous, user));
            ControlFlow::Continue(())
        })?;
        links.fold();
        Ok(links.graph)
    }
}

struct Links<'p> {
    id: &'p str,
    graph: IdentityGraph,
    /// Position and index, then the ids.
    waiting: Vec<(u64, u32, String, String)>,
}

impl Links<'_> {
    /// The first link stands, so the order of the log decides, not the order of the chunks.
    fn fold(&mut self) {
        self.waiting.sort_unstable();
        for (_, _, anonymous, user) in self.waiting.drain(..) {
            link_ids(&mut self.graph, self.id, &anonymous, &user);
        }
    }
}
