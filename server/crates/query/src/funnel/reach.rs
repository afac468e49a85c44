//! Which events can matter to entries of a span.

use footpath_engine::Plan;
use footpath_engine::general::{Order, Ties, Window};

use crate::Span;

/// The event times that can matter: from a little before the first entry to the end of the last one's window.
pub(crate) fn times(plan: &Plan, span: Span) -> (i64, i64) {
    let options = plan.rules().options();
    let steps = options.steps.saturating_sub(1).max(1) as i64;
    let longest_us = match options.window {
        Window::FromFirst => options.window_us,
        Window::BetweenSteps => options.window_us.saturating_mul(steps),
    };
    let end_us = |to_us: i64| to_us.saturating_add(longest_us).saturating_add(1);
    match options.ties {
        // What follows each other within the tolerance is one moment, however long it goes on.
        Ties::Tolerance { us } => (from(span.from_us.saturating_sub(us)), i64::MAX),
        Ties::InOrder | Ties::Increasing => (from(span.from_us), span.to_us.map_or(i64::MAX, end_us)),
    }
}

/// The kernel counts times before 1970 as 1970.
fn from(from_us: i64) -> i64 {
    if from_us <= 0 { i64::MIN } else { from_us }
}

/// The last moment at which a chain can go on.
pub(crate) fn deadline(plan: &Plan, entry_us: i64, last_us: i64) -> i64 {
    let options = plan.rules().options();
    let from_us = match options.window {
        Window::FromFirst => entry_us,
        Window::BetweenSteps => last_us,
    };
    from_us.saturating_add(options.window_us)
}

/// Whether steps come in any order.
pub(crate) fn any_order(plan: &Plan) -> bool {
    matches!(plan.rules().options().order, Order::Any { .. })
}
