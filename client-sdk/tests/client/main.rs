//! The whole client, with its threads and a real clock, against a server in memory.

#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

mod carriers;
mod damage;
mod full_disk;
mod journey;
mod person;
mod processes;
mod random;
mod settings;
mod support;
