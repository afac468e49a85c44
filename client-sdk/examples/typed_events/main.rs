//! Events with types from a tracking plan, sent to a server in memory: `cargo run -p footpath-client --example typed_events`

#![allow(clippy::unwrap_used)] // An example that cannot go on should stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use footpath_client::{Client, MemoryServer, Money, Receipt};

#[rustfmt::skip] // As it was generated.
mod events;

use events::{CheckoutStarted, ParcelWeighed, PaymentSucceeded, Scrolled};

fn main() {
    let server = Arc::new(MemoryServer::new());
    let client =
        Client::builder("", "").project("shop").queue_in_memory().transport(server.clone()).build().unwrap();
    let amount = Money { currency: "EUR".into(), units: 12, nanos: 500_000_000 };
    client.track(CheckoutStarted { amount, items: 3, type_: Some("private".into()) }).unwrap();
    let weighed = ParcelWeighed {
        weight_kg: 1.25,
        price_per_kg: None,
        fragile: true,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    };
    client.track(weighed).unwrap();
    client.track_as(Scrolled {}, Scrolled::CLASS).unwrap();
    let paid = client.track_critical(PaymentSucceeded { order: "o-1".into() }).unwrap();
    assert_eq!(paid.delivered(Duration::from_secs(5)), Some(Receipt::Acked));
    client.flush(Duration::from_secs(5));
    for event in server.order() {
        println!("{} with {} properties", event.name, event.properties.len());
    }
}
