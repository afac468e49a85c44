//! What a start finds on disk, and what of it is believed.
//!
//! Segments form a chain: each header names its predecessor and where the durable part of that one ended. Below that
//! point, and below the floor that any valid group header announces, damage is corruption and refused by name.
//! Above it, damage is the torn tail of the one group that was in flight, and is cut.

use crate::LogError;
use crate::disk::{BLOCK, Disk, DiskFile};
use crate::segment::{self, Damage, FORMAT_VERSION, GROUP_HEADER, Place, SegmentHeader};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A segment in use. `groups` lists every durable group: 16 bytes for at least 4 KiB of log.
pub(crate) struct Segment {
    pub name: String,
    pub header: SegmentHeader,
    pub file: Arc<dyn DiskFile>,
    pub groups: Vec<GroupAt>,
    pub end_offset: u64,
    pub end_position: u64,
    /// A sync failed on it: it is never recycled.
    pub poisoned: bool,
}

/// Where a durable group lies.
#[derive(Clone, Copy)]
pub(crate) struct GroupAt {
    pub first_offset: u64,
    pub position: u32,
    pub len: u32,
}

impl Segment {
    pub fn new(name: String, header: SegmentHeader, file: Arc<dyn DiskFile>) -> Self {
        let end_offset = header.first_offset;
        Self {
            name,
            header,
            file,
            groups: Vec::new(),
            end_offset,
            end_position: BLOCK as u64,
            poisoned: false,
        }
    }

    pub fn place(&self, position: u64) -> Place {
        Place { incarnation: self.header.incarnation, generation: self.header.generation, position }
    }

    fn corrupt(&self, position: u64) -> LogError {
        LogError::Corrupt { file: self.name.clone(), position }
    }

    fn refuse(&self, damage: Damage, position: u64) -> LogError {
        match damage {
            Damage::Invalid => self.corrupt(position),
            Damage::Newer(version) => newer(&self.name, version),
        }
    }

    pub fn push_group(&mut self, count: u64, stored_len: usize) {
        let (first_offset, position) = (self.end_offset, self.end_position as u32);
        self.groups.push(GroupAt { first_offset, position, len: stored_len as u32 });
        self.end_offset += count;
        self.end_position += stored_len as u64;
    }
}

fn newer(file: &str, version: u16) -> LogError {
    LogError::NewerFormat { file: file.to_owned(), version, supported: FORMAT_VERSION }
}

/// Everything a start found.
#[derive(Default)]
pub(crate) struct Found {
    pub segments: VecDeque<Segment>,
    pub free: Vec<String>,
    pub next_generation: u64,
    pub next_free: u64,
    pub last_append_time_us: Option<i64>,
}

pub(crate) fn segment_name(generation: u64) -> String {
    format!("segment-{generation:016x}.log")
}

pub(crate) fn free_name(number: u64) -> String {
    format!("free-{number:016x}.log")
}

fn number_in(name: &str, prefix: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(prefix)?.strip_suffix(".log")?, 16).ok()
}

/// Reads the folder. Nothing is written except removals of files that cannot be used.
pub(crate) fn scan(disk: &dyn Disk, segment_bytes: u64) -> Result<Found, LogError> {
    let mut found = Found { next_generation: 1, next_free: 1, ..Found::default() };
    let mut by_generation = BTreeMap::new();
    for name in disk.list()? {
        if let Some(number) = number_in(&name, "free-") {
            found.next_free = found.next_free.max(number + 1);
            keep_spare(disk, name, segment_bytes, &mut found.free)?;
        } else if let Some(generation) = number_in(&name, "segment-") {
            found.next_generation = found.next_generation.max(generation + 1);
            by_generation.insert(generation, open_segment(disk, name, generation)?);
        }
    }
    found.segments = chain(disk, by_generation)?;
    for index in 0..found.segments.len() {
        let next = found.segments.get(index + 1).map(|next| next.header);
        let last_time = fill(&mut found.segments[index], next.as_ref())?;
        found.last_append_time_us = last_time.or(found.last_append_time_us);
    }
    Ok(found)
}

/// A spare that was not filled to its full length is of no use.
fn keep_spare(
    disk: &dyn Disk,
    name: String,
    segment_bytes: u64,
    free: &mut Vec<String>,
) -> Result<(), LogError> {
    if disk.open(&name)?.len()? == segment_bytes {
        free.push(name);
        return Ok(());
    }
    Ok(disk.remove(&name)?)
}

/// A header is synced before its file gets a segment's name, so a bad one is always corruption.
fn open_segment(disk: &dyn Disk, name: String, generation: u64) -> Result<Segment, LogError> {
    let file = disk.open(&name)?;
    let mut block = vec![0; BLOCK];
    let corrupt = || LogError::Corrupt { file: name.clone(), position: 0 };
    if file.len()? < BLOCK as u64 {
        return Err(corrupt());
    }
    file.read_at(&mut block, 0)?;
    let header = segment::decode_segment(&block).map_err(|damage| match damage {
        Damage::Invalid => corrupt(),
        Damage::Newer(version) => newer(&name, version),
    })?;
    if header.generation != generation {
        return Err(corrupt());
    }
    Ok(Segment::new(name, header, file))
}

/// Follows the chain back from the newest segment. What lies between two links was abandoned by a failed roll.
fn chain(disk: &dyn Disk, mut by_generation: BTreeMap<u64, Segment>) -> Result<VecDeque<Segment>, LogError> {
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let mut wanted = by_generation.keys().next_back().copied().unwrap_or(0);
    while let Some(segment) = by_generation.remove(&wanted) {
        let incarnation = segments.front().map_or(segment.header.incarnation, |s| s.header.incarnation);
        if segment.header.incarnation != incarnation {
            return Err(segment.corrupt(0));
        }
        wanted = segment.header.previous;
        segments.push_front(segment);
    }
    let oldest = segments.front().map_or(0, |s| s.header.generation);
    for (generation, abandoned) in by_generation {
        if generation < oldest {
            return Err(LogError::Corrupt { file: segment_name(wanted), position: 0 });
        }
        disk.remove(&abandoned.name)?;
    }
    Ok(segments)
}

/// Lists the groups of a segment and returns the append time of its last record.
fn fill(segment: &mut Segment, next: Option<&SegmentHeader>) -> Result<Option<i64>, LogError> {
    let len = segment.file.len()?;
    let limit = next.map_or(len, |next| next.previous_end);
    if limit > len {
        return Err(segment.corrupt(len));
    }
    if next.is_none() {
        // After a killed process the page cache may hold groups that never reached the disk. They are about to be
        // believed, so they must be durable first.
        segment.file.sync()?;
    }
    let mut last_time = None;
    while segment.end_position < limit {
        match read_group(segment, limit)? {
            Ok((count, stored_len, time)) => {
                segment.push_group(count, stored_len);
                last_time = time.or(last_time);
            }
            Err(Damage::Invalid) if next.is_none() => break,
            Err(damage) => return Err(segment.refuse(damage, segment.end_position)),
        }
    }
    match next {
        Some(next) if next.first_offset != segment.end_offset => Err(segment.corrupt(segment.end_position)),
        Some(_) => Ok(last_time),
        None => check_tail(segment, len).map(|()| last_time),
    }
}

type GroupSummary = (u64, usize, Option<i64>);

/// The group at the segment's end, if a valid one that continues the offsets lies there.
fn read_group(segment: &Segment, limit: u64) -> Result<Result<GroupSummary, Damage>, LogError> {
    let place = segment.place(segment.end_position);
    let mut head = [0; GROUP_HEADER];
    segment.file.read_at(&mut head, place.position)?;
    let header = match segment::decode_group_header(place, &head) {
        Ok(header) => header,
        Err(damage) => return Ok(Err(damage)),
    };
    let fits = place.position + header.stored_len() as u64 <= limit;
    if !fits || header.first_offset != segment.end_offset {
        return Ok(Err(Damage::Invalid));
    }
    let mut bytes = vec![0; header.stored_len()];
    segment.file.read_at(&mut bytes, place.position)?;
    Ok(segment::decode_group(place, &Bytes::from(bytes)).map(|(header, records)| {
        (u64::from(header.count), header.stored_len(), records.last().map(|r| r.append_time_us))
    }))
}

/// Looks behind the cut for a header that proves the damage lies below the durable floor.
fn check_tail(segment: &Segment, len: u64) -> Result<(), LogError> {
    let mut chunk = vec![0; 64 * BLOCK];
    let mut at = segment.end_position;
    while at < len {
        let size = chunk.len().min((len - at) as usize);
        segment.file.read_at(&mut chunk[..size], at)?;
        for (index, block) in chunk[..size].chunks(BLOCK).enumerate() {
            let place = segment.place(at + (index * BLOCK) as u64);
            match segment::decode_group_header(place, block) {
                Ok(header) if header.floor > segment.end_offset => {
                    return Err(segment.corrupt(segment.end_position));
                }
                Err(Damage::Newer(version)) => return Err(newer(&segment.name, version)),
                _ => {}
            }
        }
        at += size as u64;
    }
    Ok(())
}

/// Reads every durable group of a segment again; for a log that is about to leave it after a failed sync.
pub(crate) fn verify(segment: &Segment) -> Result<(), LogError> {
    for group in &segment.groups {
        let mut bytes = vec![0; group.len as usize];
        segment.file.read_at(&mut bytes, u64::from(group.position))?;
        let place = segment.place(u64::from(group.position));
        segment::decode_group(place, &Bytes::from(bytes))
            .map_err(|damage| segment.refuse(damage, place.position))?;
    }
    Ok(())
}
