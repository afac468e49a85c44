//! A project after a start: its image, the records behind it, and the incidents that are open in the store.

use footpath_engine::alert::{AlertFold, Known};
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
        let mut kept = Kept::new(fold, next, self.withheld(number)?);
        loop {
            let rows = self.store.alert_records(number, kept.next, PAGE)?;
            let last = rows.len() < PAGE;
            for row in &rows {
                self.apply(id, &mut kept, row)?;
            }
            if last {
                break;
            }
        }
        self.agree(number, &mut kept.fold)?;
        Ok(kept)
    }

    /// A project whose image cannot be read: with its rules as they are defined.
    fn anew(&self, id: &str, number: u32, image: &[u8]) -> Result<AlertFold> {
        tracing::error!(
            project = id,
            "the image of the project's alert rules cannot be read: they read their past again before they judge, and none is muted"
        );
        let rows = self.store.definitions(id, DefinitionKind::Rule, None, usize::MAX)?;
        Ok(AlertFold::anew(number, image, rows.iter().filter_map(rule)))
    }

    /// What was told holds, whatever the records come to now: they may be judged by another law than when they came, or by rules that
    /// read their past again.
    fn agree(&self, number: u32, fold: &mut AlertFold) -> Result<()> {
        let mut known = Vec::new();
        for row in self.store.incidents(number, true, None, usize::MAX)? {
            match self.read_row(&row) {
                Ok(incident) => {
                    known.extend(incident.open().map(|open| Known { open, stopped: incident.stopped }))
                }
                Err(error) => tracing::error!(%error, "an open incident does not go on"),
            }
        }
        fold.agree(known, |incident| {
            self.incident(number, incident).ok().flatten().and_then(|incident| incident.resolved_us)
        });
        Ok(())
    }
}

fn rule(row: &DefinitionRow) -> Option<CountedRule> {
    let rule = serde_json::from_str(&row.json);
    rule.inspect_err(|error| tracing::error!(%error, rule = row.id, "an alert rule cannot be read")).ok()
}
