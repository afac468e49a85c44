//! The Footpath client core: track, queue, deliver; nothing lost, nothing slowed.
