//! Files that are whole or not there: written beside their name, synced, renamed, the name synced.

use std::io;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// What is not finished lies under its name and this.
pub const UNFINISHED: &str = ".tmp";

/// The next content of a name. Until [`Replacement::finish`] the name keeps the old one; without it the new one is
/// removed again, now or, after a crash, by whoever replaces the name next.
pub struct Replacement<'a> {
    disk: &'a dyn Disk,
    name: String,
    file: Arc<dyn DiskFile>,
    len: u64,
    finished: bool,
}

impl<'a> Replacement<'a> {
    /// Begins with no content.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin(disk: &'a dyn Disk, name: &str) -> io::Result<Self> {
        let file = create_anew(disk, &unfinished(name))?;
        Ok(Self { disk, name: name.to_owned(), file, len: 0, finished: false })
    }

    /// Adds bytes behind what was written.
    ///
    /// # Errors
    /// What the disk says; give the replacement up then.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts the new content under the name. After an `Ok` it survives a power loss; after an error either content
    /// may be there, whole.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync()?;
        self.disk.rename(&unfinished(&self.name), &self.name)?;
        self.finished = true;
        self.disk.sync_dir()
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // What it takes is needed elsewhere; if removing fails too, the next one does it.
            self.disk.remove(&unfinished(&self.name)).ok();
        }
    }
}

/// Replaces the content of a name, as [`Replacement`] says.
///
/// # Errors
/// What the disk says.
pub fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut new = Replacement::begin(disk, name)?;
    new.append(bytes)?;
    new.finish()
}

/// Writes and syncs a file that nothing refers to yet, in place of what a failed attempt left under the name. The name
/// itself is durable after the next [`Disk::sync_dir`].
///
/// # Errors
/// What the disk says; no file is left then, if it can be removed.
pub fn write_new(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
    let file = create_anew(disk, name)?;
    let written = file.write_at(bytes, 0).and_then(|()| file.sync());
    if written.is_err() {
        disk.remove(name).ok(); // What it takes is needed elsewhere.
    }
    written.map(|()| file)
}

/// All bytes of a file.
///
/// # Errors
/// `NotFound` if there is none, or what the disk says.
pub fn read_whole(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// Creates an empty file, in place of what a failed attempt left under the name.
///
/// # Errors
/// What the disk says.
pub fn create_anew(disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn DiskFile>> {
    match disk.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(name)?;
            disk.create(name)
        }
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;

    /// The power goes at every operation of a replacement, many times each.
    #[test]
    fn a_replaced_file_is_the_old_one_or_the_new_one() {
        let (old, new) = (vec![1; 3000], vec![2; 5000]);
        for (operations, seed) in (0..9).flat_map(|operations| (0..200).map(move |seed| (operations, seed))) {
            let disk = SimDisk::new(seed);
            replace(&disk, "a", &old).unwrap();
            disk.cut_power_after(operations);
            let told = replace(&disk, "a", &new).is_ok();
            disk.power_loss();
            let found = read_whole(&disk, "a").unwrap();
            assert!(found == new || (!told && found == old), "{operations} operations, seed {seed}");
            replace(&disk, "a", &new).unwrap();
            assert_eq!(disk.list().unwrap(), ["a"], "nothing unfinished stays");
        }
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let disk = SimDisk::new(1);
        replace(&disk, "a", b"old").unwrap();
        Replacement::begin(&disk, "a").unwrap().append(b"new").unwrap();
        disk.fail_syncs(2);
        assert!(replace(&disk, "a", b"new").is_err());
        assert!(write_new(&disk, "b", b"new").is_err());
        assert_eq!(disk.list().unwrap(), ["a"]);
        assert_eq!(read_whole(&disk, "a").unwrap(), b"old");
        assert_eq!(read_whole(&disk, "b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_new_file_takes_the_place_of_a_failed_attempt() {
        let disk = SimDisk::new(1);
        write_new(&disk, "a", b"longer").unwrap();
        write_new(&disk, "a", b"new").unwrap();
        assert_eq!(read_whole(&disk, "a").unwrap(), b"new");
    }
}
