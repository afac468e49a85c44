//! What alerts leave behind: a room for each subject, and the trait over them.

mod deliveries;
mod incidents;
mod journal;
mod transitions;

use redb::ReadableTable;

use self::deliveries::Deliveries;
use self::incidents::Incidents;
use self::transitions::Transitions;
use super::layout::{ALERTS_POSITION, DESTINATIONS, META, PROJECTS};
use super::row::{encode, get, list};
use super::{Did, EmbeddedStore};
use crate::{
    AlertChanges, AlertRecordRow, AlertStore, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow,
    ProjectRow, Result, TransitionRow,
};

impl AlertStore for EmbeddedStore {
    fn put_alert_record(&self, record: &AlertRecordRow) -> Result<()> {
        self.write(|txn| journal::put_record(txn, record))
    }

    fn alert_records(&self, project: u32, from_position: u64, limit: usize) -> Result<Vec<AlertRecordRow>> {
        journal::records(&self.read()?, project, from_position, limit)
    }

    fn put_alert_image(&self, project: u32, position: u64, image: &[u8]) -> Result<()> {
        self.write(|txn| journal::put_image(txn, project, position, image))
    }

    fn alert_image(&self, project: u32) -> Result<Option<(u64, Vec<u8>)>> {
        journal::image(&self.read()?, project)
    }

    fn apply_alerts(&self, changes: &AlertChanges, position: u64) -> Result<bool> {
        changes.check()?;
        self.write(|txn| {
            let mut meta = txn.open_table(META)?;
            if meta.get(ALERTS_POSITION)?.is_some_and(|old| old.value() >= position) {
                return Ok(Did::Nothing(false));
            }
            Incidents::open(txn)?.put(&changes.incidents)?;
            Transitions::open(txn)?.put(&changes.transitions)?;
            Deliveries::open(txn)?.add(&changes.deliveries)?;
            meta.insert(ALERTS_POSITION, position)?;
            Ok(Did::Change(true))
        })
    }

    fn alerts_position(&self) -> Result<Option<u64>> {
        Ok(self.read()?.open_table(META)?.get(ALERTS_POSITION)?.map(|position| position.value()))
    }

    fn incident(&self, project: u32, id: &str) -> Result<Option<IncidentRow>> {
        incidents::one(&self.read()?, project, id)
    }

    fn incidents(
        &self,
        project: u32,
        open: bool,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>> {
        let txn = self.read()?;
        if open {
            return incidents::open(&txn, project, after, limit);
        }
        incidents::all(&txn, project, after, limit)
    }

    fn transitions(&self, project: u32, from: (u64, u32), limit: usize) -> Result<Vec<TransitionRow>> {
        transitions::from(&self.read()?, project, from, limit)
    }

    fn transitions_of(&self, project: u32, incident: &str) -> Result<Vec<TransitionRow>> {
        transitions::of(&self.read()?, project, incident)
    }

    fn put_destination(&self, destination: &DestinationRow) -> Result<()> {
        destination.check()?;
        self.write(|txn| {
            let key = (destination.project.as_str(), destination.id.as_str());
            txn.open_table(DESTINATIONS)?.insert(key, encode(destination)?.as_slice())?;
            Ok(Did::Change(()))
        })
    }

    fn destination(&self, project: &str, id: &str) -> Result<Option<DestinationRow>> {
        get(&self.read()?.open_table(DESTINATIONS)?, (project, id))
    }

    fn destinations(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<DestinationRow>> {
        list(&self.read()?.open_table(DESTINATIONS)?, project, after.unwrap_or(""), limit)
    }

    fn delete_destination(&self, project: &str, id: &str) -> Result<bool> {
        self.write(|txn| {
            if txn.open_table(DESTINATIONS)?.remove((project, id))?.is_none() {
                return Ok(Did::Nothing(false));
            }
            // Deliveries go by the project's number; who has no number has none.
            if let Some(project) = get::<_, ProjectRow>(&txn.open_table(PROJECTS)?, project)? {
                Deliveries::open(txn)?.remove_pending(project.number, id)?;
            }
            Ok(Did::Change(true))
        })
    }

    fn busy_destinations(&self) -> Result<Vec<(u32, String)>> {
        deliveries::busy(&self.read()?)
    }

    fn pending_deliveries(&self, project: u32, destination: &str, limit: usize) -> Result<Vec<DeliveryRow>> {
        deliveries::pending(&self.read()?, project, destination, limit)
    }

    fn update_delivery(&self, delivery: &DeliveryRow) -> Result<()> {
        delivery.check()?;
        self.write(|txn| Deliveries::open(txn)?.update(delivery))
    }

    fn deliveries(
        &self,
        project: u32,
        filter: DeliveryFilter<'_>,
        after: Option<(i64, &str, u64)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>> {
        deliveries::newest(&self.read()?, project, filter, after, limit)
    }

    fn trim_alerts(&self, project: u32, before_us: i64) -> Result<usize> {
        self.write(|txn| {
            let mut gone = Deliveries::open(txn)?.trim(project, before_us)?;
            let mut transitions = Transitions::open(txn)?;
            for incident in Incidents::open(txn)?.trim(project, before_us)? {
                gone += 1 + transitions.remove_of(project, &incident)?;
            }
            Ok(if gone == 0 { Did::Nothing(0) } else { Did::Change(gone) })
        })
    }
}
