//! Reconciliation: one view after the other is folded anew from stored events, as for a new definition, and compared with the
//! live one at an equal position. A view that drifted is replaced by what was folded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Worker;
use crate::LiveError;
use crate::hub::Progress;
use crate::reading::{Fill, Filled, follow};
use crate::reconciliation::{Reconciliation, compare};
use crate::view::{View, ViewKey};

/// How much longer it rests than a comparison took: a tenth of the time at most.
const REST: i64 = 9;
/// How soon one is tried again that could not be made.
const SOON_US: i64 = 10_000_000;

/// Comparisons with stored events.
#[derive(Default)]
pub(super) struct Checks {
    /// In which time each view is compared once; `None` is never.
    pub(super) every: Option<Duration>,
    next_us: i64,
    /// How long it rests until then: no longer, should the clock have been ahead.
    rest_us: i64,
    last: Option<(u32, ViewKey)>,
    under_way: Option<Check>,
}

/// A view that is being folded, or waits for the worker to come to its position.
struct Check {
    job: Arc<Fill>,
    filled: Option<Filled>,
    begun_us: i64,
}

impl Checks {
    /// The first comparison comes after a while.
    pub(super) fn new(every: Option<Duration>, now_us: i64) -> Self {
        let mut checks = Self { every, ..Self::default() };
        checks.rest(now_us, every.map_or(0, |every| (every.as_micros() as i64).min(SOON_US)));
        checks
    }

    fn rest(&mut self, now_us: i64, rest_us: i64) {
        (self.next_us, self.rest_us) = (now_us.saturating_add(rest_us), rest_us);
    }

    fn rests(&self, now_us: i64) -> bool {
        (1..=self.rest_us).contains(&(self.next_us - now_us))
    }

    /// Whether a back-fill is one of these.
    pub(super) fn is_own(&self, job: &Arc<Fill>) -> bool {
        self.under_way.as_ref().is_some_and(|check| Arc::ptr_eq(&check.job, job))
    }

    /// Takes what was folded for it.
    pub(super) fn filled(&mut self, filled: Result<Option<Filled>, LiveError>, now_us: i64) {
        match filled {
            Ok(Some(filled)) => {
                if let Some(check) = &mut self.under_way {
                    check.filled = Some(filled);
                }
                return;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "stored events cannot be compared with live numbers"),
        }
        self.put_off(now_us);
    }

    /// Gives up what is under way; somebody has need of the readers, or it cannot be made.
    pub(super) fn put_off(&mut self, now_us: i64) {
        if let Some(check) = self.under_way.take() {
            check.job.cancelled.store(true, Ordering::Relaxed);
            self.rest(now_us, SOON_US);
        }
    }
}

impl Worker {
    /// Goes on with a comparison, or begins one if it is time.
    pub(super) fn reconcile(&mut self, now_us: i64) {
        let ready = self.checks.under_way.as_ref().and_then(|check| check.filled.as_ref());
        if ready.is_some_and(|filled| filled.position <= self.progress.position) {
            self.finish_check(now_us);
        } else if self.checks.under_way.is_none() && self.checks.every.is_some() {
            let due = !self.checks.rests(now_us) && self.filling.is_empty();
            if due && self.progress.position >= self.live_from {
                self.begin_check(now_us);
            }
        }
    }

    fn begin_check(&mut self, now_us: i64) {
        let Some((number, key)) = self.next_to_check() else { return };
        self.checks.last = Some((number, key.clone()));
        let position = self.progress.position;
        let Some(project) = self.projects.get_mut(&number) else { return };
        let project_id = project.id.clone();
        let Some(view) = project.view(&key) else { return };
        let job = Arc::new(Fill {
            project: number,
            project_id,
            counted: view.counted(),
            upto: position,
            now_us,
            cancelled: Arc::new(AtomicBool::new(false)),
        });
        self.readers.fill(Arc::clone(&job));
        self.checks.under_way = Some(Check { job, filled: None, begun_us: now_us });
    }

    /// The view behind the one that was compared last.
    fn next_to_check(&mut self) -> Option<(u32, ViewKey)> {
        let mut keys: Vec<(u32, ViewKey)> = Vec::new();
        for (number, project) in &mut self.projects {
            keys.extend(project.views().map(|(key, _)| (*number, key.clone())));
        }
        keys.sort();
        let behind = |key: &&(u32, ViewKey)| self.checks.last.as_ref().is_none_or(|last| *key > last);
        keys.iter().find(behind).or(keys.first()).cloned()
    }

    /// Both are where the worker is: they are compared. Not while one of them waits for a reading.
    fn finish_check(&mut self, now_us: i64) {
        let Some(Check { job, filled: Some(mut filled), begun_us }) = self.checks.under_way.take() else {
            return;
        };
        let (number, key, at) = (job.project, job.key(), self.progress);
        while filled.position < at.position {
            match follow(self.log.as_ref(), number, &mut filled.scratch, filled.position, at.position) {
                Ok(position) => filled.position = position,
                Err(error) => {
                    tracing::warn!(%error, "stored events cannot be compared with live numbers");
                    self.checks.rest(now_us, SOON_US);
                    return;
                }
            }
        }
        let views = self.projects.values_mut().map(|project| project.views().count()).sum::<usize>() as i64;
        let every_us = self.checks.every.map_or(0, |every| every.as_micros() as i64) / views.max(1);
        self.checks.rest(now_us, every_us.max(REST * (now_us - begun_us)));
        let Some((mut stored, book)) = filled.scratch.into_view(&key) else { return };
        let Some(live) = self.view(number, &key) else { return };
        if live.counted() != stored.counted() {
            return; // Another definition by now.
        }
        [live, stored.as_mut()].into_iter().for_each(|view| view.advance(now_us, at));
        let Some(project) = self.projects.get_mut(&number) else { return };
        // What both know of persons and groups has to be complete, too.
        let known = project.book.complete(at).min(book.complete(at));
        let complete = project.view(&key).map(|live| live.complete(at).min(stored.complete(at)).min(known));
        if complete != Some(at) {
            self.checks.rest(now_us, SOON_US);
            return;
        }
        self.compare_views(number, key, stored, at, now_us);
    }

    fn compare_views(
        &mut self,
        number: u32,
        key: ViewKey,
        mut stored: Box<dyn View>,
        at: Progress,
        now_us: i64,
    ) {
        let Some(live) = self.view(number, &key) else { return };
        let (compared, drift, example) = compare(&live.figures(now_us), &stored.figures(now_us));
        let version = stored.counted().version();
        if drift > 0 {
            tracing::error!(
                view = %key, position = at.position, drift, example,
                "live numbers differ from stored events and are folded again; please report this with the server's log"
            );
            self.abort_image();
            stored.touch();
            stored.bound(self.most_units);
            if let Some(project) = self.projects.get_mut(&number) {
                project.put(stored);
            }
        }
        let (project, view, position) = (number, key, at.position);
        let repaired = drift > 0;
        self.hub.reconciliations().record(Reconciliation {
            project,
            view,
            version,
            checked_us: now_us,
            position,
            compared,
            drift,
            example,
            repaired,
        });
    }
}
