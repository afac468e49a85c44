//! Messages for destinations: by destination and sequence, by the time they were made, and which are pending.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::embedded::Did;
use crate::embedded::layout::{DELIVERIES, DELIVERIES_MADE, DELIVERIES_PENDING};
use crate::embedded::row::{encode, get};
use crate::{DeliveryFilter, DeliveryRow, Result, StoreError};

type Key<'k> = (u32, &'k str, u64);
type MadeKey<'k> = (u32, i64, &'k str, u64);

/// The tables of deliveries, open for writing; they change together.
pub(super) struct Deliveries<'t> {
    rows: Table<'t, Key<'static>, &'static [u8]>,
    pending: Table<'t, Key<'static>, ()>,
    made: Table<'t, MadeKey<'static>, &'static str>,
}

impl<'t> Deliveries<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            rows: txn.open_table(DELIVERIES)?,
            pending: txn.open_table(DELIVERIES_PENDING)?,
            made: txn.open_table(DELIVERIES_MADE)?,
        })
    }

    /// Adds those that are not there yet.
    pub(super) fn add(&mut self, deliveries: &[DeliveryRow]) -> Result<()> {
        for row in deliveries {
            if self.rows.get(key(row))?.is_none() {
                self.put(row)?;
            }
        }
        Ok(())
    }

    pub(super) fn update(&mut self, row: &DeliveryRow) -> Result<Did<()>> {
        let old: Option<DeliveryRow> = get(&self.rows, key(row))?;
        let old = old.ok_or_else(|| StoreError::not_found("delivery", &row.name()))?;
        if old == *row {
            return Ok(Did::Nothing(()));
        }
        self.remove(&old)?;
        self.put(row)?;
        Ok(Did::Change(()))
    }

    /// Removes what a destination has still to be told.
    pub(super) fn remove_pending(&mut self, project: u32, destination: &str) -> Result<()> {
        pending_rows(&self.rows, &self.pending, project, destination, usize::MAX)?
            .iter()
            .try_for_each(|row| self.remove(row))
    }

    /// Removes what is not pending and was made before `before_us`; how many rows that were.
    pub(super) fn trim(&mut self, project: u32, before_us: i64) -> Result<usize> {
        let mut gone = Vec::new();
        for entry in self.made.range((project, i64::MIN, "", 0)..(project, before_us, "", 0))? {
            let made = entry?.0;
            let (_, _, destination, sequence) = made.value();
            let row = get(&self.rows, (project, destination, sequence))?;
            gone.extend(row.filter(|row: &DeliveryRow| !row.pending));
        }
        gone.iter().try_for_each(|row| self.remove(row))?;
        Ok(gone.len())
    }

    fn put(&mut self, row: &DeliveryRow) -> Result<()> {
        self.rows.insert(key(row), encode(row)?.as_slice())?;
        self.made.insert(made_key(row), row.incident.as_str())?;
        if row.pending {
            self.pending.insert(key(row), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, row: &DeliveryRow) -> Result<()> {
        self.rows.remove(key(row))?;
        self.made.remove(made_key(row))?;
        self.pending.remove(key(row))?;
        Ok(())
    }
}

fn key(row: &DeliveryRow) -> Key<'_> {
    (row.project, &row.destination, row.sequence)
}

fn made_key(row: &DeliveryRow) -> MadeKey<'_> {
    (row.project, row.made_us, &row.destination, row.sequence)
}

pub(super) fn busy(txn: &ReadTransaction) -> Result<Vec<(u32, String)>> {
    let table = txn.open_table(DELIVERIES_PENDING)?;
    let mut busy: Vec<(u32, String)> = Vec::new();
    loop {
        // From one destination to the next: one that is down has many pending deliveries.
        let from = busy.last().map_or(Bound::Unbounded, |(project, destination)| {
            Bound::Excluded((*project, destination.as_str(), u64::MAX))
        });
        let Some(entry) = table.range::<Key<'_>>((from, Bound::Unbounded))?.next() else {
            return Ok(busy);
        };
        let key = entry?.0;
        let (project, destination, _) = key.value();
        busy.push((project, destination.to_owned()));
    }
}

pub(super) fn pending(
    txn: &ReadTransaction,
    project: u32,
    destination: &str,
    limit: usize,
) -> Result<Vec<DeliveryRow>> {
    let (rows, pending) = (txn.open_table(DELIVERIES)?, txn.open_table(DELIVERIES_PENDING)?);
    pending_rows(&rows, &pending, project, destination, limit)
}

fn pending_rows(
    rows: &impl ReadableTable<Key<'static>, &'static [u8]>,
    pending: &impl ReadableTable<Key<'static>, ()>,
    project: u32,
    destination: &str,
    limit: usize,
) -> Result<Vec<DeliveryRow>> {
    let mut found = Vec::new();
    for entry in pending.range((project, destination, 0)..=(project, destination, u64::MAX))?.take(limit) {
        found.extend(get::<_, DeliveryRow>(rows, entry?.0.value())?);
    }
    Ok(found)
}

pub(super) fn newest(
    txn: &ReadTransaction,
    project: u32,
    filter: DeliveryFilter<'_>,
    after: Option<(i64, &str, u64)>,
    limit: usize,
) -> Result<Vec<DeliveryRow>> {
    let (rows, made) = (txn.open_table(DELIVERIES)?, txn.open_table(DELIVERIES_MADE)?);
    let mut found = Vec::new();
    for entry in made.range(span(project, after))?.rev() {
        if found.len() >= limit {
            break;
        }
        let (made, incident) = entry?;
        let (_, _, destination, sequence) = made.value();
        if filter.takes(destination, incident.value()) {
            found.extend(get::<_, DeliveryRow>(&rows, (project, destination, sequence))?);
        }
    }
    Ok(found)
}

/// The keys of a project before `end` (made_us, destination, sequence), or all of them.
fn span(project: u32, end: Option<(i64, &str, u64)>) -> (Bound<MadeKey<'_>>, Bound<MadeKey<'_>>) {
    let end = match end {
        Some((made_us, destination, sequence)) => Bound::Excluded((project, made_us, destination, sequence)),
        None => {
            project.checked_add(1).map_or(Bound::Unbounded, |next| Bound::Excluded((next, i64::MIN, "", 0)))
        }
    };
    (Bound::Included((project, i64::MIN, "", 0)), end)
}
