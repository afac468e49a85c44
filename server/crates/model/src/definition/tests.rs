use super::*;

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

fn fields_of(definition: &FunnelDefinition) -> Vec<String> {
    definition.validate().err().map_or(vec![], |e| e.0.into_iter().map(|e| e.field).collect())
}

#[test]
fn a_definition_comes_back() {
    let definition = checkout();
    assert_eq!(definition.validate(), Ok(()));
    assert_eq!(definition.steps[0].label(), "cart_viewed");
    assert_eq!(definition.steps[1].label(), "Paid");
    assert_eq!(definition.steps[1].filters[2].values, ["true"]);
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
    definition.steps[1].filters[0].values = vec!["ten".into()];
    definition.steps[1].filters[1].property.clear();
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
        let condition = Condition { property: "p".into(), op, values };
        definition.steps[0].filters = vec![condition.clone()];
        assert_eq!(definition.validate().is_ok(), valid, "{condition:?}");
    }
}
