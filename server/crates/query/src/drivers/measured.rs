//! What of a metric is explained.

use footpath_engine::attribution::{Numbers, Shape, Slice};
use footpath_engine::metric::MetricKind;

/// What is added for an event that counts for a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// One, above.
    Each,
    /// Its person, once in a span.
    Person,
    /// Its number.
    Number,
    /// Its number above, and one below.
    Mean,
    /// One below, and one or nothing above: whether its number is beyond the baseline's.
    Beyond(Edge),
}

/// A number that the baseline is divided at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Numbers above this quantile, in millionths.
    Above(u32),
    /// Numbers below it.
    Below(u32),
}

impl Edge {
    const WHOLE: f64 = 1e6;

    fn of(quantile: f64) -> Self {
        let millionths = (quantile.clamp(0.0, 1.0) * Self::WHOLE).round() as u32;
        if quantile >= 0.5 { Self::Above(millionths) } else { Self::Below(millionths) }
    }

    /// The quantile, 0 to 1.
    pub(super) fn quantile(self) -> f64 {
        let (Self::Above(millionths) | Self::Below(millionths)) = self;
        f64::from(millionths) / Self::WHOLE
    }

    /// Whether a number is beyond what the baseline says.
    pub(super) fn is_beyond(self, number: f64, edge: f64) -> bool {
        match self {
            Self::Above(_) => number > edge,
            Self::Below(_) => number < edge,
        }
    }
}

impl What {
    /// For an aggregate on its own.
    pub(super) fn of(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Count => Self::Each,
            MetricKind::Uniques => Self::Person,
            MetricKind::Sum => Self::Number,
            MetricKind::Average => Self::Mean,
            MetricKind::Min => Self::Beyond(Edge::of(0.0)),
            MetricKind::Max => Self::Beyond(Edge::of(1.0)),
            MetricKind::Percentiles(quantiles) => {
                Self::Beyond(Edge::of(quantiles.first().copied().unwrap_or(0.5)))
            }
        }
    }

    /// The quantile that has to be known beforehand.
    pub(super) fn edge(self) -> Option<Edge> {
        match self {
            Self::Beyond(edge) => Some(edge),
            _ => None,
        }
    }

    /// Whether each number counts for one below the line.
    pub(super) fn is_mean(self) -> bool {
        matches!(self, Self::Mean | Self::Beyond(_))
    }

    /// Whether it can be above or below a line.
    pub(super) fn has_ratio(self) -> bool {
        matches!(self, Self::Each | Self::Person | Self::Number)
    }

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Each | Self::Person | Self::Number => Shape::Volume,
            Self::Mean | Self::Beyond(_) => Shape::Share,
        }
    }
}

/// The metric before and after: every dimension holds all of it.
pub(super) fn whole(shape: Shape, scale: f64, dimensions: &[Vec<Slice>]) -> (Option<f64>, Option<f64>) {
    let Some(slices) = dimensions.first() else { return (None, None) };
    let sum = |pick: &dyn Fn(&Slice) -> Numbers| {
        let mut all = Numbers::default();
        for numbers in slices.iter().map(pick) {
            all.above += numbers.above;
            all.below += numbers.below;
        }
        all
    };
    let (before, after) = (sum(&|slice| slice.before), sum(&|slice| slice.after));
    match shape {
        Shape::Volume => (Some(before.above.sum * scale), Some(after.above.sum)),
        Shape::Share | Shape::Quotient => (before.rate(), after.rate()),
    }
}
