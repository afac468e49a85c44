//! Swift: a method of `Footpath` per event.

use std::fmt::Write as _;

use super::HEAD;
use super::plan::{Class, Event, Kind, Plan, Property, camel};

const WORDS: [&str; 40] = [
    "as",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "false",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "inout",
    "internal",
    "is",
    "let",
    "nil",
    "operator",
    "private",
    "protocol",
    "public",
    "repeat",
    "return",
    "self",
    "static",
    "struct",
    "switch",
    "throw",
    "true",
    "try",
    "while",
];

pub fn write(plan: &Plan) -> String {
    let mut out = format!("// {HEAD}\n\nimport Footpath\nimport Foundation\n\nextension Footpath {{\n");
    let methods: Vec<String> = plan.events.iter().map(|(name, event)| one(name, event)).collect();
    out += &methods.join("\n");
    out += "}\n";
    out
}

fn one(name: &str, event: &Event) -> String {
    let mut out = String::new();
    let lines = event.lines(camel);
    let about = if lines.is_empty() { name.to_owned() } else { lines.join("\n    /// ") };
    let _ = writeln!(out, "    /// {about}");
    if event.class == Class::Critical {
        let _ = writeln!(out, "    @discardableResult");
    }
    let mut parameters: Vec<String> =
        event.ordered().map(|(key, property)| parameter(key, property)).collect();
    parameters.push("for person: Person? = nil".to_owned());
    let result = if event.class == Class::Critical { " -> Receipt" } else { "" };
    let _ = writeln!(
        out,
        "    public func {}(\n        {}\n    ){result} {{",
        quoted(&camel(name)),
        parameters.join(",\n        ")
    );
    let _ = writeln!(
        out,
        "        {} properties = Properties()",
        if event.properties.is_empty() { "let" } else { "var" }
    );
    for (key, property) in event.ordered() {
        let (plain, name) = (camel(key), quoted(&camel(key)));
        if property.optional {
            let value = value(property.kind, &name);
            let _ = writeln!(out, "        if let {name} {{ properties[\"{key}\"] = {value} }}");
        } else {
            let _ = writeln!(
                out,
                "        properties[\"{key}\"] = {}",
                value(property.kind, if name == plain { &plain } else { &name })
            );
        }
    }
    let _ = writeln!(
        out,
        "{}\n    }}",
        match event.class {
            Class::Critical => format!("        return trackCritical(\"{name}\", properties, for: person)"),
            Class::Normal => format!("        track(\"{name}\", properties, for: person, delivery: .normal)"),
            Class::Lossy => format!("        track(\"{name}\", properties, for: person, delivery: .lossy)"),
        }
    );
    out
}

fn parameter(key: &str, property: &Property) -> String {
    let kind = match property.kind {
        Kind::String => "String",
        Kind::Int => "Int",
        Kind::Double => "Double",
        Kind::Decimal => "Decimal",
        Kind::Money => "(amount: String, currency: String)",
        Kind::Bool => "Bool",
        Kind::Time => "Date",
    };
    let name = quoted(&camel(key));
    if property.optional { format!("{name}: {kind}? = nil") } else { format!("{name}: {kind}") }
}

fn value(kind: Kind, name: &str) -> String {
    match kind {
        Kind::String => format!(".string({name})"),
        Kind::Int => format!(".int({name})"),
        Kind::Double => format!(".double({name})"),
        Kind::Decimal => format!(".decimal(\"\\({name})\")"),
        Kind::Money => format!(".money({name}.amount, {name}.currency)"),
        Kind::Bool => format!(".bool({name})"),
        Kind::Time => format!(".time({name})"),
    }
}

fn quoted(name: &str) -> String {
    if WORDS.contains(&name) || matches!(name, "person" | "properties") {
        format!("{name}_")
    } else {
        name.to_owned()
    }
}
