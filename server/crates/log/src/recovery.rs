//! What a start finds on disk, and what of it is believed.
//!
//! Only the newest segment is read: everything in the others was durable before the next one began, so their headers
//! say where they end. Damage in them is found by whoever reads them.
//!
//! Segments form a chain: each header names its predecessor and where the durable part of that one ended. Below that
//! point, and below the floor that any valid group header announces, damage is corruption and refused by name.
//! Above it, damage is the torn tail of the one group that was in flight, and is cut.

use crate::disk::{BLOCK, Disk, DiskFile};
use crate::segment::{self, Damage, FORMAT_VERSION, GROUP_HEADER, GroupHeader, Place, SegmentHeader};
use crate::{LogError, Record};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A segment in use.
pub(crate) struct Segment {
    pub name: String,
    pub header: SegmentHeader,
    pub file: Arc<dyn DiskFile>,
    /// Every durable group, 16 bytes for at least 4 KiB of log; `None` until somebody reads a segment of an earlier
    /// process, then [`Unlisted::list`] finds them.
    pub groups: Option<Vec<GroupAt>>,
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
    /// About how many bytes lie at `from` and behind it, as if all records were of one size.
    pub fn bytes_from(&self, from: u64) -> u64 {
        let records = self.end_offset - self.header.first_offset;
        let behind = self.end_offset.saturating_sub(from).min(records);
        (u128::from(self.end_position) * u128::from(behind) / u128::from(records.max(1))) as u64
    }

    pub fn new(name: String, header: SegmentHeader, file: Arc<dyn DiskFile>) -> Self {
        let end_offset = header.first_offset;
        Self {
            name,
            header,
            file,
            groups: Some(Vec::new()),
            end_offset,
            end_position: BLOCK as u64,
            poisoned: false,
        }
    }

    pub fn place(&self, position: u64) -> Place {
        self.header.place(position)
    }

    fn corrupt(&self, position: u64) -> LogError {
        corrupt(&self.name, position)
    }

    pub fn push_group(&mut self, count: u64, stored_len: usize) {
        let (first_offset, position) = (self.end_offset, self.end_position as u32);
        let group = GroupAt { first_offset, position, len: stored_len as u32 };
        self.groups.get_or_insert_default().push(group);
        self.end_offset += count;
        self.end_position += stored_len as u64;
    }

    /// What its groups can be listed from without holding on to it.
    pub fn unlisted(&self) -> Unlisted {
        Unlisted {
            name: self.name.clone(),
            file: Arc::clone(&self.file),
            header: self.header,
            end_offset: self.end_offset,
            end_position: self.end_position,
        }
    }
}

/// A segment whose end is known and whose groups are not.
pub(crate) struct Unlisted {
    pub name: String,
    pub file: Arc<dyn DiskFile>,
    pub header: SegmentHeader,
    end_offset: u64,
    end_position: u64,
}

impl Unlisted {
    /// Steps from header to header; payloads are checked when they are read.
    pub fn list(&self) -> Result<Vec<GroupAt>, LogError> {
        let (mut offset, mut position) = (self.header.first_offset, BLOCK as u64);
        let mut groups = Vec::new();
        while position < self.end_position {
            let place = self.header.place(position);
            let header = read_header(self.file.as_ref(), place, self.end_position, offset)?
                .map_err(|damage| refuse(&self.name, damage, position))?;
            let len = header.stored_len();
            groups.push(GroupAt { first_offset: offset, position: position as u32, len: len as u32 });
            offset += u64::from(header.count);
            position += len as u64;
        }
        if offset == self.end_offset { Ok(groups) } else { Err(corrupt(&self.name, position)) }
    }
}

pub(crate) fn refuse(file: &str, damage: Damage, position: u64) -> LogError {
    match damage {
        Damage::Invalid => corrupt(file, position),
        Damage::Newer(version) => newer(file, version),
    }
}

fn corrupt(file: &str, position: u64) -> LogError {
    LogError::Corrupt { file: file.to_owned(), position }
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
        match found.segments.get(index + 1).map(|next| next.header) {
            Some(next) => believe(&mut found.segments[index], &next)?,
            None => fill(&mut found.segments[index])?,
        }
    }
    found.last_append_time_us = last_time(&mut found.segments)?;
    Ok(found)
}

/// Takes the end of a segment from the header of the next one.
fn believe(segment: &mut Segment, next: &SegmentHeader) -> Result<(), LogError> {
    let len = segment.file.len()?;
    if next.previous_end > len || next.first_offset < segment.header.first_offset {
        return Err(segment.corrupt(len));
    }
    (segment.end_offset, segment.end_position) = (next.first_offset, next.previous_end);
    segment.groups = None;
    Ok(())
}

/// The append time of the last record; segments and groups without records lie behind it.
fn last_time(segments: &mut VecDeque<Segment>) -> Result<Option<i64>, LogError> {
    for segment in segments.iter_mut().rev() {
        if segment.groups.is_none() {
            segment.groups = Some(segment.unlisted().list()?);
        }
        for group in segment.groups.iter().flatten().rev() {
            let records = read_group(&segment.name, segment.file.as_ref(), segment.place(0), group)?;
            if let Some(last) = records.last() {
                return Ok(Some(last.append_time_us));
            }
        }
    }
    Ok(None)
}

/// The records of a listed group; `place` is any of its segment.
pub(crate) fn read_group(
    name: &str,
    file: &dyn DiskFile,
    place: Place,
    group: &GroupAt,
) -> Result<Vec<Record>, LogError> {
    let position = u64::from(group.position);
    let mut bytes = vec![0; group.len as usize];
    file.read_at(&mut bytes, position)?;
    let decoded = segment::decode_group(Place { position, ..place }, &Bytes::from(bytes));
    decoded.map(|(_, records)| records).map_err(|damage| refuse(name, damage, position))
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

/// Verifies the newest segment group by group up to where it was torn.
fn fill(segment: &mut Segment) -> Result<(), LogError> {
    let len = segment.file.len()?;
    // After a killed process the page cache may hold groups that never reached the disk. They are about to be believed,
    // so they must be durable first.
    segment.file.sync()?;
    while segment.end_position < len {
        match verify_next(segment, len)? {
            Ok(header) => segment.push_group(u64::from(header.count), header.stored_len()),
            Err(Damage::Invalid) => break,
            Err(damage) => return Err(refuse(&segment.name, damage, segment.end_position)),
        }
    }
    check_tail(segment, len)
}

/// The header of the group at `place`, if it is one that continues the offsets and fits.
fn read_header(
    file: &dyn DiskFile,
    place: Place,
    limit: u64,
    offset: u64,
) -> Result<Result<GroupHeader, Damage>, LogError> {
    let mut head = [0; GROUP_HEADER];
    file.read_at(&mut head, place.position)?;
    let header = segment::decode_group_header(place, &head);
    Ok(header.and_then(|header| {
        let fits = place.position + header.stored_len() as u64 <= limit;
        if fits && header.first_offset == offset { Ok(header) } else { Err(Damage::Invalid) }
    }))
}

/// The group at the segment's end, payload and all, if a valid one lies there.
fn verify_next(segment: &Segment, limit: u64) -> Result<Result<GroupHeader, Damage>, LogError> {
    let place = segment.place(segment.end_position);
    let header = match read_header(segment.file.as_ref(), place, limit, segment.end_offset)? {
        Ok(header) => header,
        Err(damage) => return Ok(Err(damage)),
    };
    let mut bytes = vec![0; header.stored_len()];
    segment.file.read_at(&mut bytes, place.position)?;
    Ok(segment::decode_group(place, &Bytes::from(bytes)).map(|(header, _)| header))
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
    for group in segment.groups.iter().flatten() {
        read_group(&segment.name, segment.file.as_ref(), segment.place(0), group)?;
    }
    Ok(())
}
