//! What a record changes in the store.

use std::collections::HashMap;

use footpath_engine::alert::{AlertFold, Transition, TransitionKind};
use footpath_model::alert::{Observed, Series};
use footpath_model::control::Control;
use footpath_store::{
    AlertChanges, AlertRecordRow, DeliveryRow, IncidentRow, Result, StoreError, TransitionRow,
};
use serde::Serialize;

use super::withheld::overdue;
use super::{Keeper, Kept, Told};
use crate::incident::{Incident, Reason};

/// More messages than one record can be the reason of: each rule has at most a hundred series and ten destinations.
const MOST_MESSAGES: u64 = 1 << 20;

/// What a record changes, while it is gathered.
struct Draft<'a> {
    keeper: &'a Keeper,
    /// The project's id.
    project: &'a str,
    fold: &'a AlertFold,
    row: &'a AlertRecordRow,
    control: &'a Control,
    /// Incidents that something happened to, as they are after it.
    incidents: HashMap<String, Incident>,
    changes: AlertChanges,
}

impl Keeper {
    /// Stores what a record changes; whether that is anything.
    pub(super) fn store_changes(
        &self,
        project: &str,
        kept: &mut Kept,
        row: &AlertRecordRow,
        control: &Control,
        transitions: &[Transition],
    ) -> Result<bool> {
        let overdue = overdue(&kept.fold, &kept.withheld, control);
        if transitions.is_empty() && overdue.is_empty() {
            return Ok(false);
        }
        let (incidents, changes) = (HashMap::new(), AlertChanges::default());
        let mut draft = Draft { keeper: self, project, fold: &kept.fold, row, control, incidents, changes };
        for (index, transition) in (0_u32..).zip(transitions) {
            draft.happen(index, transition)?;
        }
        for (index, transition) in (0_u32..).skip(transitions.len()).zip(&overdue) {
            draft.make_known(index, transition)?;
        }
        let (incidents, changes) = draft.finish()?;
        for incident in incidents {
            match incident.is_withheld() {
                true => kept.withheld.insert(incident.id),
                false => kept.withheld.remove(&incident.id),
            };
        }
        self.store.apply_alerts(&changes, row.position)
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

impl Draft<'_> {
    /// Notes what happened to an incident, and who is told.
    fn happen(&mut self, index: u32, transition: &Transition) -> Result<()> {
        let incident = self.take_out(&transition.incident.id)?;
        let mut incident = incident.unwrap_or_else(|| Incident::begin(self.fold, transition));
        incident.take(transition, reason(self.control, transition));
        let is_told = incident.announces(transition);
        let told = Told { transition: transition.clone(), incident };
        self.changes.transitions.push(TransitionRow {
            project: self.row.project,
            position: self.row.position,
            index,
            at_us: transition.at_us,
            incident: told.incident.id.clone(),
            json: json(&told)?,
        });
        self.go_on(index, told, is_told);
        Ok(())
    }

    /// Tells of an incident that a mute withheld. Nothing happened to it: its story and watches have had its beginning.
    fn make_known(&mut self, index: u32, transition: &Transition) -> Result<()> {
        let Some(mut incident) = self.take_out(&transition.incident.id)? else { return Ok(()) };
        let is_told = incident.is_withheld();
        let mut transition = transition.clone();
        if is_told {
            transition.kind = incident.beginning();
            incident.take(&transition, reason(self.control, &transition));
            incident.announces(&transition);
        }
        self.go_on(index, Told { transition, incident }, is_told);
        Ok(())
    }

    fn take_out(&mut self, id: &str) -> Result<Option<Incident>> {
        match self.incidents.remove(id) {
            Some(known) => Ok(Some(known)),
            None => self.keeper.known(self.row.project, id),
        }
    }

    fn go_on(&mut self, index: u32, told: Told, is_told: bool) {
        if is_told {
            let before = self.changes.deliveries.len() as u64;
            let messages = self.keeper.deliveries(self.project, self.row, (index, before), &told);
            self.changes.deliveries.extend(messages);
        }
        self.incidents.insert(told.incident.id.clone(), told.incident);
    }

    fn finish(mut self) -> Result<(Vec<Incident>, AlertChanges)> {
        let mut incidents: Vec<_> = self.incidents.into_values().collect();
        incidents.sort_by(|a, b| a.id.cmp(&b.id));
        let rows = incidents.iter().map(|one| incident_row(self.row.project, one));
        self.changes.incidents = rows.collect::<Result<_>>()?;
        Ok((incidents, self.changes))
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
