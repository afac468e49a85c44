//! The event log and its sequencer: group commit, duplicates, outcomes, recovery.

pub mod dedupe;
pub mod ids;
pub mod streams;
