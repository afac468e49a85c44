//! How definitions see events: what an event is to a funnel or a metric, whose it is, and under which value it counts; what a session is to a metric. The same for
//! the log as it grows and for stored events.

mod funnel;
mod reads;
mod sessions;
mod slices;
mod terms;
mod values;

pub use funnel::{FunnelLens, part_of};
pub use reads::PropertyRead;
pub use sessions::{SessionBy, SessionWhat, session_sets};
pub use slices::slices;
pub use terms::{Terms, quantiles};
pub use values::Values;
