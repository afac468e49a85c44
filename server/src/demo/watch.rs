//! The demo watches its own funnels, as the page does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use footpath_model::clock::{Clock, SystemClock};
use footpath_proto::v1;
use parking_lot::Mutex;
use v1::live_service_client::LiveServiceClient;
use v1::watch_response::Message;

use super::api::PROJECT;
use super::funnels::CHECKOUT;
use super::notes::Notes;
use crate::tools::remote::SignedChannel;

/// The wait before a broken watch is opened again.
const AGAIN: Duration = Duration::from_millis(200);

/// One funnel's newest numbers.
#[derive(Debug, Default, Clone)]
pub struct Numbers {
    /// The steps' labels.
    pub labels: Vec<String>,
    /// Persons who reached each step.
    pub reached: Vec<u64>,
}

/// What the watch has seen.
#[derive(Debug, Default)]
pub struct Seen {
    funnels: Mutex<HashMap<String, Numbers>>,
    lag_us: Mutex<Option<i64>>,
    corrected: AtomicU64,
}

impl Seen {
    /// The newest numbers of a funnel.
    pub fn funnel(&self, id: &str) -> Numbers {
        self.funnels.lock().get(id).cloned().unwrap_or_default()
    }

    /// How many results of the checkout funnel late events have corrected.
    pub fn corrected(&self) -> u64 {
        self.corrected.load(Ordering::Relaxed)
    }

    /// From "on disk" to "seen here", of the newest change.
    pub fn lag(&self) -> Option<Duration> {
        let lag_us = *self.lag_us.lock();
        lag_us.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0)))
    }
}

/// Watches `funnels` and all alerts for ever; opens the watch again when it breaks.
pub async fn follow(channel: SignedChannel, funnels: Vec<String>, seen: Arc<Seen>, notes: Arc<Notes>) {
    let mut alerts = Alerts { cursor: String::new(), notes };
    loop {
        if let Err(status) = watch(channel.clone(), &funnels, &seen, &mut alerts).await {
            tracing::info!(%status, "the watch ended; opening it again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// How far alerts were seen, and who is told.
struct Alerts {
    cursor: String,
    notes: Arc<Notes>,
}

impl Alerts {
    const ID: &str = "alerts";

    fn subscription(&self) -> v1::Subscription {
        let target = v1::subscription::Target::Alerts(v1::AlertSubscription::default());
        v1::Subscription { id: Self::ID.into(), target: Some(target), cursor: self.cursor.clone() }
    }

    fn tell(&mut self, page: v1::AlertPage) {
        for v1::Alert { event, incident } in page.alerts {
            let (Some(event), Some(incident)) = (event, incident) else { continue };
            match event.kind() {
                v1::AlertKind::Resolved => self.notes.say(format!("alert over: {}", incident.title)),
                _ => self.notes.say(format!("ALERT {}", incident.summary)),
            }
        }
        self.cursor = page.cursor;
    }
}

async fn watch(
    channel: SignedChannel,
    funnels: &[String],
    seen: &Seen,
    alerts: &mut Alerts,
) -> Result<(), tonic::Status> {
    let subscription = |id: &String| v1::Subscription {
        id: id.clone(),
        target: Some(v1::subscription::Target::Funnel(v1::FunnelSubscription {
            funnel_id: id.clone(),
            interval_ms: 100,
        })),
        cursor: String::new(),
    };
    let subscriptions = funnels.iter().map(subscription).chain([alerts.subscription()]).collect();
    let request = v1::WatchRequest { project: PROJECT.into(), subscriptions };
    let mut stream = LiveServiceClient::new(channel).watch(request).await?.into_inner();
    while let Some(answer) = stream.message().await? {
        match answer.message {
            Some(Message::FunnelSnapshot(snapshot)) => {
                let numbers = Numbers { labels: snapshot.labels, reached: snapshot.reached };
                seen.funnels.lock().insert(snapshot.funnel_id, numbers);
            }
            Some(Message::FunnelDelta(delta)) => take(seen, delta),
            Some(Message::Alerts(page)) => alerts.tell(page),
            _ => {}
        }
    }
    Ok(())
}

fn take(seen: &Seen, delta: v1::FunnelDelta) {
    let mut funnels = seen.funnels.lock();
    let numbers = funnels.entry(delta.subscription_id.clone()).or_default();
    numbers.reached = delta.reached;
    drop(funnels);
    if let Some(processed) = delta.watermark.and_then(|watermark| watermark.processed) {
        *seen.lag_us.lock() = Some(SystemClock.now_us() - footpath_api::convert::micros(&processed));
    }
    let late = delta.causes.iter().find(|cause| cause.cause() == v1::Cause::LateEvent);
    if let Some(late) = late.filter(|_| delta.subscription_id == CHECKOUT) {
        seen.corrected.fetch_add(late.persons, Ordering::Relaxed);
    }
}
