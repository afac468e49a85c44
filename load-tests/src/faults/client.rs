//! A client process: tracks events, says which, and ends as it is told.
//!
//! Its lines: `tracked FIRST LAST` (keys, after `track` returned), `durable KEY` (after the receipt), `ready` (all is
//! tracked), `lost N REASON` (numbers that the server was told of), `problem ...`, `fault ...` (what must not happen),
//! `torn N`, `flushed true|false ...`.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use footpath_client::{Client, HttpTransport, Outcome, Outgoing, Receipt, Track, TrackError, Transport};
use footpath_proto::v1::IngestRequest;
use prost::Message as _;

use super::orders::{Carrier, End, KEY, ORDERS, Orders};
use crate::crash::source::PROJECT;

/// An attempt without an answer ends after this.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long the storage may take to open, and an event to be on the disk.
const OPENING: Duration = Duration::from_secs(15);
/// How long a full queue is waited for, in steps.
const FULL: (u32, Duration) = (300, Duration::from_millis(2));
/// How long everything may take to be delivered once the weather is fine.
const DELIVERY: Duration = Duration::from_secs(30);
/// Without a send this long, the ledger is reported.
const QUIET: Duration = Duration::from_millis(700);
/// So many times that is waited for.
const LOOKS: u32 = 50;
/// Persons beside the client's own.
const PERSONS: u64 = 7;
/// The most events of one line.
const LINE: u64 = 64;

/// Whether this process is to be a client.
pub fn is_one() -> bool {
    std::env::var_os(ORDERS).is_some()
}

/// Follows the orders in the environment.
///
/// # Errors
/// If it cannot; what must not happen is said in a line.
pub fn run() -> anyhow::Result<()> {
    let orders = std::env::var(ORDERS).context("no orders")?;
    let orders: Orders = serde_json::from_str(&orders)?;
    say("");
    let spy = Arc::new(Spy::new(&orders.url));
    let client = start(&orders, &spy)?;
    if orders.count > 0 {
        wait_until_open(&client, orders.backend)?;
        track_all(&orders, &client)?;
    }
    say("ready");
    match orders.end {
        End::Kill(after) => {
            sleep(Duration::from_millis(after));
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        }
        End::Shutdown => {}
        End::Settle => {
            std::io::stdin().lock().read_line(&mut String::new())?;
            if orders.resumes {
                client.resume();
            }
            flush(&client);
        }
        End::Drain => {
            flush(&client);
            spy.wait_until_quiet();
        }
    }
    say(&format!("torn {}", client.stats().torn));
    if let Err(error) = client.shutdown() {
        say(&format!("unsaved {error}"));
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "it is how the process speaks")]
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush()); // Nobody listens: it will be killed.
}

fn start(orders: &Orders, spy: &Arc<Spy>) -> anyhow::Result<Client> {
    let mut builder = Client::builder(&orders.url, &orders.key)
        .project(PROJECT)
        .queue_dir(&orders.folder)
        // Heavy events are those of a full disk: a large ring would need a large one.
        .ring_bytes(if orders.filler > 0 { 256 << 10 } else { 1 << 20 })
        .request_timeout(ATTEMPT)
        .batch_interval(Duration::from_millis(20))
        .backoff(Duration::from_millis(20), Duration::from_millis(300))
        .on_problem(|problem| say(&format!("problem {problem:?}")));
    if orders.backend {
        builder = builder.backend();
    }
    // Losses are seen where they leave, which takes a carrier that looks.
    if orders.carrier == Carrier::Http || orders.end == End::Drain {
        builder = builder.transport(spy.clone());
    }
    builder.build().context("the client does not start")
}

/// Until the storage is open, what is tracked lies in memory.
fn wait_until_open(client: &Client, backend: bool) -> anyhow::Result<()> {
    if backend {
        return wait_for_a_receipt(client);
    }
    let step = Duration::from_millis(1);
    for _ in 0..OPENING.as_millis() {
        if client.who().is_some() {
            return Ok(());
        }
        sleep(step);
    }
    bail!("the storage does not open: {:?}", client.stats())
}

/// A backend has nobody to ask for; an event of its own tells.
fn wait_for_a_receipt(client: &Client) -> anyhow::Result<()> {
    let warm_up = Track::new("warm_up").user("nobody");
    let pending = client.track_critical(warm_up)?;
    match pending.queued(OPENING) {
        Some(_) => Ok(()),
        None => bail!("the storage does not open: {:?}", client.stats()),
    }
}

fn track_all(orders: &Orders, client: &Client) -> anyhow::Result<()> {
    let last = orders.first + orders.count;
    let line = (orders.count / 16).clamp(1, LINE);
    let mut from = orders.first;
    for key in orders.first..last {
        let critical = orders.critical_every > 0 && key % orders.critical_every == 0;
        if !track(orders, client, key, critical)? {
            report(from, key);
            return Ok(()); // Full, and it stays so.
        }
        if critical || key + 1 - from >= line {
            report(from, key + 1);
            from = key + 1;
            sleep(Duration::from_micros(orders.pace_us * line));
        }
    }
    report(from, last);
    Ok(())
}

fn report(from: u64, end: u64) {
    if end > from {
        say(&format!("tracked {from} {}", end - 1));
    }
}

/// Whether the client took it.
fn track(orders: &Orders, client: &Client, key: u64, critical: bool) -> anyhow::Result<bool> {
    for _ in 0..FULL.0 {
        match track_once(orders, client, key, critical) {
            Ok(()) => return Ok(true),
            Err(TrackError::QueueFull) => sleep(FULL.1),
            Err(error) => {
                say(&format!("fault event {key:#x} was not taken: {error}"));
                bail!(error);
            }
        }
    }
    Ok(false)
}

fn track_once(orders: &Orders, client: &Client, key: u64, critical: bool) -> Result<(), TrackError> {
    let person = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let mut event = Track::new(if critical { "paid" } else { "viewed" }).property(KEY, key.cast_signed());
    if orders.filler > 0 {
        event = event.property("filler", "x".repeat(orders.filler));
    }
    if orders.backend || person.is_multiple_of(3) {
        event = event.anonymous(format!("p{}", person % PERSONS));
    }
    if !critical {
        return client.track(event).map(drop);
    }
    let pending = client.track_critical(event)?;
    match pending.queued(Duration::from_secs(2)) {
        Some(Receipt::Queued | Receipt::Acked) => say(&format!("durable {key}")),
        Some(Receipt::Rejected(why)) => say(&format!("fault event {key:#x} was rejected: {why}")),
        None => {} // As on a full disk.
    }
    Ok(())
}

fn flush(client: &Client) {
    let flushed = client.flush(DELIVERY);
    say(&format!("flushed {} {flushed:?} {:?}", flushed.complete, client.stats()));
}

/// Sends by HTTP, and says which losses the server was told of.
struct Spy {
    http: HttpTransport,
    sends: AtomicU64,
}

impl Spy {
    fn new(url: &str) -> Self {
        Self { http: HttpTransport::new(url, ATTEMPT), sends: AtomicU64::new(0) }
    }

    fn wait_until_quiet(&self) {
        for _ in 0..LOOKS {
            let before = self.sends.load(Ordering::SeqCst);
            sleep(QUIET);
            if self.sends.load(Ordering::SeqCst) == before {
                return;
            }
        }
    }
}

impl Transport for Spy {
    fn send(&self, batch: &Outgoing) -> Outcome {
        let outcome = self.http.send(batch);
        if let Outcome::Answered(answer) = &outcome
            && answer.batch_id == batch.id
        {
            tell_losses(&batch.body);
        }
        self.sends.fetch_add(1, Ordering::SeqCst);
        outcome
    }
}

fn tell_losses(body: &[u8]) {
    match IngestRequest::decode(body) {
        Ok(request) => request.losses.iter().for_each(|loss| {
            say(&format!("lost {} {}", loss.to + 1 - loss.from, loss.reason));
        }),
        Err(error) => say(&format!("fault a batch cannot be read: {error}")),
    }
}
