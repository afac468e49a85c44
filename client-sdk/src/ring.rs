//! The ring between `track` and the queue's thread: a file in memory, so that `kill -9` takes nothing with it.
//!
//! One producer (whoever holds the intake's lock) and one consumer (the queue's thread). A push copies bytes into
//! pages that were allocated and touched before, and publishes them by moving `tail`: no system call, no lock. The
//! kernel owns the pages, so what was published outlives the process; a power loss may take it, which is what the
//! class `critical` is for. Every record carries a checksum over its ring, its position and its bytes. So a record of an
//! earlier lap is never taken for an event; behind a damaged record the next whole one is found; and what lies behind a
//! place that the queue knows can be read without the header.
//!
//! ```text
//! header, one page:  magic 8 | generation 8 | capacity 8 | head 8 | denied 8 ... | tail 8 (a cache line of its own)
//! record, padded to 8 bytes:  length 4 | CRC-32C 4 | bytes;  length 2^32 - 1: the next one is at the beginning
//! ```
//!
//! The unsafe code here is what a shared mapping needs: the bytes in `[head, tail)` belong to the consumer, the others
//! to the producer, and the two counters are atomics.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

use crc32c::{crc32c, crc32c_append};
use memmap2::{MmapOptions, MmapRaw};

use crate::clock::Randomness;

const MAGIC: u64 = u64::from_le_bytes(*b"FPRING01");
const PAGE: usize = 4096;
const GENERATION_AT: usize = 8;
const CAPACITY_AT: usize = 16;
const HEAD_AT: usize = 24;
const DENIED_AT: usize = 32;
/// A whole word, which no damage makes by chance.
const DENIED: u64 = u64::from_le_bytes(*b"FPDENIED");
const TAIL_AT: usize = 128;
/// The largest ring.
pub(crate) const LARGEST: usize = 1 << 30;
/// No ring comes as far as this; a position beyond is damage.
const FARTHEST: u64 = 1 << 62;
/// Bytes before a record's own.
const PREFIX: u64 = 8;
/// So long does a push wait while the ring is wiped: some microseconds.
const WIPED_AT_ONCE: u64 = 64 * 1024;
/// Instead of a length: nothing more before the end of the ring.
const WRAP: u32 = u32::MAX;

/// The consumer works, or will look again by itself.
const AWAKE: u8 = 0;
/// The consumer waits for anything.
const ASLEEP: u8 = 1;
/// The consumer lets events gather; it is woken when the ring gets full.
const GATHERING: u8 = 2;

struct Shared {
    map: MmapRaw,
    capacity: u64,
    /// Names the ring: no record of another one is read.
    generation: u64,
    consumer: AtomicU8,
}

impl Shared {
    fn new(map: MmapRaw, capacity: u64, generation: u64) -> Self {
        Self { map, capacity, generation, consumer: AtomicU8::new(AWAKE) }
    }

    fn write_header(&self, head: u64, tail: u64) {
        self.word(GENERATION_AT).store(self.generation, Ordering::Relaxed);
        self.word(CAPACITY_AT).store(self.capacity, Ordering::Relaxed);
        self.word(HEAD_AT).store(head, Ordering::Relaxed);
        self.word(TAIL_AT).store(tail, Ordering::Relaxed);
        self.word(0).store(MAGIC, Ordering::Release);
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at < PAGE);
        // SAFETY: the header page is mapped as long as `self`, the place is aligned, and nobody reads or writes it but
        // through this atomic.
        unsafe { &*self.map.as_mut_ptr().add(at).cast::<AtomicU64>() }
    }

    fn place(&self, position: u64) -> *mut u8 {
        // SAFETY: a position modulo the capacity lies in the mapping, which has a page and the capacity.
        unsafe { self.map.as_mut_ptr().add(PAGE + (position % self.capacity) as usize) }
    }

    fn to_end(&self, position: u64) -> u64 {
        self.capacity - position % self.capacity
    }

    /// # Safety
    /// `[position, position + bytes.len())` must be the caller's own and not cross the end.
    unsafe fn write(&self, position: u64, bytes: &[u8]) {
        // SAFETY: the caller's promise; `bytes` cannot lie in the mapping, of which no slice is given out mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.place(position), bytes.len()) };
    }

    /// # Safety
    /// `[position, position + len)` must have been published, not be released as long as the slice lives, and not cross
    /// the end.
    unsafe fn read(&self, position: u64, len: u64) -> &[u8] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.place(position), len as usize) }
    }

    fn prefix(&self, position: u64) -> (u32, u32) {
        // SAFETY: asked for published positions only; records are padded to 8 bytes, so a prefix never crosses the end.
        let bytes = unsafe { self.read(position, PREFIX) };
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (word(0), word(4))
    }

    /// The record at `position` and where the next one begins. `None`: damage.
    fn record(&self, position: u64, tail: u64) -> Option<(&[u8], u64)> {
        let mut at = position;
        if self.prefix(at).0 == WRAP {
            at += self.to_end(at);
        }
        if at + PREFIX > tail {
            return None;
        }
        let (len, crc) = self.prefix(at);
        let next = at + padded(len.into());
        if next > tail || padded(len.into()) > self.to_end(at) {
            return None;
        }
        // SAFETY: the record ends at or before `tail` and before the end; the caller releases it later, if at all.
        let bytes = unsafe { self.read(at + PREFIX, len.into()) };
        (self.checksum(at, &[bytes]) == crc).then_some((bytes, next))
    }

    fn checksum(&self, position: u64, parts: &[&[u8]]) -> u32 {
        let place = crc32c_append(crc32c(&self.generation.to_le_bytes()), &position.to_le_bytes());
        parts.iter().fold(place, |crc, part| crc32c_append(crc, part))
    }

    /// Where the first whole record at or behind `position` begins; `tail` if there is none.
    fn whole_after(&self, position: u64, tail: u64) -> u64 {
        let places = (position..tail).step_by(8);
        places.into_iter().find(|at| self.record(*at, tail).is_some()).unwrap_or(tail)
    }

    /// Where the unbroken run of whole records from `position` on ends, at `limit` or before.
    fn run_end(&self, position: u64, limit: u64) -> u64 {
        let mut end = position;
        while end < limit
            && let Some((_, next)) = self.record(end, limit)
        {
            end = next;
        }
        end
    }
}

fn padded(len: u64) -> u64 {
    PREFIX + len.next_multiple_of(8)
}

/// What a push needs of the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Nothing: it will look.
    Quiet,
    /// To be woken.
    Wake,
    /// There is no room.
    Full,
}

/// The end that `track` holds.
pub(crate) struct Producer {
    shared: Arc<Shared>,
    tail: u64,
    /// The consumer's position as last seen; only looked at again when the ring seems full.
    head: u64,
}

impl Producer {
    /// Appends a record made of `parts`, unless less than `spare` bytes would stay free.
    #[inline]
    pub(crate) fn push(&mut self, parts: &[&[u8]], spare: u64) -> Pushed {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let size = padded(len as u64);
        let gap = match self.shared.to_end(self.tail) {
            left if left < size => left,
            _ => 0,
        };
        let Ok(length) = u32::try_from(len) else { return Pushed::Full };
        if length == WRAP || !self.has_room(gap + size + spare) {
            return Pushed::Full;
        }
        let at = self.tail + gap;
        let crc = self.shared.checksum(at, parts);
        // SAFETY: `[tail, at + size)` is free, and the record does not cross the end.
        unsafe {
            if gap > 0 {
                self.shared.write(self.tail, &WRAP.to_le_bytes());
            }
            self.shared.write(at, &length.to_le_bytes());
            self.shared.write(at + 4, &crc.to_le_bytes());
            let mut place = at + PREFIX;
            for part in parts {
                self.shared.write(place, part);
                place += part.len() as u64;
            }
        }
        self.tail = at + size;
        self.shared.word(TAIL_AT).store(self.tail, Ordering::Release);
        self.waking()
    }

    /// Whether records of so many bytes in all find room, wherever the ring ends, and `spare` bytes stay free.
    pub(crate) fn fits(&mut self, bytes: u64, spare: u64) -> bool {
        self.has_room(2 * bytes + spare)
    }

    fn has_room(&mut self, size: u64) -> bool {
        if self.tail - self.head + size <= self.shared.capacity {
            return true;
        }
        self.head = self.shared.word(HEAD_AT).load(Ordering::Acquire);
        self.tail - self.head + size <= self.shared.capacity
    }

    /// Pairs with [`Consumer::rests`]: one of the two sees what the other wrote.
    fn waking(&self) -> Pushed {
        fence(Ordering::SeqCst);
        let wakes = match self.shared.consumer.load(Ordering::Relaxed) {
            ASLEEP => true,
            GATHERING => {
                self.tail - self.shared.word(HEAD_AT).load(Ordering::Relaxed) > self.shared.capacity / 4
            }
            _ => false,
        };
        if wakes && self.shared.consumer.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            Pushed::Wake
        } else {
            Pushed::Quiet
        }
    }

    /// Notes that consent is denied, while no record that says so has found room.
    pub(crate) fn note_denied(&self, denied: bool) {
        self.shared.word(DENIED_AT).store(if denied { DENIED } else { 0 }, Ordering::Release);
    }

    /// Bytes a record may have so that it fits into an empty ring wherever it begins.
    pub(crate) fn largest(&self) -> u64 {
        self.shared.capacity / 2 - PREFIX
    }
}

/// The end that the queue's thread holds.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    /// Read up to here.
    at: u64,
    /// Released up to here.
    head: u64,
}

impl Consumer {
    /// The next record; it stays until [`Consumer::release`].
    ///
    /// # Errors
    /// The memory is damaged: [`Consumer::skip_damage`] goes on behind it.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Damaged> {
        let tail = self.shared.word(TAIL_AT).load(Ordering::Acquire);
        if self.at == tail {
            return Ok(None);
        }
        let (bytes, next) = self.shared.record(self.at, tail).ok_or(Damaged)?;
        self.at = next;
        Ok(Some(bytes))
    }

    /// Gives what was read back to the producer; `wiped`: no byte of it stays.
    pub(crate) fn release(&mut self, wiped: bool) {
        if wiped {
            let mut from = self.head;
            while from < self.at {
                let len = (self.at - from).min(self.shared.to_end(from));
                // SAFETY: `[head, at)` is the consumer's own.
                unsafe { std::ptr::write_bytes(self.shared.place(from), 0, len as usize) };
                from += len;
            }
        }
        self.head = self.at;
        self.shared.word(HEAD_AT).store(self.head, Ordering::Release);
    }

    /// Overwrites a piece of what was released, not before `from`; where the next one begins.
    ///
    /// # Safety
    /// Nothing may be pushed meanwhile.
    pub(crate) unsafe fn wipe_piece(&self, from: u64) -> Option<u64> {
        let from = from.max(self.shared.word(TAIL_AT).load(Ordering::Acquire));
        let len = (self.head + self.shared.capacity).saturating_sub(from).min(WIPED_AT_ONCE);
        let len = len.min(self.shared.to_end(from));
        // SAFETY: between the tail and the head of the next lap nothing is published, and nobody pushes.
        unsafe { std::ptr::write_bytes(self.shared.place(from), 0, len as usize) };
        (len > 0).then_some(from + len)
    }

    /// Reads again what was not released.
    pub(crate) fn rewind(&mut self) {
        self.at = self.head;
    }

    /// Goes on at the next whole record. What was read is not released yet.
    pub(crate) fn skip_damage(&mut self) {
        let tail = self.shared.word(TAIL_AT).load(Ordering::Acquire);
        self.at = self.shared.whole_after(self.at, tail);
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.word(TAIL_AT).load(Ordering::Acquire) == self.at
    }

    /// Read up to here, since the ring was made.
    pub(crate) fn position(&self) -> Position {
        Position { generation: self.shared.generation, at: self.at }
    }

    /// Says how the consumer rests from now on, and whether it may: not while there is something to read.
    pub(crate) fn rests(&self, gathering: bool) -> bool {
        self.shared.consumer.store(if gathering { GATHERING } else { ASLEEP }, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if gathering || self.is_empty() {
            return true;
        }
        self.wakes();
        false
    }

    /// The consumer is awake: nobody need wake it.
    pub(crate) fn wakes(&self) {
        self.shared.consumer.store(AWAKE, Ordering::SeqCst);
    }
}

/// The ring's memory does not hold what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// A place in one ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) generation: u64,
    pub(crate) at: u64,
}

/// A ring that was opened.
pub(crate) struct Ring {
    pub(crate) producer: Producer,
    pub(crate) consumer: Consumer,
    /// Something that an earlier run had published may be gone: its header is damaged.
    pub(crate) torn: bool,
    /// The queue does not have what the ring has let go of: the queue has lost commits, and with them what numbers were
    /// given out.
    pub(crate) ahead: bool,
    /// Whoever it belongs to has denied consent, and no record of it says so.
    pub(crate) denied: bool,
}

/// What a file turned out to be.
enum Found {
    Ring(Ring),
    /// Nothing is lost with it.
    Nothing,
    /// There was a ring, and nobody knows what it had.
    Damage,
}

impl Ring {
    /// A ring that dies with the process.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn in_memory(capacity: usize, random: &dyn Randomness) -> io::Result<Self> {
        let capacity = capacity.next_multiple_of(PAGE);
        let map = MmapOptions::new().len(PAGE + capacity).map_anon()?;
        Ok(Self::begin(map.into(), capacity as u64, random))
    }

    /// Opens the ring at `path`, or makes one of `capacity` bytes. `absorbed` is how far the queue has it; `again`, whether
    /// what lies behind that may be read although it was released: only where it gets the same numbers.
    ///
    /// # Errors
    /// When the file cannot be made, allocated or mapped.
    pub(crate) fn open(
        path: &Path,
        capacity: usize,
        absorbed: Option<Position>,
        again: bool,
        random: &dyn Randomness,
    ) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let kept = file.metadata()?.len() as usize;
        let (mut torn, mut denied) = (false, false);
        if kept > PAGE + LARGEST {
            torn = true; // Nobody made it.
        } else if kept > PAGE && kept.is_multiple_of(PAGE) {
            let shared = Shared::new(MmapRaw::map_raw(&file)?, (kept - PAGE) as u64, 0);
            denied = shared.word(DENIED_AT).load(Ordering::Acquire) == DENIED;
            match Self::go_on(shared, absorbed, again) {
                Found::Ring(ring) if !ring.consumer.is_empty() || ring.has(capacity) => {
                    ring.touch();
                    return Ok(Self { denied, ..ring });
                }
                Found::Ring(ring) => {
                    return Ok(Self {
                        torn: ring.torn,
                        ahead: ring.ahead,
                        denied,
                        ..Self::make(&mut file, capacity, random)?
                    });
                }
                Found::Nothing => {}
                Found::Damage => torn = true,
            }
        }
        Ok(Self { torn, denied, ..Self::make(&mut file, capacity, random)? })
    }

    fn has(&self, capacity: usize) -> bool {
        self.consumer.shared.capacity == capacity.next_multiple_of(PAGE) as u64
    }

    fn make(file: &mut File, capacity: usize, random: &dyn Randomness) -> io::Result<Self> {
        let capacity = capacity.next_multiple_of(PAGE);
        // Zeros that are written are allocated: a full disk is an error here and never a signal in `track`.
        file.set_len(0)?;
        let zeros = vec![0; 64 * 1024];
        let mut left = PAGE + capacity;
        while left > 0 {
            left -= file.write(&zeros[..left.min(zeros.len())])?;
        }
        let ring = Self::begin(MmapRaw::map_raw(&*file)?, capacity as u64, random);
        ring.touch();
        Ok(ring)
    }

    fn begin(map: MmapRaw, capacity: u64, random: &dyn Randomness) -> Self {
        let shared = Shared::new(map, capacity, random.next_u64());
        shared.write_header(0, 0);
        Self::ends(shared, 0, 0)
    }

    /// What an earlier run left, unless it is no ring, or is behind what the queue has already (a power loss took its end).
    fn go_on(mut shared: Shared, absorbed: Option<Position>, again: bool) -> Found {
        let capacity = shared.capacity;
        let word = |at: usize| shared.word(at).load(Ordering::Acquire);
        let (generation, head, tail) = (word(GENERATION_AT), word(HEAD_AT), word(TAIL_AT));
        // Its making was not finished, or the process was killed before the queue noted it: nothing was ever put into it.
        let is_known = absorbed.is_none_or(|absorbed| absorbed.generation == generation);
        if (head, tail) == (0, 0) && !(word(0) == MAGIC && is_known) {
            return Found::Nothing;
        }
        // Between two places, even a prefix could lie across the end.
        let absorbed = absorbed.filter(|absorbed| absorbed.at < FARTHEST && absorbed.at.is_multiple_of(8));
        let makes_sense = word(0) == MAGIC
            && tail < FARTHEST
            && word(CAPACITY_AT) == capacity
            && is_known
            && head <= tail
            && tail - head <= capacity
            && head.is_multiple_of(8)
            && tail.is_multiple_of(8);
        shared.generation = absorbed.map_or(generation, |absorbed| absorbed.generation);
        if !makes_sense {
            return Self::without_header(shared, absorbed);
        }
        // Whole records behind the tail: a power loss kept them and not the tail.
        let end = shared.run_end(tail, head + capacity);
        // A queue that knows of no ring has never taken anything out of one.
        let known = absorbed.map_or(0, |absorbed| absorbed.at);
        if known > end {
            return Found::Nothing;
        }
        // What the queue has lost may still lie here, whole.
        let kept =
            again && absorbed.is_some() && known + capacity >= end && shared.run_end(known, end) >= head;
        let (ahead, head) = if known >= head || kept { (false, known) } else { (true, head) };
        shared.write_header(head, end);
        Found::Ring(Self { ahead, ..Self::ends(shared, head, end) })
    }

    /// The queue knows where to begin, and every record says whether it is one.
    fn without_header(shared: Shared, absorbed: Option<Position>) -> Found {
        let Some(Position { at: head, .. }) = absorbed else { return Found::Damage };
        let limit = head + shared.capacity;
        let mut end = shared.run_end(head, limit);
        loop {
            let next = shared.whole_after(end, limit);
            if next == limit {
                break;
            }
            end = shared.run_end(next, limit);
        }
        if end == head {
            return Found::Damage;
        }
        shared.write_header(head, end);
        Found::Ring(Self { torn: true, ..Self::ends(shared, head, end) })
    }

    fn ends(shared: Shared, head: u64, tail: u64) -> Self {
        let shared = Arc::new(shared);
        let producer = Producer { shared: Arc::clone(&shared), tail, head };
        Self {
            producer,
            consumer: Consumer { shared, at: head, head },
            torn: false,
            ahead: false,
            denied: false,
        }
    }

    /// Writes to every page what it holds, so that no `track` pays for the first touch.
    fn touch(&self) {
        let shared = &self.consumer.shared;
        for page in (0..shared.map.len()).step_by(PAGE) {
            // SAFETY: the place lies in the mapping, and neither end is in use yet.
            unsafe {
                let place = shared.map.as_mut_ptr().add(page);
                place.write_volatile(place.read_volatile());
            }
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
