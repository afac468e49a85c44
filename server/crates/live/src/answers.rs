//! Numbers in the shapes that somebody looks at: each is computed once, for all who look, and only when it can have changed.

use std::sync::Arc;

use footpath_model::clock::Clock;
use hashbrown::HashMap;
use tokio::sync::watch::Sender;

use crate::hub::{Hub, Next, Numbers, Progress, ShapeCell, Shown, Standing};
use crate::project::ProjectLive;
use crate::view::ViewKey;

/// After so many microseconds of computing the worker goes on with events.
const SLICE_US: i64 = 2_000;
/// How much longer it then goes on with them than it computed: a tenth of its time goes into shapes at most.
const REST: i64 = 9;

/// What is back-filled to take the place of a project's view, which is of this version.
pub type NextOf<'a> = dyn Fn(u32, &ViewKey, u64) -> Option<Next> + 'a;

/// A shape and what its numbers were computed from last.
struct Asked {
    cell: Arc<ShapeCell>,
    seen: Option<(u64, u64, i64)>,
}

/// All shapes that somebody looks at.
#[derive(Default)]
pub struct Answers {
    asked_at: u64,
    asked: Vec<Asked>,
    /// Whose turn it is.
    next: usize,
    rests_until_us: i64,
}

impl Answers {
    /// Computes what changed, as far as there is time for it.
    pub fn step(
        &mut self,
        hub: &Hub,
        projects: &mut HashMap<u32, ProjectLive>,
        (progress, live): (Progress, bool),
        next: &NextOf<'_>,
        clock: &dyn Clock,
    ) {
        let begun_us = clock.now_us();
        // A clock that was set back must not stop it.
        if begun_us < self.rests_until_us && self.rests_until_us - begun_us < 1_000_000 {
            return;
        }
        self.look(hub);
        let mut now_us = begun_us;
        for _ in 0..self.asked.len() {
            self.next = (self.next + 1) % self.asked.len();
            let asked = &mut self.asked[self.next];
            if asked.answer(hub, projects, (progress, live), next, now_us) {
                now_us = clock.now_us();
            }
            if now_us - begun_us > SLICE_US {
                break;
            }
        }
        self.rests_until_us = now_us + REST * (now_us - begun_us).max(0);
    }

    /// Learns which shapes there are.
    fn look(&mut self, hub: &Hub) {
        let asked_at = hub.asked();
        let deserted = self.asked.iter().any(|asked| asked.cell.shown.receiver_count() == 0);
        if asked_at == self.asked_at && !deserted {
            return;
        }
        self.asked_at = asked_at;
        let mut known: HashMap<*const ShapeCell, Asked> =
            self.asked.drain(..).map(|asked| (Arc::as_ptr(&asked.cell), asked)).collect();
        let asked =
            |cell: Arc<ShapeCell>| known.remove(&Arc::as_ptr(&cell)).unwrap_or(Asked { cell, seen: None });
        self.asked = hub.shapes().into_iter().map(asked).collect();
    }
}

impl Asked {
    /// Shows the numbers if they can have changed; false if nothing was computed.
    fn answer(
        &mut self,
        hub: &Hub,
        projects: &mut HashMap<u32, ProjectLive>,
        (progress, live): (Progress, bool),
        next: &NextOf<'_>,
        now_us: i64,
    ) -> bool {
        let ShapeCell { project, view: key, shape, shown } = &*self.cell;
        let project_live = projects.get_mut(project);
        let puts = project_live.as_ref().map_or(0, |project| project.puts());
        let Some(view) = project_live.and_then(|project| project.view(key)) else {
            // Not there yet: how far its back-fill is.
            let standing = hub.standing(*project, key).unwrap_or_default();
            self.seen = None;
            return show(shown, standing, Numbers::None);
        };
        let seen = (puts, view.revision(), shape.minute(now_us));
        let version = view.counted().version();
        let at = view.complete(progress);
        let next = next(*project, key, version);
        let behind = at.position < progress.position;
        let percent = if live { 100 } else { 0 };
        let standing = Standing { version, at, live, percent, next, behind };
        let was = shown.borrow().standing;
        if self.seen == Some(seen) && (was.live, was.next, was.behind) == (live, next, behind) {
            return false;
        }
        // A metric that is made of sessions is not in a view that was made before it.
        let numbers = view.answer(shape, now_us);
        let standing = if numbers.is_some() { standing } else { Standing::default() };
        self.seen = Some(seen);
        show(shown, standing, numbers.unwrap_or(Numbers::None));
        true
    }
}

/// Shows something, unless it is shown already.
fn show(shown: &Sender<Arc<Shown>>, standing: Standing, numbers: Numbers) -> bool {
    let is_new = {
        let before = shown.borrow();
        before.standing != standing || before.numbers != numbers
    };
    if is_new {
        shown.send_replace(Arc::new(Shown { standing, numbers }));
    }
    is_new
}
