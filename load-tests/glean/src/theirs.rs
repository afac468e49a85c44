//! glean, through its Rust Language Binding, set up as a program that uses it does.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::GzDecoder;
use glean::net::{CapablePingUploadRequest, PingUploader, UploadResult};
use glean::private::EventMetric;
use glean::traits::ExtraKeys;
use glean::{ClientInfoMetrics, CommonMetricData, ConfigurationBuilder, ErrorType, Lifetime, PingRateLimit};
use serde_json::Value;

use crate::event::{CATEGORY, Event, NAME};
use crate::subject::{Subject, wait_until};

/// The extras as glean's generator writes them: texts, `quantity` as `u32`, `boolean`; all of them go out as text.
#[derive(Default, Debug, Clone, Hash, Eq, PartialEq)]
struct OrderPlaced {
    screen: Option<String>,
    order: Option<String>,
    coupon: Option<String>,
    items: Option<u32>,
    express: Option<bool>,
    price: Option<String>,
}

impl ExtraKeys for OrderPlaced {
    const ALLOWED_KEYS: &'static [&'static str] = &["screen", "order", "coupon", "items", "express", "price"];

    fn into_ffi_extra(self) -> HashMap<String, String> {
        let mut map = HashMap::new();
        self.screen.and_then(|value| map.insert("screen".into(), value));
        self.order.and_then(|value| map.insert("order".into(), value));
        self.coupon.and_then(|value| map.insert("coupon".into(), value));
        self.items.and_then(|value| map.insert("items".into(), value.to_string()));
        self.express.and_then(|value| map.insert("express".into(), value.to_string()));
        self.price.and_then(|value| map.insert("price".into(), value));
        map
    }
}

/// The ping that events are sent in unless a metric says otherwise.
const EVENTS_PING: &str = "events";

pub struct Theirs {
    metric: EventMetric<OrderPlaced>,
}

impl Theirs {
    /// Starts glean on a folder and waits until it is ready. `max_events` is after how many events it puts together a ping
    /// (glean's own: 500). A process can do this once.
    pub fn open(folder: &Path, uploader: impl PingUploader + 'static, max_events: usize) -> Result<Self> {
        let metric = EventMetric::new(CommonMetricData {
            name: NAME.into(),
            category: CATEGORY.into(),
            send_in_pings: vec![EVENTS_PING.into()],
            lifetime: Lifetime::Ping,
            ..Default::default()
        });
        // glean sends 15 pings a minute; without a limit a run need not wait for the next minute. Nothing else is changed.
        let no_limit = PingRateLimit { seconds_per_interval: 1, pings_per_interval: u32::MAX };
        let settings = ConfigurationBuilder::new(true, folder, "beside-glean")
            .with_max_events(max_events)
            .with_rate_limit(no_limit)
            .with_uploader(uploader)
            .build();
        glean::initialize(settings, ClientInfoMetrics::unknown());
        let theirs = Self { metric };
        theirs.settle()?;
        Ok(theirs)
    }

    /// Puts the events that wait into a ping.
    pub fn submit(&self) {
        glean::submit_ping_by_name(EVENTS_PING, None);
    }
}

impl Subject for Theirs {
    fn record(&self, event: Event) -> bool {
        self.metric.record(OrderPlaced {
            screen: Some(event.screen),
            order: Some(event.order),
            coupon: Some(event.coupon),
            items: Some(event.items),
            express: Some(event.express),
            price: Some(event.price),
        });
        true // The call says nothing; its queue has no end.
    }

    /// The only public call that waits for glean's thread without copying all events is one for tests.
    fn settle(&self) -> Result<()> {
        let errors = self.metric.test_get_num_recorded_errors(ErrorType::InvalidValue);
        ensure!(errors == 0, "glean refused {errors} events");
        Ok(())
    }

    fn end(self) -> Result<()> {
        glean::shutdown();
        Ok(())
    }
}

/// Waits until every ping has been uploaded and no event waits for one.
pub fn wait_for_uploads(folder: &Path) -> Result<()> {
    let mut quiet = 0;
    wait_until("all pings are uploaded", || {
        let is_empty =
            is_empty(&folder.join("pending_pings"))? && !folder.join("events").join(EVENTS_PING).exists();
        // On its way from one to the other a ping is in neither for a moment. It is in `tmp` then, where an abort may leave
        // it for ever, so that is not waited for.
        quiet = if is_empty { quiet + 1 } else { 0 };
        Ok(quiet > 250)
    })
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(!folder.exists() || std::fs::read_dir(folder)?.next().is_none())
}

/// No network.
#[derive(Debug)]
pub struct Offline;

impl PingUploader for Offline {
    fn upload(&self, _request: CapablePingUploadRequest) -> UploadResult {
        UploadResult::recoverable_failure()
    }
}

/// What went over the wire in pings of events.
#[derive(Debug, Default, Clone)]
pub struct Sent {
    pub pings: u64,
    pub events: u64,
    pub plain: u64,
    pub packed: u64,
    /// The first body that could not be understood.
    pub fault: Option<String>,
}

/// A server that takes everything, and counts.
#[derive(Debug, Default, Clone)]
pub struct Counting(Arc<Mutex<Sent>>);

impl Counting {
    pub fn sent(&self) -> Result<Sent> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sent.fault {
            Some(fault) => bail!("a ping could not be read: {fault}"),
            None => Ok(sent),
        }
    }
}

impl PingUploader for Counting {
    fn upload(&self, request: CapablePingUploadRequest) -> UploadResult {
        let Some(request) = request.capable(|needed| needed.is_empty()) else {
            return UploadResult::incapable();
        };
        if request.ping_name == EVENTS_PING {
            let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sent.pings += 1;
            sent.packed += request.body.len() as u64;
            match events_in(&request.body) {
                Ok((plain, events)) => {
                    sent.plain += plain;
                    sent.events += events;
                }
                Err(error) => sent.fault = Some(format!("{error:#}")),
            }
        }
        UploadResult::http_status(200)
    }
}

/// Bytes of a ping's JSON, and how many of our events are in it.
fn events_in(body: &[u8]) -> Result<(u64, u64)> {
    let mut json = String::new();
    GzDecoder::new(body).read_to_string(&mut json).context("no gzip")?;
    let ping: Value = serde_json::from_str(&json).context("no JSON")?;
    let events = ping["events"].as_array().context("no events")?;
    let is_ours = |event: &&Value| event["category"] == CATEGORY && event["name"] == NAME;
    Ok((json.len() as u64, events.iter().filter(is_ours).count() as u64))
}
