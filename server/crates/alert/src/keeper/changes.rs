//! What a record changes in the store.

use std::collections::HashMap;

use footpath_engine::alert::{AlertFold, Transition, TransitionKind};
use footpath_model::alert::{Observed, Series};
use footpath_model::control::Control;
use footpath_store::{
    AlertChanges, AlertRecordRow, DeliveryRow, IncidentRow, Result, StoreError, TransitionRow,
};
use serde::Serialize;

use super::{Keeper, Told};
use crate::incident::{Incident, Reason};

/// More messages than one record can be the reason of: each rule has at most a hundred series and ten destinations.
const MOST_MESSAGES: u64 = 1 << 20;

impl Keeper {
    /// What the record changes in the store.
    pub(super) fn changes(
        &self,
        project: &str,
        fold: &AlertFold,
        row: &AlertRecordRow,
        control: &Control,
        transitions: &[Transition],
    ) -> Result<AlertChanges> {
        let mut incidents: HashMap<String, Incident> = HashMap::new();
        let mut changes = AlertChanges::default();
        for (index, transition) in (0_u32..).zip(transitions) {
            let id = &transition.incident.id;
            let known = match incidents.remove(id) {
                Some(known) => Some(known),
                None => self.known(row.project, id)?,
            };
            let mut incident = known.unwrap_or_else(|| Incident::begin(fold, transition));
            incident.take(transition, reason(control, transition));
            let is_told = incident.announces(transition);
            let told = Told { transition: transition.clone(), incident };
            changes.transitions.push(TransitionRow {
                project: row.project,
                position: row.position,
                index,
                at_us: transition.at_us,
                incident: id.clone(),
                json: json(&told)?,
            });
            if is_told {
                let before = changes.deliveries.len() as u64;
                changes.deliveries.extend(self.deliveries(project, row, (index, before), &told));
            }
            incidents.insert(id.clone(), told.incident);
        }
        changes.incidents =
            incidents.into_values().map(|one| incident_row(row.project, &one)).collect::<Result<_>>()?;
        changes.incidents.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(changes)
    }

    /// The messages about a transition; so many of the same record come `before`.
    fn deliveries(
        &self,
        project: &str,
        row: &AlertRecordRow,
        (index, before): (u32, u64),
        told: &Told,
    ) -> Vec<DeliveryRow> {
        let name = format!("{}-{}-{index}", row.project, row.position);
        let messages = self.outgoing.messages(project, &name, told).into_iter();
        let delivery = |(n, (destination, json)): (u64, (String, String))| DeliveryRow {
            project: row.project,
            destination,
            sequence: row.position.saturating_mul(MOST_MESSAGES).saturating_add(n),
            incident: told.incident.id.clone(),
            made_us: row.at_us,
            pending: true,
            json,
        };
        (before..MOST_MESSAGES).zip(messages).map(delivery).collect()
    }
}

/// What the record says about the bucket that was the reason.
fn reason(control: &Control, transition: &Transition) -> Reason {
    let Control::Observed { rules } = control else { return Reason::default() };
    let name = &transition.incident;
    let at = |one: &&Observed| one.to_us == transition.at_us && (one.rule == name.rule);
    let Some(observed) = rules.iter().find(at).or(rules.last()) else { return Reason::default() };
    let own = |(series, _): &&(Series, _)| *series == name.series;
    let drivers = observed.drivers.iter().find(own).map(|(_, drivers)| drivers.clone());
    let told = matches!(transition.kind, TransitionKind::Opened | TransitionKind::Reopened);
    Reason { complete: observed.complete, drivers: drivers.filter(|_| told).unwrap_or_default() }
}

fn incident_row(project: u32, incident: &Incident) -> Result<IncidentRow> {
    Ok(IncidentRow {
        project,
        id: incident.id.clone(),
        rule: incident.rule.clone(),
        opened_us: incident.opened_us,
        open: incident.resolved_us.is_none(),
        changed_us: incident.changed_us,
        json: json(incident)?,
    })
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))
}
