use footpath_proto::v1::IngestRequest;

use super::*;
use crate::clock::ManualClock;
use crate::queue::tests::{Bench as QueueBench, most};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    of: QueueBench,
    delivery: Delivery,
    clock: ManualClock,
}

impl Bench {
    fn with(events: usize) -> Self {
        let mut of = QueueBench::new(None);
        let names: Vec<String> = (0..events).map(|n| format!("e{n}")).collect();
        of.put(2, 3, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let clock = ManualClock::at(1_000_000);
        let settings = Settings {
            project: "demo".into(),
            max_events: 8,
            max_bytes: 1 << 20,
            interval: SECOND,
            historical: false,
            context: Context::default(),
            saving_bytes_per_hour: 1_000,
        };
        let delivery = Delivery::new(settings, Backoff::new(SECOND, SECOND * 60), clock.continuous());
        Self { of, delivery, clock }
    }

    fn next(&mut self) -> Next {
        self.delivery.next(&mut self.of.queue, &self.clock, &self.of.random).unwrap()
    }

    fn sent(&mut self) -> IngestRequest {
        match self.next() {
            Next::Send(request) => IngestRequest::decode(&*request.body).unwrap(),
            other => panic!("nothing was sent: {other:?}"),
        }
    }

    fn detach(&mut self, id: &str) -> bool {
        self.delivery.detach(&self.of.queue, id, self.clock.continuous()).unwrap()
    }

    /// The same queue in the next run.
    fn restarted(self) -> Self {
        let now = self.clock.continuous();
        let settings = self.delivery.settings.clone();
        let mut delivery = Delivery::new(settings, Backoff::new(SECOND, SECOND * 60), now);
        delivery.recall(&self.of.queue, now).unwrap();
        Self { delivery, ..self }
    }

    fn waits(&mut self) -> Duration {
        match self.next() {
            Next::WaitUntil(at) => at - self.clock.continuous(),
            other => panic!("no wait: {other:?}"),
        }
    }

    fn report(&mut self, request: &IngestRequest, outcome: Outcome) -> Progress {
        let id = &request.batch_id;
        self.delivery.report(&mut self.of.queue, id, outcome, &self.clock, &self.of.random).unwrap()
    }

    fn answer(&mut self, request: &IngestRequest, response: IngestResponse) -> Progress {
        self.report(request, Outcome::Answered(Box::new(response)))
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
        IngestResponse { privacy_requests: 1, ..ack(&first) },
    ];
    for response in wrong {
        let progress = bench.answer(&first, response);
        assert!(progress.error.is_some());
        assert_eq!((bench.of.queue.pending(), progress.stored), (3, 0));
        bench.clock.advance(SECOND * 120);
        let again = bench.sent();
        assert_eq!((&again.batch_id, &again.events), (&first.batch_id, &first.events));
    }
    assert_eq!(bench.answer(&first, ack(&first)).stored, 3);
    assert_eq!(bench.of.queue.pending(), 0);
    assert_eq!(bench.answer(&first, ack(&first)), Progress::default(), "it has ended");
}

#[test]
fn waits_longer_with_every_failure_and_as_long_as_the_server_asks() {
    let mut bench = Bench::with(1);
    for n in 0..8u32 {
        let request = bench.sent();
        bench.report(&request, Outcome::retry("down"));
        let wait = bench.waits();
        let full = (SECOND * (1 << n)).min(SECOND * 60);
        assert!(wait >= full / 2 && wait <= full, "failure {n}: {wait:?}");
        bench.clock.advance(wait);
    }
    let request = bench.sent();
    bench.report(&request, Outcome::Retry { message: "busy".into(), after: Some(SECOND * 500) });
    assert_eq!(bench.waits(), SECOND * 500);
    bench.clock.advance(SECOND * 500);
    assert_eq!(bench.sent().batch_id, request.batch_id);
    bench.answer(&request, ack(&request));
    assert_eq!(bench.next(), Next::Idle);
}

#[test]
fn takes_the_hints() {
    let mut bench = Bench::with(9);
    let first = bench.sent();
    assert_eq!(first.events.len(), 8);
    let min_interval = Some(prost_types::Duration { seconds: 7, nanos: 0 });
    let hints = Some(FlowHints { max_batch_events: 2, max_batch_bytes: 0, min_interval });
    bench.answer(&first, IngestResponse { hints, ..ack(&first) });
    assert_eq!(bench.waits(), SECOND * 7);
    bench.of.put(2, 1, &["a", "b", "c"]);
    bench.clock.advance(SECOND * 7);
    assert_eq!(bench.sent().events.len(), 2);
}

#[test]
fn a_refused_batch_is_cut_down_to_the_bad_events() {
    let mut bench = Bench::with(8);
    let mut stored = Vec::new();
    while bench.of.queue.pending() > 0 {
        let request = bench.sent();
        if request.events.iter().any(|event| event.number == 4 || event.number == 5) {
            bench.report(&request, Outcome::Refused("bad".into()));
        } else {
            stored.extend(request.events.iter().map(|event| event.number));
            bench.answer(&request, ack(&request));
        }
    }
    assert_eq!(stored, [1, 2, 3, 6, 7, 8]);
    // The numbers are explained even when no event follows.
    assert_eq!(bench.waits(), SECOND);
    bench.clock.advance(SECOND);
    let explained = bench.sent();
    assert!(explained.events.is_empty());
    let loss = &explained.losses[0];
    assert_eq!((loss.lane, loss.from, loss.to, loss.reason.as_str()), (3, 4, 5, "rejected"));
    bench.answer(&explained, ack(&explained));
    assert!(bench.of.queue.losses(None).unwrap().is_empty());
    assert_eq!(bench.next(), Next::Idle);
}

#[test]
fn losses_never_drag_events_down() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    bench.answer(&first, IngestResponse { stored: 1, refused: vec![refusal(0, false)], ..ack(&first) });
    bench.of.put(2, 3, &["a", "b"]);
    bench.clock.advance(SECOND);
    let with_loss = bench.sent();
    assert_eq!((with_loss.events.len(), with_loss.losses.len()), (2, 1));
    bench.report(&with_loss, Outcome::Refused("what losses?".into()));
    let without = bench.sent();
    assert_eq!((without.events.len(), without.losses.len()), (2, 0));
    assert_eq!(bench.answer(&without, ack(&without)).stored, 2);
    bench.clock.advance(SECOND);
    let alone = bench.sent();
    assert_eq!(alone.losses.len(), 1);
    bench.report(&alone, Outcome::Refused("what losses?".into()));
    assert_eq!(bench.next(), Next::Idle, "they are given up, nothing repeats for ever");
}

#[test]
fn a_retryable_refusal_comes_back_after_its_time_and_holds_nobody_up() {
    let mut bench = Bench::with(3);
    let first = bench.sent();
    bench.answer(&first, IngestResponse { stored: 2, refused: vec![refusal(1, true)], ..ack(&first) });
    assert_eq!(bench.of.queue.pending(), 1);
    bench.of.put(2, 3, &["a"]);
    bench.clock.advance(SECOND);
    let second = bench.sent();
    assert_eq!(second.events.iter().map(|event| event.number).collect::<Vec<_>>(), [4]);
    bench.answer(&second, ack(&second));
    bench.clock.advance(SECOND * 2);
    let wait = bench.waits();
    bench.clock.advance(wait);
    let third = bench.sent();
    assert_eq!(third.events[0].number, 2);
    assert_ne!(third.batch_id, first.batch_id);
}

#[test]
fn a_denied_key_pauses_once_and_keeps_everything() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    let reason = PauseReason::Unauthenticated("who?".into());
    assert_eq!(bench.report(&first, Outcome::Denied(reason.clone())).paused, Some(reason));
    bench.clock.advance(SECOND * 1_000);
    assert_eq!(bench.next(), Next::Idle);
    bench.delivery.resume(bench.clock.continuous());
    assert_eq!(bench.sent().batch_id, first.batch_id);
}

#[test]
fn an_older_clock_era_says_what_its_clock_would_show() {
    let mut bench = Bench::with(1);
    // The era's clock was as many microseconds ahead of the continuous one as its base says: none.
    bench.clock.advance(SECOND * 100);
    bench.clock.jump(1_000_000_000_000);
    let request = bench.sent();
    let us = request.sent_at.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000);
    assert_eq!(us, Some(crate::clock::micros(bench.clock.continuous())));
    assert_eq!(request.clock_era, "0000000000000001");
}

#[test]
fn a_link_that_breaks_gets_smaller_batches_of_the_same_events() {
    let mut bench = Bench::with(0);
    let long = "x".repeat(3_000);
    bench.of.put(2, 3, &[&*long; 8]);
    let first = bench.sent();
    assert_eq!(first.events.len(), 8);
    bench.report(&first, Outcome::Broken("stalled".into()));
    let wait = bench.waits();
    bench.clock.advance(wait);
    let half = bench.sent();
    assert_eq!(half.events, first.events[..4]);
    assert_ne!(half.batch_id, first.batch_id);
    bench.answer(&half, ack(&half));
    let other = bench.sent();
    assert_eq!(other.events, first.events[4..]);
}

#[test]
fn saving_waits_for_everything_but_critical_events() {
    let mut bench = Bench::with(0);
    bench.delivery.save_data(true, bench.clock.continuous());
    bench.of.put(2, 3, &[&"x".repeat(5_000)]);
    let first = bench.sent();
    bench.answer(&first, ack(&first));
    bench.of.put(2, 3, &["small"]);
    bench.delivery.on_stored(false, bench.clock.continuous());
    bench.clock.advance(SECOND);
    let wait = bench.waits();
    assert!(wait > SECOND * 3_600, "{wait:?}");
    bench.of.put(1, 3, &["paid"]);
    bench.delivery.on_stored(true, bench.clock.continuous());
    let second = bench.sent();
    assert_eq!(second.events.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["paid"]);
}

#[test]
fn a_network_that_is_back_ends_a_wait_and_no_pause() {
    let mut bench = Bench::with(1);
    let first = bench.sent();
    bench.report(&first, Outcome::retry("no network"));
    bench.waits();
    bench.delivery.try_now(bench.clock.continuous());
    let again = bench.sent();
    bench.report(&again, Outcome::Denied(PauseReason::Unauthenticated("no".into())));
    bench.delivery.try_now(bench.clock.continuous());
    assert_eq!(bench.next(), Next::Idle);
}

#[test]
fn no_word_makes_it_wait_for_ever() {
    let mut bench = Bench::with(3);
    let request = bench.sent();
    bench.report(&request, Outcome::Retry { message: "a proxy".into(), after: Some(Duration::MAX) });
    assert_eq!(bench.waits(), MAX_WAIT);
    bench.clock.advance(MAX_WAIT);
    let request = bench.sent();
    let for_ever = Some(prost_types::Duration { seconds: i64::MAX, nanos: 0 });
    let refused = Refusal { retry_after: for_ever, ..refusal(0, true) };
    let hints = Some(FlowHints { min_interval: for_ever, ..FlowHints::default() });
    bench.answer(&request, IngestResponse { stored: 2, refused: vec![refused], hints, ..ack(&request) });
    assert_eq!(bench.waits(), MAX_WAIT);
    bench.clock.advance(MAX_WAIT);
    assert_eq!(bench.sent().events.len(), 1);
}

#[test]
fn a_batch_that_was_given_away_is_answered_in_a_later_run() {
    let mut bench = Bench::with(10);
    let first = bench.sent();
    let id = first.batch_id.clone();
    assert!(bench.detach(&id));
    assert!(!bench.detach(&id), "it is not out any more");
    // The next batch goes out meanwhile, and nothing of the first one.
    let second = bench.sent();
    assert_eq!((first.events.len(), second.events.len()), (8, 2));
    assert_eq!(bench.answer(&second, ack(&second)).stored, 2);
    assert!(matches!(bench.next(), Next::WaitUntil(_)));

    let mut later = bench.restarted();
    assert!(matches!(later.next(), Next::WaitUntil(_)), "it is waited for");
    let refused = IngestResponse { stored: 7, refused: vec![refusal(3, false)], ..ack(&first) };
    let progress = later.answer(&first, refused);
    assert_eq!((progress.stored, progress.rejected, later.of.queue.pending()), (7, 1, 0));
    let losses = later.of.queue.losses(None).unwrap();
    assert_eq!((losses[0].range.from, losses[0].range.to), (4, 4));
    assert_eq!(later.answer(&first, ack(&first)), Progress::default(), "it is answered once");
}

#[test]
fn a_batch_that_was_given_away_and_is_lost_goes_out_again() {
    let mut bench = Bench::with(3);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    bench.report(&first, Outcome::Broken("the system gave up".into()));
    bench.clock.advance(SECOND * 2);
    let second = bench.sent();
    assert_eq!(second.events, first.events);
    assert!(bench.detach(&second.batch_id));

    let mut later = bench.restarted();
    let now = later.clock.continuous();
    later.delivery.keep(&later.of.queue, std::slice::from_ref(&second.batch_id), now).unwrap();
    assert!(matches!(later.next(), Next::WaitUntil(_)));
    later.delivery.keep(&later.of.queue, &[], now).unwrap();
    let third = later.sent();
    assert_eq!(third.events, first.events);
    assert_eq!(later.answer(&second, ack(&second)), Progress::default(), "nobody waits for it any more");
    assert_eq!(later.answer(&third, ack(&third)).stored, 3);
    assert_eq!(later.of.queue.detached().unwrap(), []);
}

#[test]
fn an_answer_to_what_was_sent_again_meanwhile_takes_only_the_rest() {
    let mut bench = Bench::with(4);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    bench.clock.advance(SECOND * 60 * 60 * 25);
    let again = bench.sent();
    bench.answer(&again, ack(&again));
    let late = IngestResponse { stored: 3, refused: vec![refusal(0, false)], ..ack(&first) };
    bench.answer(&first, late);
    assert_eq!((bench.of.queue.pending(), bench.of.queue.losses(None).unwrap()), (0, vec![]));
}

#[test]
fn what_rides_along_with_a_batch_that_was_given_away_is_told_once() {
    let mut bench = Bench::with(1);
    let losing = bench.of.queue.gather(|_, _, _| false, most(1, usize::MAX)).unwrap();
    let lost = Fate::Lost { word: "rejected", why: "x".into() };
    bench.of.queue.settle(&losing, &[(0, lost)], &[], &[], &bench.of.random).unwrap();
    let first = bench.sent();
    assert_eq!((first.events.len(), first.losses.len()), (0, 1));
    assert!(bench.detach(&first.batch_id));
    assert_eq!(bench.next(), Next::Idle, "it is on its way");

    let mut later = bench.restarted();
    assert_eq!(later.next(), Next::Idle);
    later.answer(&first, ack(&first));
    assert_eq!(later.of.queue.losses(None).unwrap(), []);
}

#[test]
fn a_batch_that_was_given_away_and_is_refused_is_cut() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    bench.report(&first, Outcome::Refused("one of them".into()));
    let half = bench.sent();
    assert_eq!(half.events.len(), 1);
    assert!(bench.detach(&half.batch_id));
    assert_eq!(bench.report(&half, Outcome::Refused("this one".into())).rejected, 1);
    let other = bench.sent();
    assert_eq!(other.events, first.events[1..]);
}

#[test]
fn a_batch_that_was_given_away_and_failed_waits_as_any_other() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    bench.report(&first, Outcome::Retry { message: "busy".into(), after: Some(SECOND * 30) });
    assert!(bench.waits() >= SECOND * 30);
}

#[test]
fn what_was_destroyed_while_it_was_out_is_not_sent_again() {
    for outcome in [Outcome::retry("x"), Outcome::Broken("x".into()), Outcome::Refused("x".into())] {
        let mut bench = Bench::with(2);
        let first = bench.sent();
        bench.delivery.discard();
        bench.of.queue.destroy("").unwrap();
        bench.report(&first, outcome);
        bench.clock.advance(SECOND * 60);
        match bench.next() {
            Next::Send(request) => {
                let sent = IngestRequest::decode(&*request.body).unwrap();
                assert_eq!((sent.events.len(), sent.losses.len()), (0, 1));
            }
            other => panic!("the losses are not told: {other:?}"),
        }
    }
}

#[test]
fn the_parts_of_a_batch_that_was_given_away_keep_its_clock() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    bench.report(&first, Outcome::Refused("one of them".into()));
    let half = bench.sent();
    assert_eq!(half.sent_at.is_some(), first.sent_at.is_some());
    assert_eq!((&half.clock_era, first.clock_era.is_empty()), (&first.clock_era, false));
}

#[test]
fn what_was_given_away_does_not_hurry_what_comes_later() {
    let mut bench = Bench::with(2);
    let first = bench.sent();
    assert!(bench.detach(&first.batch_id));
    let last = bench.of.queue.last_block().unwrap();
    bench.delivery.force(last);
    bench.next();
    bench.of.put(2, 3, &["later"]);
    bench.delivery.on_stored(false, bench.clock.continuous());
    assert_eq!(bench.waits(), SECOND);
}

#[test]
fn a_wish_that_is_refused_holds_nobody_up() {
    let mut bench = Bench::with(1);
    bench.of.wish("w");
    let together = bench.sent();
    assert_eq!((together.events.len(), together.privacy_requests.len()), (1, 1));
    bench.report(&together, Outcome::Refused("no".into()));
    let events = bench.sent();
    bench.answer(&events, ack(&events));
    bench.clock.advance(SECOND);
    let alone = bench.sent();
    assert_eq!((alone.events.len(), alone.privacy_requests.len()), (0, 1));
    bench.report(&alone, Outcome::Refused("no".into()));
    bench.of.put(2, 3, &["later"]);
    bench.delivery.on_stored(true, bench.clock.continuous());
    let later = bench.sent();
    assert_eq!((later.events.len(), later.privacy_requests.len()), (1, 0));
    bench.answer(&later, ack(&later));
    let wait = bench.waits();
    assert_eq!(wait, MAX_WAIT, "it is tried again, but not soon");
    bench.clock.advance(wait);
    assert_eq!(bench.sent().privacy_requests.len(), 1);
}

#[test]
fn what_the_application_holds_stays_held_with_another_key() {
    let mut bench = Bench::with(1);
    let first = bench.sent();
    bench.delivery.hold();
    let no = PauseReason::Unauthenticated("no".into());
    bench.report(&first, Outcome::Denied(no.clone()));
    assert_eq!(bench.delivery.paused(), Some(&no));
    bench.delivery.renew(bench.clock.continuous());
    assert_eq!((bench.next(), bench.delivery.paused()), (Next::Idle, Some(&PauseReason::Held)));
    bench.delivery.resume(bench.clock.continuous());
    bench.sent();
}

#[test]
fn who_is_to_be_asked_again_stops_what_was_formed() {
    let mut bench = Bench::with(4);
    let first = bench.sent();
    bench.report(&first, Outcome::retry("no network"));
    bench.delivery.wait_for_consent(true, bench.clock.continuous());
    bench.clock.advance(SECOND * 1_000);
    assert_eq!(bench.next(), Next::Idle);
    bench.delivery.wait_for_consent(false, bench.clock.continuous());
    assert_eq!(bench.sent().events, first.events);
}

#[test]
fn a_word_about_the_key_before_says_nothing_about_this_one() {
    let mut bench = Bench::with(1);
    let first = bench.sent();
    bench.delivery.renew(bench.clock.continuous());
    let no = Outcome::Denied(PauseReason::Unauthenticated("no".into()));
    assert_eq!(bench.report(&first, no).paused, None);
    let wait = bench.waits();
    bench.clock.advance(wait);
    assert_eq!(bench.sent().events, first.events);
}

#[test]
fn losses_are_told_when_a_wish_beside_them_is_refused() {
    let mut bench = Bench::with(3);
    let first = bench.sent();
    bench.answer(&first, IngestResponse { stored: 2, refused: vec![refusal(1, false)], ..ack(&first) });
    bench.of.wish("w");
    bench.clock.advance(SECOND);
    let both = bench.sent();
    assert_eq!((both.events.len(), both.losses.len(), both.privacy_requests.len()), (0, 1, 1));
    bench.report(&both, Outcome::Refused("the wish".into()));
    bench.clock.advance(SECOND);
    let losses = bench.sent();
    assert_eq!((losses.events.len(), losses.losses.len(), losses.privacy_requests.len()), (0, 1, 0));
}

#[test]
fn what_was_given_away_makes_no_batch_full() {
    let mut bench = Bench::with(0);
    bench.delivery.settings.max_bytes = 10_000;
    bench.of.put(2, 3, &[&"x".repeat(9_900)]);
    let away = bench.sent();
    assert!(bench.detach(&away.batch_id));
    bench.of.put(2, 3, &["small"]);
    bench.delivery.due_at = None;
    bench.delivery.on_stored(false, bench.clock.continuous());
    assert_eq!(bench.waits(), SECOND, "it waits for company");
}
