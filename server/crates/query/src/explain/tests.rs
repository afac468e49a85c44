//! Explanations say what counts, and why no further; one vector for each reason.

use footpath_model::definition::{
    Counting, Exclusion, FunnelDefinition, OnExclusion, Order, PropertyRef, Step, WindowFrom,
};
use footpath_model::range::Range;

use super::*;
use crate::funnel::tests::Asked;
use crate::testing::{HOUR_US, MINUTE_US, NOW_US, Rng, Told, key, source, stored, stored_events};

#[test]
fn attempts_are_those_that_count_and_events_serve_their_steps() {
    let (mut explained, mut served, mut stopped) = (0, 0, 0);
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let asked = Asked::random(&mut rng);
        let pinned = both.chunked.pin();
        let (source, world) = (source(&pinned), both.world(u64::MAX));
        let is_group = matches!(asked.counted.definition.counting, Counting::Groups(_));
        let id = if is_group { "acme" } else { rng.one(&["a0", "a1", "a2", "u0", "u1"]) };
        let query = ExplainQuery { counted: &asked.counted, identity_epoch: None, person: id };
        let Some(answer) = explain(&source, &query).unwrap() else { continue };
        let unit = if is_group {
            footpath_model::id::group_key("shop", "company", id)
        } else {
            world.graph.canonical(key(id)).0
        };
        let span = asked.counted.resolve(source.now_us).unwrap();
        let naive = asked.naive(&world, span);
        let own = naive.into_iter().find(|(own, _)| *own == unit).map_or(Vec::new(), |(_, own)| own);
        let mut expected: Vec<_> = own.iter().map(|(attempt, _)| attempt.steps.count_ones()).collect();
        let mut found: Vec<_> = answer.attempts.iter().map(|attempt| attempt.steps.len() as u32).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "seed {seed}");
        let own = asked.units(&world).remove(&unit).unwrap_or_default();
        for event in &answer.events {
            let told = own.iter().find(|told| told.id == event.id.as_u128()).unwrap();
            let mask = asked.mask(&world, told);
            let steps: Vec<u32> =
                (0..3).filter(|step| mask & (1 << step) != 0).map(|step| step + 1).collect();
            assert_eq!((&event.steps, &event.name, event.at_us), (&steps, &told.name, told.time_us));
            assert!(event.serves == 0 || steps.contains(&event.serves), "seed {seed} {event:?}");
        }
        let serving = answer.events.iter().filter(|event| event.serves != 0).count();
        let tolerant = asked.counted.definition.ties != footpath_model::definition::Ties::InOrder;
        let plain = asked.counted.definition.window_funnel.is_none()
            && asked.counted.definition.window_from == WindowFrom::FirstStep
            && matches!(asked.counted.definition.order, Order::Ordered | Order::Strict)
            && !tolerant;
        let wanted: usize = answer.attempts.iter().map(|attempt| attempt.steps.len()).sum();
        if plain && !is_group {
            assert_eq!(serving, wanted, "seed {seed} {:?} {answer:?}", asked.counted.definition);
        }
        for attempt in &answer.attempts {
            assert_eq!(attempt.converted, attempt.reason.is_none());
            assert_eq!(attempt.converted, attempt.stopped_before == 0);
            stopped += u32::from(!attempt.converted);
        }
        assert!(answer.summary.ends_with('.') && !answer.summary.is_empty());
        explained += answer.attempts.len();
        served += serving;
    }
    assert!(explained > 60 && served > 100 && stopped > 30, "{explained} {served} {stopped}");
}

fn told(name: &str, minute: i64, page: &str) -> Told {
    Told {
        project: 1,
        name: name.to_owned(),
        user_id: "u".to_owned(),
        time_us: NOW_US + minute * MINUTE_US,
        page: Some(page.to_owned()),
        ..Told::default()
    }
}

fn definition() -> FunnelDefinition {
    let step = |name: &str| Step { events: vec![name.to_owned()], ..Step::default() };
    FunnelDefinition {
        id: "f".into(),
        steps: vec![step("open"), step("pay")],
        window_us: HOUR_US,
        ..FunnelDefinition::default()
    }
}

fn explained(events: &[Told], definition: FunnelDefinition) -> ExplainAnswer {
    let both = stored_events(events);
    let pinned = both.chunked.pin();
    let range = Range::Fixed { from_us: NOW_US, to_us: NOW_US + 10 * HOUR_US };
    let counted = CountedFunnel::new(definition, range, "UTC".into());
    let query = ExplainQuery { counted: &counted, identity_epoch: None, person: "u" };
    explain(&source(&pinned), &query).unwrap().unwrap()
}

/// The reason and the sentence of the only attempt.
fn why(events: &[Told], definition: FunnelDefinition) -> (Reason, String) {
    let answer = explained(events, definition);
    let [attempt] = &answer.attempts[..] else { panic!("{answer:?}") };
    assert_eq!(answer.summary, attempt.explanation);
    (attempt.reason.unwrap(), attempt.explanation.clone())
}

#[test]
fn every_reason_has_its_sentence() {
    let open = told("open", 0, "a");
    let (reason, text) = why(std::slice::from_ref(&open), definition());
    assert_eq!(reason, Reason::NoEvent);
    assert_eq!(
        text,
        "Stopped before step 2 (\"pay\"): nothing that matches it came after the step before, at 2023-11-14T22:13:20Z."
    );
    let (reason, text) = why(&[open.clone(), told("pay", 75, "a")], definition());
    assert_eq!(reason, Reason::TooLate);
    assert_eq!(
        text,
        "Stopped before step 2 (\"pay\"): it came at 2023-11-14T23:28:20Z, 1h 15m after the entry at 2023-11-14T22:13:20Z; the window is 1h."
    );
    let cancel = Exclusion { events: vec!["cancel".into()], filters: vec![], after_step: 1, before_step: 2 };
    let excluding = FunnelDefinition { exclusions: vec![cancel], ..definition() };
    let events = [open.clone(), told("cancel", 5, "a"), told("pay", 9, "a")];
    let (reason, text) = why(&events, excluding.clone());
    assert_eq!(reason, Reason::Excluded);
    assert!(text.contains("\"cancel\" came first, at 2023-11-14T22:18:20Z, 5m after"), "{text}");
    let strict = FunnelDefinition { order: Order::Strict, ..definition() };
    let (reason, text) = why(&[open.clone(), told("view", 5, "a"), told("pay", 9, "a")], strict);
    assert_eq!(reason, Reason::Interrupted);
    assert!(text.contains("\"view\" came in between, at 2023-11-14T22:18:20Z"), "{text}");
    let page = PropertyRef { property: "page".into(), ..PropertyRef::default() };
    let holding = FunnelDefinition { hold: vec![page], ..definition() };
    let (reason, text) = why(&[open.clone(), told("pay", 9, "b")], holding);
    assert_eq!(reason, Reason::OtherValue);
    assert!(text.contains("it came at 2023-11-14T22:22:20Z, with another value"), "{text}");
    let sessions = FunnelDefinition { counting: Counting::Sessions, ..definition() };
    let (reason, text) = why(&[open.clone(), told("pay", 31, "a")], sessions);
    assert_eq!(reason, Reason::OtherSession);
    assert!(text.contains("in another session, which began at 2023-11-14T22:44:20Z"), "{text}");
    let names = [
        Reason::NoEvent,
        Reason::TooLate,
        Reason::Excluded,
        Reason::Interrupted,
        Reason::OtherValue,
        Reason::OtherSession,
    ]
    .map(Reason::name);
    assert_eq!(names, ["no_event", "too_late", "excluded", "interrupted", "other_value", "other_session"]);
    let dropping = FunnelDefinition { on_exclusion: OnExclusion::DropPerson, ..excluding };
    let answer = explained(&events, dropping);
    assert!(answer.attempts.is_empty());
    assert!(answer.summary.contains("\"cancel\" at 2023-11-14T22:18:20Z is excluded"), "{}", answer.summary);
}

#[test]
fn who_does_not_count_is_told_why() {
    let summary = |events: &[Told], definition| explained(events, definition).summary;
    assert_eq!(
        summary(&[told("pay", 3, "a")], definition()),
        "Does not count: no event matches step 1 (\"open\")."
    );
    let early = summary(&[told("open", -3, "a"), told("pay", 3, "a")], definition());
    assert!(early.contains("came last at 2023-11-14T22:10:20Z, before the range begins"), "{early}");
    let late = summary(&[told("open", 700, "a")], definition());
    assert!(late.contains("outside of the range"), "{late}");
    let page = PropertyRef { property: "page".into(), ..PropertyRef::default() };
    let holding = FunnelDefinition { hold: vec![page], ..definition() };
    let without = summary(&[Told { page: None, ..told("open", 0, "") }], holding);
    assert!(without.contains("without a property that is held constant"), "{without}");
    let done = explained(&[told("open", 0, "a"), told("pay", 15, "a")], definition());
    assert_eq!(
        done.summary,
        "Converted at 2023-11-14T22:28:20Z, 15m after the entry at 2023-11-14T22:13:20Z."
    );
    assert_eq!(done.events.iter().map(|event| event.serves).collect::<Vec<_>>(), [1, 2]);
    let nobody = {
        let both = stored_events(&[told("open", 0, "a")]);
        let pinned = both.chunked.pin();
        let range = Range::Today;
        let counted = CountedFunnel::new(definition(), range, String::new());
        explain(&source(&pinned), &ExplainQuery { counted: &counted, identity_epoch: None, person: "x" })
            .unwrap()
    };
    assert_eq!(nobody, None);
}
