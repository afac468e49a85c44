//! Readings of stored events, on threads of their own: units folded again, a new definition folded from the
//! beginning. The worker never waits for them.

mod fill;
mod histories;
mod surely;
mod units;

use std::ops::ControlFlow;

use footpath_engine::ActorKey;
use footpath_history::StoredRow;
pub use footpath_log::READ_BYTES;
use footpath_model::filter::{Entities, Facts};

pub use fill::{Fill, Filled, Ledger, Sources, follow};
pub use histories::Histories;
pub use surely::Asked;
pub use units::{Persons, Sees, Units, units_of};

use crate::view::Seen;

/// A stored event as views see it.
pub fn seen<'a>(row: &StoredRow<'a>, person: ActorKey) -> Seen<'a> {
    let facts = Facts {
        order: (row.head.time_us, row.head.id.as_u128()),
        properties: row.properties,
        context: row.context,
        changes: row.changes,
        entities: None,
    };
    Seen { person, name: row.name, facts, actor: ActorKey(row.head.actor_key), stored_us: row.append_us }
}

/// The same event with what is known of its person and groups.
fn with_entities<'a>(seen: Seen<'a>, known: &'a dyn Entities) -> Seen<'a> {
    Seen { facts: Facts { entities: Some(known), ..seen.facts }, ..seen }
}

pub fn go_on(yes: bool) -> ControlFlow<()> {
    if yes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
