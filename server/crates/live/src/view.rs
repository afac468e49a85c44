//! A view: something that is counted from a project's events and kept up to date. Views do not know each other; the
//! project hands them events, and tells them who is who.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use footpath_engine::lens::PropertyRead;
use footpath_engine::{ActorKey, IdentityGraph, Moved};
use footpath_history::{HistoryError, Stored};
use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::filter::{Facts, Needs};
use serde::{Deserialize, Serialize};

use crate::LiveError;
use crate::active::{ActiveView, CountedActive};
use crate::book::{Corrected, Known};
use crate::funnel::FunnelView;
use crate::hub::{FunnelNumbers, Numbers, Progress};
use crate::metric::MetricView;
use crate::reconciliation::Figures;
use crate::sessions::{CountedSessions, SessionsView};
use crate::shape::Shape;

/// What the ids of metrics begin with that alert rules watch; no definition's id can.
pub(crate) const WATCHED: char = '~';

/// What a view is called within its project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViewKey {
    /// A funnel, by its id.
    Funnel(String),
    /// A metric of events, by its id.
    Metric(String),
    /// Sessions, and all metrics made of them; with or without internal traffic.
    Sessions {
        /// Whether internal traffic counts.
        internal: bool,
    },
    /// Who is active, by the zone that days are cut in.
    Active(String),
}

impl ViewKey {
    /// Whether it is there while somebody asks for it, and not because it was defined.
    pub fn on_demand(&self) -> bool {
        matches!(self, Self::Sessions { .. } | Self::Active(_)) || self.is_of_rules()
    }

    /// Whether it is there because alert rules watch it: a metric whose name no definition can have.
    pub fn is_of_rules(&self) -> bool {
        matches!(self, Self::Metric(id) if id.starts_with(WATCHED))
    }
}

impl std::fmt::Display for ViewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Funnel(id) => write!(f, "funnel/{id}"),
            Self::Metric(id) => write!(f, "metric/{id}"),
            Self::Sessions { internal: false } => f.write_str("sessions"),
            Self::Sessions { internal: true } => f.write_str("sessions/with-internal"),
            Self::Active(zone) => write!(f, "active/{zone}"),
        }
    }
}

/// What a view counts, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Counted {
    /// A funnel.
    Funnel(Box<CountedFunnel>),
    /// A metric of events.
    Metric(Box<CountedMetric>),
    /// Sessions.
    Sessions(Box<CountedSessions>),
    /// Who is active.
    Active(Box<CountedActive>),
}

impl Counted {
    /// What its view is called.
    pub fn key(&self) -> ViewKey {
        match self {
            Self::Funnel(funnel) => ViewKey::Funnel(funnel.definition.id.clone()),
            Self::Metric(metric) => ViewKey::Metric(metric.definition.id.clone()),
            Self::Sessions(sessions) => sessions.key(),
            Self::Active(active) => ViewKey::Active(active.zone.clone()),
        }
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        match self {
            Self::Funnel(funnel) => funnel.definition.version,
            Self::Metric(metric) => metric.definition.version,
            // Made of the settings as they stand; whether it still fits is told by comparing.
            Self::Sessions(_) | Self::Active(_) => 0,
        }
    }

    /// Its numbers before any event.
    pub fn nothing(&self) -> Numbers {
        match self {
            Self::Funnel(funnel) => Numbers::Funnel(Box::new(FunnelNumbers::nothing(&funnel.definition))),
            Self::Metric(_) | Self::Sessions(_) | Self::Active(_) => Numbers::None,
        }
    }

    /// Its view before any event.
    ///
    /// # Errors
    /// If it cannot be followed.
    pub fn view(&self, project: &str, now_us: i64) -> Result<Box<dyn View>, LiveError> {
        match self {
            Self::Funnel(funnel) => Ok(Box::new(FunnelView::new(project, (**funnel).clone(), now_us)?)),
            Self::Metric(metric) => Ok(Box::new(MetricView::new((**metric).clone(), now_us)?)),
            Self::Sessions(sessions) => Ok(Box::new(SessionsView::new((**sessions).clone(), now_us)?)),
            Self::Active(active) => Ok(Box::new(ActiveView::new((**active).clone(), now_us)?)),
        }
    }
}

/// A clock that goes back by less than this is waited for, microseconds.
pub const TREMBLE_US: i64 = 1_000_000;

/// What a view wants to see.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Events of these names, numbered in this order; `None` is all events.
    pub names: Option<Vec<String>>,
    /// What it reads of them.
    pub needs: Needs,
    /// Events before it do not matter; microseconds since 1970.
    pub from_us: Option<i64>,
}

impl Wants {
    /// All events.
    pub fn all(needs: Needs) -> Self {
        Self { names: None, needs, from_us: None }
    }
}

/// An event as views see it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The person, as it stands.
    pub person: ActorKey,
    /// Its name.
    pub name: &'a str,
    /// Its time and id, and the rest of it.
    pub facts: Facts<'a>,
    /// The actor under whom it is stored.
    pub actor: ActorKey,
    /// When it was stored, microseconds since 1970.
    pub stored_us: i64,
}

/// A reading of stored events for some units of a view.
pub type Reading = Box<dyn FnMut(&Stored, &AtomicBool) -> Result<Brought, HistoryError> + Send>;
/// What a reading brings; the view that asked for it knows what it is.
pub type Brought = Box<dyn Any + Send>;

/// What views need to know of their project for a reading.
pub struct Context<'a> {
    /// The project's number.
    pub project: u32,
    /// Who is who.
    pub identity: &'a IdentityGraph,
    /// What is known of persons and groups.
    pub known: &'a Arc<Known>,
}

/// Something that is counted from a project's events.
pub trait View: Send {
    /// What it counts.
    fn counted(&self) -> Counted;
    /// What it wants to see.
    fn wants(&self) -> Wants;

    /// The properties of persons and groups that it reads.
    fn reads(&self) -> &[PropertyRead] {
        &[]
    }

    /// Takes an event that it wants; `name` counts the names it gave. It may keep it until [`View::flush`].
    fn take(&mut self, name: usize, seen: &Seen<'_>);
    /// Counts what it took; all of it is stored at `at` or before.
    fn flush(&mut self, at: Progress);
    /// Two persons became one, or one became two, at `at`. Nothing is waiting for a flush.
    fn follow(&mut self, moved: &Moved, at: Progress);
    /// Values of properties became others; nothing is waiting for a flush. `identity` is as it stands.
    fn correct(&mut self, corrected: &Corrected, identity: &IdentityGraph) {
        let _ = (corrected, identity);
    }
    /// Time goes on.
    fn advance(&mut self, now_us: i64, at: Progress);
    /// Keeps so many units with all that it knows of them from now on; all until then.
    fn bound(&mut self, most_units: usize) {
        let _ = most_units;
    }

    /// Up to where everything is counted, for a reader that is at `read`.
    fn complete(&self, read: Progress) -> Progress;
    /// A reading of the events stored below `upto`, if one is wanted and none is under way.
    fn begin_reading(&mut self, number: u64, upto: Progress, context: &Context<'_>) -> Option<Reading> {
        let _ = (number, upto, context);
        None
    }
    /// What reading `number` brought.
    fn read(&mut self, number: u64, brought: Brought) {
        let _ = (number, brought);
    }
    /// Reading `number` failed; the next one is for the same.
    fn reading_failed(&mut self, number: u64) {
        let _ = number;
    }
    /// Since when it is wrong in a way that no reading of some units mends: it has to be folded again as a whole.
    fn broken(&self) -> Option<Progress> {
        None
    }
    /// Units that are wrong until stored events are read, and since when.
    fn stale(&self) -> Vec<(u64, Progress)>;
    /// Says that a unit is wrong since then.
    fn mark_stale(&mut self, unit: u64, since: Progress);

    /// Begins a copy of this moment for an image; one that was under way is forgotten.
    fn begin_copy(&mut self);
    /// Copies about so many units behind `out`. False when nothing is left.
    fn copy_slice(&mut self, units: usize, out: &mut Vec<u8>) -> bool;
    /// Forgets a copy that is under way.
    fn end_copy(&mut self);
    /// Takes what a copy wrote. `None` if it is damaged.
    fn restore(&mut self, copied: &[u8]) -> Option<()>;
    /// The texts that its units number, for an image: before the units.
    fn values(&self) -> Vec<String> {
        Vec::new()
    }
    /// Numbers these texts as they were.
    fn restore_values(&mut self, texts: Vec<String>) {
        let _ = texts;
    }

    /// Whether numbers changed since the last call.
    fn take_changed(&mut self) -> bool;
    /// Makes the next publication send the numbers, changed or not.
    fn touch(&mut self);
    /// The numbers as they stand; none of views that are looked at in shapes.
    fn numbers(&self) -> Numbers;
    /// The numbers by what they are, to be compared with those of another view of the same: as of `now_us`, to which both
    /// have advanced.
    fn figures(&self, now_us: i64) -> Figures;
    /// Grows with every change that a shape could show.
    fn revision(&self) -> u64 {
        0
    }
    /// The numbers in a shape, as of `now_us`; `None` if it has none in shapes.
    fn answer(&self, shape: &Shape, now_us: i64) -> Option<Numbers> {
        let _ = (shape, now_us);
        None
    }
}
