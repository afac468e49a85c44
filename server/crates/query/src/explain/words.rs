//! Sentences for people.

use footpath_engine::Attempt;
use footpath_engine::general::{OnExclusion, Window};
use footpath_model::props::rfc3339;
use jiff::SignedDuration;

use super::reason::{Reason, Stopped};
use super::seen::Seen;
use crate::funnel::{Prepared, any_order};

/// What became of an attempt.
pub(super) fn explanation(
    prepared: &Prepared<'_>,
    seen: &Seen<'_>,
    attempt: &Attempt,
    stopped: Option<&Stopped>,
) -> String {
    let entry_us = attempt.entry_us;
    let Some(Stopped { before, reason, event, last_us }) = stopped else {
        let end_us = attempt.last_step().and_then(|last| attempt.reached_us(last)).unwrap_or(entry_us);
        let took = duration(end_us - entry_us);
        return format!("Converted at {}, {took} after the entry at {}.", rfc3339(end_us), rfc3339(entry_us));
    };
    let step = step(prepared, *before);
    let why = match (reason, event.map(|i| (seen.name(i), seen.all[i].event.time_us, i))) {
        (Reason::TooLate, Some((_, at_us, _))) => too_late(seen, at_us, entry_us, *last_us),
        (Reason::Excluded, Some((name, at_us, _))) => {
            let after = duration(at_us - last_us);
            format!(
                "{name:?} came first, at {}, {after} after the step before, and ends the attempt",
                rfc3339(at_us)
            )
        }
        (Reason::Interrupted, Some((name, at_us, _))) => {
            format!("{name:?} came in between, at {}", rfc3339(at_us))
        }
        (Reason::Interrupted, None) => "it came, but the funnel's rules do not let it follow".to_owned(),
        (Reason::OtherValue, Some((_, at_us, _))) => {
            format!("it came at {}, with another value of what is held constant", rfc3339(at_us))
        }
        (Reason::OtherSession, Some((_, at_us, i))) => {
            let start_us = seen.all[i].part.0;
            format!("it came at {}, in another session, which began at {}", rfc3339(at_us), rfc3339(start_us))
        }
        _ => format!("nothing that matches it came after the step before, at {}", rfc3339(*last_us)),
    };
    format!("Stopped before {step}: {why}.")
}

fn too_late(seen: &Seen<'_>, at_us: i64, entry_us: i64, last_us: i64) -> String {
    let options = seen.plan().rules().options();
    let (from, from_us) = match options.window {
        Window::FromFirst => ("the entry", entry_us),
        Window::BetweenSteps => ("the step before", last_us),
    };
    let (after, window) = (duration(at_us - from_us), duration(options.window_us));
    format!(
        "it came at {}, {after} after {from} at {}; the window is {window}",
        rfc3339(at_us),
        rfc3339(from_us)
    )
}

/// Why there is no attempt.
pub(super) fn nothing_counts(prepared: &Prepared<'_>, seen: &Seen<'_>) -> String {
    let options = seen.plan().rules().options();
    let any = any_order(seen.plan())
        && !matches!(options.order, footpath_engine::general::Order::Any { anchored: true });
    let enters = |i: &usize| seen.all[*i].is(0) || any && seen.all[*i].event.steps != 0;
    let entries: Vec<usize> = (0..seen.all.len()).filter(enters).collect();
    let first = if any { "any step".to_owned() } else { step(prepared, 0) };
    let (Some(oldest), Some(newest)) = (entries.first(), entries.last()) else {
        return format!("Does not count: no event matches {first}.");
    };
    let at = |i: usize| rfc3339(seen.all[i].event.time_us);
    let span = seen.folds.span;
    let within = |i: &&usize| span.holds(seen.all[**i].event.time_us);
    let Some(entry) = entries.iter().find(within).copied() else {
        if seen.all[*newest].event.time_us < span.from_us {
            let from = rfc3339(span.from_us);
            return format!(
                "Does not count: {first} came last at {}, before the range begins at {from}.",
                at(*newest)
            );
        }
        return format!("Does not count: {first} came at {}, outside of the range.", at(*oldest));
    };
    if prepared.holds() && seen.all[entry].part.1 == 0 {
        return format!(
            "Does not count: {first} came at {}, without a property that is held constant.",
            at(entry)
        );
    }
    let excluded = (entry..seen.all.len()).find(|i| seen.all[*i].event.exclusions != 0);
    match excluded.filter(|_| options.on_exclusion == OnExclusion::DropPerson) {
        Some(i) => {
            let name = seen.name(i);
            format!(
                "Does not count: {name:?} at {} is excluded, and the funnel leaves out who has it on the way.",
                at(i)
            )
        }
        None => format!("Does not count, although {first} came at {}.", at(entry)),
    }
}

/// A step as people know it.
fn step(prepared: &Prepared<'_>, step: usize) -> String {
    let label = prepared.definition().steps.get(step).map_or("", |step| step.label());
    format!("step {} ({label:?})", step + 1)
}

/// A duration, to the second where it is longer than a minute.
fn duration(us: i64) -> String {
    let exact = SignedDuration::from_micros(us);
    let whole = SignedDuration::from_secs(exact.as_secs());
    let shown = if exact.as_secs().abs() >= 60 { whole } else { exact };
    format!("{shown:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let second = 1_000_000;
        assert_eq!(duration(75 * 60 * second + 7), "1h 15m");
        assert_eq!(duration(3 * second), "3s");
        assert_eq!(duration(0), "0s");
    }
}
