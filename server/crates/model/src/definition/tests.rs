use super::*;
use crate::calendar::CalendarUnit;

fn checkout() -> FunnelDefinition {
    serde_json::from_str(
        r#"{
            "id": "checkout",
            "steps": [
                {"events": ["cart_viewed"]},
                {"name": "Paid", "events": ["paid", "order_completed"],
                 "filters": [{"property": "amount", "op": "gte", "values": ["10"]},
                             {"property": "method", "op": "in", "values": ["card", "invoice"]},
                             {"property": "test", "op": "not_eq", "values": ["true"]}]}
            ],
            "window_us": 3600000000
        }"#,
    )
    .unwrap()
}

/// A condition of the second step.
fn condition(definition: &mut FunnelDefinition, i: usize) -> &mut Condition {
    match &mut definition.steps[1].filters[i] {
        Filter::Is(condition) => condition,
        other => panic!("{other:?} is no condition"),
    }
}

fn fields_of(definition: &FunnelDefinition) -> Vec<String> {
    definition.validate().err().map_or(vec![], |e| e.0.into_iter().map(|e| e.field).collect())
}

#[test]
fn a_definition_comes_back() {
    let definition = checkout();
    assert_eq!(definition.validate(), Ok(()));
    assert_eq!(definition.steps[0].label(), "cart_viewed");
    assert_eq!(definition.steps[1].label(), "Paid");
    assert_eq!(condition(&mut definition.clone(), 2).values, ["true"]);
    let text = serde_json::to_string(&definition).unwrap();
    assert_eq!(serde_json::from_str::<FunnelDefinition>(&text).unwrap(), definition);
}

#[test]
fn a_typing_error_is_refused() {
    let text = serde_json::to_string(&checkout()).unwrap().replace("window_us", "windwo_us");
    let error = serde_json::from_str::<FunnelDefinition>(&text).unwrap_err().to_string();
    assert!(error.contains("windwo_us"), "{error}");
}

#[test]
fn every_violation_names_its_field() {
    let mut definition = checkout();
    definition.id = "Checkout".into();
    definition.name = "x".repeat(256);
    definition.steps[1].name = "x".repeat(256);
    definition.steps[0].events.clear();
    definition.steps[1].events[1] = "x".repeat(256);
    condition(&mut definition, 0).values = vec!["ten".into()];
    condition(&mut definition, 1).property.clear();
    definition.window_us = 999_999;
    let expected = [
        "id",
        "title",
        "steps[0].events",
        "steps[1].label",
        "steps[1].events[1]",
        "steps[1].conditions[0].values[0]",
        "steps[1].conditions[1].property",
        "window",
    ];
    assert_eq!(fields_of(&definition), expected);
    let text = definition.validate().unwrap_err().to_string();
    assert!(text.contains("steps[0].events: 1 to 50 are allowed, not 0; "), "{text}");
    assert!(text.ends_with("window: from 1 s to 366 d, not 0.999999 s"), "{text}");
}

#[test]
fn words_for_people_have_no_control_characters() {
    for bad in ["\0", "a\nb", "\u{85}"] {
        let mut definition = checkout();
        definition.name = bad.into();
        definition.steps[1].name = bad.into();
        assert_eq!(fields_of(&definition), ["title", "steps[1].label"], "{bad:?}");
    }
    let mut definition = checkout();
    definition.name = "Zürich \u{1f6d2}".into();
    assert_eq!(definition.validate(), Ok(()));
}

#[test]
fn bounds_are_inclusive() {
    let mut definition = checkout();
    for (window_us, valid) in
        [(MIN_WINDOW_US, true), (MAX_WINDOW_US, true), (MIN_WINDOW_US - 1, false), (MAX_WINDOW_US + 1, false)]
    {
        definition.window_us = window_us;
        assert_eq!(definition.validate().is_ok(), valid, "{window_us}");
    }
    let mut definition = checkout();
    for (steps, valid) in [(0, false), (1, true), (20, true), (21, false)] {
        definition.steps = vec![checkout().steps[0].clone(); steps];
        assert_eq!(definition.validate().is_ok(), valid, "{steps}");
    }
}

#[test]
fn comparisons_take_what_they_can_compare() {
    let cases: [(_, &[&str], _); 12] = [
        (Op::IsSet, &[], true),
        (Op::IsNotSet, &["x"], false),
        (Op::Gt, &[], false),
        (Op::Gt, &["1", "2"], false),
        (Op::Gt, &["12.5"], true),
        (Op::Lte, &["inf"], false),
        (Op::Lt, &["true"], false),
        (Op::In, &[""], true),
        (Op::In, &[], false),
        (Op::In, &["a", "2"], true),
        (Op::Contains, &[""], false),
        (Op::Prefix, &["/shop/"], true),
    ];
    for (op, values, valid) in cases {
        let mut definition = checkout();
        let values = values.iter().map(|&value| value.to_owned()).collect();
        let condition =
            Condition { property: "p".into(), scope: Scope::Event, as_of: AsOf::AtEvent, op, values };
        definition.steps[0].filters = vec![condition.clone().into()];
        assert_eq!(definition.validate().is_ok(), valid, "{condition:?}");
    }
}

#[test]
fn options_come_back() {
    let text = r#"{
        "id": "f", "window_us": 60000000, "window_from": "previous_step", "entry": "first", "order": "strict",
        "ties": {"tolerance": 1000}, "counting": {"groups": "company"},
        "steps": [{"events": ["a"]}, {"events": ["b"]}],
        "exclusions": [{"events": ["x"], "after_step": 1, "before_step": 2}], "on_exclusion": "drop_person",
        "hold": [{"property": "cart"}, {"property": "plan", "scope": "person", "as_of": "at_event"}],
        "breakdown": {"by": {"property": "os", "scope": "context"}, "attribution": {"step": 2}},
        "include_internal": true
    }"#;
    let definition: FunnelDefinition = serde_json::from_str(text).unwrap();
    assert_eq!(definition.validate(), Ok(()));
    assert_eq!(definition.counting, Counting::Groups("company".into()));
    let again = serde_json::to_string(&definition).unwrap();
    assert_eq!(serde_json::from_str::<FunnelDefinition>(&again).unwrap(), definition);
}

#[test]
fn what_cannot_stand_together_is_named() {
    let wrong = |change: &dyn Fn(&mut FunnelDefinition)| {
        let mut definition = checkout();
        change(&mut definition);
        fields_of(&definition)
    };
    let exclusion = |after_step, before_step| Exclusion {
        events: vec!["x".into()],
        after_step,
        before_step,
        ..Exclusion::default()
    };
    assert_eq!(wrong(&|d| d.steps[1].optional = true), ["steps[1].optional"]);
    assert_eq!(wrong(&|d| d.exclusions = vec![exclusion(2, 1)]), ["exclusions[0]"]);
    assert_eq!(wrong(&|d| d.exclusions = vec![exclusion(1, 3)]), ["exclusions[0]"]);
    assert_eq!(wrong(&|d| d.exclusions = vec![exclusion(1, 2); 11]), ["exclusions"]);
    assert_eq!(wrong(&|d| d.hold = vec![PropertyRef::default()]), ["hold_constant[0].property"]);
    assert_eq!(wrong(&|d| d.ties = Ties::Tolerance(0)), ["tie_tolerance"]);
    assert_eq!(
        wrong(&|d| (d.order, d.window_from) = (Order::Any, WindowFrom::PreviousStep)),
        ["window_from"]
    );
    assert_eq!(
        wrong(&|d| (d.window_funnel, d.entry) = (Some(WindowFunnel::default()), Entry::First)),
        ["window_funnel"]
    );
    assert_eq!(wrong(&|d| d.window_funnel = Some(WindowFunnel::default())), [""; 0]);
}

#[test]
fn a_filter_has_its_limits() {
    let wrong = |filter: Filter| {
        let mut definition = checkout();
        definition.steps[0].filters = vec![filter];
        fields_of(&definition)
    };
    let set = || {
        let as_of = AsOf::AtEvent;
        Condition { property: "p".into(), scope: Scope::Event, as_of, op: Op::IsSet, values: vec![] }
    };
    let deep = (0..6).fold(Filter::from(set()), |inner, _| Filter::not(inner));
    assert_eq!(wrong(deep), ["steps[0].conditions[0].not.not.not.not.not.not"]);
    assert_eq!(wrong(Filter::any(vec![])), ["steps[0].conditions[0].any"]);
    let regex = |pattern: &str| Condition { op: Op::Regex, values: vec![pattern.into()], ..set() };
    assert_eq!(wrong(regex("(").into()), ["steps[0].conditions[0].values[0]"]);
    assert_eq!(wrong(regex("a{999}{999}").into()), ["steps[0].conditions[0].values[0]"]);
    let entry = || Condition { scope: Scope::Person, as_of: AsOf::AtEntry, ..set() };
    assert_eq!(wrong(entry().into()), [""; 0]);
    assert_eq!(wrong(Filter::not(entry().into())), ["steps[0].conditions[0].not.moment"]);
    assert_eq!(wrong(Condition { as_of: AsOf::Current, ..set() }.into()), ["steps[0].conditions[0].moment"]);
}

#[test]
fn a_metric_comes_back_and_its_mistakes_are_named() {
    let text = r#"{
        "id": "revenue", "measure": {"ratio": {
            "numerator": {"events": ["paid"], "aggregate": {"sum": "total"}},
            "denominator": {"aggregate": "uniques"}}},
        "breakdown": {"property": "country", "scope": "person"}
    }"#;
    let mut metric: MetricDefinition = serde_json::from_str(text).unwrap();
    assert_eq!(metric.validate(), Ok(()));
    let again = serde_json::to_string(&metric).unwrap();
    assert_eq!(serde_json::from_str::<MetricDefinition>(&again).unwrap(), metric);
    let fields = |metric: &MetricDefinition| -> Vec<String> {
        metric.validate().unwrap_err().0.into_iter().map(|error| error.field).collect()
    };
    metric.measure = Measure::Sessions(SessionAggregate::DurationPercentiles(vec![101.0]));
    assert_eq!(fields(&metric), ["sessions.percentiles[0]", "breakdown"]);
    metric.breakdown = None;
    let aggregate = Aggregate::Percentiles { property: String::new(), percentiles: vec![] };
    metric.measure = Measure::Events(Term { events: vec![], filters: vec![], aggregate });
    assert_eq!(fields(&metric), ["events.property", "events.percentiles"]);
}

#[test]
fn a_rule_names_each_destination_once() {
    let least = AlertRule::new("r", "m", CalendarUnit::Minute, AlertCondition::NoData {});
    let mut rule = AlertRule { destinations: ["ops", "web", "ops"].map(String::from).into(), ..least };
    let wrong = rule.validate().unwrap_err();
    assert_eq!(wrong.0.len(), 1);
    assert_eq!((wrong.0[0].field.as_str(), wrong.0[0].problem.contains("once")), ("destinations[2]", true));
    rule.destinations.pop();
    assert_eq!(rule.validate(), Ok(()));
}

#[test]
fn a_rule_that_says_the_least_is_what_stored_text_that_says_the_least_is() {
    let least = AlertRule::new("r", "m", CalendarUnit::Hour, AlertCondition::NoData {});
    let text = r#"{"id": "r", "version": 1, "metric": "m", "every": "hour", "when": {"no_data": {}}}"#;
    assert_eq!(serde_json::from_str::<AlertRule>(text).unwrap(), least);
}
