//! One question for each definition.

use std::sync::Arc;

use footpath_alert::NumbersError;
use footpath_engine::SliceValue;
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{Measure, PROD, SessionAggregate};
use footpath_model::range::Range;
use footpath_query::FunnelQuery;
use footpath_store::ProjectRow;

use super::{Funnel, FunnelValue, Metric, SeriesNumbers, Span, TOP, Unit};

impl SeriesNumbers {
    /// Counts a metric over a span.
    pub(super) async fn metric(
        &self,
        project: Arc<ProjectRow>,
        counted: CountedMetric,
        span: Span,
    ) -> Result<Metric, NumbersError> {
        let unit = unit(&counted.definition.measure);
        let percentiles = counted.definition.percentiles().to_vec();
        let counted = counted.within(watched(), false);
        let table = self.numbers.at_once(&project, counted, span, TOP).await?;
        let series = table.rows.unwrap_or_else(|| vec![table.total]);
        let others = series.iter().any(|one| one.value == Some(SliceValue::Other));
        Ok(Metric { to_us: span.1, unit, percentiles, series, cut: table.overflow || others })
    }

    /// Counts who entered a funnel in a span, and how far they have come by now. Live funnels count every environment over the
    /// definition's own range, so that stored events are asked.
    pub(super) async fn funnel(
        &self,
        project: Arc<ProjectRow>,
        counted: CountedFunnel,
        (from_us, to_us): Span,
    ) -> Result<Funnel, NumbersError> {
        let mut counted = counted.within(watched(), false);
        counted.range = Range::Fixed { from_us, to_us };
        let answer = self.numbers.asked(&project, move |source| {
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
