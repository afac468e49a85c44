//! Reading on and on.

use std::ops::Range;

use crate::{Log, LogError, Record};

/// Bytes read from the log at a time.
pub const READ_BYTES: usize = 4 << 20;

/// Some records that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At least one.
    pub records: Vec<Record>,
    /// The position behind the last one.
    pub end: u64,
}

/// What the log holds of a range of positions, [`READ_BYTES`] at a time. Ends with the range or with the log, whichever
/// ends first, or after an error of [`Log::read`].
pub fn pages(log: &dyn Log, positions: Range<u64>) -> impl Iterator<Item = Result<Page, LogError>> + '_ {
    let Range { start: mut next, end } = positions;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || next >= end {
            return None;
        }
        let read = log.read(next, READ_BYTES).map(|mut records| {
            records.retain(|record| record.offset < end);
            next = records.last().map_or(end, |last| last.offset + 1);
            (!records.is_empty()).then_some(Page { records, end: next })
        });
        failed = read.is_err();
        read.transpose()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, MemoryLog};

    fn offsets(log: &MemoryLog, positions: Range<u64>) -> Vec<(Vec<u64>, u64)> {
        let page = |page: Page| (page.records.iter().map(|record| record.offset).collect(), page.end);
        pages(log, positions).map(|read| page(read.unwrap())).collect()
    }

    #[test]
    fn every_record_of_the_range_is_read_once() {
        let log = MemoryLog::default();
        for _ in 0..4 {
            let payload = vec![0; READ_BYTES / 2].into();
            log.append_group(&[Entry { append_time_us: 0, payload }]).unwrap();
        }
        assert_eq!(offsets(&log, 1..u64::MAX), [(vec![1, 2], 3), (vec![3], 4)]);
        assert_eq!(offsets(&log, 0..3), [(vec![0, 1], 2), (vec![2], 3)]);
        assert!(offsets(&log, 4..9).is_empty());
        assert!(offsets(&log, 2..2).is_empty());
        log.trim(2).unwrap();
        let mut trimmed = pages(&log, 0..9);
        assert!(matches!(trimmed.next(), Some(Err(LogError::Trimmed { first: 2 }))));
        assert!(trimmed.next().is_none());
    }
}
