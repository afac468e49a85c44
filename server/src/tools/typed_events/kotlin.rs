//! Kotlin: an extension function of `Footpath` per event.

use std::fmt::Write as _;

use super::HEAD;
use super::plan::{Class, Event, Kind, Plan, Property, camel};

const WORDS: [&str; 30] = [
    "as",
    "break",
    "class",
    "continue",
    "do",
    "else",
    "false",
    "for",
    "fun",
    "if",
    "in",
    "interface",
    "is",
    "null",
    "object",
    "package",
    "return",
    "super",
    "this",
    "throw",
    "true",
    "try",
    "typealias",
    "typeof",
    "val",
    "var",
    "when",
    "while",
    "person",
    "properties",
];

pub fn write(plan: &Plan) -> String {
    let mut out = format!(
        "// {HEAD}\n\npackage io.footpath.events\n\nimport io.footpath.CriticalReceipt\nimport io.footpath.Delivery\n\
         import io.footpath.Footpath\nimport io.footpath.Money\nimport io.footpath.Person\nimport java.math.BigDecimal\n\
         import java.time.Instant\n"
    );
    for (name, event) in &plan.events {
        one(&mut out, name, event);
    }
    out
}

fn one(out: &mut String, name: &str, event: &Event) {
    let lines = event.lines(camel);
    let about = if lines.is_empty() { name.to_owned() } else { lines.join("\n * ") };
    let _ = writeln!(out, "\n/**\n * {about}\n */\nfun Footpath.{}(", parameter(name));
    for (key, property) in event.ordered() {
        let _ = writeln!(out, "    {}: {},", parameter(key), typed(property));
    }
    let result = if event.class == Class::Critical { ": CriticalReceipt" } else { "" };
    let _ = writeln!(
        out,
        "    person: Person? = null,\n){result} {{\n    val properties = LinkedHashMap<String, Any?>()"
    );
    for (key, property) in event.ordered() {
        let name = parameter(key);
        let guard = if property.optional { format!("if ({name} != null) ") } else { String::new() };
        let _ = writeln!(out, "    {guard}properties[\"{key}\"] = {name}");
    }
    let _ = writeln!(
        out,
        "{}\n}}",
        match event.class {
            Class::Critical => {
                format!(
                    "    return trackCritical(\"{name}\", *properties.toList().toTypedArray(), person = person)"
                )
            }
            Class::Normal => format!("    track(\"{name}\", properties, person)"),
            Class::Lossy => format!("    track(\"{name}\", properties, person, Delivery.LOSSY)"),
        }
    );
}

fn parameter(key: &str) -> String {
    let name = camel(key);
    if WORDS.contains(&&*name) { format!("{name}_") } else { name }
}

fn typed(property: &Property) -> String {
    let kind = match property.kind {
        Kind::String => "String",
        Kind::Int => "Long",
        Kind::Double => "Double",
        Kind::Decimal => "BigDecimal",
        Kind::Money => "Money",
        Kind::Bool => "Boolean",
        Kind::Time => "Instant",
    };
    if property.optional { format!("{kind}? = null") } else { kind.to_owned() }
}
