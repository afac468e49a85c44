//! What every store asks of rows: whether their names will do (law 7), what errors call them, whether a filter takes them.

use super::{
    AlertChanges, AlertRecordRow, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow, TransitionRow,
};
use crate::Result;
use crate::store::check_name;

impl AlertChanges {
    /// Checks every row, so that a store changes nothing when one of them is refused.
    pub(crate) fn check(&self) -> Result<()> {
        self.incidents.iter().try_for_each(IncidentRow::check)?;
        self.transitions.iter().try_for_each(TransitionRow::check)?;
        self.deliveries.iter().try_for_each(DeliveryRow::check)
    }
}

impl IncidentRow {
    fn check(&self) -> Result<()> {
        check_name("incident id", &self.id)?;
        check_name("rule id", &self.rule)
    }
}

impl TransitionRow {
    fn check(&self) -> Result<()> {
        check_name("incident id", &self.incident)
    }
}

impl DeliveryRow {
    pub(crate) fn check(&self) -> Result<()> {
        check_name("destination id", &self.destination)?;
        if self.incident.is_empty() {
            return Ok(()); // A test.
        }
        check_name("incident id", &self.incident)
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}", self.project, self.destination, self.sequence)
    }
}

impl DestinationRow {
    pub(crate) fn check(&self) -> Result<()> {
        check_name("project id", &self.project)?;
        check_name("destination id", &self.id)
    }
}

impl AlertRecordRow {
    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.project, self.position)
    }
}

impl DeliveryFilter<'_> {
    /// Whether a delivery to that destination, of that incident, is wanted.
    pub(crate) fn takes(&self, destination: &str, incident: &str) -> bool {
        self.destination.is_none_or(|wanted| wanted == destination)
            && self.incident.is_none_or(|wanted| wanted == incident)
    }
}
