//! What the tests have in common.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{Builder, Client, MemoryServer, Track};
use footpath_proto::v1::Event;

pub const LONG: Duration = Duration::from_secs(20);

pub fn builder(server: &Arc<MemoryServer>) -> Builder {
    Client::builder("", "key")
        .project("demo")
        .ring_bytes(1 << 20)
        .transport(server.clone())
        .batch_interval(Duration::from_millis(5))
        .backoff(Duration::from_millis(1), Duration::from_millis(4))
}

pub fn event(n: usize) -> Track {
    Track::new(format!("e{n}")).anonymous(format!("a{}", n % 5)).property("n", n as i64)
}

pub fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.name.clone()).collect()
}

/// In each stream the numbers that were stored or explained are 1..=n.
pub fn assert_no_gaps(server: &MemoryServer) {
    let mut streams = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for (install, epoch, class, lane, number) in server.stored().into_keys() {
        streams.entry((install, epoch, class, lane)).or_default().push(number);
    }
    for (stream, numbers) in streams {
        let lost = server
            .losses()
            .into_iter()
            .filter(|loss| (loss.delivery_class, loss.lane) == (stream.2, stream.3));
        let mut all: Vec<u64> = lost.flat_map(|loss| loss.from..=loss.to).chain(numbers).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(1..=all.len() as u64), "{stream:?}: {all:?}");
    }
}

pub fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(path, target).map(drop).unwrap() }
    }
}
