//! Encryption of the queue: who keeps the keys, and how a block is sealed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::Mutex;

use crate::clock::{Randomness, SystemRandom};

/// The key of what belongs to the install and not to a person.
const INSTALL_KEY: &str = "install";

/// A key of the queue: 256 random bits.
pub type Key = [u8; 32];

/// Why a key cannot be had now. It is asked for again; nothing is given up for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be had now: {0}")]
pub struct KeyError(pub String);

/// Keeps the keys of a queue: Android's Keystore, Apple's Keychain, a file.
///
/// Laws: what `make` returned, `find` finds until `destroy`; `find` says `None` only when the key is proven to be gone,
/// which gives up what was sealed with it, and an error whenever that is not certain (a locked device).
pub trait KeyProvider: Send + Sync {
    /// The key named `id`.
    ///
    /// # Errors
    /// When it cannot be had now.
    fn find(&self, id: &str) -> Result<Option<Key>, KeyError>;

    /// Makes the key named `id`, or finds the one there is.
    ///
    /// # Errors
    /// When it cannot be made now.
    fn make(&self, id: &str) -> Result<Key, KeyError>;

    /// Destroys the key named `id`; none is no error.
    ///
    /// # Errors
    /// When it cannot be destroyed now.
    fn destroy(&self, id: &str) -> Result<(), KeyError>;
}

fn new_key(random: &dyn Randomness) -> Key {
    let mut key = Key::default();
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&random.next_u64().to_le_bytes());
    }
    key
}

/// Keys as files in a folder that only the user may read. For servers and for systems without a keychain; it protects a
/// queue folder that is copied away without it.
#[derive(Debug)]
pub struct FileKeys {
    folder: PathBuf,
}

impl FileKeys {
    /// Keys in `folder`, made when the first key is.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.key"))
    }
}

impl KeyProvider for FileKeys {
    fn find(&self, id: &str) -> Result<Option<Key>, KeyError> {
        match fs::read(self.path(id)) {
            Ok(bytes) => Ok(Key::try_from(&*bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeyError(error.to_string())),
        }
    }

    fn make(&self, id: &str) -> Result<Key, KeyError> {
        if let Some(key) = self.find(id)? {
            return Ok(key);
        }
        let failed = |error: io::Error| KeyError(error.to_string());
        // Of two processes that make the same key, the second finds it.
        let turn = take_turns(&self.folder).map_err(failed)?;
        if let Some(key) = self.find(id)? {
            return Ok(key);
        }
        let key = new_key(&SystemRandom);
        write_private(&self.path(id), &key).map_err(failed)?;
        drop(turn);
        Ok(key)
    }

    fn destroy(&self, id: &str) -> Result<(), KeyError> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeyError(error.to_string())),
            _ => Ok(()),
        }
    }
}

/// Whoever has it is the only one who makes keys in the folder, until it is dropped.
fn take_turns(folder: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(folder)?;
    let turn = fs::File::options().write(true).create(true).truncate(false).open(folder.join("lock"))?;
    turn.lock()?;
    Ok(turn)
}

/// A file is there whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// Keys that die with the process; for tests. Nothing that was sealed outlives them.
#[derive(Debug, Default)]
pub struct MemoryKeys {
    keys: Mutex<HashMap<String, Key>>,
    locked: Mutex<bool>,
}

impl MemoryKeys {
    /// No keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// As on a locked device: nothing can be had until it is unlocked.
    pub fn lock(&self, locked: bool) {
        *self.locked.lock() = locked;
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, HashMap<String, Key>>, KeyError> {
        if *self.locked.lock() { Err(KeyError("the device is locked".into())) } else { Ok(self.keys.lock()) }
    }
}

impl KeyProvider for MemoryKeys {
    fn find(&self, id: &str) -> Result<Option<Key>, KeyError> {
        Ok(self.open()?.get(id).copied())
    }

    fn make(&self, id: &str) -> Result<Key, KeyError> {
        Ok(*self.open()?.entry(id.to_owned()).or_insert_with(|| new_key(&SystemRandom)))
    }

    fn destroy(&self, id: &str) -> Result<(), KeyError> {
        self.open()?.remove(id);
        Ok(())
    }
}

const NONCE: usize = 24;

/// Why sealed bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// Not now.
    NotNow(KeyError),
    /// Never: the key is gone.
    NoKey,
    /// Never: the bytes or what belongs to them were changed.
    Damaged,
}

impl From<KeyError> for Sealed {
    fn from(error: KeyError) -> Self {
        Self::NotNow(error)
    }
}

/// Seals and opens. Without a provider it only checks.
#[derive(Clone)]
pub(crate) struct Sealer {
    keys: Option<Arc<dyn KeyProvider>>,
}

impl Sealer {
    pub(crate) fn new(keys: Option<Arc<dyn KeyProvider>>) -> Self {
        Self { keys }
    }

    pub(crate) fn encrypts(&self) -> bool {
        self.keys.is_some()
    }

    /// Bytes that [`Sealer::open`] opens given the same `about`: sealed with the key `id`, or with a checksum where it is
    /// empty.
    ///
    /// The nonce is 192 random bits (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha): unique without a counter that a
    /// restored backup could turn back.
    pub(crate) fn seal(
        &self,
        id: &str,
        plain: &[u8],
        about: &[u8],
        random: &dyn Randomness,
    ) -> Result<Vec<u8>, KeyError> {
        let Some(keys) = self.keys.as_ref().filter(|_| !id.is_empty()) else {
            let mut out = checksum(plain, about).to_le_bytes().to_vec();
            out.extend_from_slice(plain);
            return Ok(out);
        };
        let mut nonce = [0; NONCE];
        for part in nonce.chunks_mut(8) {
            part.copy_from_slice(&random.next_u64().to_le_bytes());
        }
        let cipher = XChaCha20Poly1305::new(&keys.make(id)?.into());
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
            .map_err(|_| KeyError("the block is too large to be sealed".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The plain bytes. `id` is empty for what was not sealed.
    pub(crate) fn open(&self, id: &str, sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, Sealed> {
        if id.is_empty() {
            let (sum, plain) = sealed.split_first_chunk::<4>().ok_or(Sealed::Damaged)?;
            let whole = u32::from_le_bytes(*sum) == checksum(plain, about);
            return whole.then(|| plain.to_vec()).ok_or(Sealed::Damaged);
        }
        let keys = self.keys.as_ref().ok_or_else(|| KeyError("no key provider is set".into()))?;
        let key = keys.find(id)?.ok_or(Sealed::NoKey)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(Sealed::Damaged)?;
        let payload = Payload { msg: sealed, aad: about };
        XChaCha20Poly1305::new(&key.into())
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Sealed::Damaged)
    }

    /// The name of the key of what belongs to the install and not to a person.
    pub(crate) fn install_key(&self) -> &'static str {
        if self.encrypts() { INSTALL_KEY } else { "" }
    }

    /// Destroys the key `id` and so what it sealed.
    pub(crate) fn destroy(&self, id: &str) -> Result<(), KeyError> {
        self.keys.as_ref().map_or(Ok(()), |keys| keys.destroy(id))
    }
}

fn checksum(plain: &[u8], about: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(about), plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    #[test]
    fn opens_only_what_is_whole_and_belongs_together() {
        let random = SeededRandom::new(3);
        for keys in [None, Some(Arc::new(MemoryKeys::new()) as Arc<dyn KeyProvider>)] {
            let id = if keys.is_some() { "k" } else { "" };
            let sealer = Sealer::new(keys);
            let sealed = sealer.seal(id, b"events", b"about", &random).unwrap();
            assert_eq!(sealer.open(id, &sealed, b"about"), Ok(b"events".to_vec()));
            assert_eq!(sealer.open(id, &sealed, b"other"), Err(Sealed::Damaged));
            for at in 0..sealed.len() {
                let mut bad = sealed.clone();
                bad[at] ^= 1;
                assert_eq!(sealer.open(id, &bad, b"about"), Err(Sealed::Damaged));
                assert_eq!(sealer.open(id, &sealed[..at], b"about"), Err(Sealed::Damaged));
            }
            let again = sealer.seal(id, b"events", b"about", &random).unwrap();
            assert_eq!(sealed == again, id.is_empty(), "a nonce is used once");
            assert_eq!(sealed.windows(6).any(|window| window == b"events"), id.is_empty());
        }
    }

    #[test]
    fn a_locked_device_is_not_a_missing_key() {
        let keys = Arc::new(MemoryKeys::new());
        let sealer = Sealer::new(Some(keys.clone()));
        let sealed = sealer.seal("k", b"x", b"", &SeededRandom::new(1)).unwrap();
        keys.lock(true);
        assert!(matches!(sealer.open("k", &sealed, b""), Err(Sealed::NotNow(_))));
        keys.lock(false);
        sealer.destroy("k").unwrap();
        assert_eq!(sealer.open("k", &sealed, b""), Err(Sealed::NoKey));
    }

    #[test]
    fn files_keep_keys_for_their_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let keys = FileKeys::new(folder.path().join("keys"));
        assert_eq!(keys.find("a"), Ok(None));
        let key = keys.make("a").unwrap();
        assert_eq!((keys.make("a"), keys.find("a")), (Ok(key), Ok(Some(key))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(keys.path("a")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let made = |_| {
            let keys = FileKeys::new(folder.path().join("keys"));
            std::thread::spawn(move || keys.make("b").unwrap())
        };
        let made: Vec<_> = (0..16).map(made).collect();
        let made: Vec<_> = made.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(made.iter().all(|key| Ok(Some(*key)) == keys.find("b")), "two who make it get the same");
        keys.destroy("a").unwrap();
        keys.destroy("a").unwrap();
        assert_eq!(keys.find("a"), Ok(None));
    }
}
