//! One project's live state: who is who, and its views.

use std::panic::{AssertUnwindSafe, catch_unwind};

use footpath_engine::lens::PropertyRead;
use footpath_engine::{ActorKey, IdentityGraph, Moved, Outcome, link_control, link_event};
use footpath_model::control::Control;
use footpath_model::filter::{Entities, Facts};
use footpath_model::record::{EventView, FrameView};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::book::{Book, Corrected};
use crate::hub::Progress;
use crate::view::{Brought, Seen, View, ViewKey};

/// Which views an event name touches, and the name's number in each; most events are done after one look-up.
type ByName = HashMap<Vec<u8>, Vec<(usize, usize)>, FxBuildHasher>;

/// One project's live state.
pub struct ProjectLive {
    /// The project's id, needed to hash actors.
    pub id: String,
    /// Who is who.
    pub identity: IdentityGraph,
    /// What is known of persons and groups.
    pub book: Book,
    views: Vec<(ViewKey, Box<dyn View>)>,
    by_name: ByName,
    /// Views of all events, whatever their name.
    all_names: Vec<usize>,
    puts: u64,
}

impl ProjectLive {
    /// A project without views.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            identity: IdentityGraph::new(),
            book: Book::new(id),
            views: Vec::new(),
            by_name: ByName::default(),
            all_names: Vec::new(),
            puts: 0,
        }
    }

    /// One view.
    pub fn view(&mut self, key: &ViewKey) -> Option<&mut (dyn View + 'static)> {
        self.views.iter_mut().find(|(own, _)| own == key).map(|(_, view)| view.as_mut())
    }

    /// All views.
    pub fn views(&mut self) -> impl Iterator<Item = (&ViewKey, &mut Box<dyn View>)> {
        self.views.iter_mut().map(|(key, view)| (&*key, view))
    }

    /// How often a view was added or replaced.
    pub fn puts(&self) -> u64 {
        self.puts
    }

    /// Adds a view, or replaces the one of that key.
    pub fn put(&mut self, view: Box<dyn View>) {
        self.puts += 1;
        let key = view.counted().key();
        match self.views.iter_mut().find(|(own, _)| *own == key) {
            Some((_, old)) => *old = view,
            None => self.views.push((key, view)),
        }
        self.index();
    }

    /// Takes a view out.
    pub fn remove(&mut self, key: &ViewKey) -> Option<Box<dyn View>> {
        let at = self.views.iter().position(|(own, _)| own == key)?;
        let (_, view) = self.views.remove(at);
        self.index();
        self.tidy();
        Some(view)
    }

    /// One view, with what is known of persons and groups.
    pub fn into_view(mut self, key: &ViewKey) -> Option<(Box<dyn View>, Book)> {
        let at = self.views.iter().position(|(own, _)| own == key)?;
        Some((self.views.swap_remove(at).1, self.book))
    }

    /// Lets go of what is known of persons and groups and no view reads.
    pub fn tidy(&mut self) {
        if self.book.is_wanted() {
            let reads: Vec<PropertyRead> =
                self.views.iter().flat_map(|(_, view)| view.reads()).cloned().collect();
            self.book.keep(&reads);
        }
    }

    /// What a reading of properties brought.
    pub fn read(&mut self, number: u64, brought: Brought) {
        let corrected = self.book.read(number, brought, &self.identity);
        self.correct(&corrected);
    }

    /// Takes all events of a frame that stands at `at`, in order. A poison event must not stop everybody's numbers: the
    /// rest of its frame is left out, and said so.
    pub fn apply(&mut self, frame: &FrameView<'_>, at: Progress) {
        if catch_unwind(AssertUnwindSafe(|| self.apply_all(frame, at))).is_err() {
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
            self.note_changes(&event, at);
            self.hand_out(&event, frame.context, at);
        }
        self.flush(at);
    }

    /// Takes a control record that stands at `at`; what is not about identity is passed over.
    pub fn control(&mut self, control: &Control, at: Progress) {
        if let Some(Outcome::Moved(moved)) = link_control(&mut self.identity, &self.id, control) {
            self.follow(&moved, at);
        }
    }

    /// Two persons became one, or one became two.
    fn follow(&mut self, moved: &Moved, at: Progress) {
        self.flush(at);
        let corrected = self.book.follow(moved, &self.identity, at);
        self.views.iter_mut().for_each(|(_, view)| view.follow(moved, at));
        self.correct(&corrected);
    }

    /// Takes what an event does to its person and groups: what it changes for events before it, views hear at once; it sees it
    /// itself.
    fn note_changes(&mut self, event: &EventView<'_>, at: Progress) {
        if !self.book.is_wanted() || event.spans().changes.is_empty() {
            return;
        }
        let head = event.head();
        let person = self.identity.canonical(ActorKey(head.actor_key));
        let order = (head.time_us, head.id.as_u128());
        let corrected = self.book.take(person, order, event.spans().changes, &self.identity, at);
        self.correct(&corrected);
    }

    fn correct(&mut self, corrected: &[Corrected]) {
        for one in corrected {
            self.views.iter_mut().for_each(|(_, view)| view.correct(one, &self.identity));
        }
    }

    #[inline]
    fn hand_out(&mut self, event: &EventView<'_>, context: &[u8], at: Progress) {
        let touched = self.by_name.get(event.name_bytes()).map_or(&[][..], Vec::as_slice);
        if touched.is_empty() && self.all_names.is_empty() {
            return;
        }
        let (head, spans) = (event.head(), event.spans());
        let actor = ActorKey(head.actor_key);
        let person = self.identity.canonical(actor);
        let known = self.book.of(person);
        let facts = Facts {
            order: (head.time_us, head.id.as_u128()),
            properties: spans.properties,
            context,
            changes: spans.changes,
            entities: self.book.is_wanted().then_some(&known as &dyn Entities),
        };
        let stored_us = at.processed_us;
        let seen = Seen { person, name: event.name(), facts, actor, stored_us };
        for (view, name) in touched {
            self.views[*view].1.take(*name, &seen);
        }
        for view in &self.all_names {
            self.views[*view].1.take(0, &seen);
        }
    }

    fn flush(&mut self, at: Progress) {
        self.views.iter_mut().for_each(|(_, view)| view.flush(at));
    }

    /// Moves every range to `now_us`.
    pub fn advance(&mut self, now_us: i64, at: Progress) {
        self.views.iter_mut().for_each(|(_, view)| view.advance(now_us, at));
    }

    fn index(&mut self) {
        self.by_name.clear();
        self.all_names.clear();
        for (at, (_, view)) in self.views.iter().enumerate() {
            match view.wants().names {
                None => self.all_names.push(at),
                Some(names) => {
                    for (number, name) in names.into_iter().enumerate() {
                        self.by_name.entry(name.into_bytes()).or_default().push((at, number));
                    }
                }
            }
        }
    }
}
