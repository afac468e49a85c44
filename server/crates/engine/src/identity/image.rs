//! The graph as bytes, with all its history.
//!
//! ```text
//! graph   version u8 | ids varint x key u64 | changes varint x (child varint, parent varint)
//! ```
//! Ids and children are numbered as they appear. A parent is its number times four and the cause; for a pointer that was
//! taken away the number is 0. Numbers are varints, keys little endian. About 8 bytes an id and 2 to 9 a change.

use footpath_model::wire::{put_varint, varint};

use super::forest::{NONE, Place};
use super::outcome::Cause;
use super::{ActorKey, IdentityGraph};

/// The version of the bytes below.
pub const FORMAT: u8 = 1;

/// The bytes are not a graph, or one of a newer version: make it from stored events and the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identity graph of this version; make it again from stored events")]
pub struct BadGraph;

impl IdentityGraph {
    /// Appends the graph.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        put_varint(out, self.forest.keys().len() as u64);
        for key in self.forest.keys() {
            out.extend_from_slice(&key.0.to_le_bytes());
        }
        put_varint(out, self.epoch());
        for change in self.forest.changes() {
            put_varint(out, change.child.into());
            let parent = if change.parent == NONE { 0 } else { change.parent };
            put_varint(out, u64::from(parent) << 2 | u64::from(change.cause as u8));
        }
    }

    /// Reads a graph from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadGraph`] if they are cut, of another version, or no sequence of changes that can have happened.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadGraph> {
        let (version, rest) = bytes.split_first().ok_or(BadGraph)?;
        if *version != FORMAT {
            return Err(BadGraph);
        }
        let mut reader = Reader(rest);
        let mut graph = Self::new();
        let ids = reader.number()?;
        for place in 0..ids {
            let key = ActorKey(u64::from_le_bytes(reader.key()?));
            if graph.forest.intern(key) != place {
                return Err(BadGraph); // Twice.
            }
        }
        for _ in 0..reader.number()? {
            reader.change(&mut graph, ids)?;
        }
        *bytes = reader.0;
        Ok(graph)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn varint(&mut self) -> Result<u64, BadGraph> {
        let mut at = 0;
        let value = varint(self.0, &mut at).map_err(|_| BadGraph)?;
        self.0 = &self.0[at..];
        Ok(value)
    }

    /// A count or a number below [`NONE`].
    fn number(&mut self) -> Result<u32, BadGraph> {
        let number = u32::try_from(self.varint()?).map_err(|_| BadGraph)?;
        if number < NONE { Ok(number) } else { Err(BadGraph) }
    }

    fn key(&mut self) -> Result<[u8; 8], BadGraph> {
        let (key, rest) = self.0.split_first_chunk().ok_or(BadGraph)?;
        self.0 = rest;
        Ok(*key)
    }

    fn change(&mut self, graph: &mut IdentityGraph, ids: Place) -> Result<(), BadGraph> {
        let child = self.number()?;
        let packed = self.varint()?;
        let parent = Place::try_from(packed >> 2).map_err(|_| BadGraph)?;
        if child >= ids || parent >= ids {
            return Err(BadGraph);
        }
        let forest = &mut graph.forest;
        let linked = forest.parent(child).is_some();
        let (cause, happened) = match packed & 3 {
            0 => (Cause::Unmerge, linked && parent == 0),
            1 => (Cause::Identify, !linked),
            2 => (Cause::Alias, !linked),
            _ => (Cause::Merge, !linked),
        };
        let to = (cause != Cause::Unmerge).then_some(parent);
        let loops = to.is_some_and(|to| forest.root(to) == forest.key(child));
        if !happened || loops {
            return Err(BadGraph);
        }
        forest.point(child, to, cause);
        Ok(())
    }
}
