//! What alerts leave behind.

use redb::{ReadableTable, WriteTransaction};

use super::layout::{
    ALERT_IMAGES, ALERT_RECORDS, ALERTS_POSITION, DELIVERIES, DELIVERY_TIMES, DESTINATIONS,
    INCIDENT_TIMES, INCIDENT_TRANSITIONS, INCIDENTS, META, OPEN_INCIDENTS, PENDING_DELIVERIES,
    TRANSITIONS,
};
use super::row::{decode, encode, get, list};
use super::{Did, EmbeddedStore};
use crate::alerts::{check_deliveries, check_destination, check_incidents};
use crate::{
    AlertChanges, AlertRecordRow, AlertStore, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow,
    Result, StoreError, TransitionRow,
};

impl AlertStore for EmbeddedStore {
    fn put_alert_record(&self, record: &AlertRecordRow) -> Result<()> {
        self.write(|txn| {
            let mut table = txn.open_table(ALERT_RECORDS)?;
            let key = (record.project, record.position);
            let (at_us, json) = (record.at_us, record.json.as_slice());
            match table.get(key)?.map(|known| known.value() == (at_us, json)) {
                Some(true) => return Ok(Did::Nothing(())),
                Some(false) => return Err(StoreError::conflict("alert record", &record.name())),
                None => {}
            }
            table.insert(key, (at_us, json))?;
            Ok(Did::Change(()))
        })
    }

    fn alert_records(&self, project: u32, from_position: u64, limit: usize) -> Result<Vec<AlertRecordRow>> {
        let table = self.read()?.open_table(ALERT_RECORDS)?;
        let mut rows = Vec::new();
        for entry in table.range((project, from_position)..=(project, u64::MAX))?.take(limit) {
            let (key, value) = entry?;
            let (at_us, json) = value.value();
            let (position, json) = (key.value().1, json.to_vec());
            rows.push(AlertRecordRow { project, position, at_us, json });
        }
        Ok(rows)
    }

    fn put_alert_image(&self, project: u32, position: u64, image: &[u8]) -> Result<()> {
        self.write(|txn| {
            txn.open_table(ALERT_IMAGES)?.insert(project, (position, image))?;
            let below = (project, 0)..(project, position);
            txn.open_table(ALERT_RECORDS)?.retain_in(below, |_, _| false)?;
            Ok(Did::Change(()))
        })
    }

    fn alert_image(&self, project: u32) -> Result<Option<(u64, Vec<u8>)>> {
        let image = self.read()?.open_table(ALERT_IMAGES)?.get(project)?;
        Ok(image.map(|image| (image.value().0, image.value().1.to_vec())))
    }

    fn apply_alerts(&self, changes: &AlertChanges, position: u64) -> Result<bool> {
        check_incidents(&changes.incidents)?;
        check_deliveries(&changes.deliveries)?;
        self.write(|txn| {
            let mut meta = txn.open_table(META)?;
            if meta.get(ALERTS_POSITION)?.is_some_and(|old| old.value() >= position) {
                return Ok(Did::Nothing(false));
            }
            changes.incidents.iter().try_for_each(|incident| put_incident(txn, incident))?;
            changes.transitions.iter().try_for_each(|transition| put_transition(txn, transition))?;
            changes.deliveries.iter().try_for_each(|delivery| put_delivery(txn, delivery))?;
            meta.insert(ALERTS_POSITION, position)?;
            Ok(Did::Change(true))
        })
    }

    fn alerts_position(&self) -> Result<Option<u64>> {
        Ok(self.read()?.open_table(META)?.get(ALERTS_POSITION)?.map(|position| position.value()))
    }

    fn incident(&self, project: u32, id: &str) -> Result<Option<IncidentRow>> {
        let txn = self.read()?;
        let opened = txn.open_table(INCIDENT_TIMES)?.get((project, id))?;
        let Some(opened_us) = opened.map(|opened| opened.value()) else { return Ok(None) };
        get(&txn.open_table(INCIDENTS)?, (project, opened_us, id))
    }

    fn incidents(
        &self,
        project: u32,
        open: bool,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>> {
        let txn = self.read()?;
        let (all, open_ones) = (txn.open_table(INCIDENTS)?, txn.open_table(OPEN_INCIDENTS)?);
        let (first, mut rows) = ((project, i64::MIN, ""), Vec::new());
        let end = after.map_or((project + 1, i64::MIN, ""), |(us, id)| (project, us, id));
        if open {
            for entry in open_ones.range(first..end)?.rev().take(limit) {
                let key = entry?.0;
                rows.extend(get::<_, IncidentRow>(&all, key.value())?);
            }
        } else {
            for entry in all.range(first..end)?.rev().take(limit) {
                rows.push(decode(entry?.1.value())?);
            }
        }
        Ok(rows)
    }

    fn transitions(&self, project: u32, from: (u64, u32), limit: usize) -> Result<Vec<TransitionRow>> {
        let table = self.read()?.open_table(TRANSITIONS)?;
        let mut rows = Vec::new();
        let range = (project, from.0, from.1)..=(project, u64::MAX, u32::MAX);
        for entry in table.range(range)?.take(limit) {
            let (key, value) = entry?;
            rows.push(transition(key.value(), value.value()));
        }
        Ok(rows)
    }

    fn transitions_of(&self, project: u32, incident: &str) -> Result<Vec<TransitionRow>> {
        let txn = self.read()?;
        let (all, own) = (txn.open_table(TRANSITIONS)?, txn.open_table(INCIDENT_TRANSITIONS)?);
        let mut rows = Vec::new();
        for entry in own.range((project, incident, 0, 0)..=(project, incident, u64::MAX, u32::MAX))? {
            let (_, _, position, index) = entry?.0.value();
            let key = (project, position, index);
            rows.extend(all.get(key)?.map(|value| transition(key, value.value())));
        }
        Ok(rows)
    }

    fn put_destination(&self, destination: &DestinationRow) -> Result<()> {
        check_destination(destination)?;
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

    fn delete_destination(&self, project: &str, number: u32, id: &str) -> Result<bool> {
        self.write(|txn| {
            if txn.open_table(DESTINATIONS)?.remove((project, id))?.is_none() {
                return Ok(Did::Nothing(false));
            }
            let pending = pending_of(txn, number, id)?;
            pending.iter().try_for_each(|row| remove_delivery(txn, row))?;
            Ok(Did::Change(true))
        })
    }

    fn busy_destinations(&self) -> Result<Vec<(u32, String)>> {
        let table = self.read()?.open_table(PENDING_DELIVERIES)?;
        let mut busy = Vec::new();
        let mut from = (0, String::new());
        // From one destination to the next, however many wait at each.
        while let Some(entry) = table.range((from.0, from.1.as_str(), 0)..)?.next() {
            let key = entry?.0;
            let (project, destination, _) = key.value();
            busy.push((project, destination.to_owned()));
            from = (project, format!("{destination}\0"));
        }
        Ok(busy)
    }

    fn pending_deliveries(&self, project: u32, destination: &str, limit: usize) -> Result<Vec<DeliveryRow>> {
        let txn = self.read()?;
        let (all, pending) = (txn.open_table(DELIVERIES)?, txn.open_table(PENDING_DELIVERIES)?);
        let mut rows = Vec::new();
        for entry in pending.range((project, destination, 0)..=(project, destination, u64::MAX))?.take(limit) {
            rows.extend(get::<_, DeliveryRow>(&all, entry?.0.value())?);
        }
        Ok(rows)
    }

    fn update_delivery(&self, delivery: &DeliveryRow) -> Result<()> {
        self.write(|txn| {
            let key = (delivery.project, delivery.destination.as_str(), delivery.sequence);
            let mut table = txn.open_table(DELIVERIES)?;
            let old: Option<DeliveryRow> = get(&table, key)?;
            let old = old.ok_or_else(|| StoreError::not_found("delivery", &delivery.name()))?;
            let made_us = old.made_us;
            table.insert(key, encode(&DeliveryRow { made_us, ..delivery.clone() })?.as_slice())?;
            let mut pending = txn.open_table(PENDING_DELIVERIES)?;
            match delivery.pending {
                true => _ = pending.insert(key, ())?,
                false => _ = pending.remove(key)?,
            }
            Ok(Did::Change(()))
        })
    }

    fn deliveries(
        &self,
        project: u32,
        filter: DeliveryFilter<'_>,
        after: Option<(i64, &str, u64)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>> {
        let txn = self.read()?;
        let (all, times) = (txn.open_table(DELIVERIES)?, txn.open_table(DELIVERY_TIMES)?);
        let first = (project, i64::MIN, "", 0);
        let end = after.map_or((project + 1, i64::MIN, "", 0), |(us, id, n)| (project, us, id, n));
        let mut rows = Vec::new();
        for entry in times.range(first..end)?.rev() {
            if rows.len() >= limit {
                break;
            }
            let key = entry?.0;
            let (_, _, destination, sequence) = key.value();
            let row: Option<DeliveryRow> = get(&all, (project, destination, sequence))?;
            rows.extend(row.filter(|row| filter.wants(row)));
        }
        Ok(rows)
    }

    fn trim_alerts(&self, project: u32, before_us: i64) -> Result<usize> {
        self.write(|txn| {
            let gone = trim_incidents(txn, project, before_us)? + trim_deliveries(txn, project, before_us)?;
            Ok(if gone > 0 { Did::Change(gone) } else { Did::Nothing(gone) })
        })
    }
}

fn put_incident(txn: &WriteTransaction, incident: &IncidentRow) -> Result<()> {
    let id = incident.id.as_str();
    let mut times = txn.open_table(INCIDENT_TIMES)?;
    let known = times.get((incident.project, id))?.map(|known| known.value());
    let opened_us = known.unwrap_or(incident.opened_us);
    times.insert((incident.project, id), opened_us)?;
    let key = (incident.project, opened_us, id);
    let row = IncidentRow { opened_us, ..incident.clone() };
    txn.open_table(INCIDENTS)?.insert(key, encode(&row)?.as_slice())?;
    let mut open = txn.open_table(OPEN_INCIDENTS)?;
    match incident.open {
        true => _ = open.insert(key, ())?,
        false => _ = open.remove(key)?,
    }
    Ok(())
}

fn put_transition(txn: &WriteTransaction, row: &TransitionRow) -> Result<()> {
    let key = (row.project, row.position, row.index);
    let value = (row.at_us, row.incident.as_str(), row.json.as_str());
    txn.open_table(TRANSITIONS)?.insert(key, value)?;
    let own = (row.project, row.incident.as_str(), row.position, row.index);
    txn.open_table(INCIDENT_TRANSITIONS)?.insert(own, ())?;
    Ok(())
}

fn put_delivery(txn: &WriteTransaction, row: &DeliveryRow) -> Result<()> {
    let key = (row.project, row.destination.as_str(), row.sequence);
    let mut table = txn.open_table(DELIVERIES)?;
    if table.get(key)?.is_some() {
        return Ok(());
    }
    table.insert(key, encode(row)?.as_slice())?;
    let time = (row.project, row.made_us, row.destination.as_str(), row.sequence);
    txn.open_table(DELIVERY_TIMES)?.insert(time, ())?;
    if row.pending {
        txn.open_table(PENDING_DELIVERIES)?.insert(key, ())?;
    }
    Ok(())
}

fn remove_delivery(txn: &WriteTransaction, row: &DeliveryRow) -> Result<()> {
    let key = (row.project, row.destination.as_str(), row.sequence);
    txn.open_table(DELIVERIES)?.remove(key)?;
    txn.open_table(PENDING_DELIVERIES)?.remove(key)?;
    let time = (row.project, row.made_us, row.destination.as_str(), row.sequence);
    txn.open_table(DELIVERY_TIMES)?.remove(time)?;
    Ok(())
}

fn pending_of(txn: &WriteTransaction, project: u32, destination: &str) -> Result<Vec<DeliveryRow>> {
    let (all, pending) = (txn.open_table(DELIVERIES)?, txn.open_table(PENDING_DELIVERIES)?);
    let mut rows = Vec::new();
    for entry in pending.range((project, destination, 0)..=(project, destination, u64::MAX))? {
        rows.extend(get::<_, DeliveryRow>(&all, entry?.0.value())?);
    }
    Ok(rows)
}

fn transition(
    (project, position, index): (u32, u64, u32),
    (at_us, incident, json): (i64, &str, &str),
) -> TransitionRow {
    let (incident, json) = (incident.to_owned(), json.to_owned());
    TransitionRow { project, position, index, at_us, incident, json }
}

fn trim_incidents(txn: &WriteTransaction, project: u32, before_us: i64) -> Result<usize> {
    let mut over = Vec::new();
    // What changed last before a moment was opened before it.
    for entry in txn.open_table(INCIDENTS)?.range((project, i64::MIN, "")..(project, before_us, ""))? {
        let row: IncidentRow = decode(entry?.1.value())?;
        if !row.open && row.changed_us < before_us {
            over.push(row);
        }
    }
    for row in &over {
        txn.open_table(INCIDENTS)?.remove((project, row.opened_us, row.id.as_str()))?;
        txn.open_table(INCIDENT_TIMES)?.remove((project, row.id.as_str()))?;
        trim_transitions(txn, project, &row.id)?;
    }
    Ok(over.len())
}

fn trim_transitions(txn: &WriteTransaction, project: u32, incident: &str) -> Result<()> {
    let (mut all, mut own) = (txn.open_table(TRANSITIONS)?, txn.open_table(INCIDENT_TRANSITIONS)?);
    let range = (project, incident, 0, 0)..=(project, incident, u64::MAX, u32::MAX);
    let mut keys = Vec::new();
    for entry in own.extract_from_if(range, |_, ()| true)? {
        let (_, _, position, index) = entry?.0.value();
        keys.push((project, position, index));
    }
    for key in keys {
        all.remove(key)?;
    }
    Ok(())
}

fn trim_deliveries(txn: &WriteTransaction, project: u32, before_us: i64) -> Result<usize> {
    let mut over = Vec::new();
    {
        let (all, times) = (txn.open_table(DELIVERIES)?, txn.open_table(DELIVERY_TIMES)?);
        for entry in times.range((project, i64::MIN, "", 0)..(project, before_us, "", 0))? {
            let key = entry?.0;
            let (_, _, destination, sequence) = key.value();
            let row: Option<DeliveryRow> = get(&all, (project, destination, sequence))?;
            over.extend(row.filter(|row| !row.pending));
        }
    }
    over.iter().try_for_each(|row| remove_delivery(txn, row))?;
    Ok(over.len())
}
