//! Cursors of subscriptions and pages: opaque to clients, authenticated, good for one subject only.
//!
//! A cursor names the log it counts in, the project, what was read (a hash of the filter or the funnel's id) and its
//! version, and a position; an HMAC covers all of it, so that a client can neither make one nor carry one elsewhere.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{Buf as _, BufMut as _};
use footpath_log::{Log, LogError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::status::invalid;

/// The layout below; another one is refused.
const FORMAT: u8 = 2;
/// Bytes of the truncated HMAC-SHA256: forging one takes 2^127 tries.
const MAC: usize = 16;
/// Bytes before the position: format, kind, incarnation, project, subject, version.
const HEAD: usize = 1 + 1 + 8 + 4 + 8 + 8;
/// No cursor of ours is longer, as text.
const MAX_TEXT: usize = 1_024;

/// The next event to read: its frame's offset and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The frame.
    pub offset: u64,
    /// The event in the frame.
    pub index: u32,
    /// Append time of the frame that was read last; 0 if none was. After a restore another frame may stand there.
    pub read_us: i64,
}

impl Cursor {
    /// Whether `log` is not the one, or not the history, that this counts in: it ends before this position, or holds
    /// another record where the last one was read. Reads the log.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn is_elsewhere(&self, log: &dyn Log) -> Result<bool, LogError> {
        if self.offset > log.durable_end() {
            return Ok(true);
        }
        let last = if self.index > 0 { Some(self.offset) } else { self.offset.checked_sub(1) };
        let Some(last) = last.filter(|_| self.read_us != 0) else { return Ok(false) };
        match log.read(last, 1) {
            Ok(records) => Ok(records.first().is_none_or(|record| record.append_time_us != self.read_us)),
            Err(LogError::Trimmed { .. }) => Ok(false), // Who reads on is told so.
            Err(error) => Err(error),
        }
    }
}

/// What a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A funnel's numbers.
    Funnel = 1,
    /// The event tail.
    Events = 2,
    /// Pages of stored events.
    EventPages = 3,
    /// Pages of projects.
    Projects = 4,
    /// Pages of funnels.
    Funnels = 5,
    /// Pages of privacy requests.
    PrivacyRequests = 6,
    /// Pages of project keys.
    ProjectKeys = 7,
    /// Pages of gaps.
    Gaps = 8,
    /// Pages of names of events.
    EventNames = 20,
    /// Pages of properties.
    Properties = 21,
    /// Pages of metrics.
    Metrics = 22,
    /// Pages of segments.
    Segments = 23,
    /// Pages of alert rules.
    AlertRules = 24,
    /// Pages of incidents.
    Incidents = 25,
    /// Pages of destinations.
    Destinations = 26,
    /// Pages of deliveries.
    Deliveries = 27,
    /// Pages of annotations.
    Annotations = 28,
    /// Pages of a funnel's persons.
    FunnelPersons = 30,
    /// Pages of sessions.
    Sessions = 31,
    /// Pages of reconciliations.
    Reconciliations = 32,
    /// A metric's numbers.
    WatchedMetric = 40,
    /// Numbers of sessions.
    WatchedSessions = 41,
    /// Who is active.
    ActiveUsers = 42,
    /// Alerts.
    Alerts = 43,
}

impl Kind {
    /// What the API calls it.
    fn field(self) -> &'static str {
        match self {
            Self::Funnel
            | Self::Events
            | Self::WatchedMetric
            | Self::WatchedSessions
            | Self::ActiveUsers
            | Self::Alerts => "cursor",
            _ => "page_token",
        }
    }
}

/// What a cursor is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    kind: Kind,
    project: u32,
    subject: u64,
}

impl Scope {
    /// A scope of `project` (0 for none); `subject` is what was asked for, part by part.
    pub fn new(kind: Kind, project: u32, subject: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in subject {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash: [u8; 32] = hash.finalize().into();
        Self { kind, project, subject: (&hash[..]).get_u64() }
    }

    fn not_ours(&self) -> Status {
        let what = "not one of this server; leave it out to start anew";
        invalid("cursor_invalid", &format!("{}: {what}", self.kind.field()))
    }
}

/// A cursor as it came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<T> {
    /// The position.
    pub at: T,
    /// The version of the definition it was made for.
    pub version: u64,
    /// It counts in another log: the server was restored from a backup since.
    pub other_log: bool,
}

/// Makes and checks cursors.
pub struct Cursors {
    mac: Hmac<Sha256>,
    incarnation: u64,
}

impl Cursors {
    /// Signs with `secret`; positions count in the log of that `incarnation`.
    pub fn new(secret: &[u8; 32], incarnation: u64) -> Self {
        let mut key = [0; 64]; // HMAC pads a short key with zeros.
        key[..32].copy_from_slice(secret);
        Self { mac: Hmac::new(&key.into()), incarnation }
    }

    /// A cursor as text.
    pub fn seal(&self, scope: &Scope, version: u64, at: Cursor) -> String {
        let mut position = at.offset.to_be_bytes().to_vec();
        position.put_u32(at.index);
        position.put_i64(at.read_us);
        self.seal_bytes(scope, version, &position)
    }

    /// Reads a cursor; an empty text is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it is not one of this server, or was made for something else.
    pub fn open(&self, scope: &Scope, text: &str) -> Result<Option<Opened<Cursor>>, Status> {
        let Some(opened) = self.open_bytes(scope, text)? else { return Ok(None) };
        let mut position = &opened.at[..];
        if position.len() != 20 {
            return Err(scope.not_ours());
        }
        let (offset, index) = (position.get_u64(), position.get_u32());
        let at = Cursor { offset, index, read_us: position.get_i64() };
        Ok(Some(Opened { at, version: opened.version, other_log: opened.other_log }))
    }

    /// Cuts `rows`, of which one more than `size` was read, to a page. The next page's token; empty on the last page.
    pub fn cut_page<T>(
        &self,
        scope: &Scope,
        rows: &mut Vec<T>,
        size: usize,
        id: impl Fn(&T) -> &str,
    ) -> String {
        let more = rows.len() > size;
        rows.truncate(size);
        rows.last().filter(|_| more).map(|row| self.seal_page(scope, id(row))).unwrap_or_default()
    }

    /// A page token that names the last row of the page before.
    pub fn seal_page(&self, scope: &Scope, last: &str) -> String {
        self.seal_bytes(scope, 0, last.as_bytes())
    }

    /// The last row of the page before; an empty text is the beginning.
    ///
    /// # Errors
    /// INVALID_ARGUMENT as for [`Cursors::open`].
    pub fn open_page(&self, scope: &Scope, text: &str) -> Result<String, Status> {
        let opened = self.open_bytes(scope, text)?;
        opened.map_or_else(|| Ok(String::new()), |o| String::from_utf8(o.at).map_err(|_| scope.not_ours()))
    }

    fn seal_bytes(&self, scope: &Scope, version: u64, position: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(HEAD + position.len() + MAC);
        bytes.extend([FORMAT, scope.kind as u8]);
        bytes.put_u64(self.incarnation);
        bytes.put_u32(scope.project);
        bytes.put_u64(scope.subject);
        bytes.put_u64(version);
        bytes.put_slice(position);
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.put_slice(&mac[..MAC]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open_bytes(&self, scope: &Scope, text: &str) -> Result<Option<Opened<Vec<u8>>>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let bytes = if text.len() <= MAX_TEXT { BASE64_URL_SAFE_NO_PAD.decode(text).ok() } else { None };
        let bytes = bytes.filter(|bytes| bytes.len() >= HEAD + MAC).ok_or_else(|| scope.not_ours())?;
        let (body, mac) = bytes.split_at(bytes.len() - MAC);
        self.mac(body).verify_truncated_left(mac).map_err(|_| scope.not_ours())?;
        let (mut head, position) = body.split_at(HEAD);
        if head.get_u8() != FORMAT {
            return Err(scope.not_ours());
        }
        let kind = head.get_u8();
        let incarnation = head.get_u64();
        if (kind, head.get_u32(), head.get_u64()) != (scope.kind as u8, scope.project, scope.subject) {
            let what = "it was made for another project, funnel or filter; leave it out to start anew";
            return Err(invalid("cursor_mismatch", &format!("{}: {what}", scope.kind.field())));
        }
        let other_log = incarnation != self.incarnation;
        Ok(Some(Opened { at: position.to_vec(), version: head.get_u64(), other_log }))
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(bytes)
    }
}

#[cfg(test)]
mod tests {
    use footpath_log::{Entry, MemoryLog};

    use super::*;

    fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
        crate::status::reason_of(&result.unwrap_err()).unwrap()
    }

    #[test]
    fn cursors_come_back() {
        let (cursors, scope) = (Cursors::new(&[1; 32], 7), Scope::new(Kind::Events, 1, &["a"]));
        let at = Cursor { offset: 7, index: 3, read_us: 5 };
        let text = cursors.seal(&scope, 2, at);
        let opened = cursors.open(&scope, &text).unwrap().unwrap();
        assert_eq!(opened, Opened { at, version: 2, other_log: false });
        assert_eq!(cursors.open(&scope, "").unwrap(), None);
        let token = cursors.seal_page(&scope, "last");
        assert_eq!(cursors.open_page(&scope, &token).unwrap(), "last");
    }

    #[test]
    fn a_cursor_of_a_history_that_is_gone_is_known() {
        let log = MemoryLog::default();
        for append_time_us in [5, 6] {
            log.append_group(&[Entry { append_time_us, payload: "x".into() }]).unwrap();
        }
        let elsewhere =
            |offset, index, read_us| Cursor { offset, index, read_us }.is_elsewhere(&log).unwrap();
        assert!(!elsewhere(0, 0, 0) && !elsewhere(1, 0, 5) && !elsewhere(2, 0, 6) && !elsewhere(1, 7, 6));
        assert!(elsewhere(3, 0, 0) && elsewhere(2, 0, 5) && elsewhere(1, 7, 5));
    }

    #[test]
    fn no_bit_of_a_cursor_can_be_changed() {
        let (cursors, scope) = (Cursors::new(&[1; 32], 7), Scope::new(Kind::Events, 1, &[]));
        let text = cursors.seal(&scope, 1, Cursor { offset: 7, index: 3, read_us: 5 });
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let text = BASE64_URL_SAFE_NO_PAD.encode(forged);
            assert_eq!(reason(cursors.open(&scope, &text)), "cursor_invalid", "bit {bit}");
        }
        for text in ["c1.1.1", "\u{e9}", "AAAA", &"A".repeat(5_000)] {
            assert_eq!(reason(cursors.open(&scope, text)), "cursor_invalid");
        }
        assert_eq!(reason(Cursors::new(&[2; 32], 7).open(&scope, &text)), "cursor_invalid");
    }

    #[test]
    fn a_cursor_is_good_for_its_own_subject_only() {
        let cursors = Cursors::new(&[1; 32], 7);
        let text = cursors.seal(&Scope::new(Kind::Events, 1, &["a", "b"]), 1, Cursor::default());
        let others = [
            Scope::new(Kind::EventPages, 1, &["a", "b"]),
            Scope::new(Kind::Events, 2, &["a", "b"]),
            Scope::new(Kind::Events, 1, &["ab", ""]),
        ];
        for other in others {
            assert_eq!(reason(cursors.open(&other, &text)), "cursor_mismatch");
        }
    }

    #[test]
    fn an_error_names_the_field_that_it_came_in() {
        let cursors = Cursors::new(&[1; 32], 7);
        for (kind, field) in [(Kind::Events, "cursor: "), (Kind::Projects, "page_token: ")] {
            let scope = Scope::new(kind, 1, &[]);
            let other = cursors.seal_page(&Scope::new(kind, 2, &[]), "last");
            for text in ["AAAA", &other] {
                let status = cursors.open_page(&scope, text).unwrap_err();
                assert!(status.message().starts_with(field), "{status:?}");
            }
        }
    }

    #[test]
    fn a_cursor_of_a_log_before_a_restore_is_told_apart() {
        let scope = Scope::new(Kind::Events, 1, &[]);
        let text = Cursors::new(&[1; 32], 7).seal(&scope, 1, Cursor::default());
        assert!(Cursors::new(&[1; 32], 8).open(&scope, &text).unwrap().unwrap().other_log);
    }
}
