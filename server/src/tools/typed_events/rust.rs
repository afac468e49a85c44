//! Rust: a type per event that becomes a `Track`.

use std::fmt::Write as _;

use super::HEAD;
use super::plan::{Event, Kind, Plan, Property, pascal};

const WORDS: [&str; 39] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where",
    "while", "yield",
];

pub fn write(plan: &Plan) -> String {
    let mut out = format!("// {HEAD}\n\nuse footpath_client::{{Class, Track}};\n");
    for (name, event) in &plan.events {
        one(&mut out, name, event);
    }
    out
}

fn one(out: &mut String, name: &str, event: &Event) {
    let (kind, class) = (pascal(name), format!("{:?}", event.class));
    let about = if event.about.is_empty() { name.to_owned() } else { event.about.replace('\n', "\n/// ") };
    let _ = writeln!(out, "\n/// {about}");
    let _ = writeln!(out, "#[derive(Debug, Clone, PartialEq)]\npub struct {kind} {{");
    for (key, property) in event.ordered() {
        let about = if property.about.is_empty() { key.clone() } else { property.about.replace('\n', " ") };
        let _ = writeln!(out, "    /// {about}\n    pub {}: {},", field(key), typed(property));
    }
    let _ = writeln!(out, "}}\n\nimpl {kind} {{");
    let _ = writeln!(out, "    /// How carefully it is kept: for `Client::track_as`.");
    let _ = writeln!(out, "    pub const CLASS: Class = Class::{class};\n}}");
    let event_name = if event.properties.is_empty() { "_" } else { "event" };
    let _ = writeln!(out, "\nimpl From<{kind}> for Track {{\n    fn from({event_name}: {kind}) -> Self {{");
    let optional = event.properties.iter().filter(|(_, property)| property.optional);
    let optional: Vec<_> = optional.map(|(key, _)| key).collect();
    let begin = if optional.is_empty() { "" } else { "let mut track = " };
    let _ = write!(out, "        {begin}Self::new(\"{name}\")");
    for (key, _) in event.properties.iter().filter(|(_, property)| !property.optional) {
        let _ = write!(out, "\n            .property(\"{key}\", event.{})", field(key));
    }
    if !optional.is_empty() {
        let _ = writeln!(out, ";");
        for key in optional {
            let _ = writeln!(
                out,
                "        if let Some(value) = event.{} {{\n            track = track.property(\"{key}\", value);\n        }}",
                field(key)
            );
        }
        let _ = write!(out, "        track");
    }
    let _ = writeln!(out, "\n    }}\n}}");
}

fn field(key: &str) -> String {
    if WORDS.contains(&key) { format!("{key}_") } else { key.to_owned() }
}

fn typed(property: &Property) -> String {
    let kind = match property.kind {
        Kind::String => "String",
        Kind::Int => "i64",
        Kind::Double => "f64",
        Kind::Decimal => "footpath_client::Decimal",
        Kind::Money => "footpath_client::Money",
        Kind::Bool => "bool",
        Kind::Time => "std::time::SystemTime",
    };
    if property.optional { format!("Option<{kind}>") } else { kind.to_owned() }
}
