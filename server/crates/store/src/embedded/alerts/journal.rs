//! The records that rules depend on, and the image of what they come to. Both are large, so they lie as raw bytes, not within JSON.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::embedded::Did;
use crate::embedded::layout::{ALERT_IMAGE_POSITIONS, ALERT_IMAGES, ALERT_RECORDS};
use crate::{AlertRecordRow, Result, StoreError};

/// An image lies in parts: redb gives a value a power of two of bytes, and a new one before the old one's are free.
const PART_BYTES: usize = (1 << 20) - (8 << 10);

pub(super) fn put_record(txn: &WriteTransaction, record: &AlertRecordRow) -> Result<Did<()>> {
    if record.position < image_position(txn, record.project)? {
        return Ok(Did::Nothing(()));
    }
    let mut table = txn.open_table(ALERT_RECORDS)?;
    let (key, value) = ((record.project, record.position), (record.at_us, record.json.as_slice()));
    let same = table.get(key)?.map(|old| old.value() == value);
    match same {
        Some(true) => return Ok(Did::Nothing(())),
        Some(false) => return Err(StoreError::conflict("alert record", &record.name())),
        None => table.insert(key, value)?,
    };
    Ok(Did::Change(()))
}

pub(super) fn records(
    txn: &ReadTransaction,
    project: u32,
    from: u64,
    limit: usize,
) -> Result<Vec<AlertRecordRow>> {
    let table = txn.open_table(ALERT_RECORDS)?;
    let rows = table.range((project, from)..=(project, u64::MAX))?.take(limit);
    rows.map(|entry| {
        let (key, value) = entry?;
        let (at_us, json) = value.value();
        Ok(AlertRecordRow { project, position: key.value().1, at_us, json: json.to_vec() })
    })
    .collect()
}

pub(super) fn put_image(
    txn: &WriteTransaction,
    project: u32,
    position: u64,
    image: &[u8],
) -> Result<Did<()>> {
    if image_position(txn, project)? > position {
        return Ok(Did::Nothing(()));
    }
    let mut images = txn.open_table(ALERT_IMAGES)?;
    images.retain_in((project, 0)..=(project, u32::MAX), |_, _| false)?;
    for (part, bytes) in (0_u32..).zip(image.chunks(PART_BYTES)) {
        images.insert((project, part), bytes)?;
    }
    txn.open_table(ALERT_IMAGE_POSITIONS)?.insert(project, position)?;
    txn.open_table(ALERT_RECORDS)?.retain_in((project, 0)..(project, position), |_, _| false)?;
    Ok(Did::Change(()))
}

pub(super) fn image(txn: &ReadTransaction, project: u32) -> Result<Option<(u64, Vec<u8>)>> {
    let Some(position) = txn.open_table(ALERT_IMAGE_POSITIONS)?.get(project)? else {
        return Ok(None);
    };
    let (images, mut image) = (txn.open_table(ALERT_IMAGES)?, Vec::new());
    for part in images.range((project, 0)..=(project, u32::MAX))? {
        image.extend_from_slice(part?.1.value());
    }
    Ok(Some((position.value(), image)))
}

/// Records below it are part of the image; 0 without one.
fn image_position(txn: &WriteTransaction, project: u32) -> Result<u64> {
    Ok(txn.open_table(ALERT_IMAGE_POSITIONS)?.get(project)?.map_or(0, |position| position.value()))
}
