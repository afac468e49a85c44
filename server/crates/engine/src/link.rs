//! Links as they stand in stored events.

use footpath_model::id::actor_key;
use footpath_model::record::{EventView, text};

use crate::identity::{ActorKey, IdentityGraph, LinkOutcome};

/// The name of the event that joins an anonymous id to a user id.
pub const IDENTIFY: &str = "$identify";

/// Joins the two ids of a `$identify` event. `Some((loser, winner))` if two actors became one person by it.
/// Must see the events in log order.
#[inline]
pub fn link_event(
    identity: &mut IdentityGraph,
    project: &str,
    event: &EventView<'_>,
) -> Option<(ActorKey, ActorKey)> {
    if event.name_bytes() != IDENTIFY.as_bytes() {
        return None;
    }
    let spans = event.spans();
    link_ids(identity, project, text(spans.anonymous_id), text(spans.user_id))
}

/// Joins the ids that a `$identify` event carried. `Some((loser, winner))` if two actors became one person by it.
pub fn link_ids(
    identity: &mut IdentityGraph,
    project: &str,
    anonymous: &str,
    user: &str,
) -> Option<(ActorKey, ActorKey)> {
    let key = |id: &str| ActorKey(actor_key(project, id.as_bytes()));
    let linked = identity.identify(anonymous, user, key);
    matches!(linked, Ok(LinkOutcome::Linked { .. })).then(|| (key(anonymous), key(user)))
}
