//! Collects spans of an event; as long as they lie side by side, nothing is copied.

/// Spans on their way into one record. The buffer lives on from event to event.
#[derive(Debug, Default)]
pub(super) struct Splice {
    start: usize,
    end: usize,
    owned: Vec<u8>,
}

impl Splice {
    /// Starts over, for the next event.
    #[inline]
    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        self.owned.clear();
    }

    /// Adds a part of the event as it is.
    #[inline]
    pub(super) fn add(&mut self, event: &[u8], part: &[u8]) {
        let start = part.as_ptr().addr() - event.as_ptr().addr();
        let end = start + part.len();
        if !self.owned.is_empty() {
            self.owned.extend_from_slice(&event[start..end]);
        } else if self.start == self.end {
            (self.start, self.end) = (start, end);
        } else if self.end == start {
            self.end = end;
        } else {
            self.buffer(event).extend_from_slice(&event[start..end]);
        }
    }

    /// The buffer, holding what was added so far; what is appended to it counts.
    pub(super) fn buffer(&mut self, event: &[u8]) -> &mut Vec<u8> {
        if self.owned.is_empty() {
            self.owned.extend_from_slice(&event[self.start..self.end]);
            self.end = self.start;
        }
        &mut self.owned
    }

    /// Everything added.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, event: &'a [u8]) -> &'a [u8] {
        if self.owned.is_empty() { &event[self.start..self.end] } else { &self.owned }
    }
}
