//! The Footpath client.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use flate2::{Compression, write::GzEncoder};
use footpath_client::{Client, MemoryServer, Outcome, Outgoing, PropertyValue, Track, Transport};

use crate::event::{Event, NAME};
use crate::subject::{Subject, wait_until};

pub struct Ours {
    client: Client,
}

impl Ours {
    /// Opens the queue in a folder and waits until it is open.
    pub fn open(folder: &Path, transport: Arc<dyn Transport>) -> Result<Self> {
        let client =
            Client::builder("", "key").project("demo").queue_dir(folder).transport(transport).build()?;
        wait_until("the queue is open", || Ok(client.is_open()))?;
        Ok(Self { client })
    }

    /// Nothing leaves until [`Ours::deliver`], so that batches are full.
    pub fn hold(&self) {
        self.client.hold();
    }

    /// Sends everything.
    pub fn deliver(&self) -> Result<()> {
        self.client.resume();
        let flushed = self.client.flush(Duration::from_secs(60));
        ensure!(flushed.complete, "not everything was delivered: {flushed:?}");
        Ok(())
    }
}

impl Subject for Ours {
    fn record(&self, event: Event) -> bool {
        let track = Track::new(NAME)
            .property("screen", event.screen)
            .property("order", event.order)
            .property("coupon", event.coupon)
            .property("items", event.items)
            .property("express", event.express)
            .property("price", PropertyValue::decimal(event.price));
        self.client.track(track).is_ok()
    }

    fn settle(&self) -> Result<()> {
        wait_until("all events are in the database", || {
            let stats = self.client.stats();
            Ok(stats.committed >= stats.tracked)
        })
    }

    fn end(self) -> Result<()> {
        Ok(self.client.shutdown()?)
    }
}

/// No network.
pub struct Offline;

impl Transport for Offline {
    fn send(&self, _batch: &Outgoing) -> Outcome {
        Outcome::Broken("offline".into())
    }
}

/// What went over the wire.
#[derive(Debug, Default, Clone)]
pub struct Sent {
    pub batches: u64,
    pub events: u64,
    pub plain: u64,
    /// As the client compresses a body for HTTP.
    pub packed: u64,
    /// At zlib's usual level, at which gRPC and glean compress.
    pub packed_usual: u64,
}

/// A server that answers, and counts.
#[derive(Default)]
pub struct Counting {
    server: MemoryServer,
    sent: Mutex<Sent>,
}

impl Counting {
    pub fn sent(&self) -> Sent {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events of ours that are stored, each counted once.
    pub fn stored(&self) -> usize {
        self.server.order().iter().filter(|event| event.name == NAME).count()
    }
}

impl Transport for Counting {
    fn send(&self, batch: &Outgoing) -> Outcome {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.batches += 1;
        sent.events += batch.events as u64;
        sent.plain += batch.body.len() as u64;
        sent.packed += batch.compressed().0.len() as u64;
        sent.packed_usual += usual_gzip(&batch.body) as u64;
        self.server.send(batch)
    }
}

fn usual_gzip(body: &[u8]) -> usize {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into a vector cannot fail.
    gzip.write_all(body).and_then(|()| gzip.finish()).map_or(0, |packed| packed.len())
}
