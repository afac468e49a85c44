//! The newest records, kept in memory: whoever keeps up reads them without the disk, a copy or a checksum.

use std::collections::VecDeque;

use crate::{Entry, Record};

/// The newest durable records of a log, without a hole, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct Recent {
    records: VecDeque<Record>,
    bytes: usize,
    limit: usize,
}

impl Recent {
    /// Keeps at most `limit` bytes of payload.
    pub(crate) fn new(limit: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds a group that is durable now; the oldest records give way to it.
    pub(crate) fn push(&mut self, first_offset: u64, entries: &[Entry]) {
        for (offset, entry) in (first_offset..).zip(entries) {
            let Entry { append_time_us, ref payload } = *entry;
            self.bytes += payload.len();
            self.records.push_back(Record { offset, append_time_us, payload: payload.clone() });
        }
        while self.bytes > self.limit {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.payload.len();
        }
    }

    /// Records from `from` on, up to `max_bytes` but at least one; `None` if they are not all here.
    pub(crate) fn read(&self, from: u64, max_bytes: usize) -> Option<Vec<Record>> {
        let skipped = usize::try_from(from.checked_sub(self.first()?)?).ok()?;
        let mut bytes = 0;
        let wanted = self.records.iter().skip(skipped).take_while(|record| {
            let alone = bytes == 0;
            bytes += record.payload.len().max(1);
            alone || bytes <= max_bytes
        });
        let records: Vec<_> = wanted.cloned().collect();
        (!records.is_empty()).then_some(records)
    }

    /// The oldest offset that is here.
    pub(crate) fn first(&self) -> Option<u64> {
        self.records.front().map(|record| record.offset)
    }

    /// When the newest record was appended.
    pub(crate) fn last_append_time_us(&self) -> Option<i64> {
        self.records.back().map(|record| record.append_time_us)
    }

    /// Forgets what lies below `first`.
    pub(crate) fn trim(&mut self, first: u64) {
        while self.records.front().is_some_and(|record| record.offset < first) {
            if let Some(oldest) = self.records.pop_front() {
                self.bytes -= oldest.payload.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(sizes: &[usize]) -> Vec<Entry> {
        sizes.iter().map(|size| Entry { append_time_us: 1, payload: vec![7; *size].into() }).collect()
    }

    fn offsets(recent: &Recent, from: u64, max_bytes: usize) -> Option<Vec<u64>> {
        Some(recent.read(from, max_bytes)?.iter().map(|record| record.offset).collect())
    }

    #[test]
    fn the_oldest_give_way_and_what_is_gone_is_not_here() {
        let mut recent = Recent::new(10);
        assert_eq!(offsets(&recent, 0, 100), None);
        recent.push(0, &group(&[4, 4]));
        recent.push(2, &group(&[4]));
        assert_eq!(offsets(&recent, 0, 100), None);
        assert_eq!(offsets(&recent, 1, 100), Some(vec![1, 2]));
        assert_eq!(offsets(&recent, 1, 7), Some(vec![1]));
        assert_eq!(offsets(&recent, 3, 100), None);
        recent.push(3, &group(&[11]));
        assert_eq!(offsets(&recent, 3, 100), None, "one that is too large is not kept");
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn trimming_forgets() {
        let mut recent = Recent::new(100);
        recent.push(5, &group(&[1, 1, 1]));
        recent.trim(7);
        assert_eq!(offsets(&recent, 6, 100), None);
        assert_eq!(offsets(&recent, 7, 0), Some(vec![7]));
        assert_eq!(recent.bytes, 1);
    }
}
