//! Definitions, and views that are wrong as a whole, folded from stored events beside the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Worker;
use crate::LiveError;
use crate::hub::{Next, Shown, Standing};
use crate::reading::{Fill, Filled, follow};
use crate::view::{Counted, ViewKey};

/// How long a view that was folded again as a whole rests at most before it is so again. None in tests, whose clock stands still.
const MOST_REST_US: i64 = if cfg!(test) { 0 } else { 600_000_000 };

/// A definition that is being folded, or waits for the worker to come to its position.
pub(super) struct Filling {
    pub(super) job: Arc<Fill>,
    pub(super) filled: Option<Filled>,
    /// Progress in per cent, and whether it was published beside the older version's numbers.
    pub(super) percent: u32,
    pub(super) told: bool,
}

impl Filling {
    fn new(job: Arc<Fill>) -> Self {
        Self { job, filled: None, percent: 0, told: false }
    }

    /// It, as what takes the place of a view of this version; `None` if it is the same again.
    pub(super) fn next(&self, version: u64) -> Option<Next> {
        let next = Next { version: self.job.counted.version(), percent: self.percent };
        (next.version != version).then_some(next)
    }
}

/// A view that is folded again as a whole: a tenth of the time at most, so that it costs the others little.
pub(super) struct Refill {
    begun_us: i64,
    ended_us: i64,
    rest_us: i64,
}

impl Refill {
    pub(super) fn end(&mut self, now_us: i64) {
        self.ended_us = now_us;
        self.rest_us = (9 * (now_us - self.begun_us)).clamp(0, MOST_REST_US);
    }

    /// Not longer than that, should the clock have been ahead when it ended.
    pub(super) fn rests(&self, now_us: i64) -> bool {
        (0..self.rest_us).contains(&(now_us - self.ended_us))
    }
}

impl Worker {
    /// Folds views again that no reading of some units mends.
    pub(super) fn fold_again(&mut self, now_us: i64) {
        let mut broken: Vec<(u32, Counted)> = Vec::new();
        for (number, project) in &mut self.projects {
            let views = project.views().filter(|(_, view)| view.broken().is_some());
            broken.extend(views.map(|(_, view)| (*number, view.counted())));
        }
        for (number, counted) in broken {
            let key = (number, counted.key());
            let rests = self.refills.get(&key).is_some_and(|refill| refill.rests(now_us));
            if !rests && !self.filling.contains_key(&key) {
                self.refills.insert(key, Refill { begun_us: now_us, ended_us: now_us, rest_us: 0 });
                self.fill(number, counted, self.progress.position);
            }
        }
    }

    pub(super) fn fill(&mut self, number: u32, counted: Counted, upto: u64) {
        let Some(project) = self.projects.get(&number) else { return };
        let now_us = self.clock.now_us();
        let job = Arc::new(Fill {
            project: number,
            project_id: project.id.clone(),
            counted,
            upto,
            now_us,
            cancelled: Arc::new(AtomicBool::new(false)),
        });
        // Whoever waits for numbers comes first.
        self.checks.put_off(now_us);
        self.publish_percent(&job, 0);
        let key = (number, job.key());
        let before = self.filling.insert(key, Filling::new(Arc::clone(&job)));
        before.iter().for_each(|before| before.job.cancelled.store(true, Ordering::Relaxed));
        self.readers.fill(job);
    }

    /// A definition that nobody saw before shows how far it is; one that changed goes on with its old numbers, and shows it beside
    /// them with the next publication.
    pub(super) fn publish_percent(&mut self, job: &Fill, percent: u32) {
        let key = job.key();
        if let Some(filling) = self.filling.get_mut(&(job.project, key.clone())) {
            (filling.percent, filling.told) = (percent, false);
        }
        if self.view(job.project, &key).is_some() {
            return;
        }
        let standing = Standing { version: job.counted.version(), percent, ..Standing::default() };
        self.hub.publish(job.project, &key, Shown { standing, numbers: job.counted.nothing() });
    }

    pub(super) fn is_wanted(&self, job: &Arc<Fill>) -> bool {
        let filling = self.filling.get(&(job.project, job.key()));
        filling.is_some_and(|filling| Arc::ptr_eq(&filling.job, job))
    }

    pub(super) fn filled(&mut self, job: &Arc<Fill>, filled: Result<Option<Filled>, LiveError>) {
        let key = (job.project, job.key());
        match filled {
            Ok(Some(filled)) => {
                if let Some(filling) = self.filling.get_mut(&key) {
                    filling.filled = Some(filled);
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, view = %key.1, "a definition cannot be back-filled; trying again");
                self.readers.fill(Arc::clone(job));
            }
        }
    }

    /// What was folded up to a position that the worker has reached joins the others.
    pub(super) fn join_filled(&mut self) {
        let ready = |filling: &Filling| {
            filling.filled.as_ref().is_some_and(|filled| filled.position <= self.progress.position)
        };
        let ready: Vec<_> =
            self.filling.iter().filter(|(_, filling)| ready(filling)).map(|(key, _)| key.clone()).collect();
        for (number, key) in ready {
            let Some(filling) = self.filling.remove(&(number, key.clone())) else { continue };
            let Some(filled) = filling.filled else { continue };
            if let Err(error) = self.join(number, &key, filled) {
                tracing::error!(%error, view = %key, "a definition cannot join; folding it again");
                self.filling.insert((number, key), Filling::new(Arc::clone(&filling.job)));
                self.readers.fill(filling.job);
            }
        }
    }

    pub(super) fn join(&mut self, number: u32, key: &ViewKey, mut filled: Filled) -> Result<(), LiveError> {
        while filled.position < self.progress.position {
            let (log, upto) = (self.log.as_ref(), self.progress.position);
            filled.position = follow(log, number, &mut filled.scratch, filled.position, upto)?;
        }
        if let Some((mut view, book)) = filled.scratch.into_view(key) {
            self.abort_image();
            view.advance(self.clock.now_us(), self.progress);
            view.touch();
            // Not sooner: who came back would have been read again for each file.
            view.bound(self.most_units);
            if let Some(project) = self.projects.get_mut(&number) {
                project.book.adopt(book);
                project.put(view);
                project.tidy();
            }
            let now_us = self.clock.now_us();
            if let Some(refill) = self.refills.get_mut(&(number, key.clone())) {
                refill.end(now_us);
            }
        }
        Ok(())
    }
}
