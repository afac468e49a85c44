//! What alerts leave behind. Lists are filtered and sorted, not indexed: slow, and plainly right.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{MemoryStore, pair};
use crate::{
    AlertChanges, AlertRecordRow, AlertStore, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow,
    Result, StoreError, TransitionRow,
};

#[derive(Default)]
pub(super) struct Alerts {
    records: BTreeMap<(u32, u64), AlertRecordRow>,
    images: BTreeMap<u32, (u64, Vec<u8>)>,
    position: Option<u64>,
    incidents: BTreeMap<(u32, String), IncidentRow>,
    transitions: BTreeMap<(u32, u64, u32), TransitionRow>,
    destinations: BTreeMap<(String, String), DestinationRow>,
    /// By project, destination, sequence.
    deliveries: BTreeMap<(u32, String, u64), DeliveryRow>,
}

impl Alerts {
    fn image_position(&self, project: u32) -> u64 {
        self.images.get(&project).map_or(0, |(position, _)| *position)
    }

    fn apply(&mut self, changes: &AlertChanges) {
        for row in &changes.incidents {
            self.incidents.insert((row.project, row.id.clone()), row.clone());
        }
        for row in &changes.transitions {
            self.transitions.insert((row.project, row.position, row.index), row.clone());
        }
        for row in &changes.deliveries {
            self.deliveries.entry(address(row)).or_insert_with(|| row.clone());
        }
    }

    fn rows(&self) -> usize {
        self.incidents.len() + self.transitions.len() + self.deliveries.len()
    }

    fn trim(&mut self, project: u32, before_us: i64) {
        let over = |row: &IncidentRow| row.project == project && !row.open && row.changed_us < before_us;
        let gone = |incident: Option<&IncidentRow>| incident.is_some_and(over);
        let incidents = &self.incidents;
        self.transitions.retain(|_, row| !gone(incidents.get(&(row.project, row.incident.clone()))));
        self.incidents.retain(|_, row| !over(row));
        self.deliveries.retain(|_, row| row.project != project || row.pending || row.made_us >= before_us);
    }
}

fn address(row: &DeliveryRow) -> (u32, String, u64) {
    (row.project, row.destination.clone(), row.sequence)
}

fn page<'a, T: Clone + 'a>(rows: impl IntoIterator<Item = &'a T>, limit: usize) -> Vec<T> {
    rows.into_iter().take(limit).cloned().collect()
}

impl AlertStore for MemoryStore {
    fn put_alert_record(&self, record: &AlertRecordRow) -> Result<()> {
        let alerts = &mut self.state.lock().alerts;
        if record.position < alerts.image_position(record.project) {
            return Ok(());
        }
        let key = (record.project, record.position);
        let old = alerts.records.entry(key).or_insert_with(|| record.clone());
        if old == record {
            return Ok(());
        }
        Err(StoreError::conflict("alert record", &record.name()))
    }

    fn alert_records(&self, project: u32, from_position: u64, limit: usize) -> Result<Vec<AlertRecordRow>> {
        let state = self.state.lock();
        let rows = state.alerts.records.range((project, from_position)..=(project, u64::MAX));
        Ok(page(rows.map(|(_, row)| row), limit))
    }

    fn put_alert_image(&self, project: u32, position: u64, image: &[u8]) -> Result<()> {
        let alerts = &mut self.state.lock().alerts;
        if alerts.image_position(project) > position {
            return Ok(());
        }
        alerts.images.insert(project, (position, image.to_vec()));
        alerts.records.retain(|_, row| row.project != project || row.position >= position);
        Ok(())
    }

    fn alert_image(&self, project: u32) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.state.lock().alerts.images.get(&project).cloned())
    }

    fn apply_alerts(&self, changes: &AlertChanges, position: u64) -> Result<bool> {
        changes.check()?;
        let alerts = &mut self.state.lock().alerts;
        if alerts.position >= Some(position) {
            return Ok(false);
        }
        alerts.apply(changes);
        alerts.position = Some(position);
        Ok(true)
    }

    fn alerts_position(&self) -> Result<Option<u64>> {
        Ok(self.state.lock().alerts.position)
    }

    fn incident(&self, project: u32, id: &str) -> Result<Option<IncidentRow>> {
        Ok(self.state.lock().alerts.incidents.get(&(project, id.to_owned())).cloned())
    }

    fn incidents(
        &self,
        project: u32,
        open: bool,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>> {
        let state = self.state.lock();
        let wanted = |row: &&IncidentRow| row.project == project && (row.open || !open);
        let order = |row: &IncidentRow| (row.opened_us, row.id.clone());
        let rest = |row: &&IncidentRow| after.is_none_or(|(at, id)| order(row) < (at, id.to_owned()));
        let mut rows: Vec<_> = state.alerts.incidents.values().filter(wanted).filter(rest).collect();
        rows.sort_by_key(|row| Reverse(order(row)));
        Ok(page(rows, limit))
    }

    fn transitions(&self, project: u32, from: (u64, u32), limit: usize) -> Result<Vec<TransitionRow>> {
        let state = self.state.lock();
        let rows = state.alerts.transitions.range((project, from.0, from.1)..=(project, u64::MAX, u32::MAX));
        Ok(page(rows.map(|(_, row)| row), limit))
    }

    fn transitions_of(&self, project: u32, incident: &str) -> Result<Vec<TransitionRow>> {
        let state = self.state.lock();
        let rows = state.alerts.transitions.values();
        Ok(page(rows.filter(|row| row.project == project && row.incident == incident), usize::MAX))
    }

    fn put_destination(&self, destination: &DestinationRow) -> Result<()> {
        destination.check()?;
        let key = pair(&destination.project, &destination.id);
        self.state.lock().alerts.destinations.insert(key, destination.clone());
        Ok(())
    }

    fn destination(&self, project: &str, id: &str) -> Result<Option<DestinationRow>> {
        Ok(self.state.lock().alerts.destinations.get(&pair(project, id)).cloned())
    }

    fn destinations(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<DestinationRow>> {
        let state = self.state.lock();
        let rows = state.alerts.destinations.values().filter(|row| row.project == project);
        Ok(page(rows.filter(|row| after.is_none_or(|after| row.id.as_str() > after)), limit))
    }

    fn delete_destination(&self, project: &str, id: &str) -> Result<bool> {
        let mut state = self.state.lock();
        let number = state.projects.get(project).map(|row| row.number);
        let alerts = &mut state.alerts;
        if alerts.destinations.remove(&pair(project, id)).is_none() {
            return Ok(false);
        }
        let goes = |row: &DeliveryRow| Some(row.project) == number && row.destination == id && row.pending;
        alerts.deliveries.retain(|_, row| !goes(row));
        Ok(true)
    }

    fn busy_destinations(&self) -> Result<Vec<(u32, String)>> {
        let state = self.state.lock();
        let pending = state.alerts.deliveries.values().filter(|row| row.pending);
        let mut busy: Vec<_> = pending.map(|row| (row.project, row.destination.clone())).collect();
        busy.dedup();
        Ok(busy)
    }

    fn pending_deliveries(&self, project: u32, destination: &str, limit: usize) -> Result<Vec<DeliveryRow>> {
        let state = self.state.lock();
        let rows = state.alerts.deliveries.values().filter(|row| row.pending);
        Ok(page(rows.filter(|row| row.project == project && row.destination == destination), limit))
    }

    fn update_delivery(&self, delivery: &DeliveryRow) -> Result<()> {
        delivery.check()?;
        let deliveries = &mut self.state.lock().alerts.deliveries;
        let old = deliveries.get_mut(&address(delivery));
        *old.ok_or_else(|| StoreError::not_found("delivery", &delivery.name()))? = delivery.clone();
        Ok(())
    }

    fn deliveries(
        &self,
        project: u32,
        filter: DeliveryFilter<'_>,
        after: Option<(i64, &str, u64)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>> {
        let state = self.state.lock();
        let wanted =
            |row: &&DeliveryRow| row.project == project && filter.takes(&row.destination, &row.incident);
        let order = |row: &DeliveryRow| (row.made_us, row.destination.clone(), row.sequence);
        let rest = |row: &&DeliveryRow| after.is_none_or(|(at, to, n)| order(row) < (at, to.to_owned(), n));
        let mut rows: Vec<_> = state.alerts.deliveries.values().filter(wanted).filter(rest).collect();
        rows.sort_by_key(|row| Reverse(order(row)));
        Ok(page(rows, limit))
    }

    fn trim_alerts(&self, project: u32, before_us: i64) -> Result<usize> {
        let alerts = &mut self.state.lock().alerts;
        let before = alerts.rows();
        alerts.trim(project, before_us);
        Ok(before - alerts.rows())
    }
}
