//! Alerts, composed: who evaluates rules, what destinations are told, and how that is kept.

use std::sync::Arc;

use anyhow::Context as _;
use footpath_alert::{Evaluator, Pace};
use footpath_api::Context;
use footpath_api::alerts::numbers::LiveNumbers;
use footpath_model::clock::Clock;
use footpath_notify::{Deliverer, Settings};
use footpath_store::Store;

mod messages;
mod outbox;

pub use messages::Messages;
use outbox::StoreOutbox;

use crate::config::Config;

/// Starts to evaluate all rules. Nothing came in between `down_since_us` and now.
pub fn evaluate(context: &Arc<Context>, down_since_us: i64) -> Evaluator {
    let numbers = Arc::new(LiveNumbers::new(Arc::clone(context)));
    let down = (down_since_us, context.clock.now_us());
    Evaluator::start(numbers, Arc::clone(&context.alerts), Pace::default(), down)
}

/// Starts to deliver what is pending to all destinations.
///
/// # Errors
/// If the settings cannot be used or the store fails.
pub fn deliver(config: &Config, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> anyhow::Result<Deliverer> {
    let settings = Settings {
        allow: config.alert_allow.clone(),
        http: config.alert_http,
        relay: config.relay()?,
        ..Settings::default()
    };
    let outbox = Arc::new(StoreOutbox::new(Arc::clone(store)));
    let random = Arc::new(|| u64::from_le_bytes(crate::app::random()));
    let deliverer = Deliverer::start(&settings, outbox, Arc::clone(clock), random)?;
    for project in store.projects()? {
        for row in store.destinations(&project.id, None, usize::MAX)? {
            let destination = serde_json::from_str(&row.json)
                .with_context(|| format!("the stored destination {:?} cannot be read", row.id))?;
            if let Err(error) = deliverer.put(&project.id, destination) {
                tracing::warn!(%error, destination = row.id, "a destination cannot be used with these settings; update it");
            }
        }
    }
    Ok(deliverer)
}

/// Wakes the queues of destinations when there is something new for them; ends with the keeper.
pub async fn wake(context: Arc<Context>) {
    let mut news = context.alerts.news();
    while news.changed().await.is_ok() {
        let busy = context.store.busy_destinations();
        let projects = context.store.projects();
        let (Ok(busy), Ok(projects)) = (busy, projects) else { continue };
        for (number, destination) in busy {
            let project = projects.iter().find(|project| project.number == number);
            project.into_iter().for_each(|project| context.deliverer.wake(&project.id, &destination));
        }
    }
}
