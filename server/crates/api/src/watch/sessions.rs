//! Sessions on a watch.

use std::sync::Arc;

use footpath_live::{Numbers, SESSION_CHANGES, SessionNumbers, Shape, Shown, ViewKey};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use footpath_query::Span;
use tokio::sync::watch::Receiver;

use super::{Ended, StateWatch, Told, UNKNOWN, can_follow, is_other, refused, state};
use crate::convert::{duration, span};

/// What happened, in the order of `footpath_live::SessionEventKind`.
const CHANGES: [&str; SESSION_CHANGES] = ["opened", "extended", "closed", "widened", "merged", "corrected"];

/// The sessions that began in a range.
pub struct SessionWatch<'a> {
    /// How they are looked at.
    pub shape: &'a Shape,
}

impl Told for SessionWatch<'_> {
    fn open(&self, watch: &StateWatch<'_>, _again: bool) -> Result<Receiver<Arc<Shown>>, Ended> {
        let (hub, project) = (&watch.context.hub, watch.state.project());
        let key = ViewKey::Sessions { internal: false };
        can_follow(watch)?;
        hub.shape(project, key, self.shape.clone()).map_err(|error| refused(error, UNKNOWN))
    }

    fn message(&self, watch: &StateWatch<'_>, last: Option<&Shown>, now: &Shown) -> Option<Message> {
        let known = last.filter(|last| !is_other(&last.standing, &now.standing));
        let before = match known.map(|last| &last.numbers) {
            Some(last) if *last == now.numbers => return None,
            Some(Numbers::Sessions(last)) => last.changes,
            _ => match &now.numbers {
                // What happened before is not told.
                Numbers::Sessions(now) => now.changes,
                _ => [0; SESSION_CHANGES],
            },
        };
        Some(Message::Sessions(numbers(watch, now, &before)))
    }
}

fn numbers(watch: &StateWatch<'_>, shown: &Shown, before: &[u64; SESSION_CHANGES]) -> v1::SessionNumbers {
    let message = v1::SessionNumbers {
        subscription_id: watch.id.to_owned(),
        state: state(&shown.standing),
        backfill_percent: shown.standing.percent,
        watermark: Some(watch.watermark(shown)),
        cursor: watch.cursor(shown),
        ..v1::SessionNumbers::default()
    };
    let Numbers::Sessions(numbers) = &shown.numbers else {
        return v1::SessionNumbers { state: v1::DefinitionState::Backfilling.into(), ..message };
    };
    let (from_us, to_us) = numbers.span;
    v1::SessionNumbers {
        started: numbers.started,
        open: numbers.open,
        bounces: numbers.bounces,
        events: numbers.events,
        average_duration: (numbers.started > 0).then(|| seconds(numbers.duration_s / numbers.started as f64)),
        median_duration: numbers.median_s.map(seconds),
        changes: changes(numbers, before),
        span: Some(span(Span { from_us, to_us }, watch.context.clock.now_us())),
        ..message
    }
}

fn seconds(seconds: f64) -> prost_types::Duration {
    duration((seconds * 1e6) as i64)
}

fn changes(now: &SessionNumbers, before: &[u64; SESSION_CHANGES]) -> Vec<v1::SessionChangeCount> {
    let counts = CHANGES.iter().zip(now.changes.iter().zip(before));
    counts
        .filter(|(_, (now, before))| now > before)
        .map(|(change, (now, before))| v1::SessionChangeCount {
            change: (*change).to_owned(),
            count: now - before,
        })
        .collect()
}
