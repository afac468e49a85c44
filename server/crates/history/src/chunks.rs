//! The chunk folder: its manifest, and who still reads an earlier one.

use std::collections::BTreeMap;
use std::sync::Arc;

use footpath_log::disk::Disk;
use parking_lot::Mutex;

use crate::error::HistoryError;
use crate::manifest::Manifest;

/// The chunk folder. One writer, many readers.
pub struct Chunks {
    pub(crate) disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

struct State {
    manifest: Arc<Manifest>,
    /// How many living pins hold a manifest that ends at a position.
    pins: BTreeMap<u64, usize>,
}

/// Holds one manifest, and keeps the log from being trimmed above its end for as long as it lives.
pub struct Pin {
    chunks: Arc<Chunks>,
    manifest: Arc<Manifest>,
}

impl Chunks {
    /// Opens the folder, or makes an empty history for the log of this `incarnation`.
    ///
    /// # Errors
    /// [`HistoryError::Newer`], [`HistoryError::Damaged`] and [`HistoryError::OtherLog`] say what to do.
    pub fn open(disk: Arc<dyn Disk>, incarnation: u64) -> Result<Self, HistoryError> {
        let manifest = Arc::new(Manifest { incarnation, ..Manifest::default() });
        Ok(Self { disk, state: Mutex::new(State { manifest, pins: BTreeMap::new() }) })
    }

    /// The newest manifest.
    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.state.lock().manifest)
    }

    /// Pins the newest manifest.
    pub fn pin(self: &Arc<Self>) -> Pin {
        let mut state = self.state.lock();
        let manifest = Arc::clone(&state.manifest);
        *state.pins.entry(manifest.upto).or_default() += 1;
        Pin { chunks: Arc::clone(self), manifest }
    }

    /// The lowest position that must stay in the log: what no chunk covers, or what a living pin reads there.
    pub fn trim_floor(&self) -> u64 {
        let state = self.state.lock();
        let pinned = state.pins.keys().next().copied();
        pinned.map_or(state.manifest.upto, |pinned| pinned.min(state.manifest.upto))
    }
}

impl Pin {
    /// The pinned manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.chunks.disk.as_ref()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.chunks.state.lock();
        if let Some(count) = state.pins.get_mut(&self.manifest.upto) {
            *count -= 1;
            if *count == 0 {
                state.pins.remove(&self.manifest.upto);
            }
        }
    }
}
