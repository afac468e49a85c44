//! The measurements. Each is made in a process of its own, for one subject, and its figures are printed as JSON.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::event::Event;
use crate::subject::{Subject, bytes_under, record_all};

const BURST: u64 = 20_000;
const BURSTS: u64 = 20;
/// As much as the client's own benchmark rests: the system comes to writing back pages, which a next burst may feel.
const REST: Duration = Duration::from_secs(2);
pub const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// What a call costs its caller: percentiles of each burst, medians over the bursts, in microseconds.
pub fn latency(subject: &impl Subject) -> Result<Value> {
    let mut control = Vec::new();
    let mut calls = Vec::new();
    let mut refused: u64 = 0;
    for burst in 0..BURSTS {
        let events = events_of(burst);
        let mut kept = Vec::with_capacity(events.len()); // Letting go of a text takes time, too.
        control.push(times(events.clone(), |event| kept.push(black_box(event))));
        calls.push(times(events, |event| refused += u64::from(!subject.record(event))));
        subject.settle()?;
        std::thread::sleep(REST);
    }
    let mut figures = Map::new();
    for (name, share) in SHARES {
        figures.insert(name.to_owned(), json!(median_at(&calls, share)));
        figures.insert(format!("control {name}"), json!(median_at(&control, share)));
    }
    figures.insert("refused".to_owned(), json!(refused));
    Ok(figures.into())
}

/// Made before anything is timed; a caller has its values already.
fn events_of(burst: u64) -> Vec<Event> {
    (burst * BURST..(burst + 1) * BURST).map(Event::nth).collect()
}

/// Nanoseconds of each call, sorted. The call owns its event, so what it does with the texts is its own affair.
fn times(events: Vec<Event>, mut call: impl FnMut(Event)) -> Vec<u64> {
    let mut times = Vec::with_capacity(events.len());
    for event in events {
        let start = Instant::now();
        call(event);
        times.push(start.elapsed().as_nanos() as u64);
    }
    times.sort_unstable();
    times
}

fn median_at(bursts: &[Vec<u64>], share: f64) -> f64 {
    let at = |times: &Vec<u64>| times[((times.len() - 1) as f64 * share).round() as usize] as f64;
    median(bursts.iter().map(at).collect()) / 1_000.0
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes in the folder before the first event, with all of them, and after an end in order.
pub fn disk(subject: impl Subject, folder: &Path, events: u64) -> Result<Value> {
    subject.settle()?;
    let empty = bytes_under(folder)?;
    record_all(&subject, events, Duration::ZERO);
    subject.settle()?;
    std::thread::sleep(Duration::from_secs(1)); // Attempts to send, which fail, may still write.
    let full = bytes_under(folder)?;
    subject.end()?;
    Ok(json!({ "events": events, "empty": empty, "full": full, "ended": bytes_under(folder)? }))
}

/// Resident memory before the first event and with all of them, in KiB, and the most there was.
pub fn memory(subject: &impl Subject, events: u64, portion: u64) -> Result<Value> {
    subject.settle()?;
    let before = status("VmRSS")?;
    let mut refused = 0;
    for _ in 0..events / portion {
        refused += record_all(subject, portion, Duration::ZERO);
        subject.settle()?;
    }
    std::thread::sleep(Duration::from_secs(1)); // As above.
    let (after, most) = (status("VmRSS")?, status("VmHWM")?);
    Ok(json!({ "events": events, "before": before, "after": after, "most": most, "refused": refused }))
}

/// A value of /proc/self/status in KiB.
fn status(name: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(name)).context("no such value")?;
    let number = line.split_whitespace().nth(1).context("no number")?;
    Ok(number.parse()?)
}

/// Records events and dies, right after the last call returned or so much later.
pub fn record_and_abort(
    subject: &impl Subject,
    events: u64,
    pause: Duration,
    later: Duration,
) -> Result<Value> {
    let refused = record_all(subject, events, pause);
    ensure!(refused == 0, "{refused} calls were refused");
    if !later.is_zero() {
        std::thread::sleep(later);
    }
    std::process::abort()
}
