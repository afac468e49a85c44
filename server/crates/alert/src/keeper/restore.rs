//! A project after a start: its image and the records behind it.

use footpath_engine::alert::AlertFold;
use footpath_model::alert::CountedRule;
use footpath_store::{DefinitionKind, DefinitionRow, Result};

use super::{Keeper, Kept};

/// Records that are read at a time.
const PAGE: usize = 1_000;

impl Keeper {
    /// Builds a project's state again.
    pub(super) fn restored(&self, id: &str, number: u32) -> Result<Kept> {
        let (next, fold) = match self.store.alert_image(number)? {
            None => (0, AlertFold::new(number)),
            Some((position, image)) => match AlertFold::decode(number, &image) {
                Some(fold) => (position, fold),
                None => (position, self.anew(id, number, &image)?),
            },
        };
        let mut kept = Kept { fold, next, records: 0, broken: false };
        loop {
            let rows = self.store.alert_records(number, kept.next, PAGE)?;
            let last = rows.len() < PAGE;
            for row in &rows {
                self.apply(id, &mut kept, row)?;
            }
            if last {
                return Ok(kept);
            }
        }
    }

    /// A project whose image cannot be read: with its rules as they are defined, and its incidents as they stand.
    fn anew(&self, id: &str, number: u32, image: &[u8]) -> Result<AlertFold> {
        tracing::error!(
            project = id,
            "the image of the project's alert rules cannot be read: they read their past again before they judge, and none is muted"
        );
        let rows = self.store.definitions(id, DefinitionKind::Rule, None, usize::MAX)?;
        let mut fold = AlertFold::anew(number, image, rows.iter().filter_map(rule));
        for row in self.store.incidents(number, true, None, usize::MAX)? {
            match self.read_row(&row) {
                Ok(incident) => {
                    let open = incident.open();
                    open.into_iter().for_each(|open| fold.go_on(open, incident.stopped.clone()));
                }
                Err(error) => tracing::error!(%error, "an open incident does not go on"),
            }
        }
        Ok(fold)
    }
}

fn rule(row: &DefinitionRow) -> Option<CountedRule> {
    let rule = serde_json::from_str(&row.json);
    rule.inspect_err(|error| tracing::error!(%error, rule = row.id, "an alert rule cannot be read")).ok()
}
