//! What probably moved the series of which incidents begin.

use footpath_engine::alert::{IncidentName, Transition};
use footpath_model::alert::Observed;
use footpath_store::ProjectRow;
use tokio::time::timeout;

use super::{Asked, Work};
use crate::numbers::Numbers;
use crate::plan::explained;

impl<N: Numbers> Work<N> {
    /// Says what probably moved the series of which incidents begin, as far as that is known in time: an alert does not wait for more.
    pub(super) async fn explain(&self, project: &ProjectRow, asked: &[Asked], rules: &mut [Observed]) {
        let opens = self.keeper.look_ahead(project.number, rules);
        // In time or not: what was found is in the records.
        let _ = timeout(self.pace.drivers, self.find_drivers(project, asked, rules, opens)).await;
    }

    async fn find_drivers(
        &self,
        project: &ProjectRow,
        asked: &[Asked],
        rules: &mut [Observed],
        opens: Vec<Transition>,
    ) {
        for Transition { incident, judged, .. } in opens {
            let IncidentName { rule: id, series, .. } = incident;
            let Some(asked) = asked.iter().find(|one| one.rule.definition.id == id) else { continue };
            let Some(judged) = judged else { continue };
            let its = |one: &&mut Observed| one.rule == id && one.to_us == judged.to_us;
            let Some(observed) = rules.iter_mut().find(its) else { continue };
            let span = explained(&asked.rule, &judged);
            let drivers = self.numbers.drivers(project, &asked.rule, &series, span).await;
            if !drivers.is_empty() {
                observed.drivers.push((series, drivers));
            }
        }
    }
}
