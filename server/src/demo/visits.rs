//! Who comes to the shop: visits from the data, again and again, twenty times as fast.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{EventTime, Randomness, SeededRandom, Track};
use footpath_model::clock::{Clock, SystemClock};
use tokio::time::Instant;

use super::data::{PAYMENT_ERROR, PURCHASE, Visit};
use super::notes::Notes;
use super::shop::{Install, Shop};
use super::watch::Seen;

/// Gaps inside a visit are divided by this.
const FASTER: i64 = 20;
/// Phones of a wave.
const PHONES: u64 = 6;
/// The quickest buyers of the data, of whom phones are drawn.
const BUYERS: usize = 20;
/// When the shop opens, visits of so long ago are under way.
pub const WARM_UP: Duration = Duration::from_secs(150);
/// Of those, the ones that ended longer ago than this are in no funnel's last minute.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// After so long late events are delivered and counted.
const SETTLED: Duration = Duration::from_millis(1_500);
/// Where the customer signs in.
const SIGN_IN: &str = "shipping_details";

/// How people come.
#[derive(Debug)]
pub struct Plan {
    /// Visits a second.
    pub per_second: f64,
    /// How long a wave of phones stays offline; the next wave follows after as long again.
    pub offline_for: Duration,
    /// Distinguishes the people of this start from those of earlier ones.
    pub run: String,
    /// The same seed draws the same visits.
    pub seed: u64,
}

/// The visitors.
pub struct Visitors {
    shop: Arc<Shop>,
    notes: Arc<Notes>,
    seen: Arc<Seen>,
    plan: Plan,
    random: SeededRandom,
    all: Vec<Arc<Visit>>,
    /// Visits that buy quickly: for phones, which have little time.
    buyers: Vec<Arc<Visit>>,
}

impl Visitors {
    /// Draws from the visits in `visits` that no incident touched and that put something into the basket: who only
    /// looks around is in no checkout funnel.
    pub fn new(
        shop: Arc<Shop>,
        notes: Arc<Notes>,
        seen: Arc<Seen>,
        visits: &[Arc<Visit>],
        plan: Plan,
    ) -> Self {
        let all: Vec<_> =
            visits.iter().filter(|visit| visit.is_healthy() && visit.fills_basket()).cloned().collect();
        let mut buyers: Vec<_> = all.iter().filter(|visit| visit.purchase().is_some()).cloned().collect();
        buyers.sort_by_key(|visit| until_purchase(visit));
        buyers.truncate(BUYERS);
        Self { shop, notes, seen, random: SeededRandom::new(plan.seed), plan, all, buyers }
    }

    /// Visits begin until the shop closes. At the beginning there are those who came
    /// before: the last minute is full from the first second on.
    pub async fn come(self: Arc<Self>) {
        let every = Duration::from_secs_f64(1.0 / self.plan.per_second);
        let mut number = 0;
        let mut age = WARM_UP;
        while let Some(younger) = age.checked_sub(every) {
            age = younger;
            let visit = self.draw(&self.all);
            let duration = fast(visit.until_us(visit.steps.len() - 1));
            if duration + FORGOTTEN > age {
                self.enter_shop(visit, number, age);
                number += 1;
                tokio::time::sleep(Duration::from_millis(2)).await; // Each is a new thread: not all at once.
            }
        }
        let mut next = Instant::now();
        while sleep_until(&self.shop, next).await {
            self.enter_shop(self.draw(&self.all), number, Duration::ZERO);
            number += 1;
            // Between half and one and a half of the mean gap: people do not come like clockwork.
            next += every.mul_f64(0.5 + self.share());
        }
    }

    fn enter_shop(&self, visit: Arc<Visit>, number: u64, age: Duration) {
        let visitor = format!("visitor-{}-{number}", self.plan.run);
        tokio::spawn(browse(Arc::clone(&self.shop), visit, visitor, age));
    }

    /// Sends waves of phones through a tunnel: they lose their connection and come back with late events.
    pub async fn tunnel(self: Arc<Self>) {
        let start = Instant::now();
        for wave in 0.. {
            let begin = start + 2 * self.plan.offline_for * wave;
            if !sleep_until(&self.shop, begin).await {
                return;
            }
            self.enter(wave);
            if !sleep_until(&self.shop, begin + self.plan.offline_for).await {
                return;
            }
            self.come_back().await;
        }
    }

    /// Brings every phone back at once, and says what that corrected.
    pub async fn come_back(&self) {
        let before = self.seen.corrected();
        let (phones, events) = self.shop.bring_back().await;
        if phones == 0 {
            return;
        }
        self.notes.say(format!("{phones} phones are back online with {events} late events"));
        sleep_until(&self.shop, Instant::now() + SETTLED).await;
        let corrected = self.seen.corrected() - before;
        self.notes.say(format!("late events corrected the checkout funnel for {corrected} persons"));
    }

    fn enter(&self, wave: u32) {
        for phone in 0..PHONES {
            let visit = self.draw(&self.buyers);
            let spare = self.plan.offline_for.mul_f64(0.8).saturating_sub(until_purchase(&visit));
            let begin = Instant::now() + spare.mul_f64(self.share());
            let customer = format!("customer-{}-w{wave}-{phone}", self.plan.run);
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

fn until_purchase(visit: &Visit) -> Duration {
    visit.purchase().map_or(Duration::MAX, |at| fast(visit.until_us(at)))
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

/// One visit by one new install, begun `age` ago. The visitor becomes a known customer at the checkout.
async fn browse(shop: Arc<Shop>, visit: Arc<Visit>, visitor: String, age: Duration) {
    let Some(install) = open(&shop, false) else { return };
    let customer = visitor.replace("visitor", "customer");
    let (start, start_us) = (Instant::now(), SystemClock.now_us());
    let mut known = false;
    for (index, step) in visit.steps.iter().enumerate() {
        let after = fast(visit.until_us(index));
        let past = age.checked_sub(after).filter(|past| !past.is_zero());
        if past.is_none() && !sleep_until(&shop, start + (after - age)).await {
            break;
        }
        if step.name == SIGN_IN && !known {
            known = true;
            report(install.identify(&visitor, &customer).await);
        }
        let track = event(&shop, &visit, &step.name).anonymous(visitor.clone());
        let track = if known { track.user(customer.clone()) } else { track };
        let track = match past {
            Some(past) => track.time(EventTime(start_us - past.as_micros() as i64)),
            None => track,
        };
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
        report(device.track(event(&shop, &visit, &step.name).user(customer.clone())).await);
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
    Track::new(if fails { PAYMENT_ERROR.to_owned() } else { name.to_owned() })
        .session(visit.session.clone())
        .property("platform", visit.platform.clone())
        .property("channel", visit.channel.clone())
}

fn report(tracked: Result<(), footpath_client::TrackError>) {
    if let Err(error) = tracked {
        tracing::error!(%error, "an event was not taken");
    }
}
