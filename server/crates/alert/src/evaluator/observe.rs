//! What is seen of one bucket of a rule.

use footpath_engine::metric::Table;
use footpath_model::alert::{Completeness, CountedRule, Observed, Reading, Series};
use footpath_model::definition::{Against, AlertCondition};
use footpath_store::ProjectRow;
use tokio::time::timeout;

use super::{Asked, Work};
use crate::numbers::{Numbers, NumbersError, Seen, readings};
use crate::plan::earlier;

/// A share of a bucket that the server may have been down, so that it still says something.
const DOWN_SHARE: f64 = 0.25;

impl<N: Numbers> Work<N> {
    pub(super) async fn observe(
        &self,
        project: &ProjectRow,
        seen: Seen,
        asked: &Asked,
    ) -> Result<Observed, NumbersError> {
        let Asked { rule, bucket } = asked;
        let (from_us, to_us, local_us) = *bucket;
        let events = self.numbers.events(project.number, from_us, to_us)?;
        let mut series = readings(&self.table(project, rule, (from_us, to_us)).await?);
        if let Some(days) = days_against(&rule.definition.when) {
            let before = self.table(project, rule, earlier(rule, *bucket, days)).await?;
            compare_with(&mut series, &readings(&before));
        }
        let complete = Completeness {
            position: seen.position,
            processed_us: seen.processed_us,
            missing: seen.missing,
            events,
            down: self.was_down(from_us, to_us),
        };
        let (rule, version) = (rule.definition.id.clone(), rule.definition.version);
        Ok(Observed { rule, version, from_us, to_us, local_us, complete, series, drivers: Vec::new() })
    }

    async fn table(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
    ) -> Result<Table, NumbersError> {
        let late = |_| NumbersError("the numbers take too long".into());
        timeout(self.pace.numbers, self.numbers.table(project, rule, span)).await.map_err(late)?
    }

    fn was_down(&self, from_us: i64, to_us: i64) -> bool {
        let overlap_us = to_us.min(self.down.1) - from_us.max(self.down.0);
        overlap_us as f64 > DOWN_SHARE * (to_us - from_us) as f64
    }
}

/// How many days earlier the bucket is that a change is told against, or the one before; of other conditions none.
pub(crate) fn days_against(when: &AlertCondition) -> Option<Option<i32>> {
    let AlertCondition::Change { against, .. } = when else { return None };
    Some(match against {
        Against::Previous => None,
        Against::Day => Some(1),
        Against::Week => Some(7),
    })
}

/// Puts beside each reading what it is compared with; a series that only the earlier bucket has is there with nothing.
fn compare_with(series: &mut Vec<Reading>, before: &[Reading]) {
    for earlier in before {
        match series.iter_mut().find(|one| one.series == earlier.series) {
            Some(reading) => reading.base = earlier.value,
            None => {
                series.push(Reading { base: earlier.value, ..Reading::of(Series::clone(&earlier.series)) })
            }
        }
    }
}
