//! What alerts leave behind, in memory.

use std::collections::BTreeMap;

use super::MemoryStore;
use crate::alerts::{check_deliveries, check_destination, check_incidents};
use crate::{
    AlertChanges, AlertRecordRow, AlertStore, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow,
    Result, StoreError, TransitionRow,
};

#[derive(Default)]
pub(super) struct Alerts {
    records: BTreeMap<(u32, u64), AlertRecordRow>,
    images: BTreeMap<u32, (u64, Vec<u8>)>,
    incidents: BTreeMap<(u32, String), IncidentRow>,
    transitions: BTreeMap<(u32, u64, u32), TransitionRow>,
    destinations: BTreeMap<(String, String), DestinationRow>,
    deliveries: BTreeMap<(u32, String, u64), DeliveryRow>,
    position: Option<u64>,
}

fn key(row: &DeliveryRow) -> (u32, String, u64) {
    (row.project, row.destination.clone(), row.sequence)
}

impl AlertStore for MemoryStore {
    fn put_alert_record(&self, record: &AlertRecordRow) -> Result<()> {
        let mut state = self.state.lock();
        let key = (record.project, record.position);
        let known = state.alerts.records.entry(key).or_insert_with(|| record.clone());
        if known == record {
            return Ok(());
        }
        Err(StoreError::conflict("alert record", &record.name()))
    }

    fn alert_records(&self, project: u32, from_position: u64, limit: usize) -> Result<Vec<AlertRecordRow>> {
        let state = self.state.lock();
        let rows = state.alerts.records.range((project, from_position)..=(project, u64::MAX));
        Ok(rows.take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn put_alert_image(&self, project: u32, position: u64, image: &[u8]) -> Result<()> {
        let alerts = &mut self.state.lock().alerts;
        alerts.images.insert(project, (position, image.to_vec()));
        alerts.records.retain(|(of, at), _| *of != project || *at >= position);
        Ok(())
    }

    fn alert_image(&self, project: u32) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.state.lock().alerts.images.get(&project).cloned())
    }

    fn apply_alerts(&self, changes: &AlertChanges, position: u64) -> Result<bool> {
        check_incidents(&changes.incidents)?;
        check_deliveries(&changes.deliveries)?;
        let alerts = &mut self.state.lock().alerts;
        if alerts.position >= Some(position) {
            return Ok(false);
        }
        for row in &changes.incidents {
            let known = alerts.incidents.get(&(row.project, row.id.clone()));
            let opened_us = known.map_or(row.opened_us, |known| known.opened_us);
            let row = IncidentRow { opened_us, ..row.clone() };
            alerts.incidents.insert((row.project, row.id.clone()), row);
        }
        let transitions = changes.transitions.iter().cloned();
        alerts.transitions.extend(transitions.map(|row| ((row.project, row.position, row.index), row)));
        for row in &changes.deliveries {
            alerts.deliveries.entry(key(row)).or_insert_with(|| row.clone());
        }
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
        let own = state.alerts.incidents.values().filter(|row| row.project == project && (row.open || !open));
        let is_after = |row: &&IncidentRow| after.is_none_or(|after| (row.opened_us, row.id.as_str()) < after);
        let mut rows: Vec<_> = own.filter(is_after).cloned().collect();
        rows.sort_by(|a, b| (b.opened_us, &b.id).cmp(&(a.opened_us, &a.id)));
        rows.truncate(limit);
        Ok(rows)
    }

    fn transitions(&self, project: u32, from: (u64, u32), limit: usize) -> Result<Vec<TransitionRow>> {
        let state = self.state.lock();
        let range = (project, from.0, from.1)..=(project, u64::MAX, u32::MAX);
        Ok(state.alerts.transitions.range(range).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn transitions_of(&self, project: u32, incident: &str) -> Result<Vec<TransitionRow>> {
        let state = self.state.lock();
        let rows = state.alerts.transitions.values();
        Ok(rows.filter(|row| row.project == project && row.incident == incident).cloned().collect())
    }

    fn put_destination(&self, destination: &DestinationRow) -> Result<()> {
        check_destination(destination)?;
        let key = super::pair(&destination.project, &destination.id);
        self.state.lock().alerts.destinations.insert(key, destination.clone());
        Ok(())
    }

    fn destination(&self, project: &str, id: &str) -> Result<Option<DestinationRow>> {
        Ok(self.state.lock().alerts.destinations.get(&super::pair(project, id)).cloned())
    }

    fn destinations(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<DestinationRow>> {
        let state = self.state.lock();
        let rows = state.alerts.destinations.values().filter(|row| row.project == project);
        let rows = rows.filter(|row| after.is_none_or(|after| row.id.as_str() > after));
        Ok(rows.take(limit).cloned().collect())
    }

    fn delete_destination(&self, project: &str, number: u32, id: &str) -> Result<bool> {
        let alerts = &mut self.state.lock().alerts;
        if alerts.destinations.remove(&super::pair(project, id)).is_none() {
            return Ok(false);
        }
        alerts.deliveries.retain(|_, row| row.project != number || row.destination != id || !row.pending);
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
        let own = |row: &&DeliveryRow| row.pending && row.project == project && row.destination == destination;
        Ok(state.alerts.deliveries.values().filter(own).take(limit).cloned().collect())
    }

    fn update_delivery(&self, delivery: &DeliveryRow) -> Result<()> {
        let alerts = &mut self.state.lock().alerts;
        let known = alerts.deliveries.get_mut(&key(delivery));
        let known = known.ok_or_else(|| StoreError::not_found("delivery", &delivery.name()))?;
        *known = DeliveryRow { made_us: known.made_us, ..delivery.clone() };
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
        let own = state.alerts.deliveries.values().filter(|row| row.project == project && filter.wants(row));
        let place = |row: &DeliveryRow| (row.made_us, row.destination.clone(), row.sequence);
        let after = after.map(|(us, id, n)| (us, id.to_owned(), n));
        let is_after = |row: &&DeliveryRow| after.as_ref().is_none_or(|after| place(row) < *after);
        let mut rows: Vec<_> = own.filter(is_after).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
        rows.truncate(limit);
        Ok(rows)
    }

    fn trim_alerts(&self, project: u32, before_us: i64) -> Result<usize> {
        let alerts = &mut self.state.lock().alerts;
        let before = alerts.incidents.len() + alerts.deliveries.len();
        let is_over = |row: &IncidentRow| row.project == project && !row.open && row.changed_us < before_us;
        let over: Vec<_> = alerts.incidents.values().filter(|row| is_over(row)).map(|row| row.id.clone()).collect();
        alerts.incidents.retain(|_, row| !is_over(row));
        alerts.transitions.retain(|_, row| row.project != project || !over.contains(&row.incident));
        alerts.deliveries.retain(|_, row| row.project != project || row.pending || row.made_us >= before_us);
        Ok(before - alerts.incidents.len() - alerts.deliveries.len())
    }
}
