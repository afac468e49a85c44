//! The outcome ledger and refused events.

use redb::ReadableTable;

use super::layout::{LEDGER, LEDGER_POSITION, META, REFUSED};
use super::{Did, EmbeddedStore};
use crate::store::{add_counts, check_name};
use crate::{LedgerCell, OutcomeStore, REFUSED_KEPT, RefusedRow, Result};

impl OutcomeStore for EmbeddedStore {
    fn apply_ledger(&self, cells: &[(LedgerCell, u64)], position: u64) -> Result<bool> {
        self.write(|txn| {
            let mut meta = txn.open_table(META)?;
            if meta.get(LEDGER_POSITION)?.is_some_and(|old| old.value() >= position) {
                return Ok(Did::Nothing(false));
            }
            let mut ledger = txn.open_table(LEDGER)?;
            for (cell, count) in cells.iter().filter(|(_, count)| *count > 0) {
                let key = (cell.project, cell.minute, cell.outcome, cell.reason.as_str());
                let old = ledger.get(key)?.map_or(0, |old| old.value());
                ledger.insert(key, add_counts(old, *count)?)?;
            }
            meta.insert(LEDGER_POSITION, position)?;
            Ok(Did::Change(true))
        })
    }

    fn ledger_position(&self) -> Result<Option<u64>> {
        Ok(self.read()?.open_table(META)?.get(LEDGER_POSITION)?.map(|position| position.value()))
    }

    fn ledger(&self, project: u32, from: i64, to: i64) -> Result<Vec<(LedgerCell, u64)>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let table = self.read()?.open_table(LEDGER)?;
        let mut rows = Vec::new();
        for entry in table.range((project, from, 0, "")..(project, to, 0, ""))? {
            let (key, count) = entry?;
            let (project, minute, outcome, reason) = key.value();
            let reason = reason.to_owned();
            rows.push((LedgerCell { project, minute, outcome, reason }, count.value()));
        }
        Ok(rows)
    }

    fn push_refused(&self, project: &str, json: &[Vec<u8>]) -> Result<()> {
        check_name("project id", project)?;
        if json.is_empty() {
            return Ok(());
        }
        self.write(|txn| {
            let mut table = txn.open_table(REFUSED)?;
            let newest = table.range((project, 0)..=(project, u64::MAX))?.next_back().transpose()?;
            let next = newest.map_or(0, |(key, _)| key.value().1 + 1);
            let end = next + json.len() as u64;
            let first_kept = end.saturating_sub(REFUSED_KEPT as u64);
            for (sequence, json) in (next..).zip(json).filter(|(n, _)| *n >= first_kept) {
                table.insert((project, sequence), json.as_slice())?;
            }
            table.retain_in((project, 0)..(project, first_kept), |_, _| false)?;
            Ok(Did::Change(()))
        })
    }

    fn refused(&self, project: &str, limit: usize) -> Result<Vec<RefusedRow>> {
        let table = self.read()?.open_table(REFUSED)?;
        let rows = table.range((project, 0)..=(project, u64::MAX))?.rev().take(limit);
        rows.map(|entry| {
            let (key, json) = entry?;
            Ok(RefusedRow { sequence: key.value().1, json: json.value().to_vec() })
        })
        .collect()
    }
}
