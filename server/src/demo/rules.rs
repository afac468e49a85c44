//! What the demo is alerted about.

use footpath_proto::v1;
use v1::alert_rule::Condition;

/// The demo's alert rules.
pub fn rules() -> Vec<v1::AlertRule> {
    let above = v1::AlertThreshold { above: Some(0.2), below: None };
    vec![v1::AlertRule {
        id: "payments-fail".into(),
        title: "Payments that fail".into(),
        metric_id: "payments-failed".into(),
        condition: Some(Condition::Threshold(above)),
        // Visitors send at once, and whoever pressed the key is watching.
        delay: Some(prost_types::Duration::default()),
        // In a minute some ten visitors come to the payment.
        min_volume: 4,
        severity: v1::AlertSeverity::Critical.into(),
        owner: "payments".into(),
        ..v1::AlertRule::default()
    }]
}
