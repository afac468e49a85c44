//! Units that are wrong, read again from stored events.

use std::sync::Arc;

use super::Worker;
use crate::LiveError;
use crate::readers::{Done, Job};
use crate::view::{Brought, Context, ViewKey};

impl Worker {
    pub(super) fn take_readings(&mut self) {
        let done: Vec<_> = self.readers.done().collect();
        for done in done {
            match done {
                Done::Read { project, view: Some(view), number, brought } => {
                    self.read(project, &view, number, brought);
                }
                Done::Read { project, view: None, number, brought } => {
                    self.read_book(project, number, brought);
                }
                Done::Percent { job, percent } if self.is_wanted(&job) => self.publish_percent(&job, percent),
                Done::Filled { job, filled } if self.is_wanted(&job) => self.filled(&job, *filled),
                Done::Filled { job, filled } if self.checks.is_own(&job) => {
                    self.checks.filled(*filled, self.clock.now_us());
                }
                Done::Percent { .. } | Done::Filled { .. } => {}
            }
        }
    }

    pub(super) fn read(
        &mut self,
        project: u32,
        key: &ViewKey,
        number: u64,
        brought: Result<Brought, LiveError>,
    ) {
        let Some(view) = self.view(project, key) else { return };
        match brought {
            Ok(brought) => view.read(number, brought),
            Err(error) => {
                tracing::error!(%error, view = %key, "stored events cannot be read again; trying again");
                view.reading_failed(number);
            }
        }
    }

    fn read_book(&mut self, project: u32, number: u64, brought: Result<Brought, LiveError>) {
        let Some(project) = self.projects.get_mut(&project) else { return };
        match brought {
            Ok(brought) => project.read(number, brought),
            Err(error) => {
                tracing::error!(%error, "properties cannot be read again; trying again");
                project.book.reading_failed(number);
            }
        }
    }

    /// Asks for the units whose events came later than what is kept of them.
    pub(super) fn ask_for_readings(&mut self) {
        for (number, project) in &mut self.projects {
            let identity = std::mem::take(&mut project.identity);
            let known = Arc::clone(project.book.known());
            let context = Context { project: *number, identity: &identity, known: &known };
            if let Some(reading) = project.book.begin_reading(self.readings + 1, self.progress, &context) {
                self.readings += 1;
                self.readers.read(Job { project: *number, view: None, number: self.readings, reading });
            }
            for (key, view) in project.views() {
                let reading = view.begin_reading(self.readings + 1, self.progress, &context);
                if let Some(reading) = reading {
                    self.readings += 1;
                    let (project, view) = (*number, Some(key.clone()));
                    self.readers.read(Job { project, view, number: self.readings, reading });
                }
            }
            project.identity = identity;
        }
    }
}
