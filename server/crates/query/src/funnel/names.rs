//! What groups are called.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use footpath_history::{Columns, HistoryError, Scan};
use footpath_model::changes::group_of;
use footpath_model::id::group_key;

use crate::Source;

/// The ids of groups of a kind, by their hashes, out of events of these names.
pub(crate) fn group_names(
    source: &Source<'_>,
    kind: &str,
    wanted: &HashSet<u64>,
    names: Option<&HashSet<String>>,
) -> Result<HashMap<u64, String>, HistoryError> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let scan = Scan { names, columns: Columns { rest: true, ..Columns::HEAD }, ..source.all() };
    source.pinned.scan(&scan, &mut |row| {
        if let Some(id) = group_of(row.changes, kind) {
            let key = group_key(source.project.id, kind, id);
            if wanted.contains(&key) {
                found.entry(key).or_insert_with(|| id.to_owned());
            }
        }
        if found.len() < wanted.len() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}
