//! The worker without its thread, step by step.

use footpath_proto::v1::{Context, DeliveryClass, Event};

use super::*;
use crate::backoff::Backoff;
use crate::clock::{ManualClock, SeededRandom};
use crate::delivery::Settings;
use crate::memory::MemoryServer;

const SECOND: Duration = Duration::from_secs(1);
const SECOND_US: i64 = 1_000_000;

struct Bench {
    worker: Worker,
    clock: Arc<ManualClock>,
    server: Arc<MemoryServer>,
    tracks: Sender<Tracked>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SECOND_US));
        let (server, random) = (Arc::new(MemoryServer::new()), Arc::new(SeededRandom::new(5)));
        let settings = Settings {
            max_events: 8,
            max_bytes: 1 << 20,
            interval: SECOND * 5,
            historical: false,
            context: Context::default(),
        };
        let (tracks_in, tracks) = crossbeam_channel::unbounded();
        let (commands_in, commands) = crossbeam_channel::unbounded();
        let worker = Worker {
            queue: Queue::in_memory(&*random).unwrap(),
            delivery: Delivery::new(settings, Backoff::new(SECOND, SECOND), clock.monotonic()),
            transport: server.clone(),
            clock: clock.clone(),
            era: Era::new(&*clock, &*random),
            random,
            tracks,
            commands,
            commands_in,
            stats: Arc::default(),
            on_pause: None,
            inbox: Inbox::default(),
        };
        Self { worker, clock, server, tracks: tracks_in }
    }

    /// Tracks `count` events that do not fit into what is left of a full disk's pages.
    fn track(&self, count: usize) {
        for _ in 0..count {
            let event = Event { name: "e".repeat(20_000), ..Event::default() };
            let event = NewEvent { class: DeliveryClass::Normal, lane: 3, event };
            self.tracks.send(Tracked { event, durable: None }).unwrap();
        }
    }

    /// One round of the thread, and the answer to what it sent.
    fn turn(&mut self) {
        self.worker.commit();
        self.worker.drive();
        while let Ok(command) = self.worker.commands.try_recv() {
            self.worker.obey(command);
        }
        self.worker.tell_waiters();
    }

    fn sizes(&self) -> Vec<usize> {
        self.server.batches().iter().map(|batch| batch.events.len()).collect()
    }
}

#[test]
fn a_flush_while_the_disk_is_full_forces_its_events_and_none_after_them() {
    let mut bench = Bench::new();
    bench.turn(); // What an earlier run left is due at once: nothing.
    let (told, flushed) = crossbeam_channel::bounded(1);
    bench.worker.queue.set_full(true);
    bench.track(2);
    let reply = Box::new(move |result: FlushResult| told.send(result).unwrap());
    bench.worker.obey(Command::Flush { deadline: SECOND * 60, reply });
    bench.turn();
    assert!(bench.sizes().is_empty() && flushed.is_empty());

    bench.worker.queue.set_full(false);
    bench.clock.set(3 * SECOND_US);
    bench.turn();
    assert_eq!(bench.sizes(), [2], "forced as soon as it was committed");
    assert!(flushed.recv().unwrap().complete);

    bench.track(1);
    bench.turn();
    bench.track(1);
    bench.turn();
    assert_eq!(bench.sizes(), [2], "later events gather again");
    bench.clock.set(9 * SECOND_US);
    bench.turn();
    assert_eq!(bench.sizes(), [2, 2]);
}
