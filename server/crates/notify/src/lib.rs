//! Delivery of alerts: a [`Notice`] goes to a [`Destination`] in the receiver's own shape.
//!
//! Whoever decides that something is to be told writes it into an [`Outbox`], in the same transaction as the decision. The [`Deliverer`] has one queue for each
//! destination: it takes the oldest notice that is not settled, renders it (pure functions in [`render`](crate::render())), sends it, and records what the
//! receiver answered. What fails is tried again with growing pauses; a dead destination holds up only itself.
//!
//! Destinations are written by users, so a URL may be an attempt to reach what only this server can reach. The [`Guard`] judges
//! every address that a name resolves to, and the connection goes to exactly the address that was judged.
//!
//! The crate knows nothing of logs, gRPC or the store, and of rules only how bad a problem can be.

mod attempt;
mod backoff;
mod check;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod counters;
mod deliverer;
mod destination;
mod guard;
mod http;
mod mail;
mod memory;
mod notice;
mod outbox;
mod queue;
mod reach;
mod render;
mod secret;
mod sender;
mod settings;
mod text;
mod written;

pub use attempt::{Outcome, Verdict};
pub use backoff::Backoff;
pub use check::InvalidDestination;
pub use counters::{Counters, Counts};
pub use deliverer::Deliverer;
pub use destination::{Destination, DestinationKind, MailSecurity, MailServer, PAGERDUTY_URL, WebhookShape};
pub use footpath_model::definition::Severity;
pub use guard::{Guard, Private};
pub use memory::MemoryOutbox;
pub use notice::{Completeness, CompletenessState, Driver, Notice, NoticeKind, Window};
pub use outbox::{
    Attempt, Delivery, DeliveryState, Enqueue, KEPT_ATTEMPTS, Listing, Next, Outbox, OutboxError, PAGE_MOST,
};
pub use render::{Message, Request, render, signature};
pub use secret::Secret;
pub use settings::{Resolver, Settings, SettingsError, system_resolver};
