//! The suite that every [`Outbox`](crate::Outbox) passes. `run` takes an empty one.

use crate::Enqueue;
use crate::{
    Attempt, Completeness, Delivery, DeliveryState, KEPT_ATTEMPTS, Listing, Next, Notice, NoticeKind,
    OutboxError, Severity, Window,
};

/// Runs all of it.
///
/// # Errors
/// What the outbox returned where it should not have.
///
/// # Panics
/// Where a law is broken.
pub fn run(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    keeps_order(outbox)?;
    holds_a_notice_once(outbox)?;
    keeps_projects_apart(outbox)?;
    settles_once(outbox)?;
    keeps_the_last_attempts(outbox)?;
    abandons_what_is_pending(outbox)?;
    pages_newest_first(outbox)
}

/// A notice with this id and incident, for tests of an outbox.
pub fn notice(project: &str, id: &str, incident: &str) -> Notice {
    Notice {
        id: id.into(),
        kind: NoticeKind::Opened,
        project: project.into(),
        environment: "prod".into(),
        incident: incident.into(),
        rule: "checkout".into(),
        title: "Checkout rate".into(),
        series: None,
        severity: Severity::Warning,
        summary: "Checkout rate fell".into(),
        what: "fell".into(),
        condition: "below the band for 10 min".into(),
        value: Some(1.5),
        expected: Some(3.0),
        low: Some(2.5),
        high: None,
        unit: Some("%".into()),
        window: Window { from_us: 0, to_us: 600_000_000 },
        completeness: Completeness::default(),
        drivers: Vec::new(),
        annotations: Vec::new(),
        owner: "web".into(),
        runbook: String::new(),
        link: String::new(),
        opened_us: 600_000_000,
        at_us: 600_000_000,
        p_value: None,
        channel: None,
    }
}

fn attempt(at_us: i64) -> Attempt {
    Attempt { at_us, outcome: "answered 503".into(), status: Some(503), took_us: 7 }
}

fn head_id(outbox: &dyn Enqueue, project: &str) -> Result<Option<u64>, OutboxError> {
    Ok(outbox.head(project, "d")?.map(|row| row.id))
}

fn all(outbox: &dyn Enqueue, project: &str) -> Result<Vec<Delivery>, OutboxError> {
    outbox.list(&Listing { project: project.into(), most: 100, ..Listing::default() })
}

fn keeps_order(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let first = outbox.enqueue("d", &notice("order", "1", "i"), 50)?;
    let second = outbox.enqueue("d", &notice("order", "2", "i"), 40)?;
    assert!(first < second, "ids grow in the order of enqueuing");
    let head = outbox.head("order", "d")?;
    assert_eq!(
        head,
        Some(Delivery::new(first, "d", &notice("order", "1", "i"), 50)),
        "the oldest is the head, whole"
    );
    outbox.record(first, &attempt(60), Next::Again(1_000))?;
    assert_eq!(head_id(outbox, "order")?, Some(first), "what is tried again stays ahead of what came later");
    outbox.record(first, &attempt(1_000), Next::Delivered)?;
    assert_eq!(head_id(outbox, "order")?, Some(second), "what is delivered makes way");
    outbox.record(second, &attempt(1_001), Next::Failed)?;
    assert_eq!(head_id(outbox, "order")?, None, "what has failed makes way");
    Ok(())
}

fn holds_a_notice_once(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let id = outbox.enqueue("d", &notice("once", "1", "i"), 1)?;
    outbox.record(id, &attempt(2), Next::Delivered)?;
    assert_eq!(outbox.enqueue("d", &notice("once", "1", "i"), 3)?, id, "the same notice is the same row");
    assert_eq!(head_id(outbox, "once")?, None, "and is not pending again");
    assert_ne!(outbox.enqueue("e", &notice("once", "1", "i"), 3)?, id, "another destination has its own");
    Ok(())
}

fn keeps_projects_apart(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let a = outbox.enqueue("d", &notice("apart-a", "1", "i"), 1)?;
    let b = outbox.enqueue("d", &notice("apart-b", "1", "i"), 1)?;
    assert_ne!(a, b, "projects do not share notices");
    outbox.record(a, &attempt(2), Next::Delivered)?;
    assert_eq!(head_id(outbox, "apart-b")?, Some(b), "nor destinations");
    assert_eq!(all(outbox, "apart-b")?.len(), 1, "nor lists");
    Ok(())
}

fn settles_once(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let id = outbox.enqueue("d", &notice("settled", "1", "i"), 1)?;
    outbox.record(id, &attempt(2), Next::Failed)?;
    let before = all(outbox, "settled")?;
    outbox.record(id, &attempt(3), Next::Delivered)?;
    assert_eq!(all(outbox, "settled")?, before, "settled is settled");
    let unknown = outbox.record(u64::MAX, &attempt(1), Next::Failed);
    assert!(matches!(unknown, Err(OutboxError::Unknown(u64::MAX))), "a row that is not there is named");
    Ok(())
}

fn keeps_the_last_attempts(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let id = outbox.enqueue("d", &notice("attempts", "1", "i"), 0)?;
    for at_us in 0..15 {
        outbox.record(id, &attempt(at_us), Next::Again(at_us + 1))?;
    }
    let rows = all(outbox, "attempts")?;
    let times: Vec<_> = rows.iter().flat_map(|row| &row.attempts).map(|attempt| attempt.at_us).collect();
    assert_eq!(times, (5..15).collect::<Vec<_>>(), "the last {KEPT_ATTEMPTS} are kept");
    let told: Vec<_> = rows.iter().map(|row| (row.attempt_count, row.next_attempt_us)).collect();
    assert_eq!(told, [(15, 15)], "all are counted");
    Ok(())
}

fn abandons_what_is_pending(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    for id in ["1", "2", "3"] {
        outbox.enqueue("d", &notice("gone", id, "i"), 1)?;
    }
    let other = outbox.enqueue("e", &notice("gone", "1", "i"), 1)?;
    if let Some(first) = head_id(outbox, "gone")? {
        outbox.record(first, &attempt(2), Next::Delivered)?;
    }
    assert_eq!(outbox.abandon("gone", "d", &attempt(9))?, 2, "the pending ones");
    assert_eq!(head_id(outbox, "gone")?, None);
    let states: Vec<_> = all(outbox, "gone")?.iter().map(|row| row.state).collect();
    use DeliveryState::{Delivered, Failed, Pending};
    assert_eq!(states, [Pending, Failed, Failed, Delivered], "delivered stays, other destinations too");
    assert_eq!(outbox.head("gone", "e")?.map(|row| row.id), Some(other));
    Ok(())
}

fn pages_newest_first(outbox: &dyn Enqueue) -> Result<(), OutboxError> {
    let mut ids = Vec::new();
    for (id, incident) in [("1", "i"), ("2", "j"), ("3", "i"), ("4", "i")] {
        ids.push(outbox.enqueue("d", &notice("pages", id, incident), 1)?);
    }
    let asked = |incident: Option<&str>, before, most| Listing {
        project: "pages".into(),
        destination: Some("d".into()),
        incident: incident.map(str::to_owned),
        before,
        most,
    };
    let listed = |asked| -> Result<Vec<u64>, OutboxError> {
        Ok(outbox.list(&asked)?.into_iter().map(|row| row.id).collect())
    };
    assert_eq!(listed(asked(None, None, 2))?, [ids[3], ids[2]], "the newest first");
    assert_eq!(listed(asked(None, Some(ids[2]), 9))?, [ids[1], ids[0]], "the next page");
    assert_eq!(listed(asked(Some("i"), Some(ids[3]), 9))?, [ids[2], ids[0]], "of an incident");
    assert_eq!(listed(Listing { destination: Some("e".into()), ..asked(None, None, 9) })?, [0_u64; 0]);
    Ok(())
}
