//! Which likelihood a metric's numbers have.

use footpath_model::definition::{Aggregate, Measure, MetricDefinition, SessionAggregate, Term};

use crate::anomaly::{Channel, SeriesKind};

/// How a metric's numbers scatter: counts, shares of a whole, or anything else.
pub fn series_kind(metric: &MetricDefinition) -> SeriesKind {
    match &metric.measure {
        Measure::Events(term) => of_term(term),
        Measure::Ratio { numerator, denominator } if is_share(numerator, denominator) => SeriesKind::Ratio,
        Measure::Ratio { numerator, denominator } if is_number(numerator) && is_number(denominator) => {
            SeriesKind::Rate
        }
        Measure::Ratio { .. } => SeriesKind::Value,
        Measure::Sessions(SessionAggregate::Count | SessionAggregate::Uniques) => SeriesKind::Count,
        Measure::Sessions(SessionAggregate::BounceRate) | Measure::Conversion { .. } => SeriesKind::Ratio,
        Measure::Sessions(_) => SeriesKind::Value,
    }
}

fn of_term(term: &Term) -> SeriesKind {
    match term.aggregate {
        Aggregate::Count | Aggregate::Uniques => SeriesKind::Count,
        _ => SeriesKind::Value,
    }
}

/// Whether a term is a number of things.
fn is_number(term: &Term) -> bool {
    matches!(term.aggregate, Aggregate::Count | Aggregate::Uniques)
}

/// Whether the numerator counts some of what the denominator counts: only then is it a number of successes.
fn is_share(numerator: &Term, denominator: &Term) -> bool {
    let names = denominator.events.is_empty()
        || (!numerator.events.is_empty()
            && numerator.events.iter().all(|name| denominator.events.contains(name)));
    let filters = denominator.filters.iter().all(|filter| numerator.filters.contains(filter));
    is_number(numerator) && numerator.aggregate == denominator.aggregate && names && filters
}

/// What a channel of the detector is called.
pub fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Point => "point",
        Channel::Difference => "difference",
        Channel::Slot => "slot of day",
        Channel::ShortWindow => "short window",
        Channel::LongWindow => "long window",
        Channel::Variance => "variance",
        Channel::Flat => "flat line",
        Channel::Range => "range",
    }
}

/// How many buckets a problem is made of that a channel speaks of: the width of its window, else one.
pub fn window(channel: Option<Channel>) -> u32 {
    match channel {
        Some(Channel::ShortWindow) => 6,
        Some(Channel::LongWindow) => 24,
        _ => 1,
    }
}

/// What a bucket without events means: 0, or that there is no number.
pub fn nothing(metric: &MetricDefinition) -> Option<f64> {
    is_zero_when_empty(metric).then_some(0.0)
}

pub(super) fn is_zero_when_empty(metric: &MetricDefinition) -> bool {
    match &metric.measure {
        Measure::Events(term) => {
            matches!(term.aggregate, Aggregate::Count | Aggregate::Uniques | Aggregate::Sum(_))
        }
        Measure::Sessions(aggregate) => {
            matches!(aggregate, SessionAggregate::Count | SessionAggregate::Uniques)
        }
        Measure::Ratio { .. } | Measure::Conversion { .. } => false,
    }
}
