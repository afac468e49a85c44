//! Which files are read as one.
//!
//! A file has the events of a minute or so, those of an actor are in many. Nobody wants to look for them in hundreds of places with
//! every question, so the heads of neighbouring files are joined once and kept like that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::heads::{Heads, Origin, Place};
use crate::manifest::ChunkFile;

/// Files that are read as one have no more events together: some 20 MB of heads.
const MOST_ROWS: u64 = if cfg!(test) { 60 } else { 1 << 20 };
/// Nor are they more.
const MOST_FILES: usize = Origin::MAX as usize + 1;

/// Cuts the files of each day into groups, in order. A group is 1, 2, 4... files and begins at a multiple of that, so that with each new file
/// few groups change: a day has some of different sizes, and each file is joined a few times in all.
pub(crate) fn groups<'m>(files: impl Iterator<Item = &'m Arc<ChunkFile>>) -> Vec<Arc<[Arc<ChunkFile>]>> {
    let mut days: BTreeMap<i32, Vec<Arc<ChunkFile>>> = BTreeMap::new();
    files.for_each(|file| days.entry(file.day).or_default().push(Arc::clone(file)));
    days.values().flat_map(|day| of_day(day)).collect()
}

fn of_day(files: &[Arc<ChunkFile>]) -> Vec<Arc<[Arc<ChunkFile>]>> {
    let mut groups = Vec::new();
    let mut begin = 0;
    while begin < files.len() {
        let sizes = (0..=MOST_FILES.ilog2()).map(|bits| 1 << bits);
        let fits = |size: &usize| begin % size == 0 && fits(files.get(begin..begin + size));
        let size = sizes.take_while(fits).last().unwrap_or(1);
        groups.push(files[begin..begin + size].into());
        begin += size;
    }
    groups
}

fn fits(files: Option<&[Arc<ChunkFile>]>) -> bool {
    files.is_some_and(|files| files.iter().map(|file| file.rows).sum::<u64>() <= MOST_ROWS)
}

/// The heads of neighbouring files, and the number of the first of these.
pub(crate) type Piece = (Origin, Arc<Heads>);

/// The heads of all pieces together, which are in the order of their files. What is equal in actor and time is in that
/// order, too.
pub(crate) fn join(pieces: &[Piece]) -> Arc<Heads> {
    if let [(_, only)] = pieces {
        return Arc::clone(only);
    }
    let mut runs: Vec<PieceRun> = Vec::with_capacity(pieces.iter().map(|(_, heads)| heads.run_count()).sum());
    for (piece, (_, heads)) in pieces.iter().enumerate() {
        let run = |place, first, len| PieceRun { place, piece: piece as u32, first, len };
        runs.extend(heads.runs().map(|own| run(own.place, own.first, own.times_us.len() as u32)));
    }
    runs.sort_by_key(|run| run.place); // A few ascending sequences, which are merged.
    let mut joined = Heads::with_room(runs.len(), pieces.iter().map(|(_, heads)| heads.len()).sum());
    let mut events = Vec::new();
    for own in runs.chunk_by(|a, b| a.place == b.place) {
        events.clear();
        for run in own {
            let (first_file, heads) = &pieces[run.piece as usize];
            let rows = run.first as usize..(run.first + run.len) as usize;
            events.extend(rows.map(|row| (heads.times_us()[row], first_file + heads.origin(row))));
        }
        // Neighbours are mostly one after the other in time as well. A stable sort: the order of files decides among equals.
        events.sort_by_key(|(time_us, _)| *time_us);
        events.iter().for_each(|(time_us, origin)| joined.push_of(*origin, own[0].place, *time_us));
    }
    joined.finish();
    Arc::new(joined)
}

/// A run of one of the pieces.
struct PieceRun {
    place: Place,
    piece: u32,
    first: u32,
    len: u32,
}

#[cfg(test)]
mod tests;
