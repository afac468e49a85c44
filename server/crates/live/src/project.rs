//! One project's live state: who is who, and its funnels.

use std::panic::{AssertUnwindSafe, catch_unwind};

use footpath_engine::{ActorKey, IdentityGraph, Moved, Outcome, SlimEvent, link_control, link_event};
use footpath_model::control::Control;
use footpath_model::filter::NameSteps;
use footpath_model::record::{EventView, FrameView};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::funnel::LiveFunnel;
use crate::hub::Progress;

/// Which funnels an event name touches, and how; most events are done after one look-up.
type ByName = HashMap<Vec<u8>, Vec<(usize, NameSteps)>, FxBuildHasher>;

/// One project's live state.
#[derive(Debug, Default)]
pub struct ProjectLive {
    /// The project's id, needed to hash actors.
    pub id: String,
    /// Who is who.
    pub identity: IdentityGraph,
    funnels: Vec<(String, LiveFunnel)>,
    by_name: ByName,
    /// Events of the frame at hand that touch a funnel and are not applied yet.
    pending: Vec<Pending>,
}

/// An event on its way into a funnel.
#[derive(Debug, Clone, Copy)]
struct Pending {
    funnel: usize,
    person: ActorKey,
    event: SlimEvent,
}

/// Events whose persons' memory is asked for together. Finding a person is some reads that each depend on the one before, and
/// of a million persons each is a miss; side by side, those of many persons cost little more than those of one.
const TOGETHER: usize = 32;

impl ProjectLive {
    /// A project without funnels.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// One funnel.
    pub fn funnel(&mut self, id: &str) -> Option<&mut LiveFunnel> {
        self.funnels.iter_mut().find(|(own, _)| own == id).map(|(_, funnel)| funnel)
    }

    /// All funnels with their ids.
    pub fn funnels(&mut self) -> impl Iterator<Item = (&str, &mut LiveFunnel)> {
        self.funnels.iter_mut().map(|(id, funnel)| (id.as_str(), funnel))
    }

    /// Adds a funnel, or replaces the one of that id.
    pub fn put(&mut self, id: &str, funnel: LiveFunnel) {
        match self.funnel(id) {
            Some(old) => *old = funnel,
            None => self.funnels.push((id.to_owned(), funnel)),
        }
        self.index();
    }

    /// Takes a funnel out.
    pub fn remove(&mut self, id: &str) -> Option<LiveFunnel> {
        let at = self.funnels.iter().position(|(own, _)| own == id)?;
        let (_, funnel) = self.funnels.remove(at);
        self.index();
        Some(funnel)
    }

    /// Takes all events of a frame that stands at `at`, in order. A poison event must not stop everybody's numbers: the
    /// rest of its frame is left out, and said so.
    pub fn apply(&mut self, frame: &FrameView<'_>, at: Progress) {
        if catch_unwind(AssertUnwindSafe(|| self.apply_all(frame, at))).is_err() {
            self.pending.clear();
            tracing::error!(
                offset = at.position,
                "a frame made the live path fail; the rest of it is left out"
            );
        }
    }

    fn apply_all(&mut self, frame: &FrameView<'_>, at: Progress) {
        for event in frame.events() {
            if let Some(Outcome::Moved(moved)) = link_event(&mut self.identity, &self.id, &event) {
                self.follow(&moved, at);
            }
            self.find_funnels(&event);
        }
        self.apply_pending(at);
    }

    /// Takes a control record that stands at `at`; what is not about identity is passed over.
    pub fn control(&mut self, control: &Control, at: Progress) {
        if let Some(Outcome::Moved(moved)) = link_control(&mut self.identity, &self.id, control) {
            self.follow(&moved, at);
        }
    }

    /// Two persons became one, or one became two.
    fn follow(&mut self, moved: &Moved, at: Progress) {
        self.apply_pending(at);
        for (_, funnel) in &mut self.funnels {
            if moved.is_split() {
                funnel.split(moved.from_root, moved.to_root, at);
            } else {
                funnel.merge(moved.from_root, moved.to_root, at);
            }
        }
    }

    #[inline]
    fn find_funnels(&mut self, event: &EventView<'_>) {
        let Some(touched) = self.by_name.get(event.name_bytes()) else { return };
        let head = event.head();
        let person = self.identity.canonical(ActorKey(head.actor_key));
        for (funnel, steps) in touched {
            let mask = steps.mask(event.spans().properties);
            if mask != 0 {
                let event = SlimEvent { time_us: head.time_us, id: head.id.as_u128(), mask };
                self.pending.push(Pending { funnel: *funnel, person, event });
            }
        }
    }

    fn apply_pending(&mut self, at: Progress) {
        let Self { pending, funnels, .. } = self;
        for together in pending.chunks(TOGETHER) {
            let mut slots = [None; TOGETHER];
            for (slot, event) in slots.iter_mut().zip(together) {
                *slot = funnels[event.funnel].1.slot(event.person);
            }
            for (slot, event) in slots.iter().zip(together) {
                slot.iter().for_each(|slot| funnels[event.funnel].1.warm(*slot));
            }
            for Pending { funnel, person, event } in together {
                funnels[*funnel].1.apply(*person, *event, at);
            }
        }
        pending.clear();
    }

    /// Moves every funnel's range to `now_us`.
    pub fn advance(&mut self, now_us: i64) {
        for (_, funnel) in &mut self.funnels {
            funnel.advance(now_us);
        }
    }

    fn index(&mut self) {
        self.by_name.clear();
        for (at, (_, funnel)) in self.funnels.iter().enumerate() {
            for (name, steps) in funnel.matcher().names() {
                self.by_name.entry(name.as_bytes().to_vec()).or_default().push((at, steps.clone()));
            }
        }
    }
}
