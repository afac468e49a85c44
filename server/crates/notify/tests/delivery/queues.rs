//! Queues: order, pauses, and that nobody waits for somebody else's receiver.

use std::sync::Arc;
use std::time::Duration;

use footpath_notify::{Backoff, DeliveryState, Enqueue as _, Notice, NoticeKind, Settings};

use crate::receiver::{Receiver, answer};
use crate::{Setup, notice, now_us, settings};

#[tokio::test]
async fn a_dead_destination_slows_nobody() {
    let (good, hanging) = (Receiver::good().await, Receiver::start(|_| None).await);
    let setup = Setup::new(&settings());
    setup.put("good", &good.url());
    setup.put("hanging", &hanging.url());
    for id in 0..100 {
        setup.tell("hanging", &notice(&id.to_string()));
        setup.tell("good", &notice(&id.to_string()));
    }
    let started_us = now_us();
    let rows = setup.settled("good").await;
    assert!(now_us() - started_us < 5_000_000);
    assert!(rows.iter().all(|row| row.state == DeliveryState::Delivered && row.attempt_count == 1));
    assert_eq!(good.ids(), (0..100).map(|id| id.to_string()).collect::<Vec<_>>());
    assert!(hanging.seen().len() < 20);
    setup.deliverer.stop().await;
}

#[tokio::test]
async fn a_broken_receiver_gets_it_when_it_is_mended_and_in_order() {
    let receiver = Receiver::start(|number| {
        Some(if number < 3 {
            answer("500 Internal Server Error", "", "oh")
        } else {
            answer("202 Accepted", "", "")
        })
    });
    let receiver = receiver.await;
    let setup = Setup::new(&settings());
    setup.put("d", &receiver.url());
    setup.tell("d", &notice("first"));
    setup.tell("d", &notice("second"));
    let rows = setup.settled("d").await;
    assert_eq!(receiver.ids(), ["first", "first", "first", "first", "second"]);
    let outcomes: Vec<_> =
        rows[1].attempts.iter().map(|attempt| (attempt.status, attempt.outcome.as_str())).collect();
    let broken = (Some(500), "answered 500 Internal Server Error: oh");
    assert_eq!(outcomes, [broken, broken, broken, (Some(202), "answered 202 Accepted")]);
    let counts = setup.deliverer.counters().all()[0];
    assert_eq!((counts.kind, counts.attempts, counts.delivered, counts.failed), ("webhook", 5, 2, 0));
}

#[tokio::test]
async fn what_the_receiver_refuses_is_not_tried_again() {
    let receiver = Receiver::start(|_| Some(answer("410 Gone", "", ""))).await;
    let setup = Setup::new(&settings());
    setup.put("d", &receiver.url());
    setup.tell("d", &notice("1"));
    let rows = setup.settled("d").await;
    assert_eq!((rows[0].state, rows[0].attempt_count), (DeliveryState::Failed, 1));
}

#[tokio::test]
async fn retry_after_is_heard() {
    let receiver = Receiver::start(|number| {
        Some(if number == 0 {
            answer("429 Too Many Requests", "Retry-After: 1\r\n", "")
        } else {
            answer("200 OK", "", "")
        })
    });
    let receiver = receiver.await;
    let backoff = Backoff { most: Duration::from_secs(5), ..settings().backoff };
    let setup = Setup::new(&Settings { backoff, ..settings() });
    setup.put("d", &receiver.url());
    setup.tell("d", &notice("1"));
    let rows = setup.settled("d").await;
    let times: Vec<_> = rows[0].attempts.iter().map(|attempt| attempt.at_us).collect();
    assert!(times[1] - times[0] >= 1_000_000, "{times:?}");
}

#[tokio::test]
async fn what_is_too_old_is_given_up_and_its_end_is_not_told() {
    let setup = Setup::new(&Settings {
        backoff: Backoff { give_up: Duration::from_millis(50), ..settings().backoff },
        ..settings()
    });
    let receiver = Receiver::start(|number| {
        Some(if number < 2 { answer("503 Busy", "", "") } else { answer("200 OK", "", "") })
    })
    .await;
    let old_us = now_us() - 3_600_000_000;
    setup.outbox.enqueue("d", &notice("opened"), old_us).unwrap();
    setup
        .outbox
        .enqueue("d", &Notice { kind: NoticeKind::Acknowledged, ..notice("acknowledged") }, old_us)
        .unwrap();
    setup
        .outbox
        .enqueue("d", &Notice { kind: NoticeKind::Escalated, ..notice("escalated") }, old_us)
        .unwrap();
    setup.outbox.enqueue("d", &Notice { kind: NoticeKind::Resolved, ..notice("resolved") }, old_us).unwrap();
    setup.outbox.enqueue("d", &Notice { incident: "other".into(), ..notice("other") }, old_us).unwrap();
    setup.put("d", &receiver.url());
    let rows = setup.settled("d").await;
    assert_eq!(receiver.ids(), ["opened", "escalated", "other"]);
    let words = |row: usize| rows[row].attempts[0].outcome.clone();
    assert!(words(3).starts_with("not sent") && words(1).starts_with("not sent"), "{rows:?}");
    assert_eq!(setup.deliverer.counters().all()[0].failed, 4);
}

#[tokio::test]
async fn a_new_deliverer_goes_on_where_the_outbox_says() {
    let receiver = Receiver::start(|number| {
        Some(if number == 0 { answer("503 Busy", "", "") } else { answer("200 OK", "", "") })
    })
    .await;
    let slow = Settings {
        backoff: Backoff {
            first: Duration::from_secs(2),
            most: Duration::from_secs(2),
            ..settings().backoff
        },
        ..settings()
    };
    let before = Setup::new(&slow);
    before.put("d", &receiver.url());
    before.tell("d", &notice("1"));
    before.tell("d", &notice("2"));
    while before.rows("d")[1].attempt_count == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    before.deliverer.stop().await;
    let due_us = before.rows("d")[1].next_attempt_us;
    let after = Setup::over(&slow, Arc::clone(&before.outbox));
    after.put("d", &receiver.url());
    let rows = after.settled("d").await;
    assert!(rows[1].attempts[1].at_us >= due_us - 2_000, "not before its time");
    assert_eq!(receiver.ids(), ["1", "1", "2"]);
}

#[tokio::test]
async fn a_corrected_destination_is_tried_at_once() {
    let (broken, good) =
        (Receiver::start(|_| Some(answer("503 Busy", "", ""))).await, Receiver::good().await);
    let slow = Backoff {
        first: Duration::from_secs(600),
        most: Duration::from_secs(600),
        give_up: Duration::from_secs(6_000),
    };
    let setup = Setup::new(&Settings { backoff: slow, ..settings() });
    setup.put("d", &broken.url());
    setup.tell("d", &notice("1"));
    while setup.rows("d")[0].attempt_count == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    setup.put("d", &good.url());
    assert_eq!(setup.settled("d").await[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn what_waits_for_a_deleted_destination_fails() {
    let receiver = Receiver::start(|_| None).await;
    let setup = Setup::new(&settings());
    setup.put("d", &receiver.url());
    setup.tell("d", &notice("1"));
    setup.tell("d", &notice("2"));
    assert_eq!(setup.deliverer.remove("shop", "d").await.unwrap(), 2);
    assert!(setup.rows("d").iter().all(|row| row.state == DeliveryState::Failed));
}

#[tokio::test]
async fn stopping_records_the_attempt_under_way() {
    let receiver = Receiver::start(|_| None).await;
    let setup = Setup::new(&settings());
    setup.put("d", &receiver.url());
    setup.tell("d", &notice("1"));
    while receiver.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    setup.deliverer.stop().await;
    let rows = setup.rows("d");
    assert_eq!((rows[0].state, rows[0].attempt_count), (DeliveryState::Pending, 1));
}
