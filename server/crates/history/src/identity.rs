//! Who is who, at one moment.

use std::collections::HashSet;
use std::ops::ControlFlow;

use footpath_engine::{IDENTIFY, IdentityGraph, link_ids};

use crate::error::HistoryError;
use crate::stored::{Columns, Pinned, Scan};

impl Pinned {
    /// Folds the links of all `$identify` events below the position; files without any are not read. `id` is the id of
    /// the project `number`, which actors are hashed with.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn identity(&self, number: u32, id: &str) -> Result<IdentityGraph, HistoryError> {
        let names = HashSet::from([IDENTIFY.to_owned()]);
        let scan = Scan { names: Some(&names), columns: Columns::IDS, ..Scan::all(number) };
        let mut links = Vec::new();
        self.scan(&scan, &mut |row| {
            links.push((row.offset, row.index, row.anonymous_id.to_owned(), row.user_id.to_owned()));
            ControlFlow::Continue(())
        })?;
        links.sort_unstable(); // The first link stands, so the order of the log decides, not the order of the chunks.
        let mut graph = IdentityGraph::new();
        for (_, _, anonymous, user) in &links {
            link_ids(&mut graph, id, anonymous, user);
        }
        Ok(graph)
    }
}
