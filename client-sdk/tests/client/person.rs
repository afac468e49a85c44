//! Who the events belong to, and what that person allows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use footpath_client::{
    Changes, Consent, MemoryKeys, MemoryServer, Outcome, PauseReason, Receipt, Step, Track, TrackError,
};
use footpath_proto::v1::PrivacyRequestKind;

use crate::support::{LONG, assert_no_gaps, builder, event, names};

#[test]
fn two_users_are_never_made_one() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.track(Track::new("opened")).unwrap();
    client.identify("first", Changes::new()).unwrap();
    client.identify("first", Changes::new()).unwrap();
    client.register("tariff", "night").unwrap();
    client.track(Track::new("bought").property("price", 3)).unwrap();
    client.identify("second", Changes::new()).unwrap();
    client.track(Track::new("bought")).unwrap();
    assert!(matches!(client.identify("undefined", Changes::new()), Err(TrackError::Invalid(_))));
    client.reset().unwrap();
    client.track(Track::new("opened")).unwrap();
    assert!(client.flush(LONG).complete);
    let order = server.order();
    assert_eq!(names(&order), ["opened", "$identify", "bought", "$identify", "bought", "opened"]);
    let users: Vec<_> = order.iter().map(|event| &*event.user_id).collect();
    assert_eq!(users, ["", "first", "first", "second", "second", ""]);
    let (first, second, third) = (&order[0].anonymous_id, &order[3].anonymous_id, &order[5].anonymous_id);
    assert!(
        first == &order[2].anonymous_id
            && first != second
            && second == &order[4].anonymous_id
            && second != third
    );
    let shared: Vec<_> = order.iter().map(|event| event.properties.contains_key("tariff")).collect();
    assert_eq!(shared, [false, false, true, false, false, false], "what was registered was the first one's");
    assert!(order.iter().all(|event| !event.session_id.is_empty()));
    assert_no_gaps(&server);
}

#[test]
fn consent_decides_what_is_taken_kept_and_destroyed() {
    let server = Arc::new(MemoryServer::new());
    let keys = Arc::new(MemoryKeys::new());
    let client =
        builder(&server).queue_in_memory().encrypt(keys).first_consent(Consent::Pending).build().unwrap();
    client.track(event(0)).unwrap();
    let flushed = client.flush(LONG);
    assert_eq!((flushed.pending, flushed.paused), (1, Some(PauseReason::ConsentPending)));
    client.resume();
    assert_eq!(client.flush(LONG).paused, Some(PauseReason::ConsentPending), "nobody else may agree");
    client.set_consent(Consent::Granted).unwrap();
    assert!(client.flush(LONG).complete);
    assert_eq!(names(&server.order()), ["e0"]);

    client.hold();
    for n in 1..4 {
        client.track(Track::new(format!("e{n}"))).unwrap();
    }
    let before = client.who().unwrap().anonymous_id;
    client.set_consent(Consent::Denied).unwrap();
    client.delete_my_data().unwrap();
    assert!(matches!(client.track(event(4)), Err(TrackError::NotWanted(_))));
    client.resume();
    for _ in 0..400 {
        if !server.wishes().is_empty() && !server.losses().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names(&server.order()), ["e0"]);
    let lost: u64 = server.losses().iter().map(|loss| loss.to - loss.from + 1).sum();
    assert!(server.losses().iter().all(|loss| loss.reason == "consent_withdrawn") && lost == 3);
    let wishes = server.wishes();
    assert_eq!((wishes.len(), wishes[0].kind()), (1, PrivacyRequestKind::Delete));
    assert_eq!(wishes[0].actor, before);
    assert_eq!(client.stats().pending, 0);
}

#[test]
fn a_wish_alone_is_sent_at_once() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().first_consent(Consent::Denied).build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    client.delete_my_data().unwrap();
    for _ in 0..400 {
        if !server.wishes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.wishes().len(), 1);
}

#[test]
fn what_was_withdrawn_is_nowhere_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.hold();
    for _ in 0..2_000 {
        client.track(Track::new("a_secret_of_theirs")).unwrap();
    }
    while client.stats().committed < 2_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let files =
        || std::fs::read_dir(folder.path().join("demo/main")).unwrap().map(|file| file.unwrap().path());
    let is_secret = |path: &PathBuf| {
        std::fs::read(path).unwrap().windows(18).any(|window| window == b"a_secret_of_theirs")
    };
    assert!(files().any(|path| is_secret(&path)), "nothing encrypts here");
    client.set_consent(Consent::Denied).unwrap();
    assert_eq!(client.who().unwrap().consent, Consent::Denied);
    while client.stats().pending > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(files().filter(is_secret).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn who_agrees_again_loses_nothing_of_what_comes_then() {
    for keys in [None, Some(Arc::new(MemoryKeys::new()))] {
        let server = Arc::new(MemoryServer::new());
        let builder = builder(&server).queue_in_memory();
        let builder = match keys {
            Some(keys) => builder.encrypt(keys),
            None => builder,
        };
        let client = builder.build().unwrap();
        client.hold();
        client.track(Track::new("before")).unwrap();
        client.set_consent(Consent::Denied).unwrap();
        client.set_consent(Consent::Granted).unwrap();
        client.track(Track::new("after")).unwrap();
        assert_eq!(client.flush(LONG).paused, Some(PauseReason::Held), "only who holds lets go");
        client.resume();
        assert!(client.flush(LONG).complete);
        assert_eq!(names(&server.order()), ["after"]);
    }
}

#[test]
fn what_a_backend_queues_is_sealed_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let keys = Arc::new(MemoryKeys::new());
    let start = || builder(&server).queue_dir(folder.path()).backend().encrypt(keys.clone()).build().unwrap();
    let client = start();
    client.hold();
    client.track(Track::new("a secret name").user("u")).unwrap();
    client.shutdown().unwrap();
    drop(client);
    for file in ["queue.sqlite", "ring"] {
        let bytes = std::fs::read(folder.path().join("demo/main").join(file)).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"a secret"), "{file}");
    }
    assert!(start().flush(LONG).complete);
    assert_eq!(names(&server.order()), ["a secret name"]);
}

#[test]
fn hooks_samples_and_shared_properties() {
    let server = Arc::new(MemoryServer::new());
    let hook = |track: Track| match track.name() {
        "secret" => None,
        _ => Some(track.without("card")),
    };
    let client = builder(&server).queue_in_memory().before_send(hook).sample("noise", 0.0).debug_view("mine");
    let client = client.property("build", 7).build().unwrap();
    assert!(matches!(client.track(Track::new("secret")), Err(TrackError::NotWanted(_))));
    // Until the storage is open nobody knows whose it is.
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(client.track(Track::new("noise")), Err(TrackError::NotWanted(_))));
    assert_eq!(client.stats().not_wanted, 2);
    client.track(Track::new("paid").property("card", "4111").property("build", 8)).unwrap();
    assert!(client.flush(LONG).complete);
    let order = server.order();
    assert_eq!(names(&order), ["paid"]);
    let mut keys: Vec<_> = order[0].properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["build", "debug_view"]);
}

#[test]
fn a_flush_is_complete_only_with_the_wishes() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    server.on_batch(|batch| {
        if batch.privacy_requests.is_empty() { Step::Answer } else { Step::Fail(Outcome::retry("not now")) }
    });
    client.delete_my_data().unwrap();
    assert!(!client.flush(Duration::from_millis(300)).complete);
    server.on_batch(|_| Step::Answer);
    assert!(client.flush(LONG).complete);
    assert_eq!(server.wishes().len(), 1);
}

#[test]
fn receipts_of_what_consent_has_ended_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.hold();
    let before = client.track_critical(event(0)).unwrap();
    assert_eq!(before.queued(LONG), Some(Receipt::Queued));
    client.set_consent(Consent::Denied).unwrap();
    assert_eq!(before.delivered(LONG), Some(Receipt::Rejected("consent_withdrawn".into())));
    client.shutdown().unwrap();
    drop(client);
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    // Before the storage is open nobody knows what the person allows; or at once, where it is open already.
    if let Ok(early) = client.track_critical(event(1)) {
        assert!(matches!(early.queued(LONG), Some(Receipt::Rejected(_))));
    }
}
