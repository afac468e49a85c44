//! What the way between clients and server does to them.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// How it is on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum Weather {
    /// Everything passes.
    Clear,
    /// Each connection is closed after so long.
    Flap(Duration),
    /// After so many bytes nothing passes any more; nobody is told, and it stays so for a connection that met it.
    Stall {
        /// From client to server.
        up: bool,
        /// From server to client.
        down: bool,
        /// Bytes that pass first.
        after: usize,
    },
    /// So many bytes a second.
    Slow(u64),
    /// Requests pass; a connection ends after so many bytes of its first answer. 0: the answer to what was stored is lost.
    Cut(usize),
    /// Something else answers.
    Lie(Lie),
    /// Bytes that are neither HTTP nor gRPC, as of somebody who expects TLS.
    Garbage,
    /// Nobody listens.
    Down,
}

/// What something else answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Lie {
    /// A page of HTML with a status, and `retry-after`.
    Page(u16, Option<&'static str>),
    /// A well-formed answer to another batch.
    Stale,
    /// A gRPC status without the server's details, as a mesh's proxy gives it.
    Grpc(u8),
}

/// Statuses of portals, proxies and scanners.
const PAGES: [u16; 11] = [200, 302, 401, 403, 404, 407, 500, 502, 503, 504, 511];
/// Words for `retry-after` with 429; none of them may stop a client for good.
const WAITS: [Option<&str>; 6] = [
    None,
    Some("1"),
    Some("Wed, 21 Oct 2026 07:28:00 GMT"),
    Some("-1"),
    Some(LONG_WAITS[0]),
    Some(LONG_WAITS[1]),
];
/// Those that a client may obey for an hour, unless its host says that the link is back.
const LONG_WAITS: [&str; 2] = ["86400", "18446744073709551615"];
/// INVALID_ARGUMENT, PERMISSION_DENIED, OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED.
const CODES: [u8; 6] = [3, 7, 11, 12, 14, 16];

impl Weather {
    /// Draws one.
    pub fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..15) {
            0 => Self::Clear,
            1 | 2 => Self::Flap(Duration::from_millis(rng.random_range(5..=300))),
            3 | 4 => {
                let (up, after) = (rng.random_bool(0.5), rng.random_range(0..=4_000));
                Self::Stall { up, down: !up || rng.random_bool(0.3), after }
            }
            5 => Self::Slow(rng.random_range(10_000..=200_000)),
            6 | 7 => Self::Cut(0),
            8 => Self::Cut(rng.random_range(1..=260)),
            9..=12 => Self::Lie(Lie::draw(rng)),
            13 => Self::Garbage,
            _ => Self::Down,
        }
    }
}

impl Weather {
    /// Whether it may make a client wait for longer than a round lasts.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Lie(Lie::Page(_, Some(wait))) if LONG_WAITS.contains(wait))
    }
}

impl Lie {
    fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..=4 => Self::Page(PAGES[rng.random_range(0..PAGES.len())], None),
            5 | 6 => Self::Page(429, WAITS[rng.random_range(0..WAITS.len())]),
            7 => Self::Stale,
            _ => Self::Grpc(CODES[rng.random_range(0..CODES.len())]),
        }
    }
}
