//! A [`Disk`] whose names may have folders in them: Delta and DuckDB expect a folder per project and day.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use footpath_log::disk::{Disk, DiskFile};
use footpath_log::{RealDisk, WriteMode};
use parking_lot::Mutex;

/// A folder and everything below it, held by an exclusive lock. Names are parted by `/`; folders are made as needed.
pub struct TreeDisk {
    root: PathBuf,
    files: RealDisk,
    /// Folders with changes that are not durable yet.
    changed: Mutex<BTreeSet<PathBuf>>,
}

impl TreeDisk {
    /// Opens (and creates) `root`.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    pub fn open(root: &Path) -> io::Result<Self> {
        let files = RealDisk::open(root, WriteMode::Direct)?;
        Ok(Self { root: root.to_owned(), files, changed: Mutex::default() })
    }

    /// Notes the folder of `name`, and its ancestors: a new folder is a name in the one above.
    fn note(&self, name: &str) {
        let folders = Path::new(name).ancestors().skip(1).map(|folder| self.root.join(folder));
        self.changed.lock().extend(folders);
    }

    fn walk(&self, folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.walk(&path, names)?;
            } else if let Ok(name) = path.strip_prefix(&self.root) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(())
    }
}

impl Disk for TreeDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(folder) = Path::new(name).parent() {
            fs::create_dir_all(self.root.join(folder))?;
        }
        self.note(name);
        self.files.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.files.open(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.walk(&self.root, &mut names)?;
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.note(name);
        self.files.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.note(from);
        self.note(to);
        self.files.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut changed = self.changed.lock();
        changed.insert(self.root.clone());
        for folder in changed.iter() {
            File::open(folder)?.sync_all()?;
        }
        changed.clear(); // Only now: after a failed sync all of them are tried again.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_folders_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = TreeDisk::open(folder.path()).unwrap();
        disk.create("1/day=2026-01-02/a").unwrap().write_at(b"abc", 0).unwrap();
        disk.create("b").unwrap();
        disk.sync_dir().unwrap();
        let mut names = disk.list().unwrap();
        names.sort();
        assert_eq!(names, ["1/day=2026-01-02/a", "LOCK", "b"]);
        assert_eq!(disk.open("1/day=2026-01-02/a").unwrap().len().unwrap(), 3);
        disk.remove("1/day=2026-01-02/a").unwrap();
        assert!(disk.open("1/day=2026-01-02/a").is_err());
    }

    #[test]
    fn a_second_holder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _held = TreeDisk::open(folder.path()).unwrap();
        let second = TreeDisk::open(folder.path()).err().map(|error| error.kind());
        assert_eq!(second, Some(io::ErrorKind::WouldBlock));
    }
}
