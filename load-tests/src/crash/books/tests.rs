use super::*;

/// Books with one batch: two good events and one without an actor.
fn books() -> Books {
    let entry = |key: u64, anonymous: &str| Entry {
        key,
        id: format!("id-{key}"),
        name: "view",
        anonymous: anonymous.to_owned(),
        time_s: 7,
        ..Entry::default()
    };
    let mut books = Books::default();
    books.enter("b".to_owned(), vec![entry(1, "a"), entry(2, "a"), entry(3, "")]);
    books
}

fn answer(stored: u32, duplicates: u32) -> v1::IngestResponse {
    let refusal = v1::Refusal { index: 2, reason: "actor_missing".to_owned(), ..v1::Refusal::default() };
    v1::IngestResponse {
        batch_id: "b".to_owned(),
        stored,
        duplicates,
        refused: vec![refusal],
        ..v1::IngestResponse::default()
    }
}

fn stored(key: u64) -> v1::StoredEvent {
    let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(key as f64)) };
    v1::StoredEvent {
        id: format!("id-{key}"),
        name: "view".to_owned(),
        anonymous_id: "a".to_owned(),
        time: Some(prost_types::Timestamp { seconds: 7, nanos: 0 }),
        properties: Some(prost_types::Struct { fields: [(KEY.to_owned(), number)].into() }),
        ..v1::StoredEvent::default()
    }
}

fn fault<T>(found: anyhow::Result<T>) -> String {
    found.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn an_answer_has_to_name_exactly_what_is_stored_as_duplicates() {
    let mut books = books();
    assert!(books.answered(0, &answer(2, 0)).unwrap());
    assert!(fault(books.answered(0, &answer(2, 0))).contains("2 of 3 were stored before"));
    assert!(books.answered(0, &answer(0, 2)).unwrap());
    assert_eq!(books.acked(), 2);
}

#[test]
fn after_an_attempt_without_an_answer_more_may_be_duplicates_until_the_disk_was_looked_at() {
    let mut books = books();
    assert!(fault(books.answered(0, &answer(1, 1))).contains("0 of 3 were stored before"));
    let mut books = self::books();
    books.unanswered(0);
    assert!(books.answered(0, &answer(1, 1)).is_ok());
    let mut books = self::books();
    books.unanswered(0);
    books.compare(&[stored(1)], false).unwrap();
    books.sending(0);
    assert!(books.answered(0, &answer(0, 2)).is_err());
    let mut books = self::books();
    books.unanswered(0);
    books.compare(&[stored(1)], false).unwrap();
    books.sending(0);
    assert!(books.answered(0, &answer(1, 1)).is_ok());
}

#[test]
fn a_killed_servers_last_answer_may_be_read_after_its_disk_was_looked_at() {
    let mut books = books();
    books.sending(0);
    books.compare(&[stored(1), stored(2)], false).unwrap();
    assert!(books.answered(0, &answer(2, 0)).unwrap(), "it was stored once, by the killed server");
    books.sending(0);
    assert!(fault(books.answered(0, &answer(2, 0))).contains("2 of 3 were stored before"));
}

#[test]
fn answers_of_two_copies_may_come_in_either_order() {
    let mut books = books();
    books.racing(0, true);
    assert!(books.answered(0, &answer(0, 2)).is_ok());
    assert!(books.answered(0, &answer(2, 0)).is_ok());
}

#[test]
fn every_event_has_an_outcome_and_only_bad_ones_are_refused() {
    assert!(fault(books().answered(0, &answer(1, 0))).contains("2 outcomes"));
    let mut all = answer(3, 0);
    all.refused.clear();
    assert!(fault(books().answered(0, &all)).contains("stored without an actor"));
    let mut wrong = answer(2, 0);
    wrong.refused[0].index = 0;
    assert!(fault(books().answered(0, &wrong)).contains("was refused"));
}

#[test]
fn the_disk_holds_each_event_once_as_it_was_sent() {
    let acked = || {
        let mut books = books();
        books.answered(0, &answer(2, 0)).unwrap();
        books
    };
    assert!(acked().compare(&[stored(1), stored(2)], true).is_ok());
    assert!(fault(acked().compare(&[stored(1)], false)).contains("was acknowledged and is not stored"));
    assert!(fault(acked().compare(&[stored(1), stored(2), stored(1)], true)).contains("stored twice"));
    assert!(fault(acked().compare(&[stored(1), stored(2), stored(4)], true)).contains("never sent"));
    assert!(fault(acked().compare(&[stored(1), stored(2), stored(3)], true)).contains("without an actor"));
    let changed = v1::StoredEvent { name: "pay".to_owned(), ..stored(2) };
    assert!(fault(acked().compare(&[stored(1), changed], true)).contains("was changed"));
}

#[test]
fn what_nobody_acknowledged_may_be_missing_only_while_senders_are_left() {
    assert!(books().compare(&[], false).is_ok());
    assert!(fault(books().compare(&[], true)).contains("no sender is left"));
}
