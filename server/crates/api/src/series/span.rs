//! Which span of time a number is of.

use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::Measure;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

/// From inclusive, to exclusive; microseconds since 1970.
pub(super) type Span = (i64, i64);

/// Of events the newest minute that is over and counted; of what lasts, an hour (see [`funnel_span`]).
pub(super) fn metric_span(counted: &CountedMetric, processed_us: i64) -> Span {
    match (&counted.definition.measure, &counted.funnel) {
        (Measure::Events(_) | Measure::Ratio { .. }, _) => newest(MINUTE_US, processed_us),
        (Measure::Conversion { .. }, Some(funnel)) => funnel_span(funnel, processed_us),
        // Half an hour of silence ends a session: after an hour most that began are over.
        (Measure::Conversion { .. } | Measure::Sessions(_), _) => newest(HOUR_US, processed_us - HOUR_US),
    }
}

/// The newest hour that was over when the funnel's window began, so that all who entered had their time; of windows of more than an
/// hour, the newest that is over for an hour. An hour that has just ended would show fewer conversions at its beginning than at
/// its end, for ever up and down.
pub(super) fn funnel_span(counted: &CountedFunnel, processed_us: i64) -> Span {
    newest(HOUR_US, processed_us - counted.definition.window_us.clamp(0, HOUR_US))
}

/// The newest whole span of a length that ended by a moment.
fn newest(length_us: i64, by_us: i64) -> Span {
    let to_us = by_us - by_us.rem_euclid(length_us);
    (to_us - length_us, to_us)
}

#[cfg(test)]
mod tests {
    use footpath_model::definition::{
        Aggregate, FunnelDefinition, MetricDefinition, SessionAggregate, Step, Term,
    };
    use footpath_model::range::Range;

    use super::*;

    const NOON: i64 = 1_700_000_000_000_000 / HOUR_US * HOUR_US;

    fn metric(measure: Measure) -> CountedMetric {
        let definition = MetricDefinition {
            id: "m".into(),
            name: String::new(),
            version: 1,
            measure,
            breakdown: None,
            include_internal: false,
        };
        CountedMetric { definition, funnel: None, internal: None }
    }

    fn funnel(window_us: i64) -> CountedFunnel {
        let steps = vec![Step { events: vec!["open".into()], ..Step::default() }];
        let definition = FunnelDefinition { steps, window_us, ..FunnelDefinition::default() };
        CountedFunnel::new(definition, Range::Today, String::new())
    }

    #[test]
    fn events_are_of_the_newest_minute_that_is_over() {
        let term = Term { events: vec![], filters: vec![], aggregate: Aggregate::Count };
        let span = |processed_us| metric_span(&metric(Measure::Events(term.clone())), processed_us);
        assert_eq!(span(NOON), (NOON - MINUTE_US, NOON));
        assert_eq!(span(NOON - 1), (NOON - 2 * MINUTE_US, NOON - MINUTE_US));
    }

    #[test]
    fn who_entered_had_their_time_up_to_an_hour() {
        let five = 5 * MINUTE_US;
        assert_eq!(funnel_span(&funnel(five), NOON + five), (NOON - HOUR_US, NOON));
        assert_eq!(funnel_span(&funnel(five), NOON + five - 1), (NOON - 2 * HOUR_US, NOON - HOUR_US));
        assert_eq!(funnel_span(&funnel(90 * HOUR_US), NOON), (NOON - 2 * HOUR_US, NOON - HOUR_US));
        let conversion = Measure::Conversion { funnel: "f".into(), step: 0 };
        let conversion = CountedMetric { funnel: Some(Box::new(funnel(five))), ..metric(conversion) };
        assert_eq!(metric_span(&conversion, NOON + five), (NOON - HOUR_US, NOON));
        let sessions = metric(Measure::Sessions(SessionAggregate::Count));
        assert_eq!(metric_span(&sessions, NOON + five), (NOON - 2 * HOUR_US, NOON - HOUR_US));
    }
}
