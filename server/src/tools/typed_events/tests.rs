use super::*;

const PLAN: &str = r#"
[events.checkout_started]
about = "Somebody begins to pay."
[events.checkout_started.properties]
amount = "money"
class = { type = "string", optional = true, about = "Business or private." }
items = "int"

[events.payment_succeeded]
class = "critical"
properties = { order = "string", weight_kg = { type = "decimal", optional = true } }

[events.scrolled]
class = "lossy"
"#;

fn written(language: Language) -> String {
    write(&Plan::read(PLAN).unwrap(), language)
}

#[track_caller]
fn has(text: &str, lines: &str) {
    assert!(text.contains(lines), "{lines}\nis not in\n{text}");
}

#[test]
fn python() {
    let text = written(Language::Python);
    has(
        &text,
        "def checkout_started(
    client: footpath.Client,
    *,
    amount: footpath.Money,
    items: int,
    class_: Optional[str] = None,
    user: Optional[str] = None,
    anonymous: Optional[str] = None,
) -> footpath.Tracked:
    \"\"\"Somebody begins to pay.
    class: Business or private.\"\"\"
    properties: Dict[str, Any] = {\"amount\": amount, \"items\": items}
    if class_ is not None:
        properties[\"class\"] = class_
    return client.track(\"checkout_started\", properties, user=user, anonymous=anonymous)
",
    );
    has(&text, "return client.track_critical(\"payment_succeeded\", properties,");
    has(&text, "return client.track(\"scrolled\", properties, user=user, anonymous=anonymous, lossy=True)");
}

#[test]
fn kotlin() {
    let text = written(Language::Kotlin);
    has(
        &text,
        "fun Footpath.checkoutStarted(
    amount: Money,
    items: Long,
    class_: String? = null,
    person: Person? = null,
) {
    val properties = LinkedHashMap<String, Any?>()
    properties[\"amount\"] = amount
    properties[\"items\"] = items
    if (class_ != null) properties[\"class\"] = class_
    track(\"checkout_started\", properties, person)
}
",
    );
    has(&text, "): CriticalReceipt {");
    has(&text, "track(\"scrolled\", properties, person, Delivery.LOSSY)");
}

#[test]
fn swift() {
    let text = written(Language::Swift);
    has(
        &text,
        "    public func checkoutStarted(
        amount: (amount: String, currency: String),
        items: Int,
        class_: String? = nil,
        for person: Person? = nil
    ) {
        var properties = Properties()
        properties[\"amount\"] = .money(amount.amount, amount.currency)
        properties[\"items\"] = .int(items)
        if let class_ { properties[\"class\"] = .string(class_) }
        track(\"checkout_started\", properties, for: person, delivery: .normal)
    }
",
    );
    has(&text, "    @discardableResult\n    public func paymentSucceeded(");
    has(&text, "let properties = Properties()");
}

#[test]
fn rust() {
    let text = written(Language::Rust);
    has(
        &text,
        "pub struct CheckoutStarted {
    /// amount
    pub amount: footpath_client::Money,
    /// items
    pub items: i64,
    /// Business or private.
    pub class: Option<String>,
}
",
    );
    has(
        &text,
        "        let mut track = Self::new(\"checkout_started\")
            .property(\"amount\", event.amount)
            .property(\"items\", event.items);
        if let Some(value) = event.class {
            track = track.property(\"class\", value);
        }
        track
",
    );
    has(&text, "pub const CLASS: Class = Class::Critical;");
}

#[test]
fn rusts_example_is_what_is_written() {
    let plan = Plan::read(include_str!("../../../../client-sdk/examples/typed_events/plan.toml")).unwrap();
    let example = include_str!("../../../../client-sdk/examples/typed_events/events.rs");
    assert_eq!(write(&plan, Language::Rust), example, "write it again: its first line says how");
}

#[test]
fn what_is_no_plan_says_where() {
    let wrong = [
        ("", "events"),
        ("[events]", "no events"),
        ("[events.Checkout]", "events.Checkout"),
        ("[events.a]\nproperties = { \"$b\" = \"int\" }", "events.a.properties.$b"),
        ("[events.a]\nproperties = { b = \"integer\" }", "b"),
        ("[events.a]\nprops = {}", "props"),
    ];
    for (text, part) in wrong {
        let error = format!("{:#}", Plan::read(text).unwrap_err());
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn the_documentations_plan_is_one() {
    let (_, section) = include_str!("../../../../docs/tools.md").split_once("## Typed events").unwrap();
    let block = section.split("```toml\n").nth(1).and_then(|block| block.split("```").next()).unwrap();
    assert_eq!(Plan::read(block).unwrap().events.len(), 2);
}
