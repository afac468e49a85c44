//! Python: a function per event.

use std::fmt::Write as _;

use super::HEAD;
use super::plan::{Class, Event, Kind, Plan, Property};

const WORDS: [&str; 38] = [
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "client",
    "user",
    "anonymous",
    "properties",
    "str",
    "int",
];

pub fn write(plan: &Plan) -> String {
    let mut out = format!(
        "# {HEAD}\n\nimport datetime\nimport decimal\nfrom typing import Any, Dict, Optional\n\nimport footpath\n"
    );
    for (name, event) in &plan.events {
        one(&mut out, name, event);
    }
    out
}

fn one(out: &mut String, name: &str, event: &Event) {
    let (result, call) = match event.class {
        Class::Critical => ("Optional[footpath.Receipt]", "track_critical"),
        Class::Normal | Class::Lossy => ("footpath.Tracked", "track"),
    };
    let _ = writeln!(out, "\n\ndef {}(\n    client: footpath.Client,\n    *,", parameter(name));
    for (key, property) in event.ordered() {
        let _ = writeln!(out, "    {}: {},", parameter(key), typed(property));
    }
    let _ = writeln!(
        out,
        "    user: Optional[str] = None,\n    anonymous: Optional[str] = None,\n) -> {result}:"
    );
    let lines = event.lines(str::to_owned);
    if !lines.is_empty() {
        let about = lines.join("\n    ").replace('\\', "\\\\").replace("\"\"\"", "'''");
        let _ = writeln!(out, "    \"\"\"{about}\"\"\"");
    }
    let needed = event.ordered().filter(|(_, property)| !property.optional);
    let needed: Vec<String> = needed.map(|(key, _)| format!("\"{key}\": {}", parameter(key))).collect();
    let _ = writeln!(out, "    properties: Dict[str, Any] = {{{}}}", needed.join(", "));
    for (key, _) in event.ordered().filter(|(_, property)| property.optional) {
        let name = parameter(key);
        let _ = writeln!(out, "    if {name} is not None:\n        properties[\"{key}\"] = {name}");
    }
    let lossy = if event.class == Class::Lossy { ", lossy=True" } else { "" };
    let _ = writeln!(
        out,
        "    return client.{call}(\"{name}\", properties, user=user, anonymous=anonymous{lossy})"
    );
}

fn parameter(key: &str) -> String {
    if WORDS.contains(&key) { format!("{key}_") } else { key.to_owned() }
}

fn typed(property: &Property) -> String {
    let kind = match property.kind {
        Kind::String => "str",
        Kind::Int => "int",
        Kind::Double => "float",
        Kind::Decimal => "decimal.Decimal",
        Kind::Money => "footpath.Money",
        Kind::Bool => "bool",
        Kind::Time => "datetime.datetime",
    };
    if property.optional { format!("Optional[{kind}] = None") } else { kind.to_owned() }
}
