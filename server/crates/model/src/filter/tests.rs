use super::*;
use crate::context::{Environment, put_environment};
use crate::definition::{AsOf, Condition, Filter, FunnelDefinition, Op, PropertyRef, Scope};
use crate::wire::{put_bytes, put_uint};

/// `key: text` as an entry of `Event.properties`.
fn properties(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, text) in pairs {
        let (mut value, mut entry) = (Vec::new(), Vec::new());
        put_bytes(&mut value, 1, text.as_bytes());
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, &value);
        put_bytes(&mut out, crate::props::PROPERTY_FIELD, &entry);
    }
    out
}

fn is(property: &str, op: Op, values: &[&str]) -> Condition {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Condition { property: property.into(), scope: Scope::Event, as_of: AsOf::AtEvent, op, values }
}

fn holds(filter: impl Into<Filter>, facts: &Facts<'_>) -> bool {
    Test::new(&filter.into()).unwrap().holds(facts)
}

/// A person with plan "pro" since 100, "free" before; the group "acme" of type "company" has 50 seats.
struct Known;

impl Entities for Known {
    fn property(&self, whose: Whose<'_>, key: &str, moment: Moment, see: &mut dyn FnMut(&Value<'_>)) {
        match (whose, key) {
            (Whose::Person, "plan") => {
                let pro = moment.is_none_or(|(time_us, _)| time_us >= 100);
                see(&Value::String(if pro { "pro" } else { "free" }));
            }
            (Whose::Group("company", "acme"), "seats") => see(&Value::Int(50)),
            _ => {}
        }
    }
}

#[test]
fn parts_are_put_together() {
    let bytes = properties(&[("page", "/pay/card"), ("plan", "pro")]);
    let facts = Facts { properties: &bytes, ..Facts::default() };
    let pro = || Filter::from(is("plan", Op::In, &["pro", "team"]));
    let card = || Filter::from(is("page", Op::Regex, &["^/pay/(card|iban)$"]));
    let none = || Filter::from(is("plan", Op::IsNotSet, &[]));
    assert!(holds(Filter::all(vec![pro(), card()]), &facts));
    assert!(!holds(Filter::all(vec![pro(), none()]), &facts));
    assert!(holds(Filter::any(vec![none(), card()]), &facts));
    assert!(!holds(Filter::any(vec![]), &facts));
    assert!(holds(Filter::all(vec![]), &facts));
    assert!(holds(Filter::not(none()), &facts));
    assert!(!holds(is("page", Op::Regex, &["^pay", "^card"]), &facts));
}

#[test]
fn a_segment_means_what_was_put_in() {
    let bytes = properties(&[("plan", "pro")]);
    let facts = Facts { properties: &bytes, ..Facts::default() };
    let segment = |means: Option<Filter>| {
        Filter::Segment(crate::definition::InSegment { segment: "payers".into(), means: means.map(Box::new) })
    };
    assert!(holds(segment(Some(is("plan", Op::In, &["pro"]).into())), &facts));
    assert!(!holds(segment(Some(is("plan", Op::In, &["free"]).into())), &facts));
    assert!(Test::new(&segment(None)).is_err(), "nobody put in what it says");
}

#[test]
fn context_is_read_by_the_names_of_the_api() {
    let (mut context, mut campaign) = (Vec::new(), Vec::new());
    put_bytes(&mut context, 3, b"ios");
    put_bytes(&mut campaign, 1, b"newsletter");
    put_bytes(&mut context, 9, &campaign);
    let facts = Facts { context: &context, ..Facts::default() };
    let of_context =
        |property: &str, wanted: &str| Condition { scope: Scope::Context, ..is(property, Op::In, &[wanted]) };
    assert!(holds(of_context("os", "ios"), &facts));
    assert!(!holds(of_context("os", "android"), &facts));
    assert!(holds(of_context("campaign.source", "newsletter"), &facts));
    let unset = |property: &str| Condition { scope: Scope::Context, ..is(property, Op::IsNotSet, &[]) };
    assert!(holds(unset("locale"), &facts));
    assert!(!holds(unset("environment"), &facts), "an event always has one");
}

#[test]
fn what_names_no_environment_is_of_production() {
    let condition =
        |op, wanted: &str| Condition { scope: Scope::Context, ..is("environment", op, &[wanted]) };
    let mut staging = Vec::new();
    put_environment(&mut staging, Environment::Staging);
    let (old, staging) = (Facts::default(), Facts { context: &staging, ..Facts::default() });
    assert!(holds(condition(Op::In, "prod"), &old) && !holds(condition(Op::In, "prod"), &staging));
    assert!(holds(condition(Op::In, "staging"), &staging) && !holds(condition(Op::In, "staging"), &old));
    assert!(holds(condition(Op::NotEq, "dev"), &old) && holds(condition(Op::NotEq, "dev"), &staging));
    let by = Selector::new(&Scope::Context, "environment", AsOf::AtEvent);
    assert_eq!((by.text(&old).as_deref(), by.text(&staging).as_deref()), (Some("prod"), Some("staging")));
}

#[test]
fn a_person_is_judged_at_the_event_or_now() {
    let plan =
        |as_of, wanted: &str| Condition { scope: Scope::Person, as_of, ..is("plan", Op::In, &[wanted]) };
    let at = |time_us| Facts { order: (time_us, 7), entities: Some(&Known), ..Facts::default() };
    assert!(holds(plan(AsOf::AtEvent, "free"), &at(99)));
    assert!(holds(plan(AsOf::AtEvent, "pro"), &at(100)));
    assert!(holds(plan(AsOf::Current, "pro"), &at(99)));
    assert!(!holds(plan(AsOf::Current, "pro"), &Facts::default()), "nobody knows");
}

#[test]
fn a_group_is_the_one_the_event_names() {
    let (mut group, mut changes) = (Vec::new(), Vec::new());
    put_bytes(&mut group, 1, b"company");
    put_bytes(&mut group, 2, b"acme");
    put_bytes(&mut changes, 14, &group);
    let seats = Condition { scope: Scope::Group("company".into()), ..is("seats", Op::Gte, &["50"]) };
    let facts = Facts { changes: &changes, entities: Some(&Known), ..Facts::default() };
    assert!(holds(seats.clone(), &facts));
    assert!(!holds(seats, &Facts { changes: &[], ..facts }));
}

fn definition(json: &str) -> FunnelDefinition {
    serde_json::from_str(json).unwrap()
}

#[test]
fn an_event_has_a_bit_for_every_step_and_exclusion() {
    let funnel = definition(
        r#"{"id": "f", "window_us": 3600000000,
            "steps": [{"events": ["a"]}, {"events": ["a", "b"], "filters": [{"property": "x", "op": "is_set"}]}],
            "exclusions": [{"events": ["b", "c"], "after_step": 1, "before_step": 2}]}"#,
    );
    let matcher = StepMatcher::new(&funnel, None).unwrap();
    let x = properties(&[("x", "1")]);
    let mask = |name: &str, properties: &[u8]| matcher.mask(name, &Facts { properties, ..Facts::default() });
    assert_eq!(mask("a", b""), 0b01);
    assert_eq!(mask("a", &x), 0b11);
    assert_eq!(mask("b", &x), 0b10 | 1 << EXCLUSION_BIT);
    assert_eq!(mask("c", b""), 1 << EXCLUSION_BIT);
    assert_eq!(mask("d", &x), 0);
}

#[test]
fn a_condition_at_the_entry_is_one_on_the_first_step() {
    let funnel = definition(
        r#"{"id": "f", "window_us": 3600000000, "steps": [{"events": ["a"]},
            {"events": ["b"], "filters": [{"property": "plan", "scope": "person", "as_of": "at_entry", "op": "in", "values": ["pro"]}]}]}"#,
    );
    let matcher = StepMatcher::new(&funnel, None).unwrap();
    let mask = |name: &str, time_us| {
        matcher.mask(name, &Facts { order: (time_us, 0), entities: Some(&Known), ..Facts::default() })
    };
    assert_eq!((mask("a", 99), mask("a", 100), mask("b", 0)), (0, 0b01, 0b10));
}

#[test]
fn internal_traffic_is_left_out_unless_asked_for() {
    let mut funnel = definition(r#"{"id": "f", "window_us": 3600000000, "steps": [{"events": ["a"]}]}"#);
    let internal = Filter::from(is("bot", Op::IsSet, &[]));
    let bot = properties(&[("bot", "yes")]);
    let facts = Facts { properties: &bot, ..Facts::default() };
    let mask =
        |funnel: &FunnelDefinition| StepMatcher::new(funnel, Some(&internal)).unwrap().mask("a", &facts);
    assert_eq!(mask(&funnel), 0);
    funnel.include_internal = true;
    assert_eq!(mask(&funnel), 1);
}

#[test]
fn values_of_a_breakdown_are_text() {
    let mut bytes = properties(&[("page", "/")]);
    let (mut value, mut entry) = (Vec::new(), Vec::new());
    put_uint(&mut value, 2, 7);
    put_bytes(&mut entry, 1, b"seats");
    put_bytes(&mut entry, 2, &value);
    put_bytes(&mut bytes, crate::props::PROPERTY_FIELD, &entry);
    let facts = Facts { properties: &bytes, ..Facts::default() };
    let by = |property: &str| {
        let by = PropertyRef { property: property.into(), ..PropertyRef::default() };
        Selector::new(&by.scope, &by.property, by.as_of).text(&facts)
    };
    assert_eq!([by("page"), by("seats"), by("none")], [Some("/".into()), Some("7".into()), None]);
}
