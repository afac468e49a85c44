//! Delivered numbers, per stream, for ever.
//!
//! A client numbers its events from 1 without gaps per (install, epoch, class, lane). A stream remembers
//! exactly which numbers were stored: everything up to a low-water mark, and a bounded list of disjoint
//! intervals above it. Lanes overtake and refused events are retried, so "at or below the highest" would
//! call events duplicates that were never stored; membership is therefore exact. The highest interval lies
//! inline, because that is where almost every number lands.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::ids::io::Reader;

/// Intervals a stream may hold above its low-water mark: 64 KiB a stream at worst. A client sends in order
/// per lane; more holes than this means that it loses most of what it sends.
pub const MAX_INTERVALS: usize = 4096;

/// Numbers that may be missing in a row. No client gives out so many that never arrive; one that says so would drown what
/// is really missing.
pub const MAX_JUMP: u64 = 1 << 32;

/// Streams of one producer up to which a scan of their keys beats a table of lanes.
const SCANNED_STREAMS: usize = 8;
const NO_STREAM: u32 = u32::MAX;

/// An inclusive range of numbers.
pub type Range = (u64, u64);

/// Names one numbered stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The project's number.
    pub project: u32,
    /// The install's UUID.
    pub install: [u8; 16],
    /// Random per queue folder.
    pub epoch: u64,
    /// The class of events.
    pub class: u8,
    /// The actor's lane.
    pub lane: u8,
}

/// What an insertion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The number was not a member; now it is.
    Fresh,
    /// The number is a member already.
    Duplicate,
}

/// Why a stream could not take a change. The stream is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The change needs one interval more than the bound.
    #[error("the stream has too many holes: send the missing numbers or explain their loss, then retry")]
    TooFragmented,
    /// Numbers start at 1 and leave out [`MAX_JUMP`] at most, and a range runs from its smaller end.
    #[error("stream numbers start at 1 without large gaps, and ranges run upwards: correct the client")]
    BadNumber,
}

/// The delivered set of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// All of `1..=low` were delivered.
    low: u64,
    /// The highest interval above `low`; `(0, 0)` if there is none.
    top: Range,
    rest: Option<Box<Rest>>,
}

/// What most streams never need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rest {
    /// Intervals between `low` and `top`, ascending, neither touching nor overlapping.
    middle: Vec<Range>,
    /// Ranges whose loss the client explained, ascending, neither touching nor overlapping.
    lost: Vec<Range>,
    /// The highest number that a loss showed to be given out; 0 if none did.
    last: u64,
}

impl Stream {
    /// Makes `number` a member, holding at most `max_intervals` intervals above the low-water mark.
    ///
    /// # Errors
    /// `TooFragmented` if it would need another interval, `BadNumber` for 0. Nothing changed then.
    pub fn insert(&mut self, number: u64, max_intervals: usize) -> Result<Delivered, StreamError> {
        if number <= self.low {
            return if number == 0 { Err(StreamError::BadNumber) } else { Ok(Delivered::Duplicate) };
        }
        if number == self.low + 1 {
            self.low = number;
            self.absorb_first();
            return Ok(Delivered::Fresh);
        }
        let (from, to) = self.top;
        if number > to {
            if to != 0 && number == to + 1 {
                self.top.1 = number;
                return Ok(Delivered::Fresh);
            }
            self.room(max_intervals)?;
            if to != 0 {
                self.rest_mut().middle.push((from, to));
            }
            self.top = (number, number);
            return Ok(Delivered::Fresh);
        }
        if number >= from {
            return Ok(Delivered::Duplicate);
        }
        self.insert_below_top(number, max_intervals)
    }

    /// Whether `number` was delivered.
    pub fn contains(&self, number: u64) -> bool {
        if number <= self.low {
            return number != 0;
        }
        let (from, to) = self.top;
        if number >= from {
            return number <= to;
        }
        let middle = self.middle();
        let at = middle.partition_point(|range| range.1 < number);
        middle.get(at).is_some_and(|range| range.0 <= number)
    }

    /// Takes a member out again: the undo of an insertion whose group was not stored. Undoing in reverse
    /// order walks through states that existed, so the bound holds.
    pub(crate) fn remove(&mut self, number: u64) {
        if !self.contains(number) {
            return;
        }
        if number <= self.low {
            let tail = (number + 1, self.low);
            self.low = number - 1;
            if tail.0 <= tail.1 {
                self.push_first(tail);
            }
            return;
        }
        let (from, to) = self.top;
        if number >= from {
            self.top = (number + 1, to);
            if from < number {
                if number == to {
                    self.top = (from, number - 1);
                } else {
                    self.rest_mut().middle.push((from, number - 1));
                }
            } else if number == to {
                self.top = self.rest.as_mut().and_then(|rest| rest.middle.pop()).unwrap_or((0, 0));
            }
            return;
        }
        let middle = &mut self.rest_mut().middle;
        let at = middle.partition_point(|range| range.1 < number);
        let (from, to) = middle[at];
        let parts = [(from, number - 1), (number + 1, to)];
        middle.splice(at..=at, parts.into_iter().filter(|part| part.0 <= part.1));
    }

    /// The low-water mark: all of `1..=low` were delivered.
    pub fn low(&self) -> u64 {
        self.low
    }

    /// The highest number delivered, 0 if none was.
    pub fn highest(&self) -> u64 {
        self.low.max(self.top.1)
    }

    /// How many intervals lie above the low-water mark.
    pub fn intervals(&self) -> usize {
        self.middle().len() + usize::from(self.top.1 != 0)
    }

    /// Whether nothing is known about the stream.
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.top.1 == 0 && self.rest.as_ref().is_none_or(|rest| **rest == Rest::default())
    }

    /// The ranges that were given out, not delivered, and not explained, ascending.
    pub fn holes(&self) -> Vec<Range> {
        let mut holes = Vec::new();
        self.each_hole(&mut |hole| holes.push(hole));
        holes
    }

    /// How many numbers are missing in all holes.
    pub fn missing(&self) -> u64 {
        let mut missing = 0_u64;
        self.each_hole(&mut |(from, to)| missing = missing.saturating_add(to - from + 1));
        missing
    }

    fn each_hole(&self, each: &mut impl FnMut(Range)) {
        let mut next = self.low.saturating_add(1);
        let top = (self.top.1 != 0).then_some(self.top);
        for (from, to) in self.middle().iter().copied().chain(top) {
            self.unexplained((next, from - 1), each);
            next = to.saturating_add(1);
        }
        let last = self.rest.as_ref().map_or(0, |rest| rest.last);
        if last > self.highest() {
            self.unexplained((next, last), each);
        }
    }

    /// Whether numbers may be missing; quick, and exact for a stream that was only ever sent in order.
    #[inline]
    pub(crate) fn may_have_holes(&self) -> bool {
        self.top.1 != 0 || self.rest.is_some()
    }

    /// Marks `from..=to` as lost for good: no hole any more. A number of it that is delivered after all is
    /// fresh, once. Numbers below it were given out before.
    ///
    /// # Errors
    /// `BadNumber` if the range is empty, contains 0 or leaves out too many, `TooFragmented` if the list of losses is full.
    pub fn explain_loss(&mut self, from: u64, to: u64, max_intervals: usize) -> Result<(), StreamError> {
        if from == 0 || from > to || to.saturating_sub(self.highest()) > MAX_JUMP {
            return Err(StreamError::BadNumber);
        }
        let low = self.low;
        if to <= low {
            return Ok(());
        }
        let lost = &mut self.rest_mut().lost;
        lost.retain(|range| range.1 > low);
        let start = lost.partition_point(|range| range.1.saturating_add(1) < from);
        let end = lost.partition_point(|range| range.0 <= to.saturating_add(1));
        if start == end && lost.len() >= max_intervals {
            return Err(StreamError::TooFragmented);
        }
        let merged =
            lost[start..end].iter().fold((from, to), |all, one| (all.0.min(one.0), all.1.max(one.1)));
        lost.splice(start..end, [merged]);
        self.given_out(to);
        Ok(())
    }

    /// The client gave out all numbers up to `last`: what is missing below it is a hole even if nothing above it ever
    /// arrives.
    fn given_out(&mut self, last: u64) {
        if last > self.highest() {
            let rest = self.rest_mut();
            rest.last = rest.last.max(last);
        }
    }

    fn insert_below_top(&mut self, number: u64, max_intervals: usize) -> Result<Delivered, StreamError> {
        let room = self.room(max_intervals);
        let touches_top = number + 1 == self.top.0;
        let Self { top, rest, .. } = self;
        if touches_top && rest.is_none() {
            top.0 = number;
            return Ok(Delivered::Fresh);
        }
        // Nothing is allocated for an insertion that is refused.
        if rest.is_none() {
            room?;
        }
        let middle = &mut rest.get_or_insert_default().middle;
        let at = middle.partition_point(|range| range.1 < number);
        if middle.get(at).is_some_and(|range| range.0 <= number) {
            return Ok(Delivered::Duplicate);
        }
        let joins_left = at > 0 && middle[at - 1].1 + 1 == number;
        if touches_top {
            top.0 = if joins_left { middle.pop().map_or(number, |range| range.0) } else { number };
            return Ok(Delivered::Fresh);
        }
        let joins_right = middle.get(at).is_some_and(|range| range.0 == number + 1);
        match (joins_left, joins_right) {
            (true, true) => {
                middle[at - 1].1 = middle[at].1;
                middle.remove(at);
            }
            (true, false) => middle[at - 1].1 = number,
            (false, true) => middle[at].0 = number,
            (false, false) => {
                room?;
                middle.insert(at, (number, number));
            }
        }
        Ok(Delivered::Fresh)
    }

    fn room(&self, max_intervals: usize) -> Result<(), StreamError> {
        if self.intervals() < max_intervals { Ok(()) } else { Err(StreamError::TooFragmented) }
    }

    /// Raises the low-water mark over the first interval, if that begins right above it.
    fn absorb_first(&mut self) {
        if let Some(rest) = &mut self.rest
            && let Some(&(from, to)) = rest.middle.first()
        {
            if from - 1 == self.low {
                self.low = to;
                rest.middle.remove(0);
            }
            return;
        }
        if self.top.1 != 0 && self.top.0 - 1 == self.low {
            self.low = self.top.1;
            self.top = (0, 0);
        }
    }

    fn push_first(&mut self, range: Range) {
        if self.top.1 == 0 {
            self.top = range;
        } else {
            self.rest_mut().middle.insert(0, range);
        }
    }

    /// Gives `gap` without the ranges explained as lost.
    fn unexplained(&self, gap: Range, each: &mut impl FnMut(Range)) {
        let (mut from, to) = gap;
        let lost = self.rest.as_ref().map_or(&[][..], |rest| &rest.lost);
        let first = lost.partition_point(|range| range.1 < from);
        for &(lost_from, lost_to) in &lost[first..] {
            if lost_from > to || from > to {
                break;
            }
            if lost_from > from {
                each((from, lost_from - 1));
            }
            from = from.max(lost_to.saturating_add(1));
            if lost_to == u64::MAX {
                return;
            }
        }
        if from <= to {
            each((from, to));
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.low, self.top.0, self.top.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let Some(rest) = self.rest.as_ref().filter(|rest| ***rest != Rest::default()) else {
            out.push(0);
            return;
        };
        out.push(1);
        out.extend_from_slice(&rest.last.to_le_bytes());
        for ranges in [&rest.middle, &rest.lost] {
            out.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
            for (from, to) in ranges {
                out.extend_from_slice(&from.to_le_bytes());
                out.extend_from_slice(&to.to_le_bytes());
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let (low, top) = (reader.u64()?, (reader.u64()?, reader.u64()?));
        if reader.u8()? == 0 {
            return Some(Self { low, top, rest: None });
        }
        let last = reader.u64()?;
        let (middle, lost) = (decode_ranges(reader)?, decode_ranges(reader)?);
        Some(Self { low, top, rest: Some(Box::new(Rest { middle, lost, last })) })
    }

    fn middle(&self) -> &[Range] {
        self.rest.as_ref().map_or(&[], |rest| &rest.middle)
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }
}

fn decode_ranges(reader: &mut Reader<'_>) -> Option<Vec<Range>> {
    let count = reader.u32()?;
    (0..count).map(|_| Some((reader.u64()?, reader.u64()?))).collect()
}

/// A producer of a [`StreamTable`]: looked up once per batch, then used for each of its events. Good for
/// the life of the table, not across a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerHandle(u32);

/// One stream of a [`StreamTable`], in the same sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamHandle {
    producer: u32,
    stream: u32,
}

#[derive(Debug)]
struct ProducerStreams {
    project: u32,
    install: [u8; 16],
    epoch: u64,
    streams: Vec<(u16, Stream)>,
    /// Per class, where each lane's stream lies; only for producers with many streams.
    pages: Vec<(u8, Box<[u32; 256]>)>,
}

/// All streams, by producer.
#[derive(Debug)]
pub struct StreamTable {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    producers: Vec<ProducerStreams>,
    max_intervals: usize,
}

impl StreamTable {
    /// An empty table whose streams hold at most `max_intervals` intervals each ([`MAX_INTERVALS`]).
    pub fn new(max_intervals: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            producers: Vec::new(),
            max_intervals,
        }
    }

    /// The producer's handle; a new producer is entered.
    pub fn producer(&mut self, project: u32, install: [u8; 16], epoch: u64) -> ProducerHandle {
        let Self { hasher, index, producers, .. } = self;
        let hash = hasher.hash_one((project, install, epoch));
        let same = |&at: &u32| {
            let one = &producers[at as usize];
            one.epoch == epoch && one.install == install && one.project == project
        };
        if let Some(&at) = index.find(hash, same) {
            return ProducerHandle(at);
        }
        // 4 billion producers need 400 GB first.
        let at = producers.len() as u32;
        producers.push(ProducerStreams { project, install, epoch, streams: Vec::new(), pages: Vec::new() });
        index.insert_unique(hash, at, |&at| {
            let one = &producers[at as usize];
            hasher.hash_one((one.project, one.install, one.epoch))
        });
        ProducerHandle(at)
    }

    /// Judges a number of a stream and makes it a member.
    ///
    /// # Errors
    /// As [`Stream::insert`].
    pub fn insert(
        &mut self,
        producer: ProducerHandle,
        class: u8,
        lane: u8,
        number: u64,
    ) -> Result<Delivered, StreamError> {
        let bounds = (self.max_intervals, MAX_JUMP);
        self.insert_at(producer, class, lane, number, bounds).map(|(found, _)| found)
    }

    /// As [`Self::insert`] with bounds of the caller's, and naming the stream for an undo.
    pub(crate) fn insert_at(
        &mut self,
        producer: ProducerHandle,
        class: u8,
        lane: u8,
        number: u64,
        (max_intervals, max_jump): (usize, u64),
    ) -> Result<(Delivered, StreamHandle), StreamError> {
        let streams = &mut self.producers[producer.0 as usize];
        let at = streams.find_or_enter(class, lane);
        let stream = &mut streams.streams[at as usize].1;
        if number.saturating_sub(stream.highest()) > max_jump {
            return Err(StreamError::BadNumber);
        }
        let found = stream.insert(number, max_intervals)?;
        Ok((found, StreamHandle { producer: producer.0, stream: at }))
    }

    /// Undoes the insertion of a number.
    pub(crate) fn remove(&mut self, stream: StreamHandle, number: u64) {
        self.producers[stream.producer as usize].streams[stream.stream as usize].1.remove(number);
    }

    /// The bound of intervals per stream.
    pub fn max_intervals(&self) -> usize {
        self.max_intervals
    }

    /// The stream's handle; entered if it is new.
    pub(crate) fn handle(&mut self, producer: ProducerHandle, class: u8, lane: u8) -> StreamHandle {
        let stream = self.producers[producer.0 as usize].find_or_enter(class, lane);
        StreamHandle { producer: producer.0, stream }
    }

    /// A stream.
    pub(crate) fn stream_at(&self, at: StreamHandle) -> &Stream {
        &self.producers[at.producer as usize].streams[at.stream as usize].1
    }

    /// A stream's name.
    pub(crate) fn key_of(&self, at: StreamHandle) -> StreamKey {
        let producer = &self.producers[at.producer as usize];
        producer.key(producer.streams[at.stream as usize].0)
    }

    /// A stream to change.
    pub(crate) fn stream_at_mut(&mut self, at: StreamHandle) -> &mut Stream {
        &mut self.producers[at.producer as usize].streams[at.stream as usize].1
    }

    /// The handles of all streams.
    pub(crate) fn handles(&self) -> impl Iterator<Item = StreamHandle> {
        (0_u32..).zip(&self.producers).flat_map(|(producer, one)| {
            (0..one.streams.len() as u32).map(move |stream| StreamHandle { producer, stream })
        })
    }

    /// Bytes of [`Self::encode`], roughly.
    pub(crate) fn encoded_bytes(&self) -> usize {
        // One stream a producer is the normal case.
        self.producers.len() * (28 + 4 + 27 + 16)
    }

    /// A stream to change; entered if it is new.
    pub fn stream_mut(&mut self, producer: ProducerHandle, class: u8, lane: u8) -> &mut Stream {
        let streams = &mut self.producers[producer.0 as usize];
        let at = streams.find_or_enter(class, lane);
        &mut streams.streams[at as usize].1
    }

    /// Every stream something is known about, in the order of first sight.
    pub fn iter(&self) -> impl Iterator<Item = (StreamKey, &Stream)> {
        self.producers.iter().flat_map(|producer| {
            let known = producer.streams.iter().filter(|(_, stream)| !stream.is_empty());
            known.map(|(slot, stream)| (producer.key(*slot), stream))
        })
    }

    /// Appends every stream something is known about.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.producers.len() as u64).to_le_bytes());
        for producer in &self.producers {
            out.extend_from_slice(&producer.project.to_le_bytes());
            out.extend_from_slice(&producer.install);
            out.extend_from_slice(&producer.epoch.to_le_bytes());
            out.extend_from_slice(&(producer.streams.len() as u32).to_le_bytes());
            for (slot, stream) in &producer.streams {
                out.extend_from_slice(&slot.to_le_bytes());
                stream.encode(out);
            }
        }
    }

    /// Reads what [`Self::encode`] wrote; `None` if the bytes make no sense.
    pub(crate) fn decode(reader: &mut Reader<'_>, max_intervals: usize) -> Option<Self> {
        let mut table = Self::new(max_intervals);
        for _ in 0..reader.u64()? {
            let handle = table.producer(reader.u32()?, reader.array()?, reader.u64()?);
            for _ in 0..reader.u32()? {
                let [class, lane] = reader.u16()?.to_be_bytes();
                *table.stream_mut(handle, class, lane) = Stream::decode(reader)?;
            }
        }
        Some(table)
    }

    /// How many producers the table holds.
    pub fn producers(&self) -> usize {
        self.producers.len()
    }
}

impl ProducerStreams {
    fn key(&self, slot: u16) -> StreamKey {
        let [class, lane] = slot.to_be_bytes();
        StreamKey { project: self.project, install: self.install, epoch: self.epoch, class, lane }
    }

    fn find(&self, class: u8, lane: u8) -> Option<u32> {
        if self.pages.is_empty() {
            let slot = u16::from_be_bytes([class, lane]);
            let at = self.streams.iter().position(|(one, _)| *one == slot)?;
            return Some(at as u32);
        }
        let page = self.pages.iter().find(|(one, _)| *one == class)?;
        let at = page.1[usize::from(lane)];
        (at != NO_STREAM).then_some(at)
    }

    fn find_or_enter(&mut self, class: u8, lane: u8) -> u32 {
        match self.find(class, lane) {
            Some(at) => at,
            None => self.enter(class, lane),
        }
    }

    fn enter(&mut self, class: u8, lane: u8) -> u32 {
        let at = self.streams.len();
        if at == 0 {
            // Most installs have one actor, thus one lane.
            self.streams.reserve_exact(1);
        }
        self.streams.push((u16::from_be_bytes([class, lane]), Stream::default()));
        if !self.pages.is_empty() {
            self.enter_in_page(at);
        } else if at >= SCANNED_STREAMS {
            (0..=at).for_each(|at| self.enter_in_page(at));
        }
        at as u32
    }

    fn enter_in_page(&mut self, at: usize) {
        let [class, lane] = self.streams[at].0.to_be_bytes();
        let page = self.pages.iter().position(|(one, _)| *one == class).unwrap_or_else(|| {
            self.pages.push((class, Box::new([NO_STREAM; 256])));
            self.pages.len() - 1
        });
        self.pages[page].1[usize::from(lane)] = at as u32;
    }
}

#[cfg(test)]
#[path = "ids/streams_tests.rs"]
mod tests;
