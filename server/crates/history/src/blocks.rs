//! The heads of what a question wants: out of the cache, out of files, out of the log.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::cache::{Column, Kind};
use crate::error::HistoryError;
use crate::groups::{Piece, groups, join};
use crate::heads::{Block, Heads, Ids, Name, Origin, Unsorted};
use crate::log_scan;
use crate::manifest::ChunkFile;
use crate::read::Wanted;
use crate::stored::{Columns, Pinned, Scan, ScanStats, StoredRow};

impl Pinned {
    /// The heads of the events of a project that lie in a span of times: of those with one of these names, in a block for each
    /// name and group of files (`groups.rs`), or of all. Blocks of files are whole, so times beyond the span can be among them.
    /// What is in the log alone is a block, too, whatever its name and number.
    ///
    /// Files that are not decoded yet are decoded with the helpers that are free.
    ///
    /// # Errors
    /// If a chunk or the log cannot be read, or nobody waits any more.
    pub fn blocks(
        &self,
        project: u32,
        (from_us, to_us): (i64, i64),
        names: Option<&[Arc<str>]>,
    ) -> Result<Vec<Block>, HistoryError> {
        let set: Option<HashSet<String>> = names.map(|names| names.iter().map(|n| n.to_string()).collect());
        let scan = Scan { from_us, to_us, names: set.as_ref(), columns: Columns::HEAD, ..Scan::all(project) };
        let names: Vec<Name> =
            names.map_or_else(|| vec![None], |names| names.iter().cloned().map(Some).collect());
        let asking = Asking { pinned: self, scan, names, question: self.pin.cache().question() };
        let mut blocks = asking.files()?;
        blocks.extend(asking.log()?);
        Ok(blocks)
    }

    /// The ids of those of a block's events that are from the same file as one of them, in the order of its heads.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn ids(&self, block: &Block, row: usize) -> Result<Arc<Vec<u128>>, HistoryError> {
        let (files, name) = match &block.ids {
            Ids::Known(ids) => return Ok(Arc::clone(ids)),
            Ids::In(files, name) => (files, name),
        };
        let origin = usize::from(block.heads.origin(row));
        let file = &files[origin..=origin];
        let cache = self.pin.cache();
        let question = cache.question();
        if let Some((_, Column::Ids(ids))) = cache.get(question, file, name, Kind::Ids) {
            return Ok(ids);
        }
        let ids = Arc::new(self.pin.ids(&file[0], name, &self.stop)?);
        cache.put(question, file, name, Kind::Ids, &Column::Ids(Arc::clone(&ids)));
        Ok(ids)
    }
}

/// A question on its way.
struct Asking<'a> {
    pinned: &'a Pinned,
    scan: Scan<'a>,
    names: Vec<Name>,
    question: u64,
}

/// What is read at a time.
enum Files<'m> {
    /// A group.
    Whole(Arc<[Arc<ChunkFile>]>),
    /// A file that reaches beyond the position.
    Cut(&'m Arc<ChunkFile>),
}

impl Files<'_> {
    fn as_slice(&self) -> &[Arc<ChunkFile>] {
        match self {
            Self::Whole(files) => files,
            Self::Cut(file) => std::slice::from_ref(file),
        }
    }
}

/// What is known of the events of a group that have a name.
#[derive(Default)]
struct Known {
    pieces: Vec<Piece>,
    /// The files that are in none of them.
    missing: Vec<usize>,
}

type Each<'e> = &'e mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>;

/// Blocks, until something fails.
type Found = Result<Vec<Block>, HistoryError>;

impl Asking<'_> {
    fn files(&self) -> Found {
        let wanted = Wanted::new(&self.scan, self.pinned.position(), &self.pinned.stop);
        let own = self.pinned.manifest().files.iter().filter(|file| file.project == self.scan.project);
        let (whole, cut): (Vec<_>, Vec<_>) = own.partition(|file| file.to <= self.pinned.position());
        let mut parts: Vec<Files<'_>> = groups(whole.into_iter()).into_iter().map(Files::Whole).collect();
        parts.extend(cut.into_iter().map(Files::Cut));
        parts.retain(|part| part.as_slice().iter().any(|file| wanted.may_hold(file)));
        let work = |found: &mut Vec<(usize, Found)>, number: usize| {
            let blocks = match &parts[number] {
                Files::Whole(files) => self.group(files),
                Files::Cut(file) => self.cut(file),
            };
            found.push((number, blocks));
        };
        let shared = self.pinned.workers().share(parts.len(), Vec::new, work);
        let mut found: Vec<_> = shared.into_iter().flatten().collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        let found: Result<Vec<_>, _> = found.into_iter().map(|(_, blocks)| blocks).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn group(&self, files: &Arc<[Arc<ChunkFile>]>) -> Found {
        self.pinned.stop.check()?;
        let mut known: Vec<Known> = self.names.iter().map(|name| self.known(files, name)).collect();
        for (number, file) in files.iter().enumerate() {
            self.decode((number, file), &mut known)?;
        }
        let mut blocks = Vec::new();
        for ((number, name), known) in self.names.iter().enumerate().zip(known) {
            let heads = self.join(files, name, known);
            if !heads.is_empty() {
                let ids = Ids::In(Arc::clone(files), name.clone());
                blocks.push(Block { name: number, heads, ids });
            }
        }
        Ok(blocks)
    }

    /// What the cache has of a group.
    fn known(&self, files: &[Arc<ChunkFile>], name: &Name) -> Known {
        let mut known = Known::default();
        let mut at = 0;
        while at < files.len() {
            match self.pinned.pin.cache().get(self.question, &files[at..], name, Kind::Heads) {
                Some((count, Column::Heads(heads))) => {
                    known.pieces.push((at as Origin, heads));
                    at += count;
                }
                _ => {
                    known.missing.push(at);
                    at += 1;
                }
            }
        }
        known
    }

    /// Decodes a file once for all names that miss it.
    fn decode(
        &self,
        (number, file): (usize, &Arc<ChunkFile>),
        known: &mut [Known],
    ) -> Result<(), HistoryError> {
        let missing: Vec<usize> = (0..known.len()).filter(|i| known[*i].missing.contains(&number)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<Name> = missing.iter().map(|i| self.names[*i].clone()).collect();
        let decoded = self.pinned.pin.heads(file, &names, &self.pinned.stop)?;
        for (i, heads) in missing.into_iter().zip(decoded) {
            known[i].pieces.push((number as Origin, Arc::new(heads)));
        }
        Ok(())
    }

    /// The heads of a group as one, which are kept as such.
    fn join(&self, files: &[Arc<ChunkFile>], name: &Name, mut known: Known) -> Arc<Heads> {
        known.pieces.sort_unstable_by_key(|(number, _)| *number);
        let heads = join(&known.pieces);
        if known.pieces.len() > 1 || !known.missing.is_empty() {
            let column = Column::Heads(Arc::clone(&heads));
            self.pinned.pin.cache().put(self.question, files, name, Kind::Heads, &column);
        }
        heads
    }

    /// A file that reaches beyond the position: what lies below it.
    fn cut(&self, file: &ChunkFile) -> Found {
        self.pinned.stop.check()?;
        let wanted = Wanted::new(&self.scan, self.pinned.position(), &self.pinned.stop);
        self.sorted(&mut |each| {
            self.pinned.pin.read(file, &wanted, &mut ScanStats::default(), each).map(drop)
        })
    }

    fn log(&self) -> Found {
        let range = self.pinned.chunks_upto()..self.pinned.position();
        let log = self.pinned.log.as_ref();
        self.sorted(&mut |each| {
            log_scan::scan(log, range.clone(), &self.scan, &mut ScanStats::default(), each).map(drop)
        })
    }

    /// What a scan gives, sorted, a block for each name.
    fn sorted(&self, scan: &mut dyn FnMut(Each<'_>) -> Result<(), HistoryError>) -> Found {
        let mut found: Vec<Unsorted> = self.names.iter().map(|_| Unsorted::default()).collect();
        scan(&mut |row| {
            let wants = |name: &Name| name.as_deref().is_none_or(|name| name == row.name);
            if let Some(slot) = self.names.iter().position(wants) {
                found[slot].push(row.head.actor_key, row.head.time_us, row.head.id.as_u128());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found.into_iter().enumerate().filter_map(|(name, rows)| rows.block(name)).collect())
    }
}

#[cfg(test)]
mod tests;
