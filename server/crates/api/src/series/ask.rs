//! What each kind of definition is asked.

use footpath_alert::NumbersError;
use footpath_engine::SliceValue;
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{Measure, PROD, PropertyRef, SessionAggregate};
use footpath_model::range::Range;
use footpath_query::FunnelQuery;
use footpath_store::ProjectRow;

use super::span::{funnel_span, metric_span};
use super::{Funnel, FunnelValue, Metric, TOP, Unit};
use crate::alerts::numbers::{Absent, Asked, LiveNumbers};
use crate::definitions::Kind;

/// A kind of definition that has numbers.
pub(super) trait Counts: Kind {
    type Numbers;

    /// The property of its breakdown.
    fn breakdown(&self) -> Option<&PropertyRef>;

    /// Counts its newest span that is over at `processed_us`.
    fn count(
        self,
        numbers: &LiveNumbers,
        project: &ProjectRow,
        processed_us: i64,
    ) -> impl Future<Output = Result<Self::Numbers, NumbersError>> + Send;
}

impl Counts for CountedMetric {
    type Numbers = Metric;

    fn breakdown(&self) -> Option<&PropertyRef> {
        self.definition.breakdown.as_ref()
    }

    async fn count(
        self,
        numbers: &LiveNumbers,
        project: &ProjectRow,
        processed_us: i64,
    ) -> Result<Metric, NumbersError> {
        let span = metric_span(&self, processed_us);
        let unit = unit(&self.definition.measure);
        let percentiles = self.definition.percentiles().to_vec();
        let asked = Asked { counted: self.within(watched(), false), zone: String::new(), span, top: TOP };
        let table = numbers.over(project, asked, Absent::Stored).await?;
        let series = table.rows.unwrap_or_else(|| vec![table.total]);
        let others = series.iter().any(|one| one.value == Some(SliceValue::Other));
        Ok(Metric { to_us: span.1, unit, percentiles, series, cut: table.overflow || others })
    }
}

impl Counts for CountedFunnel {
    type Numbers = Funnel;

    fn breakdown(&self) -> Option<&PropertyRef> {
        self.definition.breakdown.as_ref().map(|breakdown| &breakdown.by)
    }

    /// Counts who entered in the span, and how far they have come by now. Live funnels count every environment over the definition's
    /// own range, so that stored events are asked.
    async fn count(
        self,
        numbers: &LiveNumbers,
        project: &ProjectRow,
        processed_us: i64,
    ) -> Result<Funnel, NumbersError> {
        let (from_us, to_us) = funnel_span(&self, processed_us);
        let counted = Self { range: Range::Fixed { from_us, to_us }, ..self.within(watched(), false) };
        let answer = numbers.asked(project, move |source| {
            footpath_query::funnel(source, &FunnelQuery { top: TOP, ..FunnelQuery::new(&counted) })
        });
        let answer = answer.await?;
        let cut = answer.slices.iter().any(|slice| slice.value == SliceValue::Other);
        let slices = answer.slices.into_iter();
        let slices = slices.map(|slice| FunnelValue { value: slice.value, reached: slice.reached });
        Ok(Funnel { to_us, reached: answer.reached, slices: slices.collect(), cut })
    }
}

/// The environments that a rule watches which names none.
fn watched() -> Vec<String> {
    vec![PROD.into()]
}

fn unit(measure: &Measure) -> Unit {
    match measure {
        Measure::Ratio { .. }
        | Measure::Conversion { .. }
        | Measure::Sessions(SessionAggregate::BounceRate) => Unit::Ratio,
        Measure::Sessions(SessionAggregate::AverageDuration | SessionAggregate::DurationPercentiles(_)) => {
            Unit::Seconds
        }
        Measure::Events(_) | Measure::Sessions(_) => Unit::Own,
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::definition::{FunnelDefinition, Step};

    use super::*;

    #[test]
    fn a_funnel_is_of_production_and_without_internal_traffic() {
        let step = |name: &str| Step { events: vec![name.into()], ..Step::default() };
        let steps = vec![step("seen"), step("paid")];
        let (id, include_internal) = ("f".into(), true);
        let definition = FunnelDefinition { id, steps, include_internal, ..FunnelDefinition::default() };
        let internal =
            serde_json::from_str(r#"{"property":"email","op":"contains","values":["@x"]}"#).unwrap();
        let funnel = CountedFunnel::new(definition, Range::Today, "UTC".into());
        let funnel = CountedFunnel { internal: Some(internal), ..funnel };
        let shown = funnel.clone().within(watched(), false);
        let left_out = r#"{"any":[{"property":"email","op":"contains","values":["@x"]},{"not":{"property":"environment","scope":"context","op":"in","values":["prod"]}}]}"#;
        assert_eq!(serde_json::to_string(&shown.internal).unwrap(), left_out);
        let definition = FunnelDefinition { include_internal: false, ..funnel.definition.clone() };
        assert_eq!(shown, CountedFunnel { definition, internal: shown.internal.clone(), ..funnel });
    }
}
