//! A server that misbehaves at random.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{MemoryServer, Outcome, Randomness as _, SeededRandom, Step};
use footpath_proto::v1::{Event, IngestRequest, Refusal};
use proptest::prelude::*;

use crate::support::{LONG, builder, event, names};

fn misbehave(seed: u64) -> impl FnMut(&IngestRequest) -> Step + Send {
    let random = SeededRandom::new(seed);
    let mut calm = 0;
    move |request| {
        let poisoned = request.events.iter().any(|event| event.name.ends_with('7'));
        calm += 1;
        match random.next_u64() % 8 {
            0 | 1 if calm < 200 => Step::StoreAndDrop,
            2 if calm < 200 => Step::AnswerWithoutId,
            3 if calm < 200 => Step::Fail(Outcome::retry("unavailable")),
            _ if poisoned => Step::Fail(Outcome::Refused("a bad event".into())),
            _ => Step::Answer,
        }
    }
}

fn moody(seed: u64) -> impl FnMut(&Event) -> Option<Refusal> + Send {
    let random = SeededRandom::new(seed);
    move |event| match (event.name.ends_with('3'), random.next_u64() % 10) {
        (true, _) => Some(Refusal { reason: "bad".into(), ..Refusal::default() }),
        (_, 0) => Some(Refusal { reason: "busy".into(), retryable: true, ..Refusal::default() }),
        _ => None,
    }
}

/// The numbers that were stored or explained: class, lane, number.
fn settled(server: &MemoryServer) -> std::collections::BTreeSet<(i32, u32, u64)> {
    let stored = server.stored().into_keys().map(|(_, _, class, lane, number)| (class, lane, number));
    let explain = |loss: footpath_proto::v1::LossRange| {
        (loss.from..=loss.to).map(move |number| (loss.delivery_class, loss.lane, number))
    };
    stored.chain(server.losses().into_iter().flat_map(explain)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// A server that drops answers after the commit, answers nonsense, refuses batches and events; a client
    /// that restarts, cleanly. Every good event is stored once, every bad number is explained.
    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(seed: u64, events in 1usize..200, restarts in 0usize..3) {
        let folder = tempfile::tempdir().unwrap();
        let server = Arc::new(MemoryServer::new());
        server.on_batch(misbehave(seed));
        server.on_event(moody(!seed));
        let mut client = builder(&server).queue_dir(folder.path()).batch_events(16).build().unwrap();
        for n in 0..events {
            client.track(event(n)).unwrap();
            if restarts > 0 && n % (events / restarts + 1) == events / (restarts + 1) {
                client.shutdown().unwrap();
                client = builder(&server).queue_dir(folder.path()).batch_events(16).build().unwrap();
            }
        }
        prop_assert!(client.flush(LONG).complete, "{:?}", client.stats());
        let mut stored: Vec<_> = names(&server.order());
        stored.sort();
        // A poisoned event may have been stored by an attempt whose answer was lost, before it was refused.
        let mut good: Vec<_> =
            (0..events).map(|n| format!("e{n}")).filter(|name| !name.ends_with(['3', '7'])).collect();
        good.sort();
        stored.retain(|name| !name.ends_with('7'));
        prop_assert_eq!(stored, good);
        let stats = client.stats();
        prop_assert_eq!(stats.acked, stats.stored + stats.duplicates);
        prop_assert_eq!((stats.pending, stats.torn), (0, 0));

        // The last losses travel on their own.
        server.on_batch(|_| Step::Answer);
        let mut numbers = settled(&server);
        for _ in 0..500 {
            if numbers.len() >= events {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            numbers = settled(&server);
        }
        prop_assert_eq!(numbers.len(), events, "every number is stored or explained");
    }
}
