//! Alerts: what rules decide is kept here, and when they are evaluated.
//!
//! The [`Evaluator`] looks at the clock and at how complete the numbers are. When a rule's bucket is over and everything that was
//! acknowledged before its end is counted, it asks for the numbers and writes what it saw into the log, as one record for all rules of
//! a project. The [`Keeper`] is shown that record, as every record that concerns alerts, in the order of the log; it folds it with the
//! kernel ([`footpath_engine::alert`]) and stores what became of incidents, in one transaction with the record's position. So a verdict
//! depends on records alone, and a crash anywhere tells nobody twice and nobody never.

mod evaluator;
mod incident;
mod keeper;
mod learning;
mod numbers;
mod plan;
mod simulation;
mod words;

pub use evaluator::{Evaluator, Pace};
pub use incident::{AROUND_US, ActionTaken, Heard, Incident, IncidentState};
pub use keeper::{Keeper, Outgoing, Told};
pub use numbers::{Numbers, NumbersError, Seen};
pub use simulation::{Simulated, Simulation, longest_us, simulate};
pub use words::{Seen as SeenNumber, happened, number, seen_of, subject, summary};
