//! The event log and its sequencer: group commit, duplicates, outcomes, recovery.
