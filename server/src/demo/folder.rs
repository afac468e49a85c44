//! The demo's own folder: the server's data, and what the demo must remember.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

const FILE: &str = "demo.json";

/// What is remembered between starts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The moment the history ends at, microseconds since 1970: the first start. Fixed from then on, so that every start
    /// would send the same events under the same ids.
    pub history_ends_us: i64,
    /// Whether the whole history was acknowledged.
    pub history_done: bool,
    /// The project key of the simulated shop.
    pub key: Option<String>,
}

/// The folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// What is remembered; write it back with [`Folder::save`].
    pub memory: Memory,
}

impl Folder {
    /// Opens or makes the folder. With `fresh`, everything an earlier demo left in it is deleted first.
    ///
    /// # Errors
    /// If it cannot be used, or is no demo's folder.
    pub fn open(root: &Path, fresh: bool, now_us: i64) -> anyhow::Result<Self> {
        let file = root.join(FILE);
        if root.join("state.redb").exists() {
            bail!("{} is the data folder of `footpath serve`; the demo needs one of its own", root.display());
        }
        let server = root.join("server");
        let has_data = server.join("state.redb").exists();
        if fresh && has_data {
            std::fs::remove_dir_all(&server).with_context(|| format!("cannot empty {}", root.display()))?;
        } else if has_data && !file.exists() {
            // Another shift would count the history a second time.
            bail!("{} holds a demo's data without its {FILE}; start again with --fresh", root.display());
        }
        if fresh && file.exists() {
            std::fs::remove_file(&file)?;
        }
        std::fs::create_dir_all(&server)
            .with_context(|| format!("cannot make the demo's folder {}", root.display()))?;
        let memory = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged; start again with --fresh", file.display()))?,
            Err(_) => Memory { history_ends_us: now_us, ..Memory::default() },
        };
        let folder = Self { root: root.to_owned(), memory };
        folder.save()?;
        Ok(folder)
    }

    /// The server's data folder.
    pub fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    /// Where the server's log goes.
    pub fn server_log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// Remembers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        let (file, new) = (self.root.join(FILE), self.root.join("demo.json.new"));
        let write = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // It holds a key.
            let mut out = options.open(&new)?;
            std::io::Write::write_all(&mut out, &serde_json::to_vec_pretty(&self.memory)?)?;
            std::fs::rename(&new, &file)
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_history_is_remembered_until_a_fresh_start() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(root.path(), false, 7).unwrap();
        folder.memory.history_done = true;
        folder.save().unwrap();
        std::fs::write(folder.server().join("state.redb"), "data").unwrap();
        let again = Folder::open(root.path(), false, 8).unwrap();
        assert_eq!((again.memory.history_ends_us, again.memory.history_done), (7, true));
        let fresh = Folder::open(root.path(), true, 9).unwrap();
        assert_eq!((fresh.memory.history_ends_us, fresh.memory.history_done), (9, false));
        assert!(!fresh.server().join("state.redb").exists());
    }

    #[test]
    fn data_without_its_memory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path(), false, 7).unwrap();
        std::fs::write(folder.server().join("state.redb"), "data").unwrap();
        std::fs::remove_file(root.path().join(FILE)).unwrap();
        assert!(Folder::open(root.path(), false, 8).unwrap_err().to_string().contains("--fresh"));
        assert_eq!(Folder::open(root.path(), true, 9).unwrap().memory.history_ends_us, 9);
    }
}
