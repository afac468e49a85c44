//! What happened to incidents, in the order of the log.

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::embedded::layout::{TRANSITIONS, TRANSITIONS_OF};
use crate::{Result, TransitionRow};

type Key = (u32, u64, u32);
type Value<'v> = (i64, &'v str, &'v str);

/// The tables of transitions, open for writing; they change together.
pub(super) struct Transitions<'t> {
    rows: Table<'t, Key, Value<'static>>,
    of: Table<'t, (u32, &'static str, u64, u32), ()>,
}

impl<'t> Transitions<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self { rows: txn.open_table(TRANSITIONS)?, of: txn.open_table(TRANSITIONS_OF)? })
    }

    pub(super) fn put(&mut self, transitions: &[TransitionRow]) -> Result<()> {
        transitions.iter().try_for_each(|row| self.put_one(row))
    }

    fn put_one(&mut self, row: &TransitionRow) -> Result<()> {
        let TransitionRow { project, position, index, at_us, incident, json } = row;
        let key = (*project, *position, *index);
        if let Some(old) = self.rows.insert(key, (*at_us, incident.as_str(), json.as_str()))? {
            self.of.remove((*project, old.value().1, *position, *index))?;
        }
        self.of.insert((*project, incident.as_str(), *position, *index), ())?;
        Ok(())
    }

    /// Removes the transitions of an incident; how many there were.
    pub(super) fn remove_of(&mut self, project: u32, incident: &str) -> Result<usize> {
        let keys = keys_of(&self.of, project, incident)?;
        for (project, position, index) in &keys {
            self.rows.remove((*project, *position, *index))?;
            self.of.remove((*project, incident, *position, *index))?;
        }
        Ok(keys.len())
    }
}

fn keys_of(
    of: &impl ReadableTable<(u32, &'static str, u64, u32), ()>,
    project: u32,
    incident: &str,
) -> Result<Vec<Key>> {
    let keys = of.range((project, incident, 0, 0)..=(project, incident, u64::MAX, u32::MAX))?;
    keys.map(|entry| {
        let key = entry?.0;
        let (project, _, position, index) = key.value();
        Ok((project, position, index))
    })
    .collect()
}

fn row((project, position, index): Key, (at_us, incident, json): Value<'_>) -> TransitionRow {
    TransitionRow { project, position, index, at_us, incident: incident.to_owned(), json: json.to_owned() }
}

pub(super) fn from(
    txn: &ReadTransaction,
    project: u32,
    (position, index): (u64, u32),
    limit: usize,
) -> Result<Vec<TransitionRow>> {
    let table = txn.open_table(TRANSITIONS)?;
    let rows = table.range((project, position, index)..=(project, u64::MAX, u32::MAX))?.take(limit);
    rows.map(|entry| {
        let (key, value) = entry?;
        Ok(row(key.value(), value.value()))
    })
    .collect()
}

pub(super) fn of(txn: &ReadTransaction, project: u32, incident: &str) -> Result<Vec<TransitionRow>> {
    let table = txn.open_table(TRANSITIONS)?;
    let mut rows = Vec::new();
    for key in keys_of(&txn.open_table(TRANSITIONS_OF)?, project, incident)? {
        rows.extend(table.get(key)?.map(|value| row(key, value.value())));
    }
    Ok(rows)
}
