//! What the demo counts.

use footpath_proto::v1;

use super::data::{BASKET, PAYMENT_ERROR, PURCHASE};

/// The funnel that an outage empties.
pub const CHECKOUT: &str = "checkout";
/// The funnel that an outage fills.
pub const FAILURES: &str = "payment-failures";
/// The funnel over everything stored.
pub const ALL: &str = "checkout-all";

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// The demo's funnels. A rolling minute shows a change within seconds; the long range shows that history counts as well.
pub fn funnels() -> Vec<v1::Funnel> {
    let minute = v1::RollingRange { count: 1, unit: v1::TimeUnit::Minute.into() };
    let year = v1::RollingRange { count: 366, unit: v1::TimeUnit::Day.into() };
    let basket = || step("Basket", &BASKET);
    let checkout = || step("Checkout", &["shipping_details", "payment_details"]);
    vec![
        funnel(
            CHECKOUT,
            "Checkout, last minute",
            vec![basket(), checkout(), step("Paid", &[PURCHASE])],
            HOUR_S,
            minute,
        ),
        funnel(
            FAILURES,
            "Payment failures, last minute",
            vec![basket(), checkout(), step("Payment failed", &[PAYMENT_ERROR])],
            HOUR_S,
            minute,
        ),
        funnel(
            ALL,
            "Checkout, all history",
            vec![
                step("Product seen", &["product_view"]),
                basket(),
                step("Shipping", &["shipping_details"]),
                step("Payment", &["payment_details"]),
                step("Paid", &[PURCHASE]),
            ],
            30 * DAY_S,
            year,
        ),
    ]
}

fn funnel(
    id: &str,
    title: &str,
    steps: Vec<v1::FunnelStep>,
    window_s: i64,
    last: v1::RollingRange,
) -> v1::Funnel {
    v1::Funnel {
        id: id.into(),
        title: title.into(),
        steps,
        window: Some(prost_types::Duration { seconds: window_s, nanos: 0 }),
        range: Some(v1::TimeRange { kind: Some(v1::time_range::Kind::Last(last)), time_zone: "UTC".into() }),
        ..v1::Funnel::default()
    }
}

fn step(label: &str, events: &[&str]) -> v1::FunnelStep {
    v1::FunnelStep {
        label: label.into(),
        events: events.iter().map(|&name| name.to_owned()).collect(),
        conditions: Vec::new(),
        ..v1::FunnelStep::default()
    }
}
