//! Images on a simulated machine: log and images lose power together, at any operation, and any of their unsynced sectors
//! survive. Whatever image a start then finds is of a moment that the log holds, and leads to the numbers of one fold.
//!
//! Images are taken by stops here, one operation after the other, so that a seed replays a run:
//! `FOOTPATH_SEEDS=10000 cargo test --release -p footpath-live power_losses` runs as many.

use footpath_log::{EmbeddedLog, EmbeddedOptions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const OPTIONS: EmbeddedOptions =
    EmbeddedOptions { segment_bytes: 128 * 1024, new_incarnation: 7, recent_bytes: 8 * 1024 };

/// What the runs came across; a test that never meets a failure proves nothing.
#[derive(Debug, Default)]
struct Seen {
    /// Starts after a power loss that went on from an image,
    restored: u64,
    /// that folded everything,
    folded: u64,
    /// whose image was on disk before anybody was told,
    untold: u64,
    /// whose newest image was cut short and an older one was there.
    fell_back: u64,
    /// Images that were begun, and not said to be on disk.
    unfinished: u64,
}

struct Machine {
    seed: u64,
    random: StdRng,
    disk: SimDisk,
    images: Arc<SimDisk>,
    /// The position of the newest image that was said to be on disk.
    told: u64,
    /// The position of the newest image that was begun.
    begun: u64,
    seen: Seen,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let images = Arc::new(disk.new_folder());
        let random = StdRng::seed_from_u64(seed);
        Self { seed, random, disk, images, told: 0, begun: 0, seen: Seen::default() }
    }

    /// Starts, and works until the power goes.
    fn live_and_lose_power(&mut self) {
        let mut bench = self.start();
        self.disk.cut_power_after(self.random.random_range(0..120));
        while self.step(&mut bench).is_ok() {}
        drop(bench);
        self.disk.power_loss();
    }

    /// Starts, and checks what is there.
    fn start(&mut self) -> Bench {
        let log = EmbeddedLog::open(Arc::new(self.disk.clone()), OPTIONS).unwrap();
        let end = log.durable_end();
        let defined = defined_in(&log);
        let mut bench = Bench::on(Arc::new(log), Arc::clone(&self.images), defined);
        // What an earlier life numbered and lost is not numbered again.
        (bench.events, bench.versions) = (u128::from(end) << 64, end << 32);
        self.started(&bench);
        bench.check();
        bench
    }

    /// The laws of a start: no image that was said to be on disk is gone, none is ahead of the log.
    fn started(&mut self, bench: &Bench) {
        let found = told(bench);
        let (seed, end) = (self.seed, bench.log.durable_end());
        assert!(found >= self.told, "seed {seed}: the image of {} is gone, found that of {found}", self.told);
        assert!(found <= end, "seed {seed}: the image of {found} is ahead of the log, which ends at {end}");
        assert_eq!(bench.worker.progress.position, if found > 0 { found } else { end }, "seed {seed}");
        self.seen.restored += u64::from(found > 0);
        self.seen.folded += u64::from(found == 0 && end > 0);
        self.seen.untold += u64::from(found > self.told);
        self.seen.fell_back += u64::from(found > 0 && found < self.begun);
        (self.told, self.begun) = (found, found);
    }

    /// One thing that happens; an error when the power is gone.
    fn step(&mut self, bench: &mut Bench) -> Result<(), LogError> {
        let op = match self.random.random_range(0..28) {
            0..12 => Op::Event {
                anonymous: self.random.random_range(0..5),
                user: self.random.random_range(0..4),
                name: self.random.random_range(0..4),
                second: self.random.random_range(0..400),
            },
            12 => Op::Identify {
                anonymous: self.random.random_range(0..5),
                user: self.random.random_range(1..4),
            },
            13 => Op::Put { funnel: self.random.random_range(0..3), shape: self.shape() },
            14 if self.random.random_range(0..4) == 0 => {
                Op::Delete { funnel: self.random.random_range(0..3) }
            }
            15..20 => Op::Step,
            20 => Op::Kill,
            21..25 => Op::Change {
                anonymous: self.random.random_range(0..5),
                user: self.random.random_range(0..4),
                name: self.random.random_range(0..4),
                second: self.random.random_range(0..400),
                change: self.random.random_range(0..properties::CHANGES),
            },
            _ => {
                self.stop(bench);
                return Ok(());
            }
        };
        bench.try_run(&op)
    }

    /// Every other funnel reads properties.
    fn shape(&mut self) -> u8 {
        let shapes = if self.random.random() {
            0..3
        } else {
            properties::FIRST..properties::FIRST + properties::SHAPES
        };
        self.random.random_range(shapes)
    }

    /// Takes an image and goes on as another process. Now and then the disk refuses something, with the power on.
    fn stop(&mut self, bench: &mut Bench) {
        if self.random.random_range(0..2) == 0 {
            bench.worker.step().unwrap();
        }
        match self.random.random_range(0..8) {
            0 => self.images.fail_syncs(1),
            1 => self.images.fail_names_after(Some(self.random.random_range(0..4))),
            _ => {}
        }
        self.begun = self.begun.max(bench.worker.progress.position);
        bench.worker.finish();
        self.images.fail_syncs(0);
        self.images.fail_names_after(None);
        self.told = self.told.max(told(bench));
        self.seen.unfinished += u64::from(self.told < self.begun);
        bench.restart();
        // A start may believe what no stop was told; from then on it has to stay.
        self.told = self.told.max(told(bench));
    }
}

/// The position of the newest image that the server takes to be on disk, by which it trims the log.
fn told(bench: &Bench) -> u64 {
    bench.worker.images.as_ref().map_or(0, |images| images.durable.load(Ordering::Acquire))
}

/// The definitions that the log holds, as a projector would have them.
fn defined_in(log: &dyn Log) -> BTreeMap<String, CountedFunnel> {
    let mut defined = BTreeMap::new();
    for record in pages(log, 0..u64::MAX).flat_map(|page| page.unwrap().records) {
        let frame = FrameView::new(&record.payload).unwrap();
        if frame.head.kind != FrameKind::Control {
            continue;
        }
        match serde_json::from_slice(frame.context).unwrap() {
            Control::PutFunnel(counted) => drop(defined.insert(counted.definition.id.clone(), *counted)),
            Control::DeleteFunnel { id } => drop(defined.remove(&id)),
            other => panic!("{other:?} was never written"),
        }
    }
    defined
}

#[test]
fn power_losses_leave_an_image_that_is_right_or_none() {
    let seeds = std::env::var("FOOTPATH_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(500);
    let mut all = Seen::default();
    for seed in 0..seeds {
        let mut machine = Machine { seen: all, ..Machine::new(seed) };
        (0..4).for_each(|_| machine.live_and_lose_power());
        machine.start();
        all = machine.seen;
    }
    println!("{all:?}");
    let Seen { restored, folded, untold, fell_back, unfinished } = all;
    let met = [restored, folded, untold, fell_back, unfinished];
    assert!(seeds < 500 || met.iter().all(|&count| count > 0), "something was never met: {all:?}");
}

/// An image of another log has a name that may sort above ours.
#[test]
fn images_of_another_log_do_not_displace_ours() {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: 2 });
    (0..50).for_each(|second| bench.run(&Op::Event { anonymous: 1, user: 0, name: 1, second }));
    bench.check();
    bench.run(&Op::Stop);
    let images = Arc::clone(&bench.images);
    let mut other = Bench::on(Arc::new(MemoryLog::default()), images, BTreeMap::new());
    other.run(&Op::Put { funnel: 0, shape: 2 });
    other.run(&Op::Event { anonymous: 1, user: 0, name: 1, second: 1 });
    other.check();
    other.run(&Op::Stop);
    assert_eq!(told(&other), other.log.durable_end(), "the start found its own image");
}
