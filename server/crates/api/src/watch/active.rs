//! Active persons on a watch.

use std::sync::Arc;

use footpath_live::{Numbers, Shown, ViewKey};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::sync::watch::Receiver;

use super::{Ended, StateWatch, Told, UNKNOWN, can_follow, is_other, refused, state};

/// How many persons are there.
pub struct ActiveWatch<'a> {
    /// IANA name of the zone that the day is cut in.
    pub zone: &'a str,
}

impl Told for ActiveWatch<'_> {
    fn open(&self, watch: &StateWatch<'_>, _again: bool) -> Result<Receiver<Arc<Shown>>, Ended> {
        let key = ViewKey::Active(self.zone.to_owned());
        can_follow(watch)?;
        let opened = watch.context.hub.demand(watch.state.project(), key);
        opened.map_err(|error| refused(error, UNKNOWN))
    }

    fn message(&self, watch: &StateWatch<'_>, last: Option<&Shown>, now: &Shown) -> Option<Message> {
        let known = last.filter(|last| !is_other(&last.standing, &now.standing));
        if known.is_some_and(|last| last.numbers == now.numbers) {
            return None;
        }
        let message = v1::ActiveUsers {
            subscription_id: watch.id.to_owned(),
            state: state(&now.standing),
            backfill_percent: now.standing.percent,
            watermark: Some(watch.watermark(now)),
            cursor: watch.cursor(now),
            ..v1::ActiveUsers::default()
        };
        let Numbers::Active(active) = &now.numbers else {
            let state = v1::DefinitionState::Backfilling.into();
            return Some(Message::ActiveUsers(v1::ActiveUsers { state, ..message }));
        };
        Some(Message::ActiveUsers(v1::ActiveUsers {
            last_5_minutes: active.five_minutes,
            last_30_minutes: active.half_hour,
            today: active.today,
            ..message
        }))
    }
}
