//! How a row lies in the file: one version byte, then JSON.

use std::borrow::Borrow;

use redb::{Key, ReadOnlyTable, ReadableTable};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, StoreError};

const ROW_VERSION: u8 = 1;

pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![ROW_VERSION];
    serde_json::to_writer(&mut bytes, row)
        .map_err(|error| StoreError::Invalid(format!("the row cannot be encoded: {error}")))?;
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&ROW_VERSION, json)) => serde_json::from_slice(json)
            .map_err(|error| StoreError::Corrupt(format!("a row does not decode: {error}"))),
        other => Err(StoreError::Corrupt(format!("a row has version {:?}", other.map(|(v, _)| v)))),
    }
}

/// The row with that key.
pub(super) fn get<'k, K: Key + 'static, T: DeserializeOwned>(
    table: &impl ReadableTable<K, &'static [u8]>,
    key: impl Borrow<K::SelfType<'k>>,
) -> Result<Option<T>> {
    table.get(key)?.map(|bytes| decode(bytes.value())).transpose()
}

type PairTable = ReadOnlyTable<(&'static str, &'static str), &'static [u8]>;

/// The rows of one project with an id above `after`.
pub(super) fn list<T: DeserializeOwned>(
    table: &PairTable,
    project: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    for entry in table.range((project, after)..)? {
        let (key, value) = entry?;
        if key.value().0 != project || rows.len() >= limit {
            break;
        }
        // Ids are never empty, so `after` = "" skips nothing.
        if key.value().1 != after {
            rows.push(decode(value.value())?);
        }
    }
    Ok(rows)
}
