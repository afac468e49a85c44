//! A funnel on a watch.

use std::sync::Arc;

use footpath_live::{CauseTotal, FunnelNumbers, Numbers, Shown, ViewKey};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::sync::watch::Receiver;

use super::{Ended, StateWatch, Told, is_other, next, state};
use crate::convert::{slice_value, took};

/// A funnel.
pub struct FunnelWatch<'a> {
    /// Its id.
    pub funnel: &'a str,
}

impl Told for FunnelWatch<'_> {
    fn open(&self, watch: &StateWatch<'_>, again: bool) -> Result<Receiver<Arc<Shown>>, Ended> {
        let key = ViewKey::Funnel(self.funnel.to_owned());
        let ended = match again {
            true => ("funnel_deleted", "the funnel was deleted"),
            false => ("funnel_unknown", "no such funnel; ListFunnels names them"),
        };
        watch.context.hub.view(watch.state.project(), &key).ok_or(ended)
    }

    fn message(&self, watch: &StateWatch<'_>, last: Option<&Shown>, now: &Shown) -> Option<Message> {
        let known = last.filter(|last| !is_other(&last.standing, &now.standing));
        let Some(last) = known else { return Some(self.snapshot(watch, now)) };
        let (Numbers::Funnel(last), Numbers::Funnel(numbers)) = (&last.numbers, &now.numbers) else {
            return Some(self.snapshot(watch, now));
        };
        if last == numbers {
            return None;
        }
        let pairs = numbers.reached.iter().zip(&last.reached);
        Some(Message::FunnelDelta(v1::FunnelDelta {
            subscription_id: watch.id.to_owned(),
            change: pairs.map(|(now, last)| *now as i64 - *last as i64).collect(),
            reached: numbers.reached.clone(),
            causes: causes(last, numbers),
            watermark: Some(watch.watermark(now)),
            cursor: watch.cursor(now),
            conversion_time: took(&numbers.took),
            slices: slices(numbers),
        }))
    }
}

impl FunnelWatch<'_> {
    fn snapshot(&self, watch: &StateWatch<'_>, shown: &Shown) -> Message {
        let standing = &shown.standing;
        let mut snapshot = v1::FunnelSnapshot {
            subscription_id: watch.id.to_owned(),
            funnel_id: self.funnel.to_owned(),
            version: standing.version,
            state: state(standing),
            backfill_percent: standing.percent,
            next: next(standing),
            watermark: Some(watch.watermark(shown)),
            cursor: watch.cursor(shown),
            ..v1::FunnelSnapshot::default()
        };
        if let Numbers::Funnel(numbers) = &shown.numbers {
            snapshot.reached.clone_from(&numbers.reached);
            snapshot.labels.clone_from(&numbers.labels);
            snapshot.conversion_time = took(&numbers.took);
            snapshot.slices = slices(numbers);
        }
        Message::FunnelSnapshot(snapshot)
    }
}

fn slices(numbers: &FunnelNumbers) -> Vec<v1::FunnelSlice> {
    let slice = |slice: &footpath_live::Slice| v1::FunnelSlice {
        value: Some(slice_value(&slice.value)),
        reached: slice.reached.clone(),
        conversion_time: took(&slice.took),
    };
    numbers.slices.iter().map(slice).collect()
}

/// What each cause brought between `last` and `now`, steps included: their sum is the whole change.
fn causes(last: &FunnelNumbers, now: &FunnelNumbers) -> Vec<v1::CauseCount> {
    let steps = now.reached.len();
    let at = |total: &CauseTotal, step: usize| total.steps.get(step).copied().unwrap_or_default();
    let pairs = now.causes.iter().zip(&last.causes).enumerate();
    pairs
        .filter(|(_, (now, last))| now.persons > last.persons)
        .map(|(i, (now, last))| v1::CauseCount {
            cause: i as i32 + 1,
            persons: now.persons - last.persons,
            change: (0..steps).map(|step| at(now, step) - at(last, step)).collect(),
        })
        .collect()
}
