//! Rows on their way into chunks: whole frames as they were read, and for each event a small key to sort by.

use std::collections::BTreeMap;

use bytes::Bytes;
use footpath_log::Record;
use footpath_model::record::{EventView, FrameHead, FrameKind, FrameView, RecordError};

use crate::columns::Row;
use crate::context;

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;
/// Days with a name of four digits: 0001-01-01 to 9999-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// Days of a project that get a file of their own out of one range: two months of late events. A batch may
/// name thousands of days, and each would be a file, a sync and a line of every later manifest.
pub(crate) const OWN_DAYS: usize = 64;

/// Bytes of an event that are asked for ahead: most events, whole.
const WARM_BYTES: usize = 384;

/// A frame whose events are being gathered.
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) append_us: i64,
    pub(crate) head: FrameHead,
    pub(crate) context: Option<String>,
    payload: Bytes,
}

/// Where an event lies, and its place in the order of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) actor: i64,
    pub(crate) time_us: i64,
    id: u128,
    frame: u32,
    at: u32,
}

/// Which file an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) project: u32,
    /// UTC day, counted from 1970-01-01; the newest one if it holds older days, too.
    pub(crate) day: i32,
}

/// What became of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Events that will be in a chunk.
    pub(crate) rows: u64,
    /// Events that cannot be in any.
    pub(crate) skipped: u64,
}

/// The frames of a closed range of positions.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) frames: Vec<Frame>,
    pub(crate) parts: BTreeMap<Part, Vec<Key>>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// The longest list of the range before: growing another to that length would copy megabytes.
    spare: Vec<Key>,
}

impl Gathered {
    /// Takes a record's events; a control record has none.
    ///
    /// # Errors
    /// If the frame cannot be read; nothing of it was taken.
    pub(crate) fn take(&mut self, record: &Record) -> Result<Taken, RecordError> {
        let view = FrameView::new(&record.payload)?;
        if view.head.kind != FrameKind::Events || view.count == 0 {
            return Ok(Taken::default());
        }
        let mut taken = Taken::default();
        let mut found = 0;
        for event in view.events() {
            found += 1;
            match self.key(&record.payload, &event) {
                Some((day, key)) => {
                    let part = Part { project: view.head.project, day };
                    let keys = self.parts.entry(part).or_insert_with(|| std::mem::take(&mut self.spare));
                    keys.push(key);
                    taken.rows += 1;
                }
                None => taken.skipped += 1,
            }
        }
        taken.skipped += u64::from(view.count.saturating_sub(found));
        if taken.rows > 0 {
            self.keep(record, &view);
        }
        self.rows += taken.rows as usize;
        Ok(taken)
    }

    /// Begins the next range.
    pub(crate) fn clear(&mut self) {
        let lists = std::mem::take(&mut self.parts).into_values();
        let mut spare = lists.max_by_key(Vec::capacity).unwrap_or_default();
        spare.clear();
        *self = Self { spare, ..Self::default() };
    }

    /// Leaves each project its newest days and puts what is older together, under the newest of these days. Doing it
    /// again changes nothing.
    pub(crate) fn merge_old_days(&mut self) {
        let (mut project, mut days, mut into) = (None, 0, None);
        // Newest first, project by project.
        for (part, mut keys) in std::mem::take(&mut self.parts).into_iter().rev() {
            if project.replace(part.project) != Some(part.project) {
                days = 0;
            }
            days += 1;
            if days <= OWN_DAYS + 1 {
                into = Some(part);
            }
            self.parts.entry(into.unwrap_or(part)).or_default().append(&mut keys);
        }
    }

    fn keep(&mut self, record: &Record, view: &FrameView<'_>) {
        let context = context::to_json(view.context);
        // As JSON it can be six times as long as it was sent.
        self.bytes += record.payload.len() + context.as_ref().map_or(0, String::len);
        self.frames.push(Frame {
            offset: record.offset,
            append_us: record.append_time_us,
            head: view.head,
            context,
            payload: record.payload.clone(),
        });
    }

    /// The event's day and key; `None` if its time has no day or it lies beyond 4 GiB.
    fn key(&self, payload: &[u8], event: &EventView<'_>) -> Option<(i32, Key)> {
        let head = event.head();
        let day = head.time_us.div_euclid(DAY_US);
        let named = DAYS.contains(&day);
        let at = event.bytes().as_ptr().addr() - payload.as_ptr().addr();
        let key = Key {
            actor: head.actor_key.cast_signed(),
            time_us: head.time_us,
            id: head.id.as_u128(),
            frame: u32::try_from(self.frames.len()).ok()?,
            at: u32::try_from(at).ok()?,
        };
        named.then_some((day as i32, key))
    }

    /// The event of a key.
    #[inline]
    pub(crate) fn row(&self, key: &Key) -> Option<Row<'_>> {
        let frame = self.frames.get(key.frame as usize)?;
        let event = EventView::first(frame.payload.get(key.at as usize..)?)?;
        Some(Row { frame, frame_number: key.frame as usize, head: event.head(), spans: event.spans() })
    }

    /// Asks for the first cache lines of some events at once: sorted rows lie all over the frames, and one miss
    /// after another would cost more than everything else.
    #[inline]
    pub(crate) fn warm(&self, keys: &[Key]) {
        let mut sum = 0_u8;
        for key in keys {
            let payload = &self.frames[key.frame as usize].payload;
            let at = key.at as usize;
            for line in (at..(at + WARM_BYTES).min(payload.len())).step_by(64) {
                sum = sum.wrapping_add(payload[line]);
            }
        }
        std::hint::black_box(sum);
    }
}
