//! Cursors of subscriptions and pages: a log position.

use std::fmt;

use tonic::Status;

use crate::status::invalid;

/// The next event to read: its frame's offset and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The frame.
    pub offset: u64,
    /// The event in the frame.
    pub index: u32,
}

impl Cursor {
    /// Reads a cursor; an empty text is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it is not one of ours.
    pub fn parse(text: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let parts = text.strip_prefix("c1.").and_then(|rest| rest.split_once('.'));
        let cursor = parts.and_then(|(offset, index)| {
            Some(Self { offset: offset.parse().ok()?, index: index.parse().ok()? })
        });
        cursor.map(Some).ok_or_else(|| {
            invalid("cursor_invalid", "the cursor is not one of this server; leave it out to start anew")
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c1.{}.{}", self.offset, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let cursor = Cursor { offset: 7, index: 3 };
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), Some(cursor));
        assert_eq!(Cursor::parse("").unwrap(), None);
        assert!(Cursor::parse("c2.1.1").is_err());
    }
}
