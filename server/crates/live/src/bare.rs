//! One project's live state alone, without log, hub and threads: what the bench and the example drive.

use footpath_engine::ActorKey;
use footpath_model::control::CountedFunnel;
use footpath_model::filter::Facts;
use footpath_model::record::FrameView;

use crate::LiveError;
use crate::hub::{Numbers, Progress};
use crate::project::ProjectLive;
use crate::view::{Counted, Seen, ViewKey};

/// A project and its funnels.
pub struct Bare {
    project: ProjectLive,
    at: Progress,
}

/// An event that was read already.
#[derive(Debug, Clone, Copy)]
pub struct ReadEvent {
    /// Its person.
    pub person: u64,
    /// The number of its name among those of the funnel, in the order of the alphabet.
    pub name: usize,
    /// Its time and id.
    pub order: (i64, u128),
}

impl Bare {
    /// Funnels that nobody is in at `now_us`, of any number of persons.
    ///
    /// # Errors
    /// If one of them cannot be followed.
    pub fn new(id: &str, funnels: &[CountedFunnel], now_us: i64) -> Result<Self, LiveError> {
        let mut project = ProjectLive::new(id);
        for funnel in funnels {
            project.put(Counted::Funnel(Box::new(funnel.clone())).view(id, now_us)?);
        }
        Ok(Self { project, at: Progress { position: 0, processed_us: now_us } })
    }

    /// Takes a frame as the worker does.
    pub fn frame(&mut self, frame: &FrameView<'_>) {
        self.at.position += 1;
        self.project.apply(frame, self.at);
    }

    /// Takes events as one of the funnels gets them once their names and persons are known, and counts them.
    pub fn events(&mut self, funnel: usize, events: &[ReadEvent]) {
        let Some((_, view)) = self.project.views().nth(funnel) else { return };
        for event in events {
            let (person, facts) = (ActorKey(event.person), Facts { order: event.order, ..Facts::default() });
            view.take(event.name, &Seen { person, name: "", facts, actor: person, stored_us: 0 });
        }
        view.flush(self.at);
    }

    /// Moves every range to `now_us`.
    pub fn advance(&mut self, now_us: i64) {
        self.at.processed_us = now_us;
        self.project.advance(now_us, self.at);
    }

    /// How many reached each step of a funnel.
    pub fn reached(&mut self, funnel: &str) -> Vec<u64> {
        match self.project.view(&ViewKey::Funnel(funnel.to_owned())).map(|view| view.numbers()) {
            Some(Numbers::Funnel(numbers)) => numbers.reached,
            _ => Vec::new(),
        }
    }

    /// How many units wait for stored events, because one came too late; nobody reads them here.
    pub fn waiting(&mut self) -> usize {
        self.project.views().map(|(_, view)| view.stale().len()).sum()
    }
}
