//! Decoded columns, kept for the next question: per group of files and name, within a bound of bytes.
//!
//! A file is known by its entry in the manifest, not by its path: one that is written anew has another entry and is another
//! file. What is kept of a file whose entry is in no manifest any more, new or pinned, cannot be asked for and goes first.
//!
//! Else what was used least recently goes. A question never pushes out what it has used itself, nor what one that began later
//! has: where a question wants more than there is room for, what came first stays and is found next time, instead of all being read again each time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::heads::{Heads, Name};
use crate::manifest::ChunkFile;

/// Beside its columns, an entry takes about this many bytes.
const ENTRY_BYTES: usize = 200;
/// A part of all room that is made free at a time: finding out what is oldest costs a walk over all entries.
const FREED: usize = 16;

/// What is kept.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    /// Who and when.
    Heads(Arc<Heads>),
    /// The ids of the same events, in the same order.
    Ids(Arc<Vec<u128>>),
}

impl Column {
    fn bytes(&self) -> usize {
        ENTRY_BYTES
            + match self {
                Self::Heads(heads) => heads.bytes(),
                Self::Ids(ids) => ids.capacity() * size_of::<u128>(),
            }
    }
}

/// Which column of which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Heads,
    Ids,
}

/// The columns that are kept. The newest questions have the highest numbers.
#[derive(Debug)]
pub(crate) struct ColumnCache {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the address of the manifest's entry, which stays its own for as long as a weak reference to it lives.
    files: HashMap<usize, OfFile>,
    bytes: usize,
    question: u64,
}

/// What is kept of the groups that begin with a file.
#[derive(Debug)]
struct OfFile {
    file: Weak<ChunkFile>,
    columns: HashMap<(Name, Kind), Kept>,
}

#[derive(Debug)]
struct Kept {
    column: Column,
    /// The other files of the group.
    others: Vec<Weak<ChunkFile>>,
    /// The newest question that used it.
    used: u64,
}

impl ColumnCache {
    /// Keeps up to `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// What is kept now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// The number of a new question.
    pub(crate) fn question(&self) -> u64 {
        let mut state = self.state.lock();
        state.question += 1;
        state.question
    }

    /// The column of the longest kept group that `files` begin with, and how many files it has. Of groups that begin with the same
    /// file one is kept.
    pub(crate) fn get(
        &self,
        question: u64,
        files: &[Arc<ChunkFile>],
        name: &Name,
        kind: Kind,
    ) -> Option<(usize, Column)> {
        let (first, others) = files.split_first()?;
        let mut state = self.state.lock();
        let own = state.files.get_mut(&address(first))?;
        let kept = own.columns.get_mut(&(name.clone(), kind))?;
        if !kept.is_of(others) {
            return None;
        }
        kept.used = kept.used.max(question);
        Some((kept.others.len() + 1, kept.column.clone()))
    }

    /// Keeps the column of a group, if there is room or room can be made. What is kept of parts of the group goes. A larger group that
    /// begins with the same file stays: this one is asked for at an earlier position, and soon nobody will.
    pub(crate) fn put(
        &self,
        question: u64,
        files: &[Arc<ChunkFile>],
        name: &Name,
        kind: Kind,
        column: &Column,
    ) {
        let Some((first, others)) = files.split_first() else { return };
        let bytes = column.bytes();
        if bytes > self.most {
            return;
        }
        let key = (name.clone(), kind);
        let mut state = self.state.lock();
        let kept = state.files.get(&address(first)).and_then(|own| own.columns.get(&key));
        if kept.is_some_and(|kept| kept.others.len() > others.len() && kept.is_there()) {
            return;
        }
        files.iter().for_each(|file| state.forget(file, &key));
        if state.bytes + bytes > self.most {
            state.make_room(bytes.max(self.most / FREED), self.most, question);
        }
        if state.bytes + bytes > self.most {
            return;
        }
        let own = state
            .files
            .entry(address(first))
            .or_insert_with(|| OfFile { file: Arc::downgrade(first), columns: HashMap::new() });
        let others = others.iter().map(Arc::downgrade).collect();
        own.columns.insert(key, Kept { column: column.clone(), others, used: question });
        state.bytes += bytes;
    }
}

impl Kept {
    /// Whether the group's other files are the first ones of these.
    fn is_of(&self, others: &[Arc<ChunkFile>]) -> bool {
        let same = |(kept, file): (&Weak<ChunkFile>, &Arc<ChunkFile>)| kept.as_ptr() == Arc::as_ptr(file);
        self.others.len() <= others.len() && self.others.iter().zip(others).all(same)
    }

    /// Whether the group's other files are in some manifest.
    fn is_there(&self) -> bool {
        self.others.iter().all(|file| file.strong_count() > 0)
    }
}

impl State {
    /// Lets go of the group that begins with a file.
    fn forget(&mut self, file: &Arc<ChunkFile>, key: &(Name, Kind)) {
        let Some(own) = self.files.get_mut(&address(file)) else { return };
        let gone = own.columns.remove(key);
        if own.columns.is_empty() {
            self.files.remove(&address(file));
        }
        self.bytes -= gone.map_or(0, |gone| gone.column.bytes());
    }

    /// Lets go of files that are gone, then of the oldest columns, until `bytes` more fit into `most`.
    fn make_room(&mut self, bytes: usize, most: usize, question: u64) {
        self.files.retain(|_, own| own.file.strong_count() > 0);
        self.count();
        let mut old: Vec<(u64, usize)> = Vec::new();
        for own in self.files.values() {
            let before = own.columns.values().filter(|kept| kept.used < question);
            old.extend(before.map(|kept| (kept.used, kept.column.bytes())));
        }
        old.sort_unstable();
        let (mut left, mut upto) = (self.bytes, 0);
        for (used, size) in old {
            if left + bytes <= most {
                break;
            }
            left -= size;
            upto = used + 1;
        }
        self.forget_before(upto);
    }

    fn forget_before(&mut self, question: u64) {
        self.files.values_mut().for_each(|own| own.columns.retain(|_, kept| kept.used >= question));
        self.files.retain(|_, own| !own.columns.is_empty());
        self.count();
    }

    fn count(&mut self) {
        let columns = self.files.values().flat_map(|own| own.columns.values());
        self.bytes = columns.map(|kept| kept.column.bytes()).sum();
    }
}

fn address(file: &Arc<ChunkFile>) -> usize {
    Arc::as_ptr(file).addr()
}

#[cfg(test)]
mod tests;
