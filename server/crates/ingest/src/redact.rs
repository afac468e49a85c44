//! What is kept of a refused event: its shape. Names and keys stay, with card numbers and IBANs masked; every value
//! becomes its type and a class of lengths. Works on any bytes, as far as they can be read.

use footpath_model::wire::{Field, Fields, Raw, WireError};
use serde_json::{Map, Value as Json, json};

use crate::privacy::MaskPolicy;

/// Keys kept of one event; a valid one has no more properties either.
const KEYS: usize = 256;
/// Bytes of keys and names kept of one event: a thousand such events are kept per project.
const KEY_BYTES: usize = 8 << 10;
/// Levels of values that are shown; ingest allows five.
const DEPTH: usize = 6;

/// The shape of an encoded `footpath.v1.Event`.
pub(crate) fn shape(event: &[u8]) -> Map<String, Json> {
    let mut redactor = Redactor { keys: KEYS, key_bytes: KEY_BYTES, cut: false };
    let mut out = Map::new();
    for field in Fields::new(event) {
        let done = field.and_then(|field| redactor.field(&field, &mut out));
        if let Err(error) = done {
            out.insert("unreadable".into(), error.to_string().into());
            break;
        }
        if redactor.cut {
            out.insert("cut".into(), true.into());
            break;
        }
    }
    out
}

/// "9 to 16 bytes": enough to see that something is empty or far too long, and no more.
pub(crate) fn length_class(len: usize) -> String {
    match len.max(1).next_power_of_two() {
        _ if len == 0 => "empty".into(),
        1 | 2 | 4 | 8 => "1 to 8 bytes".into(),
        upper => format!("{} to {upper} bytes", upper / 2 + 1),
    }
}

/// The shape of one kind of value.
type ValueShape = dyn Fn(&mut Redactor, &Field<'_>, usize) -> Result<Json, WireError>;

struct Redactor {
    keys: usize,
    key_bytes: usize,
    cut: bool,
}

impl Redactor {
    fn field(&mut self, field: &Field<'_>, out: &mut Map<String, Json>) -> Result<(), WireError> {
        let (name, value) = match field.number {
            1 => ("id", text(field.bytes()?)),
            2 => ("raw_id", bytes(field.bytes()?)),
            3 => ("name", self.key(field.bytes()?).into()),
            4 => ("time", time(field.bytes()?)?),
            5 => ("anonymous_id", text(field.bytes()?)),
            6 => ("user_id", text(field.bytes()?)),
            7 => ("session_id", text(field.bytes()?)),
            8 => ("delivery_class", field.varint()?.into()),
            9 => ("lane", field.varint()?.into()),
            10 => ("number", field.varint()?.into()),
            11 => return self.named(out, "properties", field, &typed),
            12 => ("plain_properties", self.structure(field.bytes()?, DEPTH)?),
            13 => ("person", self.changes(field.bytes()?)?),
            14 => {
                let group = self.group(field.bytes()?)?;
                if let Json::Array(groups) = out.entry("groups").or_insert_with(|| json!([])) {
                    groups.push(group);
                }
                return Ok(());
            }
            _ => ("unknown_fields", true.into()),
        };
        out.insert(name.into(), value);
        Ok(())
    }

    /// A name or key, masked; one that is not text or far too long becomes its class.
    fn key(&mut self, key: &[u8]) -> String {
        self.cut |= self.keys == 0 || key.len() > self.key_bytes;
        self.keys = self.keys.saturating_sub(1);
        self.key_bytes = self.key_bytes.saturating_sub(key.len());
        match simdutf8::basic::from_utf8(key) {
            Ok(key) if key.len() <= 255 => MaskPolicy::default().mask(key).unwrap_or_else(|| key.to_owned()),
            _ => class(key),
        }
    }

    /// One entry of a map: key and value, the value by its own schema.
    fn entry(
        &mut self,
        entry: &[u8],
        out: &mut Map<String, Json>,
        shape: &ValueShape,
        depth: usize,
    ) -> Result<(), WireError> {
        let (mut key, mut value) = (String::new(), Json::from("none"));
        for field in Fields::new(entry) {
            let field = field?;
            match field.number {
                1 => key = self.key(field.bytes()?),
                2 => value = shape(self, &field, depth)?,
                _ => {}
            }
        }
        if !self.cut {
            out.insert(key, value);
        }
        Ok(())
    }

    /// One entry of the map that is kept as `name`.
    fn named(
        &mut self,
        out: &mut Map<String, Json>,
        name: &str,
        field: &Field<'_>,
        shape: &ValueShape,
    ) -> Result<(), WireError> {
        let entry = field.bytes()?;
        within(out, name, |out| self.entry(entry, out, shape, DEPTH))
    }

    fn structure(&mut self, fields: &[u8], depth: usize) -> Result<Json, WireError> {
        let mut out = Map::new();
        for field in Fields::new(fields) {
            if self.cut {
                break;
            }
            self.entry(field?.bytes()?, &mut out, &plain, depth)?;
        }
        Ok(out.into())
    }

    fn changes(&mut self, changes: &[u8]) -> Result<Json, WireError> {
        let mut out = Map::new();
        for field in Fields::new(changes) {
            let field = field?;
            match field.number {
                1 => self.named(&mut out, "set", &field, &typed)?,
                2 => self.named(&mut out, "set_once", &field, &typed)?,
                3 => {
                    let key = self.key(field.bytes()?);
                    within(&mut out, "unset", |out| out.insert(key, true.into()));
                }
                4 => self.named(&mut out, "add", &field, &|_, _, _| Ok("double".into()))?,
                _ => {}
            }
            if self.cut {
                break;
            }
        }
        Ok(out.into())
    }

    fn group(&mut self, group: &[u8]) -> Result<Json, WireError> {
        let mut out = Map::new();
        for field in Fields::new(group) {
            let field = field?;
            let (name, value) = match field.number {
                1 => ("type", self.key(field.bytes()?).into()),
                2 => ("id", text(field.bytes()?)),
                3 => ("changes", self.changes(field.bytes()?)?),
                _ => continue,
            };
            out.insert(name.into(), value);
        }
        Ok(out.into())
    }
}

/// The shape of a `footpath.v1.Value`.
fn typed(redactor: &mut Redactor, field: &Field<'_>, depth: usize) -> Result<Json, WireError> {
    let Some(kind) = Fields::new(field.bytes()?).last().transpose()? else { return Ok("none".into()) };
    Ok(match (kind.number, kind.value) {
        (1, Raw::Bytes(value)) => text(value),
        (2, _) => "int".into(),
        (3, _) => "double".into(),
        (4, Raw::Bytes(value)) => format!("decimal, {}", length_class(value.len())).into(),
        (5, _) => "money".into(),
        (6, _) => "bool".into(),
        (7, _) => "time".into(),
        (8, Raw::Bytes(list)) => list_of(list),
        (9, Raw::Bytes(map)) if depth > 0 => {
            let mut out = Map::new();
            for entry in Fields::new(map) {
                if redactor.cut {
                    break;
                }
                redactor.entry(entry?.bytes()?, &mut out, &typed, depth - 1)?;
            }
            out.into()
        }
        (9, _) => "map".into(),
        _ => "unknown".into(),
    })
}

/// The shape of a `google.protobuf.Value`.
fn plain(redactor: &mut Redactor, field: &Field<'_>, depth: usize) -> Result<Json, WireError> {
    let Some(kind) = Fields::new(field.bytes()?).last().transpose()? else { return Ok("none".into()) };
    Ok(match (kind.number, kind.value) {
        (1, _) => "null".into(),
        (2, _) => "double".into(),
        (3, Raw::Bytes(value)) => text(value),
        (4, _) => "bool".into(),
        (5, Raw::Bytes(fields)) if depth > 0 => redactor.structure(fields, depth - 1)?,
        (5, _) => "map".into(),
        (6, Raw::Bytes(list)) => list_of(list),
        _ => "unknown".into(),
    })
}

fn list_of(list: &[u8]) -> Json {
    format!("list of {}", Fields::new(list).filter(Result::is_ok).count()).into()
}

/// Changes the object of that name in `out`.
fn within<T>(out: &mut Map<String, Json>, name: &str, change: impl FnOnce(&mut Map<String, Json>) -> T) -> T {
    let mut object = match out.remove(name) {
        Some(Json::Object(object)) => object,
        _ => Map::new(),
    };
    let result = change(&mut object);
    out.insert(name.to_owned(), object.into());
    result
}

/// The moment itself: it says nothing about a person that the time of receipt does not, and shows what was wrong.
fn time(bytes: &[u8]) -> Result<Json, WireError> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => seconds = field.varint()?.cast_signed(),
            2 => nanos = field.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok(json!({ "seconds": seconds, "nanos": nanos }))
}

fn text(value: &[u8]) -> Json {
    class(value).into()
}

fn class(value: &[u8]) -> String {
    let kind = if simdutf8::basic::from_utf8(value).is_ok() { "string" } else { "not UTF-8" };
    format!("{kind}, {}", length_class(value.len()))
}

fn bytes(value: &[u8]) -> Json {
    format!("bytes, {}", length_class(value.len())).into()
}

#[cfg(test)]
mod tests {
    use footpath_proto::v1 as pb;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn value(kind: pb::value::Kind) -> pb::Value {
        pb::Value { kind: Some(kind) }
    }

    #[test]
    fn names_and_keys_stay_and_values_become_their_shape() {
        use pb::value::Kind;
        let inner = [("deep".to_owned(), value(Kind::BoolValue(true)))].into();
        let event = pb::Event {
            id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
            name: "pay 4111111111111111".into(),
            user_id: "secret@example.com".into(),
            number: 7,
            properties: [
                ("text".to_owned(), value(Kind::StringValue("secret".into()))),
                (
                    "list".to_owned(),
                    value(Kind::ListValue(pb::ListValue { values: vec![value(Kind::IntValue(5))] })),
                ),
                ("map".to_owned(), value(Kind::MapValue(pb::MapValue { values: inner }))),
            ]
            .into(),
            person: Some(pb::PropertyChanges { unset: vec!["old".into()], ..Default::default() }),
            groups: vec![pb::GroupChange { r#type: "company".into(), id: "secret".into(), changes: None }],
            ..Default::default()
        };
        let found = Json::from(shape(&event.encode_to_vec()));
        let expected = json!({
            "id": "string, 33 to 64 bytes",
            "name": "pay [card]",
            "user_id": "string, 17 to 32 bytes",
            "number": 7,
            "properties": { "text": "string, 1 to 8 bytes", "list": "list of 1", "map": { "deep": "bool" } },
            "person": { "unset": { "old": true } },
            "groups": [{ "type": "company", "id": "string, 1 to 8 bytes" }],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_read_says_so_and_what_is_too_much_is_cut() {
        let mut bytes = pb::Event { name: "open".into(), ..Default::default() }.encode_to_vec();
        bytes.push(0x0b);
        assert_eq!(
            Json::from(shape(&bytes)),
            json!({ "name": "open", "unreadable": "wire type 3 is not allowed" })
        );
        let properties = (0..5_000).map(|n| (format!("key{n}"), value(pb::value::Kind::IntValue(1))));
        let many = pb::Event { properties: properties.collect(), ..Default::default() };
        let found = shape(&many.encode_to_vec());
        assert_eq!(found["cut"], json!(true));
        assert!(serde_json::to_vec(&found).unwrap().len() < 32 << 10);
        let long = pb::Event { name: "n".repeat(300), session_id: String::new(), ..Default::default() };
        assert_eq!(Json::from(shape(&long.encode_to_vec())), json!({ "name": "string, 257 to 512 bytes" }));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_small_shape(bytes: Vec<u8>, nested: Vec<u8>, field in 1..15_u32) {
            let mut event = Vec::new();
            footpath_model::wire::put_bytes(&mut event, field, &nested);
            for bytes in [bytes, event] {
                prop_assert!(serde_json::to_vec(&shape(&bytes)).unwrap().len() < 64 << 10);
            }
        }
    }
}
