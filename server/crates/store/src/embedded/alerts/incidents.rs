//! Incidents, in the order they were opened.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::embedded::layout::{INCIDENTS, INCIDENTS_OPEN, INCIDENTS_OPENED};
use crate::embedded::row::{decode, encode, get};
use crate::{IncidentRow, Result};

type Key<'k> = (u32, i64, &'k str);

/// The tables of incidents, open for writing; they change together.
pub(super) struct Incidents<'t> {
    rows: Table<'t, Key<'static>, &'static [u8]>,
    opened: Table<'t, (u32, &'static str), i64>,
    open: Table<'t, Key<'static>, ()>,
}

impl<'t> Incidents<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            rows: txn.open_table(INCIDENTS)?,
            opened: txn.open_table(INCIDENTS_OPENED)?,
            open: txn.open_table(INCIDENTS_OPEN)?,
        })
    }

    pub(super) fn put(&mut self, incidents: &[IncidentRow]) -> Result<()> {
        incidents.iter().try_for_each(|row| self.put_one(row))
    }

    fn put_one(&mut self, row: &IncidentRow) -> Result<()> {
        self.remove(row.project, &row.id)?;
        let key = (row.project, row.opened_us, row.id.as_str());
        self.rows.insert(key, encode(row)?.as_slice())?;
        self.opened.insert((row.project, row.id.as_str()), row.opened_us)?;
        if row.open {
            self.open.insert(key, ())?;
        }
        Ok(())
    }

    fn remove(&mut self, project: u32, id: &str) -> Result<()> {
        let opened_us = self.opened.remove((project, id))?.map(|opened| opened.value());
        if let Some(opened_us) = opened_us {
            self.rows.remove((project, opened_us, id))?;
            self.open.remove((project, opened_us, id))?;
        }
        Ok(())
    }

    /// Removes what is not open and changed last before `before_us`; the ids of what went.
    pub(super) fn trim(&mut self, project: u32, before_us: i64) -> Result<Vec<String>> {
        let mut gone = Vec::new();
        for entry in self.rows.range(span(project, None))? {
            let row: IncidentRow = decode(entry?.1.value())?;
            if !row.open && row.changed_us < before_us {
                gone.push(row.id);
            }
        }
        gone.iter().try_for_each(|id| self.remove(project, id))?;
        Ok(gone)
    }
}

/// The keys of a project before `end` (opened_us, id), or all of them.
fn span(project: u32, end: Option<(i64, &str)>) -> (Bound<Key<'_>>, Bound<Key<'_>>) {
    let end = match end {
        Some((opened_us, id)) => Bound::Excluded((project, opened_us, id)),
        None => project.checked_add(1).map_or(Bound::Unbounded, |next| Bound::Excluded((next, i64::MIN, ""))),
    };
    (Bound::Included((project, i64::MIN, "")), end)
}

pub(super) fn one(txn: &ReadTransaction, project: u32, id: &str) -> Result<Option<IncidentRow>> {
    let Some(opened_us) = txn.open_table(INCIDENTS_OPENED)?.get((project, id))? else {
        return Ok(None);
    };
    get(&txn.open_table(INCIDENTS)?, (project, opened_us.value(), id))
}

pub(super) fn all(
    txn: &ReadTransaction,
    project: u32,
    after: Option<(i64, &str)>,
    limit: usize,
) -> Result<Vec<IncidentRow>> {
    let table = txn.open_table(INCIDENTS)?;
    let rows = table.range(span(project, after))?.rev().take(limit);
    rows.map(|entry| decode(entry?.1.value())).collect()
}

pub(super) fn open(
    txn: &ReadTransaction,
    project: u32,
    after: Option<(i64, &str)>,
    limit: usize,
) -> Result<Vec<IncidentRow>> {
    let (table, open) = (txn.open_table(INCIDENTS)?, txn.open_table(INCIDENTS_OPEN)?);
    let mut rows = Vec::new();
    for entry in open.range(span(project, after))?.rev().take(limit) {
        rows.extend(get(&table, entry?.0.value())?);
    }
    Ok(rows)
}
