//! Alert rules there and back, and what is left out.

use super::*;
use crate::tools::definitions::{File, Kind};

const FILE: &str = r#"
[[alert_rule]]
id = "checkout-errors"
title = "Checkout errors"
metric = "checkout-error-rate"
every = "quarter_hour"
delay = "2m"
min_volume = 50
for_buckets = 2
cooldown = "1h"
severity = "critical"
owner = "payments"
runbook = "https://example.com/checkout"
destinations = ["ops"]

[alert_rule.threshold]
above = 0.05

[[alert_rule.where]]
property = "country"
operator = "equals"
values = ["de"]

[[alert_rule]]
id = "orders"
metric = "orders"
environments = ["prod", "staging"]

[alert_rule.anomaly]
direction = "down"
false_alerts_per_month = 0.5

[alert_rule.breakdown]
property = "channel"

[[alert_rule]]
id = "silence"
metric = "orders"

[alert_rule.no_data]

[[alert_rule]]
id = "less"
metric = "orders"
every = "day"

[alert_rule.change]
against = "day"
down_percent = 30.0
"#;

#[test]
fn a_rule_is_the_same_after_the_api_and_after_being_written() {
    let file = File::parse(FILE).unwrap();
    assert_eq!(file.alert_rules.len(), 4);
    for rule in &file.alert_rules {
        let message = AlertRule::meaning(&rule.to_message().unwrap(), "UTC").unwrap();
        assert_eq!(AlertRule::shown(message, "UTC").unwrap(), *rule);
    }
    assert_eq!(File::parse(&file.write().unwrap()).unwrap(), file);
}

fn parse(options: &str) -> AlertRule {
    let text = format!("[[alert_rule]]\nid = \"r\"\nmetric = \"m\"\n{options}");
    File::parse(&text).unwrap().alert_rules.remove(0)
}

#[test]
fn what_is_meant_anyway_can_be_spelled_out_and_is_not_exported() {
    let usual =
        "every = \"minute\"\ntop = 20\nenvironments = [\"prod\"]\nfor_buckets = 1\nseverity = \"warning\"\n";
    let zero = "delay = \"1m\"\ncooldown = \"0m\"\n";
    for (condition, spelled) in [
        ("anomaly = {}", "anomaly = { false_alerts_per_month = 1.0 }"),
        ("change = { up_percent = 5.0 }", "change = { against = \"week\", up_percent = 5.0 }"),
        ("threshold = { above = 0.0 }", "threshold = { above = 0.0 }"),
        ("no_data = {}", "no_data = {}"),
    ] {
        let (short, long) = (parse(condition), parse(&format!("{usual}{zero}{spelled}")));
        let meaning = |rule: &AlertRule| AlertRule::meaning(&rule.to_message().unwrap(), "UTC").unwrap();
        assert_eq!(meaning(&short), meaning(&long));
        assert_eq!(AlertRule::shown(long.to_message().unwrap(), "UTC").unwrap(), short);
    }
}

#[test]
fn what_is_not_meant_anyway_is_exported() {
    for option in [
        "every = \"hour\"",
        "top = 19",
        "environments = [\"prod\", \"dev\"]",
        "environments = [\"staging\"]",
        "for_buckets = 2",
        "severity = \"info\"",
        "delay = \"0s\"",
        "delay = \"2m\"",
        "cooldown = \"1d\"",
        "min_volume = 1",
        "min_effect = 0.5",
        "min_effect_percent = 1.0",
        "include_internal = true",
        "disabled = true",
        "breakdown = { property = \"plan\", scope = \"person\", moment = \"current\" }",
        "where = [{ any = [{ segment = \"s\" }, { property = \"p\", operator = \"is_set\" }] }]",
    ] {
        let rule = parse(&format!("no_data = {{}}\n{option}"));
        assert_ne!(rule, parse("no_data = {}"), "{option}");
        let message = AlertRule::meaning(&rule.to_message().unwrap(), "UTC").unwrap();
        assert_eq!(AlertRule::shown(message, "UTC").unwrap(), rule, "{option}");
    }
}

#[test]
fn a_rule_has_one_condition() {
    let none = AlertRule { id: "r".into(), metric: "m".into(), ..AlertRule::default() };
    assert!(none.to_message().unwrap_err().to_string().contains("exactly one"));
    let two = AlertRule { threshold: Some(Threshold::default()), no_data: Some(NoData {}), ..none };
    assert!(two.to_message().is_err());
}
