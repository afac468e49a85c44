//! Keeps what rules have come to, and what became of incidents.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use footpath_engine::alert::{AlertFold, Transition};
use footpath_model::alert::Observed;
use footpath_model::control::Control;
use footpath_store::{AlertRecordRow, Result, Store};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::incident::Incident;

mod changes;
mod incidents;
mod restore;
mod withheld;

/// After so many records of a project its state is stored as an image, and the records are forgotten.
const IMAGE_EVERY: u64 = 500;

/// Incidents that have been over for so long, and messages that are so old, are forgotten, microseconds: 400 days.
const KEPT_US: i64 = 400 * 86_400_000_000;

/// What happened to an incident, and how the incident stood after it: what is stored, and what watchers are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What happened.
    pub transition: Transition,
    /// The incident after it.
    pub incident: Incident,
}

/// Makes messages for destinations.
pub trait Outgoing: Send + Sync {
    /// The messages about something that happened, in a project of this id: for each destination that is to be told its id and the
    /// message as JSON. `name` is unique to what happened.
    fn messages(&self, project: &str, name: &str, told: &Told) -> Vec<(String, String)>;
}

/// One project.
struct Kept {
    fold: AlertFold,
    /// The position behind the last record.
    next: u64,
    /// Records since the last image.
    records: u64,
    /// A record was folded and could not be stored: all of it has to be read again.
    broken: bool,
    /// The ids of open incidents that destinations do not know of, because of a mute.
    withheld: BTreeSet<String>,
}

impl Kept {
    fn new(fold: AlertFold, next: u64, withheld: BTreeSet<String>) -> Self {
        Self { fold, next, records: 0, broken: false, withheld }
    }
}

/// Keeps alerts; whoever reads the log shows it every record that concerns them.
pub struct Keeper {
    store: Arc<dyn Store>,
    outgoing: Arc<dyn Outgoing>,
    projects: RwLock<HashMap<u32, Arc<Mutex<Kept>>>>,
    news: watch::Sender<u64>,
    /// How often a stored incident could not be read.
    unreadable: AtomicU64,
}

impl Keeper {
    /// Builds the state again from images and the records behind them.
    ///
    /// # Errors
    /// If the store fails.
    pub fn open(store: Arc<dyn Store>, outgoing: Arc<dyn Outgoing>) -> Result<Self> {
        // Whoever watches without a cursor begins here, and not with all that ever happened.
        let begins = store.alerts_position()?.map_or(0, |last| last + 1);
        let (projects, news, unreadable) = (RwLock::default(), watch::Sender::new(begins), AtomicU64::new(0));
        let keeper = Self { store, outgoing, projects, news, unreadable };
        for project in keeper.store.projects()? {
            let kept = keeper.restored(&project.id, project.number)?;
            keeper.projects.write().insert(project.number, Arc::new(Mutex::new(kept)));
        }
        Ok(keeper)
    }

    /// Takes a record; one that was taken before changes nothing. `project` is its id.
    ///
    /// # Errors
    /// If the store fails; then it is to be shown again.
    pub fn take(&self, project: &str, row: &AlertRecordRow) -> Result<()> {
        let kept = self.of(row.project);
        let mut kept = kept.lock();
        if kept.broken {
            *kept = self.restored(project, row.project)?;
        }
        if row.position < kept.next {
            return Ok(());
        }
        self.store.put_alert_record(row)?;
        kept.broken = true; // Until it is stored as well as folded.
        self.apply(project, &mut kept, row)?;
        kept.broken = false;
        if kept.records >= IMAGE_EVERY {
            self.store.put_alert_image(row.project, kept.next, &kept.fold.encode())?;
            kept.records = 0;
            self.store.trim_alerts(row.project, row.at_us - KEPT_US)?;
        }
        Ok(())
    }

    fn of(&self, project: u32) -> Arc<Mutex<Kept>> {
        if let Some(kept) = self.projects.read().get(&project) {
            return Arc::clone(kept);
        }
        let new = || Arc::new(Mutex::new(Kept::new(AlertFold::new(project), 0, BTreeSet::new())));
        Arc::clone(self.projects.write().entry(project).or_insert_with(new))
    }

    fn apply(&self, project: &str, kept: &mut Kept, row: &AlertRecordRow) -> Result<()> {
        let Ok(control) = serde_json::from_slice::<Control>(&row.json) else {
            tracing::error!(position = row.position, "a record of alerts cannot be read and is left out");
            kept.next = row.position + 1;
            return Ok(());
        };
        let transitions = kept.fold.apply(row.at_us, &control);
        let is_new = self.store.alerts_position()?.is_none_or(|last| last < row.position);
        let is_stored = is_new && self.store_changes(project, kept, row, &control, &transitions)?;
        kept.next = row.position + 1;
        kept.records += 1;
        if is_stored {
            self.news.send_replace(kept.next);
        }
        Ok(())
    }

    /// Reads what a project's rules have come to; `None` for a project without records.
    pub fn read<T>(&self, project: u32, read: impl FnOnce(&AlertFold) -> T) -> Option<T> {
        let kept = self.projects.read().get(&project).map(Arc::clone)?;
        let kept = kept.lock();
        Some(read(&kept.fold))
    }

    /// The incidents that begin with these records, which are about to be written ([`AlertFold::look_ahead`]).
    pub fn look_ahead(&self, project: u32, observed: &[Observed]) -> Vec<Transition> {
        let kept = self.projects.read().get(&project).map(Arc::clone);
        kept.map(|kept| kept.lock().fold.look_ahead(observed)).unwrap_or_default()
    }

    /// How many incidents are open, in all projects.
    pub fn open_incidents(&self) -> usize {
        let projects: Vec<_> = self.projects.read().values().map(Arc::clone).collect();
        projects.iter().map(|kept| kept.lock().fold.open().len()).sum()
    }

    /// The position behind the newest record that something happened with; changes whenever something happens.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}
