//! Settings that make no sense, and calls that the server would refuse.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{
    Builder, Changes, Client, Consent, Limits, MemoryServer, Problem, PropertyValue, Track, TrackError,
};
use footpath_proto::v1::{Context, Refusal};

use crate::support::{LONG, builder};

type Wrong = Box<dyn FnOnce(Builder) -> Builder>;

/// What is said to a builder that is wrong in one way.
fn refused(wrong: impl FnOnce(Builder) -> Builder) -> String {
    let server = Arc::new(MemoryServer::new());
    wrong(builder(&server).queue_in_memory()).build().map(drop).unwrap_err().to_string()
}

#[test]
fn settings_without_sense_are_refused_in_words() {
    let limits = Limits::default();
    let long = "x".repeat(9 << 10);
    let context = Context { app: long, ..Context::default() };
    let many = |builder: Builder| (0..257).fold(builder, |builder, n| builder.property(format!("p{n}"), n));
    let wrong: [(&str, Wrong); 22] = [
        ("project", Box::new(|builder| builder.project(""))),
        ("project", Box::new(|builder| builder.project("../other"))),
        ("project", Box::new(|builder| builder.project("Demo"))),
        ("queue", Box::new(|builder| builder.queue_dir(""))),
        ("ring_bytes", Box::new(|builder| builder.ring_bytes(0))),
        ("ring_bytes", Box::new(|builder| builder.ring_bytes(1 << 40))),
        ("batch", Box::new(|builder| builder.batch_events(0))),
        ("batch", Box::new(|builder| builder.batch_bytes(0))),
        ("batch_interval", Box::new(|builder| builder.batch_interval(Duration::MAX))),
        ("request_timeout", Box::new(|builder| builder.request_timeout(Duration::ZERO))),
        ("request_timeout", Box::new(|builder| builder.request_timeout(Duration::MAX))),
        ("backoff", Box::new(|builder| builder.backoff(Duration::ZERO, Duration::ZERO))),
        ("backoff", Box::new(|builder| builder.backoff(LONG, LONG / 2))),
        ("limits", Box::new(move |builder| builder.limits(Limits { events: 0, ..limits }))),
        ("limits", Box::new(move |builder| builder.limits(Limits { age: Duration::ZERO, ..limits }))),
        ("limits", Box::new(move |builder| builder.limits(Limits { bytes: 8 << 20, ..limits }))),
        ("critical", Box::new(move |builder| builder.limits(Limits { critical_bytes: 0, ..limits }))),
        ("sample", Box::new(|builder| builder.sample("e", f64::NAN))),
        ("sample", Box::new(|builder| builder.sample("e", 1.5))),
        ("consent", Box::new(|builder| builder.backend().first_consent(Consent::Denied))),
        ("context", Box::new(move |builder| builder.context(context))),
        ("256 properties", Box::new(many)),
    ];
    for (word, wrong) in wrong {
        let said = refused(wrong);
        assert!(said.contains(word), "{word}: {said}");
    }
    let keyless = |key| Client::builder("", key).project("demo").queue_in_memory().host_carries().build();
    for key in ["two words", "a\nbreak"] {
        assert!(keyless(key).map(drop).unwrap_err().to_string().contains("key"), "{key:?}");
    }
}

#[test]
fn a_property_that_is_wrong_is_named() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    let mut deep = PropertyValue::from(1);
    for _ in 0..6 {
        deep = vec![deep].into();
    }
    for value in [f64::NAN.into(), deep, PropertyValue::Encoded(vec![0x22, 1, b'x'])] {
        let error = client.track(Track::new("e").property("price", value)).unwrap_err();
        assert!(error.to_string().contains("\"price\""), "{error}");
    }
}

#[test]
fn what_is_too_deep_is_refused_and_overflows_nothing() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    for depth in [6, 7, 8, 6_000] {
        let deep = (0..depth).fold(PropertyValue::from(1), |value, _| vec![value].into());
        let error = client.track(Track::new("e").property("deep", deep)).unwrap_err();
        assert!(error.to_string().contains("5 deep"), "{error}");
    }
    let fits = (0..5).fold(PropertyValue::from(1), |value, _| vec![value].into());
    client.track(Track::new("e").property("deep", fits)).unwrap();
}

#[test]
fn an_empty_id_names_nobody() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.identify("ann", Changes::new()).unwrap();
    client.track(Track::new("e").user("").anonymous("").session("")).unwrap();
    assert!(client.flush(LONG).complete);
    let events = server.order();
    assert_eq!((&*events[1].user_id, events[1].session_id.is_empty()), ("ann", false));
    let frame = [0x1a, 1, b'e', 0x32, 0];
    assert!(client.track_frame(&frame, footpath_client::Class::Normal).is_err());
}

#[test]
fn what_the_server_would_refuse_for_good_is_refused_at_the_call() {
    let server = Arc::new(MemoryServer::new());
    for early in [true, false] {
        let client = builder(&server).queue_in_memory().debug_view("dev").build().unwrap();
        while !early && !client.is_open() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let long = "u".repeat(513);
        let invalid = |result: Result<(), TrackError>| {
            assert!(matches!(result, Err(TrackError::Invalid(_))), "{result:?}")
        };
        invalid(client.identify(&*long, Changes::new()));
        invalid(client.alias(&*long));
        invalid(client.identify("u", Changes::new().set("n", f64::NAN)));
        invalid(client.register("", 1));
        let large = client.identify("u", Changes::new().set("n", "x".repeat(40_000)));
        assert!(matches!(large, Err(TrackError::TooLarge { .. })));
        assert_eq!(client.stats().tracked, 0);
    }
}

#[test]
fn what_all_events_carry_leaves_room_for_their_own() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().debug_view("dev").build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for n in 0..128 {
        client.register(format!("r{n}"), 1).unwrap();
    }
    assert!(matches!(client.register("one more", 1), Err(TrackError::Invalid(_))));
    client.register("r0", 2).unwrap();
    let event =
        |count: usize| (0..count).fold(Track::new("e"), |track, n| track.property(format!("p{n}"), 1));
    client.track(event(127)).unwrap(); // With 128 and the tag.
    assert!(matches!(client.track(event(128)), Err(TrackError::Invalid(_))));
    client.unregister("r0").unwrap();
    assert!(matches!(client.register("large", "x".repeat(20_000)), Err(TrackError::TooLarge { .. })));
    assert!(client.flush(LONG).complete);
    assert_eq!(server.order()[0].properties.len(), 256);
}

/// An event that is refused brings nobody else into being.
#[test]
fn who_could_not_be_identified_is_not() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().property("large", "x".repeat(10_000)).build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    client.identify("ann", Changes::new()).unwrap();
    let before = client.who().unwrap();
    // Alone it fits; with what every event carries it does not.
    let error = client.identify("bob", Changes::new().set("note", "x".repeat(25_000))).unwrap_err();
    assert!(matches!(error, TrackError::TooLarge { .. }), "{error}");
    assert_eq!(client.who().unwrap(), before);
}

#[test]
fn what_the_server_refuses_for_good_is_told() {
    let server = Arc::new(MemoryServer::new());
    server.on_event(|_| Some(Refusal { reason: "bad".into(), message: "no".into(), ..Refusal::default() }));
    let (told, problems) = std::sync::mpsc::channel();
    let tell = move |problem: &Problem| told.send(problem.clone()).unwrap();
    let client = builder(&server).queue_in_memory().on_problem(tell).build().unwrap();
    for n in 0..3 {
        client.track(Track::new("e").property("n", n)).unwrap();
        assert!(client.flush(LONG).complete);
    }
    client.shutdown().unwrap();
    assert_eq!(problems.try_iter().collect::<Vec<_>>(), [Problem::Rejected("bad: no".into())], "once");
}
