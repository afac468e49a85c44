//! Prints what chunks cost per event: gathered, sorted, encoded and kept in memory instead of on a disk.
//!
//! `cargo run --release -p footpath-history --example chunk_ns`

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use footpath_history::{ChunkWriter, Chunks, Stored, WriterOptions};
use footpath_log::disk::{Disk, DiskFile};
use footpath_log::{Entry, Log, MemoryLog};
use footpath_model::clock::ManualClock;
use footpath_model::id::{EventId, Producer, actor_key, lane};
use footpath_model::record::{EventHead, EventSpans, FrameHead, FrameKind, TimeRule, build_frame, put_event};
use footpath_proto::v1 as pb;
use parking_lot::Mutex;
use prost::Message;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: u64 = 500;
const BATCHES: u64 = 1024;
const NOW_US: i64 = 1_700_000_000_000_000;

/// Files in memory: the disk's own time is not what is measured.
#[derive(Default)]
struct MemoryDisk(Mutex<HashMap<String, Arc<MemoryFile>>>);

#[derive(Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl Disk for MemoryDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(MemoryFile::default());
        self.0.lock().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.lock().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = self.0.lock();
        let found = bytes.get(at as usize..at as usize + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        let mut bytes = self.0.lock();
        let end = at as usize + data.len();
        let length = bytes.len().max(end);
        bytes.resize(length, 0);
        bytes[at as usize..end].copy_from_slice(data);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
}

fn properties(i: u64) -> Vec<u8> {
    use pb::value::Kind;
    let properties = [
        ("page", Kind::StringValue(format!("/products/garden/chairs/{}", i % 5000))),
        ("referrer", Kind::StringValue("https://shop.example/search?q=chair".into())),
        ("currency", Kind::StringValue("EUR".into())),
        ("price", Kind::DoubleValue((i % 1000) as f64 * 1.25)),
        ("quantity", Kind::IntValue(i as i64 % 7)),
        ("member", Kind::BoolValue(i.is_multiple_of(2))),
    ];
    let properties =
        properties.into_iter().map(|(key, kind)| (key.to_owned(), pb::Value { kind: Some(kind) }));
    pb::Event { properties: properties.collect(), ..pb::Event::default() }.encode_to_vec()
}

fn put(out: &mut Vec<u8>, i: u64) {
    let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let actor = format!("anon-{:016x}", mixed >> 48);
    let actor_key = actor_key("shop", actor.as_bytes());
    let time_us = NOW_US + i as i64 * 10;
    let random = u128::from(mixed).to_le_bytes()[..10].try_into().unwrap_or_default();
    let head = EventHead {
        lane: lane(actor_key),
        class: 2,
        time_rule: TimeRule::AsSent,
        actor_key,
        id: EventId::v7(time_us, random),
        time_us,
        raw_time_us: time_us,
        number: i + 1,
        index: (i % BATCH) as u32,
    };
    let (session, properties) = (format!("s-{:012}", mixed >> 46), properties(i));
    let spans = EventSpans {
        name: ["product_viewed", "cart_opened", "searched"][(i % 3) as usize].as_bytes(),
        anonymous_id: actor.as_bytes(),
        session_id: session.as_bytes(),
        properties: &properties,
        ..EventSpans::default()
    };
    put_event(out, &head, &spans);
}

fn frame(batch: u64) -> Vec<u8> {
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: false,
        project: 1,
        received_us: NOW_US + batch as i64,
        producer: Producer { install: (batch as u128).to_be_bytes(), epoch: batch },
    };
    let events: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
        .map(|i| {
            let mut out = Vec::new();
            put(&mut out, i);
            out
        })
        .collect();
    let context = pb::Context {
        app: "shop".into(),
        os: "ios".into(),
        os_version: "17.4".into(),
        ..pb::Context::default()
    };
    build_frame(&head, &context.encode_to_vec(), &[], BATCH as u32, events.iter().map(Vec::as_slice))
}

#[allow(clippy::disallowed_methods)] // It measures; nothing depends on the time.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log = Arc::new(MemoryLog::default());
    let mut bytes = 0;
    for batch in 0..BATCHES {
        let payload = frame(batch);
        bytes += payload.len() as u64;
        log.append_group(&[Entry { append_time_us: NOW_US, payload: payload.into() }])?;
    }
    let log = log as Arc<dyn Log>;
    let events = BATCH * BATCHES;
    for round in 1..=3 {
        let chunks = Arc::new(Chunks::open(Arc::new(MemoryDisk::default()), 1)?);
        let clock = Arc::new(ManualClock::at(NOW_US));
        let start = std::time::Instant::now();
        let writer =
            ChunkWriter::start(Arc::clone(&log), Arc::clone(&chunks), clock, WriterOptions::default())?;
        writer.flush()?;
        let written_ns = start.elapsed().as_nanos() as f64;
        let counters = writer.counters();
        let size = counters.bytes.load(Ordering::Relaxed) / events;
        let files = counters.files.load(Ordering::Relaxed);
        println!(
            "round {round}: {:.0} ns/event, {} B/event in the log, {size} B in {files} files",
            written_ns / events as f64,
            bytes / events
        );
        let start = std::time::Instant::now();
        let scan = footpath_history::Scan {
            columns: footpath_history::Columns::PROPERTIES,
            ..footpath_history::Scan::all(1)
        };
        let stats = Stored::new(Arc::clone(&log), chunks)
            .pin()
            .scan(&scan, &mut |_| std::ops::ControlFlow::Continue(()))?;
        println!(
            "  scan with properties: {:.0} ns/event",
            start.elapsed().as_nanos() as f64 / stats.rows as f64
        );
    }
    Ok(())
}
