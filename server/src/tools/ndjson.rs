//! Events as lines of JSON.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use footpath_api::convert::{json_struct, timestamp};
use footpath_proto::v1;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use v1::value::Kind;
use xxhash_rust::xxh3::xxh3_128;

use super::object::{Object, Unique};

/// A line longer than this cannot be an event: the server takes 32 KiB by default.
const MAX_LINE_BYTES: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: String,
    name: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default, alias = "anonymous_id")]
    anonymous_id: String,
    #[serde(default, alias = "user_id")]
    user_id: String,
    #[serde(default, alias = "session_id")]
    session_id: String,
    #[serde(default, alias = "plainProperties", alias = "plain_properties")]
    properties: Map<String, Json>,
    #[serde(default)]
    person: Option<Object<Changes>>,
    #[serde(default)]
    groups: Vec<Object<Group>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Changes {
    #[serde(default)]
    set: Map<String, Json>,
    #[serde(default, alias = "set_once")]
    set_once: Map<String, Json>,
    #[serde(default)]
    unset: Vec<String>,
    #[serde(default)]
    add: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    r#type: String,
    id: String,
    #[serde(default)]
    changes: Option<Object<Changes>>,
}

/// The line without the byte order mark that some programs put in front of a file.
pub fn without_mark(line: &[u8], number: u64) -> &[u8] {
    let mark: &[u8] = if number == 1 { b"\xef\xbb\xbf" } else { b"" };
    line.strip_prefix(mark).unwrap_or(line)
}

/// The event in `line`, which is the file's line `number` (from 1). Without an id of its own the event gets one from
/// the line's number and text, so that the same line of the same file is the same event whenever it is sent, and
/// events of equal time keep the file's order.
///
/// # Errors
/// With what is wrong with the line.
pub fn event(line: &[u8], number: u64) -> anyhow::Result<v1::Event> {
    if line.len() > MAX_LINE_BYTES {
        bail!("the line has {} bytes, an event at most 32 KiB; leave properties out", line.len());
    }
    let line = std::str::from_utf8(line).map_err(|error| {
        anyhow!("column {}: the text is not UTF-8; save the file as UTF-8", error.valid_up_to() + 1)
    })?;
    let parsed: Line = read(line)?;
    let time = parsed.time.as_deref().map(moment).transpose()?;
    let groups =
        parsed.groups.into_iter().map(|group| group.0.into_message()).collect::<anyhow::Result<_>>()?;
    let plain = (!parsed.properties.is_empty()).then(|| json_struct(parsed.properties));
    Ok(v1::Event {
        id: if parsed.id.is_empty() { line_id(line, number) } else { parsed.id },
        name: parsed.name,
        time,
        anonymous_id: parsed.anonymous_id,
        user_id: parsed.user_id,
        session_id: parsed.session_id,
        plain_properties: plain,
        person: parsed.person.map(|person| person.0.into_message()).transpose().context("person")?,
        groups,
        ..v1::Event::default()
    })
}

/// Reads a line's object.
fn read(line: &str) -> anyhow::Result<Line> {
    if !line.trim_start().starts_with('{') {
        bail!("an event is a JSON object, like {{\"name\":\"view\",\"userId\":\"u-1\"}}");
    }
    let checked = serde_json::from_str::<Unique>(line);
    let parsed = checked.and_then(|_| serde_json::from_str::<Object<Line>>(line));
    // The parser's "line 1" would be taken for the file's.
    let parsed =
        parsed.map_err(|error| anyhow!("{}", error.to_string().replace("line 1 column", "column")))?;
    Ok(parsed.0)
}

fn moment(text: &str) -> anyhow::Result<prost_types::Timestamp> {
    let time: jiff::Timestamp =
        text.parse().with_context(|| format!("time: {text:?} is not like 2026-01-31T12:00:00Z"))?;
    Ok(timestamp(time.as_microsecond()))
}

/// UUIDv8: 48 bits of the line's number, 74 bits of its text's hash.
pub fn line_id(line: &str, number: u64) -> String {
    let mut bits = xxh3_128(line.trim().as_bytes()).to_be_bytes();
    bits[..6].copy_from_slice(&number.to_be_bytes()[2..]);
    bits[6] = (bits[6] & 0x0f) | 0x80;
    bits[8] = (bits[8] & 0x3f) | 0x80;
    let hex: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl Changes {
    fn into_message(self) -> anyhow::Result<v1::PropertyChanges> {
        Ok(v1::PropertyChanges {
            set: values(self.set)?,
            set_once: values(self.set_once)?,
            unset: self.unset,
            add: self.add.into_iter().collect(),
        })
    }
}

impl Group {
    fn into_message(self) -> anyhow::Result<v1::GroupChange> {
        let changes = self.changes.map(|changes| changes.0.into_message()).transpose().context("groups")?;
        Ok(v1::GroupChange { r#type: self.r#type, id: self.id, changes })
    }
}

fn values<M: FromIterator<(String, v1::Value)>>(map: Map<String, Json>) -> anyhow::Result<M> {
    let one = |(key, json): (String, Json)| {
        let value = value(json).with_context(|| key.clone())?;
        Ok((key, value))
    };
    map.into_iter().map(one).collect()
}

/// As the server reads plain JSON: every number is a double.
fn value(json: Json) -> anyhow::Result<v1::Value> {
    let kind = match json {
        Json::Null => bail!("null is no value; use unset to remove a property"),
        Json::Bool(is) => Kind::BoolValue(is),
        Json::Number(number) => Kind::DoubleValue(number.as_f64().context("a number too large")?),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(list) => {
            let values = list.into_iter().map(value).collect::<anyhow::Result<_>>()?;
            Kind::ListValue(v1::ListValue { values })
        }
        Json::Object(map) => Kind::MapValue(v1::MapValue { values: values(map)? }),
    };
    Ok(v1::Value { kind: Some(kind) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_event() {
        let line = r#"{"name":"pay","time":"2026-01-31T12:00:00.5+01:00","userId":"u","session_id":"s","properties":{"items":3},"person":{"setOnce":{"plan":"pro"},"add":{"orders":1}}}"#;
        let event = event(line.as_bytes(), 7).unwrap();
        assert_eq!(
            (event.name.as_str(), event.user_id.as_str(), event.session_id.as_str()),
            ("pay", "u", "s")
        );
        assert_eq!(event.time, Some(prost_types::Timestamp { seconds: 1_769_857_200, nanos: 500_000_000 }));
        assert!(event.plain_properties.unwrap().fields.contains_key("items"));
        assert_eq!(event.person.unwrap().add["orders"], 1.0);
    }

    #[test]
    fn ids_repeat_and_follow_the_file() {
        let line = r#"{"name":"a","userId":"u"}"#;
        let id = |text: &str, number| event(text.as_bytes(), number).unwrap().id;
        assert_eq!(id(line, 1), id(line, 1));
        assert!(id(line, 1) < id(line, 2));
        assert_ne!(id(line, 1), id(r#"{"name":"b","userId":"u"}"#, 1));
        assert_eq!(id(r#"{"id":"own","name":"a"}"#, 1), "own");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
        for (key, line) in [
            ("plan", r#"{"name":"a","userId":"u","properties":{"plan":1,"plan":2}}"#),
            ("deep", r#"{"name":"a","userId":"u","properties":{"list":[{"deep":1,"de\u0065p":1}]}}"#),
            ("x", r#"{"name":"a","userId":"u","person":{"set":{"x":1,"x":2}}}"#),
            ("orders", r#"{"name":"a","userId":"u","person":{"add":{"orders":1,"orders":2}}}"#),
            ("userId", r#"{"name":"a","userId":"u","userId":"v"}"#),
        ] {
            let error = format!("{:#}", event(line.as_bytes(), 1).unwrap_err());
            assert!(error.contains(&format!("{key:?} stands twice")) && error.contains("column"), "{error}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let wrong = |line: &str| format!("{:#}", event(line.as_bytes(), 1).unwrap_err());
        for line in ["nonsense", "not json", r#"["","a"]"#, "7", "null"] {
            assert!(wrong(line).contains("JSON object"), "{line}");
        }
        assert!(wrong(r#"{"name":"a""#).contains("column"));
        assert!(wrong(r#"{"name":"a","person":[{"x":1}]}"#).contains("an object"));
        assert!(wrong(r#"{"userId":"u"}"#).contains("name"));
        assert!(wrong(r#"{"name":"a","uid":"u"}"#).contains("uid"));
        assert!(wrong(r#"{"name":"a","time":"yesterday"}"#).contains("2026-01-31"));
        assert!(wrong(r#"{"name":"a","person":{"set":{"x":null}}}"#).contains("unset"));
    }
}
