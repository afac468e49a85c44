//! The heads of what a question wants: out of the cache, out of files, out of the log.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::cache::{Column, Kind};
use crate::error::HistoryError;
use crate::heads::{Block, Heads, Ids, Name, Unsorted};
use crate::log_scan;
use crate::manifest::ChunkFile;
use crate::read::Wanted;
use crate::stored::{Columns, Pinned, Scan, ScanStats, StoredRow};

impl Pinned {
    /// The heads of the events of a project that lie in a span of times: of those with one of these names, in a block for each
    /// name and file, or of all. Blocks of files are whole, so times beyond the span can be among them. What is in the log alone is
    /// a block, too, whatever its name and number.
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

    /// The ids of a block's events, in the order of its heads.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn ids(&self, block: &Block) -> Result<Arc<Vec<u128>>, HistoryError> {
        let (file, name) = match &block.ids {
            Ids::Known(ids) => return Ok(Arc::clone(ids)),
            Ids::In(file, name) => (file, name),
        };
        let cache = self.pin.cache();
        let question = cache.question();
        if let Some(Column::Ids(ids)) = cache.get(question, file, name, Kind::Ids) {
            return Ok(ids);
        }
        let ids = Arc::new(self.pin.ids(file, name, &self.stop)?);
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

type Each<'e> = &'e mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>;

/// Blocks, until something fails.
type Found = Result<Vec<Block>, HistoryError>;

impl Asking<'_> {
    fn files(&self) -> Found {
        let wanted = Wanted::new(&self.scan, self.pinned.position(), &self.pinned.stop);
        let files: Vec<_> =
            self.pinned.manifest().files.iter().filter(|file| wanted.may_hold(file)).collect();
        let work = |found: &mut Found, number: usize| {
            let Ok(blocks) = found else { return };
            match self.file(files[number]) {
                Ok(more) => blocks.extend(more),
                Err(error) => *found = Err(error),
            }
        };
        let found = self.pinned.workers().share(files.len(), || Ok(Vec::new()), work);
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn file(&self, file: &Arc<ChunkFile>) -> Found {
        self.pinned.stop.check()?;
        if file.to > self.pinned.position() {
            return self.cut(file);
        }
        let cache = self.pinned.pin.cache();
        let heads = |name: &Name| match cache.get(self.question, file, name, Kind::Heads) {
            Some(Column::Heads(heads)) => Some(heads),
            _ => None,
        };
        let mut known: Vec<Option<Arc<Heads>>> = self.names.iter().map(heads).collect();
        let missing: Vec<usize> = (0..known.len()).filter(|i| known[*i].is_none()).collect();
        if !missing.is_empty() {
            let names: Vec<Name> = missing.iter().map(|i| self.names[*i].clone()).collect();
            let decoded = self.pinned.pin.heads(file, &names, &self.pinned.stop)?;
            for (i, heads) in missing.into_iter().zip(decoded) {
                let heads = Arc::new(heads);
                cache.put(
                    self.question,
                    file,
                    &self.names[i],
                    Kind::Heads,
                    &Column::Heads(Arc::clone(&heads)),
                );
                known[i] = Some(heads);
            }
        }
        let some = known.into_iter().enumerate().filter_map(|(name, heads)| Some((name, heads?)));
        let some = some.filter(|(_, heads)| !heads.is_empty());
        let ids = |name: usize| Ids::In(Arc::clone(file), self.names[name].clone());
        Ok(some.map(|(name, heads)| Block { name, heads, ids: ids(name) }).collect())
    }

    /// A file that reaches beyond the position: what lies below it.
    fn cut(&self, file: &ChunkFile) -> Found {
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
