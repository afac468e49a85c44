//! Who is who, at one moment.

use std::collections::HashSet;
use std::ops::ControlFlow;

use footpath_engine::{IDENTIFY, IdentityGraph, link_ids};
use footpath_history::{Columns, HistoryError, Pinned, Scan};

use crate::Project;

/// Folds the links of all `$identify` events below the pinned position; files without any are not read.
///
/// # Errors
/// If stored events cannot be read.
pub fn identity(pinned: &Pinned, project: Project<'_>) -> Result<IdentityGraph, HistoryError> {
    let names = HashSet::from([IDENTIFY.to_owned()]);
    let scan = Scan { names: Some(&names), columns: Columns::IDS, ..Scan::all(project.number) };
    let mut links = Vec::new();
    pinned.scan(&scan, &mut |row| {
        links.push((row.offset, row.index, row.anonymous_id.to_owned(), row.user_id.to_owned()));
        ControlFlow::Continue(())
    })?;
    links.sort_unstable(); // The first link stands, so the order of the log decides, not the order of the chunks.
    let mut graph = IdentityGraph::new();
    for (_, _, anonymous, user) in &links {
        link_ids(&mut graph, project.id, anonymous, user);
    }
    Ok(graph)
}
