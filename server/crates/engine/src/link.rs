//! Changes of identity as they stand in records: events, and control records.

use footpath_model::control::Control;
use footpath_model::id::actor_key;
use footpath_model::props::{Value, property};
use footpath_model::record::{EventSpans, EventView, text};

use crate::identity::{ActorKey, IdentityGraph, Outcome, PoisonId, Refusal, check_id};

/// The name of the event that joins an anonymous id to a user id.
pub const IDENTIFY: &str = "$identify";
/// The name of the event that gives a person another name.
pub const ALIAS: &str = "$alias";
/// The property of [`ALIAS`] that is the new name.
pub const ALIAS_NAME: &str = "alias";

/// Whether events of this name ask for a change of identity.
#[inline]
pub fn is_link(name: &[u8]) -> bool {
    name.starts_with(b"$") && (name == IDENTIFY.as_bytes() || name == ALIAS.as_bytes())
}

/// A change of identity that a record asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRequest {
    /// See [`IdentityGraph::identify`].
    Identify {
        /// The anonymous id.
        anonymous: ActorKey,
        /// Its user.
        user: ActorKey,
    },
    /// See [`IdentityGraph::alias`].
    Alias {
        /// Any id of the person.
        person: ActorKey,
        /// The new name.
        name: ActorKey,
    },
    /// See [`IdentityGraph::merge`].
    Merge {
        /// Any id of the person that is no more.
        from: ActorKey,
        /// Whom it becomes part of.
        into: ActorKey,
    },
    /// See [`IdentityGraph::unmerge`].
    Unmerge {
        /// Whose pointer is taken away.
        id: ActorKey,
    },
}

impl LinkRequest {
    /// What an event asks for; `None` if nothing. `project` is the id that actors are hashed with.
    ///
    /// # Errors
    /// If one of its ids cannot stand for a person.
    pub fn of_event(project: &str, event: &EventSpans<'_>) -> Option<Result<Self, PoisonId>> {
        let hash = Hash(project);
        match event.name {
            name if name == IDENTIFY.as_bytes() => Some(hash.identify(event)),
            name if name == ALIAS.as_bytes() => Some(hash.alias(event)),
            _ => None,
        }
    }

    /// What a control record asks for; `None` if it is about something else.
    ///
    /// # Errors
    /// If one of its ids cannot stand for a person.
    pub fn of_control(project: &str, control: &Control) -> Option<Result<Self, PoisonId>> {
        let hash = Hash(project);
        match control {
            Control::MergePersons { from, into, .. } => Some(hash.merge(from, into)),
            Control::UnmergePerson { id, .. } => Some(hash.key(id).map(|id| Self::Unmerge { id })),
            _ => None,
        }
    }
}

/// Checks and hashes the ids of a project.
struct Hash<'p>(&'p str);

impl Hash<'_> {
    fn key(&self, id: &str) -> Result<ActorKey, PoisonId> {
        check_id(id)?;
        Ok(ActorKey(actor_key(self.0, id.as_bytes())))
    }

    fn identify(&self, event: &EventSpans<'_>) -> Result<LinkRequest, PoisonId> {
        let (anonymous, user) = (self.key(text(event.anonymous_id))?, self.key(text(event.user_id))?);
        Ok(LinkRequest::Identify { anonymous, user })
    }

    /// The person is the event's actor.
    fn alias(&self, event: &EventSpans<'_>) -> Result<LinkRequest, PoisonId> {
        let actor = if event.user_id.is_empty() { event.anonymous_id } else { event.user_id };
        let Some(Value::String(name)) = property(event.properties, ALIAS_NAME) else {
            return Err(PoisonId::Empty);
        };
        Ok(LinkRequest::Alias { person: self.key(text(actor))?, name: self.key(name)? })
    }

    fn merge(&self, from: &str, into: &str) -> Result<LinkRequest, PoisonId> {
        Ok(LinkRequest::Merge { from: self.key(from)?, into: self.key(into)? })
    }
}

impl IdentityGraph {
    /// Does what a record asks for. Must see the records in the order of the log.
    pub fn apply(&mut self, request: Result<LinkRequest, PoisonId>) -> Outcome {
        match request {
            Ok(LinkRequest::Identify { anonymous, user }) => self.identify(anonymous, user),
            Ok(LinkRequest::Alias { person, name }) => self.alias(person, name),
            Ok(LinkRequest::Merge { from, into }) => self.merge(from, into),
            Ok(LinkRequest::Unmerge { id }) => self.unmerge(id),
            Err(poison) => Outcome::Refused(Refusal::Poison(poison)),
        }
    }
}

/// Applies the change of identity that an event carries; `None` if it carries none. Must see the events in log order.
#[inline]
pub fn link_event(identity: &mut IdentityGraph, project: &str, event: &EventView<'_>) -> Option<Outcome> {
    // Nearly every event is done here.
    if !is_link(event.name_bytes()) {
        return None;
    }
    LinkRequest::of_event(project, &event.spans()).map(|request| identity.apply(request))
}

/// Applies the change of identity that a control record carries; `None` if it carries none. Must see it in log order.
pub fn link_control(identity: &mut IdentityGraph, project: &str, control: &Control) -> Option<Outcome> {
    LinkRequest::of_control(project, control).map(|request| identity.apply(request))
}

#[cfg(test)]
mod tests {
    use footpath_model::wire::put_bytes;

    use super::*;

    const P: &str = "shop";

    fn key(id: &str) -> ActorKey {
        ActorKey(actor_key(P, id.as_bytes()))
    }

    fn with_alias(value: &[u8]) -> Vec<u8> {
        let (mut entry, mut properties) = (Vec::new(), Vec::new());
        put_bytes(&mut entry, 1, ALIAS_NAME.as_bytes());
        put_bytes(&mut entry, 2, value);
        put_bytes(&mut properties, 11, &entry);
        properties
    }

    fn alias(anonymous: &[u8], user: &[u8], value: &[u8]) -> Result<LinkRequest, PoisonId> {
        let (properties, name) = (with_alias(value), ALIAS.as_bytes());
        let spans = EventSpans { name, anonymous_id: anonymous, user_id: user, ..EventSpans::default() };
        LinkRequest::of_event(P, &EventSpans { properties: &properties, ..spans }).unwrap()
    }

    #[test]
    fn an_alias_names_the_actor_of_its_event() {
        let mut text = Vec::new();
        put_bytes(&mut text, 1, b"ann");
        let named = |person: &str| Ok(LinkRequest::Alias { person: key(person), name: key("ann") });
        assert_eq!(alias(b"device", b"", &text), named("device"));
        assert_eq!(alias(b"device", b"u-1", &text), named("u-1"));
        assert_eq!(alias(b"", b"", &text), Err(PoisonId::Empty));
        assert_eq!(alias(b"", b"u-1", &[0x10, 5]), Err(PoisonId::Empty), "a number is no name");
        let mut null = Vec::new();
        put_bytes(&mut null, 1, b"null");
        assert_eq!(alias(b"", b"u-1", &null), Err(PoisonId::MissingValue));
    }

    #[test]
    fn identify_takes_both_ids_and_other_events_ask_for_nothing() {
        let spans = EventSpans { anonymous_id: b"device", user_id: b"ann", ..EventSpans::default() };
        let named = |name| LinkRequest::of_event(P, &EventSpans { name, ..spans });
        let identify = LinkRequest::Identify { anonymous: key("device"), user: key("ann") };
        assert_eq!(named(b"$identify"), Some(Ok(identify)));
        assert_eq!(named(b"identify"), None);
        assert_eq!(named(b"$merge"), None);
    }

    #[test]
    fn merges_come_from_control_records_and_poison_is_refused_there_too() {
        let mut graph = IdentityGraph::new();
        let by = || "admin".to_owned();
        let merge = Control::MergePersons { from: "a".into(), into: "b".into(), by: by() };
        assert!(matches!(link_control(&mut graph, P, &merge), Some(Outcome::Moved(_))));
        assert_eq!(graph.canonical(key("a")), key("b"));
        let poison = Control::MergePersons { from: "a".into(), into: "guest".into(), by: by() };
        let refused = Outcome::Refused(Refusal::Poison(PoisonId::Placeholder));
        assert_eq!(link_control(&mut graph, P, &poison), Some(refused));
        let unmerge = Control::UnmergePerson { id: "a".into(), by: by() };
        assert!(link_control(&mut graph, P, &unmerge).unwrap().moved().unwrap().is_split());
        assert_eq!(link_control(&mut graph, P, &Control::DeleteFunnel { id: "f".into() }), None);
    }
}
