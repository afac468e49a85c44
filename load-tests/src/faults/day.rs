//! A day in simulated time: an outage from its beginning to its end, a wall clock that is set forward and back by hours,
//! reboots. Then the link is back, and the server has to have every event, in order, at its true time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use footpath_client::{
    Client, Clock, HttpAnswer, HttpTransport, Outcome, Outgoing, Randomness as _, SeededRandom, SystemClock,
    Track, Transport,
};
use footpath_proto::v1;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::books::key;
use super::orders::KEY;
use super::round::World;
use crate::crash::source::PROJECT;

const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// A wrong clock is wrong by whole ten minutes, and by twelve hours at most: the server corrects what is beyond 60 s, and
/// leaves what is within a day of the present.
const STEP_US: i64 = 600 * 1_000_000;
const MOST_STEPS: i64 = 72;
/// Time that a machine has been up when its first program starts.
const BOOTED_US: i64 = 20_000_000;
/// A jump of less than this is none to the client.
const TOLERANCE_US: i64 = 2_000_000;
const ATTEMPT: Duration = Duration::from_secs(10);
const DELIVERY: Duration = Duration::from_secs(120);
/// Keys that no client of a round has.
const FIRST: u64 = 1 << 38;

/// A device's clocks: a day behind at first, moved by hand, and running on by themselves.
struct DeviceClock {
    machine: SystemClock,
    /// How far true time is behind the present.
    behind_us: AtomicI64,
    /// How wrong the wall clock is.
    error_us: AtomicI64,
    /// The machine's continuous time, plus the day that has passed, at the last boot.
    booted_us: AtomicI64,
    boots: AtomicU64,
}

impl DeviceClock {
    fn new() -> Self {
        let clock = Self {
            machine: SystemClock::new(),
            behind_us: AtomicI64::new(DAY_US),
            error_us: AtomicI64::new(0),
            booted_us: AtomicI64::new(0),
            boots: AtomicU64::new(0),
        };
        clock.reboot();
        clock
    }

    fn true_us(&self) -> i64 {
        self.machine.wall_us() - self.behind_us.load(Ordering::SeqCst)
    }

    fn passed_us(&self) -> i64 {
        let machine = i64::try_from(self.machine.continuous().as_micros()).unwrap_or(i64::MAX / 2);
        machine + DAY_US - self.behind_us.load(Ordering::SeqCst)
    }

    fn advance(&self, us: i64) {
        self.behind_us.fetch_sub(us, Ordering::SeqCst);
    }

    fn reboot(&self) {
        self.booted_us.store(self.passed_us() - BOOTED_US, Ordering::SeqCst);
        self.boots.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for DeviceClock {
    fn wall_us(&self) -> i64 {
        self.true_us() + self.error_us.load(Ordering::SeqCst)
    }

    fn continuous(&self) -> Duration {
        let us = self.passed_us() - self.booted_us.load(Ordering::SeqCst);
        Duration::from_micros(us.max(0).cast_unsigned())
    }

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot {}", self.boots.load(Ordering::SeqCst)))
    }
}

/// Leads to the server once the outage is over; loses some answers even then.
struct Way {
    http: HttpTransport,
    is_up: AtomicBool,
    dice: SeededRandom,
    machine: SystemClock,
    longest_us: AtomicI64,
}

impl Way {
    fn outage(&self) -> Outcome {
        let page = HttpAnswer {
            status: [200, 302, 403, 511][(self.dice.next_u64() % 4) as usize],
            content_type: Some("text/html"),
            retry_after: None,
            body: b"<html>",
        };
        match self.dice.next_u64() % 3 {
            0 => Outcome::Broken("no route".into()),
            1 => Outcome::retry("not now"),
            _ => Outcome::of_http(&page),
        }
    }
}

impl Transport for Way {
    fn send(&self, batch: &Outgoing) -> Outcome {
        if !self.is_up.load(Ordering::SeqCst) {
            return self.outage();
        }
        let began = self.machine.continuous();
        let outcome = self.http.send(batch);
        let took = self.machine.continuous().saturating_sub(began).as_micros();
        self.longest_us.fetch_max(i64::try_from(took).unwrap_or(i64::MAX), Ordering::SeqCst);
        // Stored, and the answer is lost.
        if self.dice.next_u64().is_multiple_of(5) { Outcome::Broken("cut".into()) } else { outcome }
    }
}

/// What is true of an event.
struct Truth {
    before_us: i64,
    after_us: i64,
    error_us: i64,
    boot: u64,
}

/// A device, its day, and what was true of it.
struct Device {
    clock: Arc<DeviceClock>,
    way: Arc<Way>,
    client: Client,
    rng: StdRng,
    truths: Vec<Truth>,
    jumps: u32,
}

impl Device {
    fn start(url: &str, project_key: &str, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let clock = Arc::new(DeviceClock::new());
        let way = Arc::new(Way {
            http: HttpTransport::new(url, ATTEMPT),
            is_up: AtomicBool::new(false),
            dice: SeededRandom::new(seed),
            machine: SystemClock::new(),
            longest_us: AtomicI64::new(0),
        });
        let client = open(&clock, &way, project_key, folder)?;
        let rng = StdRng::seed_from_u64(seed);
        Ok(Self { clock, way, client, rng, truths: Vec::new(), jumps: 0 })
    }

    fn day(&mut self, events: u32, project_key: &str, folder: &Path) -> anyhow::Result<()> {
        let step_us = DAY_US / i64::from(events.max(1));
        for _ in 0..events {
            self.clock.advance(step_us);
            if self.rng.random_ratio(8, events.max(8)) {
                let steps = self.rng.random_range(-MOST_STEPS..=MOST_STEPS);
                self.clock.error_us.store(steps * STEP_US, Ordering::SeqCst);
                self.jumps += 1;
            }
            if self.rng.random_ratio(2, events.max(2)) {
                self.client.shutdown().context("before a reboot")?;
                self.clock.reboot();
                self.client = open(&self.clock, &self.way, project_key, folder)?;
            }
            self.track()?;
        }
        // Nothing of the day is left.
        self.clock.behind_us.store(0, Ordering::SeqCst);
        self.track()
    }

    fn track(&mut self) -> anyhow::Result<()> {
        let n = self.truths.len() as u64;
        let mut event = Track::new("lived").property(KEY, (FIRST + n).cast_signed());
        if n.is_multiple_of(3) {
            event = event.anonymous(format!("d{}", n % 5));
        }
        let before_us = self.clock.true_us();
        self.client.track(event)?;
        self.truths.push(Truth {
            before_us,
            after_us: self.clock.true_us(),
            error_us: self.clock.error_us.load(Ordering::SeqCst),
            boot: self.clock.boots.load(Ordering::SeqCst),
        });
        Ok(())
    }

    /// The outage is over.
    fn deliver(&self) -> anyhow::Result<()> {
        self.way.is_up.store(true, Ordering::SeqCst);
        let flushed = self.client.flush(DELIVERY);
        ensure!(flushed.complete, "not delivered: {flushed:?}, {:?}", self.client.stats());
        Ok(self.client.shutdown()?)
    }

    /// Holds what is stored against what was true.
    fn check(&self, listed: &[v1::StoredEvent]) -> anyhow::Result<String> {
        let mut places = HashMap::new();
        let last_boot = self.clock.boots.load(Ordering::SeqCst);
        let bound_us = TOLERANCE_US + self.way.longest_us.load(Ordering::SeqCst);
        let (mut order, mut corrected, mut worst_us) = (Vec::new(), 0, 0);
        for event in listed {
            let Some(key) = key(event).filter(|key| *key >= FIRST) else { continue };
            let truth = self.truths.get((key - FIRST) as usize).context("an event that was never tracked")?;
            ensure!(places.insert(key, event.offset).is_none(), "event {key:#x} is stored twice");
            order.push(((event.offset, event.index), key));
            let raw_us = micros(event.raw_time).context("no raw time")?;
            ensure!(off(truth, raw_us - truth.error_us) == 0, "event {key:#x} was sent with another time");
            let time_us = micros(event.time).context("no time")?;
            if truth.boot == last_boot {
                let off_us = off(truth, time_us);
                ensure!(off_us <= bound_us, "event {key:#x} is off by {off_us} us, {bound_us} are allowed");
                worst_us = worst_us.max(off_us);
                corrected += 1;
            } else {
                ensure!(time_us == raw_us, "event {key:#x} of another boot was corrected: by what?");
            }
        }
        let gone: Vec<u64> =
            (0..self.truths.len() as u64).filter(|n| !places.contains_key(&(FIRST + n))).collect();
        ensure!(gone.is_empty(), "{} events are not stored: {gone:?}, {:?}", gone.len(), self.client.stats());
        order.sort_unstable();
        let swapped = order.windows(2).find(|pair| pair[0].1 > pair[1].1);
        ensure!(swapped.is_none(), "stored in another order than tracked: {swapped:x?}");
        Ok(format!(
            "{} events, {} jumps, {} boots: all stored in order; {corrected} can be corrected, the worst is off by \
             {} ms of {} allowed",
            order.len(),
            self.jumps,
            last_boot,
            worst_us / 1_000,
            bound_us / 1_000
        ))
    }
}

/// How far a time is from when the event was tracked; 1 ms is left for clocks that are read one after the other.
fn off(truth: &Truth, us: i64) -> i64 {
    (truth.before_us - 1_000 - us).max(us - truth.after_us - 1_000).max(0)
}

fn micros(time: Option<prost_types::Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

fn open(clock: &Arc<DeviceClock>, way: &Arc<Way>, key: &str, folder: &Path) -> anyhow::Result<Client> {
    let client = Client::builder("", key)
        .project(PROJECT)
        .queue_dir(folder)
        .clock(clock.clone())
        .transport(way.clone())
        .batch_interval(Duration::from_millis(20))
        .backoff(Duration::from_millis(5), Duration::from_millis(50));
    Ok(client.build()?)
}

/// Lives a day and compares.
///
/// # Errors
/// A violation.
pub async fn run(world: &World, events: u32, seed: u64) -> anyhow::Result<String> {
    let (api, url, key) = world.api().await?;
    let folder = world.folder().join("day");
    let device = tokio::task::spawn_blocking(move || {
        let mut device = Device::start(&url, &key, &folder, seed)?;
        device.day(events, &key, &folder)?;
        device.deliver()?;
        anyhow::Ok(device)
    });
    let device = device.await??;
    let line = device.check(&api.events().await?)?;
    Ok(format!("seed {seed}: {line}"))
}
