//! Delivery to real receivers on this machine: HTTP servers and a mail server, good, slow, broken and hostile ones.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod guarding;
mod mail;
mod queues;
mod receiver;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use footpath_model::clock::SystemClock;
use footpath_notify::{
    Backoff, Deliverer, Delivery, DeliveryState, Destination, DestinationKind, Enqueue as _, Listing,
    MemoryOutbox, Notice, Outbox, Secret, Settings, Severity, WebhookShape, conformance,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// This machine is allowed, attempts are short, pauses are too.
fn settings() -> Settings {
    Settings {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        http: true,
        timeout: Duration::from_millis(500),
        backoff: Backoff {
            first: Duration::from_millis(5),
            most: Duration::from_millis(40),
            give_up: Duration::from_secs(60),
        },
        ..Settings::default()
    }
}

struct Setup {
    outbox: Arc<MemoryOutbox>,
    deliverer: Deliverer,
}

impl Setup {
    fn new(settings: &Settings) -> Self {
        Self::over(settings, Arc::new(MemoryOutbox::new()))
    }

    fn over(settings: &Settings, outbox: Arc<MemoryOutbox>) -> Self {
        let kept: Arc<dyn Outbox> = Arc::clone(&outbox) as _;
        let deliverer =
            Deliverer::start(settings, kept, Arc::new(SystemClock), Arc::new(|| u64::MAX / 2)).unwrap();
        Self { outbox, deliverer }
    }

    fn put(&self, id: &str, url: &str) {
        self.deliverer.put("shop", webhook(id, url)).unwrap();
    }

    fn tell(&self, destination: &str, notice: &Notice) {
        self.outbox.enqueue(destination, notice, now_us()).unwrap();
        self.deliverer.wake("shop", destination);
    }

    fn rows(&self, destination: &str) -> Vec<Delivery> {
        let asked = Listing {
            project: "shop".into(),
            destination: Some(destination.into()),
            most: 500,
            ..Listing::default()
        };
        self.outbox.list(&asked).unwrap()
    }

    /// The destination's deliveries, the newest first, once all are settled.
    async fn settled(&self, destination: &str) -> Vec<Delivery> {
        for _ in 0..2_000 {
            let rows = self.rows(destination);
            if rows.iter().all(|row| row.state != DeliveryState::Pending) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not settled: {:?}", self.rows(destination));
    }
}

fn now_us() -> i64 {
    use footpath_model::clock::Clock as _;
    SystemClock.now_us()
}

fn webhook(id: &str, url: &str) -> Destination {
    let kind = DestinationKind::Webhook {
        url: Secret::new(url),
        secret: Secret::new(SECRET),
        shape: WebhookShape::Json,
    };
    Destination { id: id.into(), title: id.into(), kind, min_severity: Severity::Info }
}

fn notice(id: &str) -> Notice {
    conformance::notice("shop", id, "inc")
}
