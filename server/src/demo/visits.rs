//! Who comes to the shop: visits from the data, again and again, twenty times as fast.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{Randomness, SeededRandom, Track};
use tokio::time::Instant;

use super::data::{PAYMENT_ERROR, PURCHASE, Visit};
use super::notes::Notes;
use super::shop::{Install, Shop};

/// Gaps inside a visit are divided by this.
const FASTER: i64 = 20;
/// A wave of phones goes offline this often, and comes back after half of it.
pub const WAVE: Duration = Duration::from_secs(60);
/// Phones of a wave.
const PHONES: u64 = 12;
/// The longest way to a purchase that fits before the phones come back.
const PHONE_VISIT: Duration = Duration::from_secs(24);
/// Where the customer signs in.
const SIGN_IN: &str = "shipping_details";

/// The visitors.
pub struct Visitors {
    shop: Arc<Shop>,
    notes: Arc<Notes>,
    random: SeededRandom,
    /// Distinguishes the people of this start from those of earlier ones.
    run: String,
    all: Vec<Arc<Visit>>,
    buyers: Vec<Arc<Visit>>,
}

impl Visitors {
    /// Draws from the healthy visits in `visits`.
    pub fn new(shop: Arc<Shop>, notes: Arc<Notes>, visits: &[Arc<Visit>], run: String, seed: u64) -> Self {
        let all: Vec<_> = visits.iter().filter(|visit| visit.is_healthy()).cloned().collect();
        let quick =
            |visit: &&Arc<Visit>| visit.purchase().is_some_and(|at| fast(visit.until_us(at)) <= PHONE_VISIT);
        let buyers = all.iter().filter(quick).cloned().collect();
        Self { shop, notes, random: SeededRandom::new(seed), run, all, buyers }
    }

    /// Starts `per_second` visits a second until the shop closes.
    pub async fn come(self: Arc<Self>, per_second: f64) {
        let mut number = 0;
        let every = Duration::from_secs_f64(1.0 / per_second);
        let mut next = Instant::now();
        while sleep_until(&self.shop, next).await {
            let visit = self.draw(&self.all);
            tokio::spawn(browse(Arc::clone(&self.shop), visit, format!("visitor-{}-{number}", self.run)));
            number += 1;
            // Between half and one and a half of the mean gap: people do not come like clockwork.
            next += every.mul_f64(0.5 + self.share());
        }
    }

    /// Sends waves of phones through a tunnel: they lose their connection and come back with late events.
    pub async fn tunnel(self: Arc<Self>) {
        let start = Instant::now();
        for wave in 0.. {
            let begin = start + WAVE * wave;
            if !sleep_until(&self.shop, begin).await {
                return;
            }
            self.enter(wave);
            if !sleep_until(&self.shop, begin + WAVE / 2).await {
                return;
            }
            self.come_back().await;
        }
    }

    /// Brings every phone back at once.
    pub async fn come_back(&self) {
        let (phones, events) = self.shop.bring_back().await;
        if phones > 0 {
            self.notes.say(format!("{phones} phones are back online with {events} late events"));
        }
    }

    fn enter(&self, wave: u32) {
        for phone in 0..PHONES {
            let visit = self.draw(&self.buyers);
            let spare = PHONE_VISIT
                .saturating_sub(visit.purchase().map_or(PHONE_VISIT, |at| fast(visit.until_us(at))));
            let begin = Instant::now() + spare.mul_f64(self.share());
            let customer = format!("customer-{}-w{wave}-{phone}", self.run);
            tokio::spawn(two_devices(Arc::clone(&self.shop), visit, customer, begin));
        }
    }

    fn draw(&self, from: &[Arc<Visit>]) -> Arc<Visit> {
        let index = self.random.next_u64() % from.len().max(1) as u64;
        Arc::clone(&from[index as usize])
    }

    fn share(&self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn fast(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us / FASTER).unwrap_or(0))
}

/// Sleeps; `false` if the shop closes first.
async fn sleep_until(shop: &Shop, at: Instant) -> bool {
    tokio::select! {
        () = tokio::time::sleep_until(at) => true,
        () = shop.closing.cancelled() => false,
    }
}

/// One visit by one new install. The visitor becomes a known customer at the checkout.
async fn browse(shop: Arc<Shop>, visit: Arc<Visit>, visitor: String) {
    let Some(install) = open(&shop, false) else { return };
    let customer = visitor.replace("visitor", "customer");
    let start = Instant::now();
    let mut known = false;
    for (index, step) in visit.steps.iter().enumerate() {
        if !sleep_until(&shop, start + fast(visit.until_us(index))).await {
            break;
        }
        if step.name == SIGN_IN && !known {
            known = true;
            report(install.identify(&visitor, &customer).await);
        }
        let track = event(&shop, &visit, &step.name).anonymous(&visitor);
        let track = if known { track.user(&customer) } else { track };
        report(install.track(track).await);
    }
    install.close().await;
}

/// A customer who browses on a phone without a connection and pays on a laptop with one.
async fn two_devices(shop: Arc<Shop>, visit: Arc<Visit>, customer: String, begin: Instant) {
    let Some(purchase) = visit.purchase() else { return };
    let (Some(phone), Some(laptop)) = (open(&shop, true), open(&shop, false)) else { return };
    for (index, step) in visit.steps.iter().enumerate() {
        if !sleep_until(&shop, begin + fast(visit.until_us(index))).await {
            break;
        }
        let device = if index < purchase { &phone } else { &laptop };
        report(device.track(event(&shop, &visit, &step.name).user(&customer)).await);
    }
    tokio::join!(phone.close(), laptop.close());
}

fn open(shop: &Arc<Shop>, offline: bool) -> Option<Install> {
    shop.open(offline).unwrap_or_else(|error| {
        tracing::error!(%error, "an install could not be made");
        None
    })
}

fn event(shop: &Shop, visit: &Visit, name: &str) -> Track {
    let fails = name == PURCHASE && shop.outage();
    Track::new(if fails { PAYMENT_ERROR } else { name })
        .session(&visit.session)
        .property("platform", visit.platform.as_str())
        .property("channel", visit.channel.as_str())
}

fn report(tracked: Result<(), footpath_client::TrackError>) {
    if let Err(error) = tracked {
        tracing::error!(%error, "an event was not taken");
    }
}
