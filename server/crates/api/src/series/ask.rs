//! One question for each definition.

use std::sync::Arc;

use footpath_alert::NumbersError;
use footpath_engine::SliceValue;
use footpath_model::alert::CountedRule;
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{
    AlertCondition, AlertRule, Measure, MetricDefinition, SessionAggregate, Severity,
};
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
        let table = self.numbers.at_once(&project, &watching(&counted), span, TOP).await?;
        let series = table.rows.unwrap_or_else(|| vec![table.total]);
        let others = series.iter().any(|one| one.value == Some(SliceValue::Other));
        Ok(Metric {
            to_us: span.1,
            unit: unit(&counted.definition.measure),
            percentiles: counted.definition.percentiles().to_vec(),
            series,
            cut: table.overflow || others,
        })
    }

    /// Counts who entered a funnel in a span, and how far they have come by now. Live funnels count every environment over the
    /// definition's own range, so that stored events are asked.
    pub(super) async fn funnel(
        &self,
        project: Arc<ProjectRow>,
        counted: CountedFunnel,
        (from_us, to_us): Span,
    ) -> Result<Funnel, NumbersError> {
        let mut counted = narrowed(&counted);
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

/// A rule that says nothing of its own about a metric: what it watches is of production and without internal traffic.
fn watching(metric: &CountedMetric) -> CountedRule {
    let definition = AlertRule {
        id: String::new(),
        name: String::new(),
        version: 0,
        metric: metric.definition.id.clone(),
        filter: None,
        breakdown: None,
        top: 0,
        environments: Vec::new(),
        include_internal: false,
        every: CalendarUnit::Minute,
        delay_us: 0,
        when: AlertCondition::NoData {},
        min_volume: 0,
        min_effect: 0.0,
        min_effect_percent: 0.0,
        for_buckets: 0,
        cooldown_us: 0,
        severity: Severity::Info,
        owner: String::new(),
        runbook: String::new(),
        destinations: Vec::new(),
        disabled: false,
    };
    CountedRule { definition, metric: metric.clone(), zone: String::new() }
}

/// A funnel as a rule about its conversion counts it.
fn narrowed(funnel: &CountedFunnel) -> CountedFunnel {
    let id = funnel.definition.id.clone();
    let definition = MetricDefinition {
        id: id.clone(),
        name: String::new(),
        version: 0,
        measure: Measure::Conversion { funnel: id, step: 0 },
        breakdown: None,
        include_internal: false,
    };
    let internal = funnel.internal.clone();
    let conversion = CountedMetric { definition, funnel: Some(Box::new(funnel.clone())), internal };
    let watched = watching(&conversion).watched();
    watched.funnel.map_or_else(|| funnel.clone(), |narrowed| *narrowed)
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
        let shown = narrowed(&funnel);
        let left_out = r#"{"any":[{"property":"email","op":"contains","values":["@x"]},{"not":{"property":"environment","scope":"context","op":"in","values":["prod"]}}]}"#;
        assert_eq!(serde_json::to_string(&shown.internal).unwrap(), left_out);
        let definition = FunnelDefinition { include_internal: false, ..funnel.definition.clone() };
        assert_eq!(shown, CountedFunnel { definition, internal: shown.internal.clone(), ..funnel });
    }
}
