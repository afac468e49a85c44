use super::*;
use crate::clock::SeededRandom;
use crate::queue::NewEvent;
use footpath_proto::v1::{DeliveryClass, Event};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    queue: Queue,
    delivery: Delivery,
    random: SeededRandom,
    now: Duration,
}

impl Bench {
    fn with(events: usize) -> Self {
        let random = SeededRandom::new(5);
        let mut queue = Queue::in_memory(&random).unwrap();
        let new: Vec<NewEvent> = (0..events)
            .map(|n| NewEvent {
                class: DeliveryClass::Normal,
                lane: 3,
                event: Event { name: format!("e{n}"), ..Event::default() },
            })
            .collect();
        queue.commit(&new, 1).unwrap();
        let context = Context::default();
        let settings =
            Settings { max_events: 8, max_bytes: 1 << 20, interval: SECOND, historical: false, context };
        let backoff = Backoff::new(SECOND, SECOND * 60);
        Self { queue, delivery: Delivery::new(settings, backoff, SECOND), random, now: SECOND }
    }

    fn next(&mut self) -> Next {
        let now = Now { mono: self.now, wall_us: 1_000_000, era: 1 };
        self.delivery.next(&self.queue, now, &self.random).unwrap()
    }

    fn sent(&mut self) -> IngestRequest {
        match self.next() {
            Next::Send(request) => *request,
            other => panic!("nothing was sent: {other:?}"),
        }
    }

    fn waits(&mut self) -> Duration {
        match self.next() {
            Next::WaitUntil(at) => at - self.now,
            other => panic!("no wait: {other:?}"),
        }
    }

    fn answer(&mut self, outcome: Result<IngestResponse, SendError>) -> Progress {
        self.delivery.on_answer(&mut self.queue, outcome, self.now, &self.random).unwrap()
    }
}

fn ack(request: &IngestRequest) -> IngestResponse {
    IngestResponse {
        batch_id: request.batch_id.clone(),
        stored: u32::try_from(request.events.len()).unwrap(),
        ..IngestResponse::default()
    }
}

fn refusal(index: u32, retryable: bool) -> Refusal {
    let retry_after = retryable.then_some(prost_types::Duration { seconds: 10, nanos: 0 });
    Refusal { index, retryable, retry_after, reason: "because".into(), ..Refusal::default() }
}

#[test]
fn an_answer_that_proves_nothing_is_no_ack_and_the_same_batch_goes_again() {
    let mut bench = Bench::with(3);
    let first = bench.sent();
    assert_eq!((first.events[0].number, first.events[2].number, first.events[0].lane), (1, 3, Some(3)));
    let wrong = [
        IngestResponse::default(),
        IngestResponse { batch_id: "another".into(), ..ack(&first) },
        IngestResponse { stored: 2, ..ack(&first) },
        IngestResponse { stored: 2, refused: vec![refusal(3, false)], ..ack(&first) },
        IngestResponse { stored: 1, refused: vec![refusal(1, false); 2], ..ack(&first) },
    ];
    for response in wrong {
        let progress = bench.answer(Ok(response));
        assert!(progress.error.is_some());
        assert_eq!((bench.queue.pending(), progress.stored), (3, 0));
        bench.now += SECOND * 120;
        let again = bench.sent();
        assert_eq!((&again.batch_id, &again.events), (&first.batch_id, &first.events));
        assert!(bench.delivery.is_resend());
    }
    assert_eq!(bench.answer(Ok(ack(&first))).stored, 3);
    assert_eq!(bench.queue.pending(), 0);
}

#[test]
fn waits_longer_with_every_failure_and_as_long_as_the_server_asks() {
    let mut bench = Bench::with(1);
    for n in 0..8u32 {
        bench.sent();
        bench.answer(Err(SendError::retry("down")));
        let wait = bench.waits();
        let full = (SECOND * (1 << n)).min(SECOND * 60);
        assert!(wait >= full / 2 && wait <= full, "failure {n}: {wait:?}");
        bench.now += wait;
    }
    let request = bench.sent();
    bench.answer(Err(SendError::Retry { message: "busy".into(), after: Some(SECOND * 500) }));
    assert_eq!(bench.waits(), SECOND * 500);
    bench.now += SECOND * 500;
    assert_eq!(bench.sent().batch_id, request.batch_id);
    bench.answer(Ok(ack(&request)));
    assert!(matches!(bench.next(), Next::Idle));
}

#[test]
fn takes_the_hints() {
    let mut bench = Bench::with(9);
    let first = bench.sent();
    assert_eq!(first.events.len(), 8);
    let min_interval = Some(prost_types::Duration { seconds: 7, nanos: 0 });
    let hints = Some(FlowHints { max_batch_events: 2, max_batch_bytes: 0, min_interval });
    bench.answer(Ok(IngestResponse { hints, ..ack(&first) }));
    assert_eq!(bench.waits(), SECOND * 7);
    bench
        .queue
        .commit(&vec![NewEvent { class: DeliveryClass::Normal, lane: 1, event: Event::default() }; 3], 1)
        .unwrap();
    bench.now += SECOND * 7;
    assert_eq!(bench.sent().events.len(), 2);
}

#[test]
fn a_refused_batch_is_cut_down_to_the_bad_events() {
    let mut bench = Bench::with(8);
    let mut stored = Vec::new();
    while bench.queue.pending() > 0 {
        let request = bench.sent();
        if request.events.iter().any(|event| event.number == 4 || event.number == 5) {
            bench.answer(Err(SendError::Refused("bad".into())));
        } else {
            stored.extend(request.events.iter().map(|event| event.number));
            bench.answer(Ok(ack(&request)));
        }
    }
    assert_eq!(stored, [1, 2, 3, 6, 7, 8]);
    // The numbers are explained even when no event follows.
    assert_eq!(bench.waits(), SECOND);
    bench.now += SECOND;
    let explained = bench.sent();
    assert!(explained.events.is_empty());
    let loss = &explained.losses[0];
    assert_eq!((loss.lane, loss.from, loss.to, loss.reason.as_str()), (3, 4, 5, "rejected"));
    bench.answer(Ok(ack(&explained)));
    assert!(bench.queue.losses(None).unwrap().is_empty());
    assert!(matches!(bench.next(), Next::Idle));
}

#[test]
fn losses_never_drag_events_down() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    bench.answer(Ok(IngestResponse { stored: 1, refused: vec![refusal(0, false)], ..ack(&first) }));
    bench
        .queue
        .commit(&vec![NewEvent { class: DeliveryClass::Normal, lane: 3, event: Event::default() }; 2], 1)
        .unwrap();
    bench.now += SECOND;
    let with_loss = bench.sent();
    assert_eq!((with_loss.events.len(), with_loss.losses.len()), (2, 1));
    bench.answer(Err(SendError::Refused("what losses?".into())));
    let without = bench.sent();
    assert_eq!((without.events.len(), without.losses.len()), (2, 0));
    assert_eq!(bench.answer(Ok(ack(&without))).stored, 2);
    bench.now += SECOND;
    assert_eq!(bench.sent().losses.len(), 1);
    bench.answer(Err(SendError::Refused("what losses?".into())));
    assert!(matches!(bench.next(), Next::Idle), "they are given up, nothing repeats for ever");
}

#[test]
fn a_retryable_refusal_comes_back_after_its_time_and_holds_nobody_up() {
    let mut bench = Bench::with(3);
    let first = bench.sent();
    bench.answer(Ok(IngestResponse { stored: 2, refused: vec![refusal(1, true)], ..ack(&first) }));
    assert_eq!(bench.queue.pending(), 1);
    bench
        .queue
        .commit(&[NewEvent { class: DeliveryClass::Normal, lane: 3, event: Event::default() }], 1)
        .unwrap();
    bench.now += SECOND;
    let second = bench.sent();
    assert_eq!(second.events.iter().map(|event| event.number).collect::<Vec<_>>(), [4]);
    bench.answer(Ok(ack(&second)));
    bench.now += SECOND * 2;
    let wait = bench.waits();
    bench.now += wait;
    let third = bench.sent();
    assert_eq!(third.events[0].number, 2);
    assert_ne!(third.batch_id, first.batch_id);
}

#[test]
fn a_denied_key_pauses_once_and_keeps_everything() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    let reason = PauseReason::Unauthenticated("who?".into());
    assert_eq!(bench.answer(Err(SendError::Denied(reason.clone()))).paused, Some(reason));
    bench.now += SECOND * 1_000;
    assert!(matches!(bench.next(), Next::Idle));
    bench.delivery.resume();
    assert_eq!(bench.sent().batch_id, first.batch_id);
}

#[test]
fn events_of_an_older_clock_era_carry_no_send_time() {
    let mut bench = Bench::with(1);
    let now = Now { mono: SECOND, wall_us: 5, era: 2 };
    let Next::Send(request) = bench.delivery.next(&bench.queue, now, &bench.random).unwrap() else {
        panic!()
    };
    assert_eq!((request.sent_at, request.clock_era.as_str()), (None, "0000000000000001"));
}
