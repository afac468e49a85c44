//! A batch's context as JSON, and back: fields by the names they have in `footpath.v1.Context`, and the environment
//! unless it is production.

use footpath_model::context::{CAMPAIGN, CAMPAIGN_FIELDS, FIELDS};
use footpath_model::record::text;
use footpath_model::wire::{Fields, put_bytes};
use serde_json::{Map, Value as Json};

/// The context as JSON; `None` if nothing is set.
pub(crate) fn to_json(context: &[u8]) -> Option<String> {
    let map = fields(context, &FIELDS);
    (!map.is_empty()).then(|| Json::Object(map).to_string())
}

fn fields(message: &[u8], names: &[&str]) -> Map<String, Json> {
    let known = Fields::new(message).flatten().filter_map(|field| {
        let name = *names.get(field.number as usize - 1)?;
        let bytes = field.bytes().ok().filter(|bytes| !bytes.is_empty())?;
        let value = match name {
            CAMPAIGN => Json::Object(fields(bytes, &CAMPAIGN_FIELDS)),
            _ => Json::from(text(bytes)),
        };
        Some((key(name).to_owned(), value))
    });
    known.collect()
}

/// A name within its object: a campaign's `campaign.source` is the `source` of its `campaign`.
fn key(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, key)| key)
}

/// Appends the context that a text was written from.
///
/// # Errors
/// If the text was written by something else.
pub(crate) fn from_json(out: &mut Vec<u8>, json: &str) -> Result<(), serde_json::Error> {
    put(out, &serde_json::from_str(json)?, &FIELDS);
    Ok(())
}

fn put(out: &mut Vec<u8>, map: &Map<String, Json>, names: &[&str]) {
    for (number, name) in (1..).zip(names) {
        match map.get(key(name)) {
            Some(Json::String(text)) => put_bytes(out, number, text.as_bytes()),
            Some(Json::Object(inner)) => {
                let mut message = Vec::new();
                put(&mut message, inner, &CAMPAIGN_FIELDS);
                put_bytes(out, number, &message);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::context::{Environment, environment, put_environment};

    use super::*;

    #[test]
    fn a_context_comes_back() {
        let (mut context, mut campaign) = (Vec::new(), Vec::new());
        put_bytes(&mut context, 1, b"shop");
        put_bytes(&mut context, 3, b"ios \"17\"");
        put_bytes(&mut campaign, 1, b"mail");
        put_bytes(&mut context, 9, &campaign);
        let json = to_json(&context).unwrap();
        assert_eq!(json, r#"{"app":"shop","campaign":{"source":"mail"},"os":"ios \"17\""}"#);
        let mut back = Vec::new();
        from_json(&mut back, &json).unwrap();
        assert_eq!(back, context);
        assert_eq!(to_json(b""), None);
    }

    #[test]
    fn an_environment_comes_back_and_production_says_nothing() {
        for (one, json) in [
            (Environment::Prod, None),
            (Environment::Staging, Some(r#"{"environment":"staging"}"#)),
            (Environment::Dev, Some(r#"{"environment":"dev"}"#)),
        ] {
            let (mut context, mut back) = (Vec::new(), Vec::new());
            put_environment(&mut context, one);
            assert_eq!(to_json(&context).as_deref(), json);
            json.iter().for_each(|json| from_json(&mut back, json).unwrap());
            assert_eq!((&back, environment(&back)), (&context, one.name()));
        }
    }
}
