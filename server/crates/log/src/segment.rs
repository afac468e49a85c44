//! The bytes of a segment: one header block, then groups. `docs/adr/0001-log-format.md` has the tables and the why.

use crate::disk::BLOCK;
use crate::{Entry, Record};
use bytes::Bytes;

/// The format this build writes; newer ones are refused.
pub const FORMAT_VERSION: u16 = 1;
/// Bytes of a group header; it lies in one sector, so it is never torn.
pub const GROUP_HEADER: usize = 64;
const ENTRY_HEADER: usize = 12;
const SEGMENT_MAGIC: [u8; 8] = *b"FPSEGMNT";
const GROUP_MAGIC: [u8; 4] = *b"FPGR";

/// What the first block of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Grows with every segment put to use; a recycled file gets a new one.
    pub generation: u64,
    /// The log's incarnation: a random number mixed into every checksum, so no payload can forge a group.
    pub incarnation: u64,
    /// Offset of the first record.
    pub first_offset: u64,
    /// Generation of the segment before this one; 0 when there is none.
    pub previous: u64,
    /// Byte position where the durable part of the previous segment ends: the floor across segments.
    pub previous_end: u64,
}

impl SegmentHeader {
    /// Where a group at `position` lies.
    pub fn place(&self, position: u64) -> Place {
        Place { incarnation: self.incarnation, generation: self.generation, position }
    }
}

/// What the header of a group says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHeader {
    /// Offset of the first record.
    pub first_offset: u64,
    /// Every record below this offset was on disk when this group was written.
    pub floor: u64,
    /// Bytes of the payload.
    pub payload_len: u32,
    /// Number of records.
    pub count: u32,
    body_crc: u32,
}

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Not a valid header or payload for this place.
    Invalid,
    /// Written by a newer format version.
    Newer(u16),
}

impl GroupHeader {
    /// Bytes the group takes in the file, padding included.
    pub fn stored_len(&self) -> usize {
        padded(GROUP_HEADER + self.payload_len as usize)
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

/// Bytes a group of these entries takes in the file.
pub fn stored_len(entries: &[Entry]) -> usize {
    padded(GROUP_HEADER + entries.iter().map(|e| ENTRY_HEADER + e.payload.len()).sum::<usize>())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Writes a segment header into a block.
pub fn encode_segment(header: &SegmentHeader, out: &mut [u8]) {
    out.fill(0);
    put(out, 0, &SEGMENT_MAGIC);
    put(out, 8, &FORMAT_VERSION.to_le_bytes());
    let fields =
        [header.generation, header.incarnation, header.first_offset, header.previous, header.previous_end];
    for (index, field) in fields.iter().enumerate() {
        put(out, 16 + 8 * index, &field.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out[..56]);
    put(out, 56, &crc.to_le_bytes());
}

/// Reads the header of a segment. A newer version is told before the checksum: its layout is not ours to check.
pub fn decode_segment(block: &[u8]) -> Result<SegmentHeader, Damage> {
    if block.len() < 60 || block[..8] != SEGMENT_MAGIC {
        return Err(Damage::Invalid);
    }
    check_version(u16_at(block, 8))?;
    if crc32c::crc32c(&block[..56]) != u32_at(block, 56) {
        return Err(Damage::Invalid);
    }
    Ok(SegmentHeader {
        generation: u64_at(block, 16),
        incarnation: u64_at(block, 24),
        first_offset: u64_at(block, 32),
        previous: u64_at(block, 40),
        previous_end: u64_at(block, 48),
    })
}

fn check_version(version: u16) -> Result<(), Damage> {
    match version {
        0 => Err(Damage::Invalid),
        FORMAT_VERSION => Ok(()),
        newer => Err(Damage::Newer(newer)),
    }
}

/// Where a group lies; part of both of its checksums, so that it is valid nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The log's incarnation.
    pub incarnation: u64,
    /// The segment's generation.
    pub generation: u64,
    /// Byte position in the file.
    pub position: u64,
}

impl Place {
    fn crc(&self, bytes: &[u8]) -> u32 {
        let mut place = [0u8; 24];
        put(&mut place, 0, &self.incarnation.to_le_bytes());
        put(&mut place, 8, &self.generation.to_le_bytes());
        put(&mut place, 16, &self.position.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
    }
}

/// Writes a group into `out`, whose length is [`stored_len`] of `entries`.
pub fn encode_group(place: Place, first_offset: u64, floor: u64, entries: &[Entry], out: &mut [u8]) {
    let mut at = GROUP_HEADER;
    for entry in entries {
        put(out, at, &entry.append_time_us.to_le_bytes());
        put(out, at + 8, &(entry.payload.len() as u32).to_le_bytes());
        put(out, at + ENTRY_HEADER, &entry.payload);
        at += ENTRY_HEADER + entry.payload.len();
    }
    out[at..].fill(0);
    let body_crc = place.crc(&out[GROUP_HEADER..at]);
    out[..GROUP_HEADER].fill(0);
    put(out, 0, &GROUP_MAGIC);
    put(out, 4, &FORMAT_VERSION.to_le_bytes());
    put(out, 8, &place.generation.to_le_bytes());
    put(out, 16, &place.position.to_le_bytes());
    put(out, 24, &first_offset.to_le_bytes());
    put(out, 32, &floor.to_le_bytes());
    put(out, 40, &((at - GROUP_HEADER) as u32).to_le_bytes());
    put(out, 44, &(entries.len() as u32).to_le_bytes());
    put(out, 48, &body_crc.to_le_bytes());
    let header_crc = place.crc(&out[..60]);
    put(out, 60, &header_crc.to_le_bytes());
}

/// Reads the header of the group at `place`.
pub fn decode_group_header(place: Place, bytes: &[u8]) -> Result<GroupHeader, Damage> {
    let here = bytes.len() >= GROUP_HEADER
        && bytes[..4] == GROUP_MAGIC
        && u64_at(bytes, 8) == place.generation
        && u64_at(bytes, 16) == place.position;
    if !here {
        return Err(Damage::Invalid);
    }
    check_version(u16_at(bytes, 4))?;
    if place.crc(&bytes[..60]) != u32_at(bytes, 60) {
        return Err(Damage::Invalid);
    }
    Ok(GroupHeader {
        first_offset: u64_at(bytes, 24),
        floor: u64_at(bytes, 32),
        payload_len: u32_at(bytes, 40),
        count: u32_at(bytes, 44),
        body_crc: u32_at(bytes, 48),
    })
}

/// Reads a whole group: `bytes` starts at its header and holds at least [`GroupHeader::stored_len`].
pub fn decode_group(place: Place, bytes: &Bytes) -> Result<(GroupHeader, Vec<Record>), Damage> {
    let header = decode_group_header(place, bytes)?;
    let end = GROUP_HEADER + header.payload_len as usize;
    let body = bytes.get(GROUP_HEADER..end).ok_or(Damage::Invalid)?;
    if place.crc(body) != header.body_crc {
        return Err(Damage::Invalid);
    }
    let mut records = Vec::new();
    let mut at = GROUP_HEADER;
    for index in 0..u64::from(header.count) {
        let payload_at = at + ENTRY_HEADER;
        if payload_at > end {
            return Err(Damage::Invalid);
        }
        let next = payload_at + u32_at(bytes, at + 8) as usize;
        if next > end {
            return Err(Damage::Invalid);
        }
        records.push(Record {
            offset: header.first_offset + index,
            append_time_us: u64_at(bytes, at).cast_signed(),
            payload: bytes.slice(payload_at..next),
        });
        at = next;
    }
    Ok((header, records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_valid_only_where_it_was_written() {
        let entries = [Entry { append_time_us: 1, payload: Bytes::from_static(b"payload") }];
        let place = Place { incarnation: 7, generation: 3, position: 4096 };
        let mut bytes = vec![0; stored_len(&entries)];
        encode_group(place, 5, 5, &entries, &mut bytes);
        assert!(decode_group(place, &bytes.clone().into()).is_ok());
        let elsewhere = [
            Place { incarnation: 8, ..place },
            Place { generation: 4, ..place },
            Place { position: 8192, ..place },
        ];
        for place in elsewhere {
            assert_eq!(decode_group(place, &bytes.clone().into()), Err(Damage::Invalid), "{place:?}");
            // The fields beside the checksums are for people; forging them must not help.
            let mut forged = bytes.clone();
            put(&mut forged, 8, &place.generation.to_le_bytes());
            put(&mut forged, 16, &place.position.to_le_bytes());
            assert_eq!(decode_group(place, &forged.into()), Err(Damage::Invalid), "forged {place:?}");
        }
    }

    #[test]
    fn the_payloads_checksum_knows_its_place_too() {
        let entries = [Entry { append_time_us: 1, payload: Bytes::from_static(b"payload") }];
        let [here, there] = [3, 4].map(|generation| Place { incarnation: 7, generation, position: 4096 });
        let mut groups = [here, there].map(|place| {
            let mut bytes = vec![0; stored_len(&entries)];
            encode_group(place, 5, 5, &entries, &mut bytes);
            bytes
        });
        let [old, new] = &mut groups;
        assert_eq!(old[GROUP_HEADER..], new[GROUP_HEADER..], "the same payload");
        assert_ne!(old[48..52], new[48..52], "another checksum");
    }
}
