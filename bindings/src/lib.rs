//! The client core for Kotlin, Swift and Python.
//!
//! Everything goes through UniFFI but one call: [`footpath_track`], which an app makes all the time. Through UniFFI it
//! would cost tens of microseconds on the JVM and in Python; as a plain C function it costs what the core costs. Types and
//! errors are this crate's own, so that the core may change without changing what apps compile against.
//!
//! A host language encodes events itself, as the fields of a `footpath.v1.Event` that are the application's (name, time,
//! ids, session, properties, person, groups). The core checks every byte of that.

mod client;
mod config;
mod slots;
mod types;

pub use client::FootpathClient;
pub use config::{Carrier, Config, KeyFailure, KeyStore, ProblemListener};
pub use slots::{footpath_after_fork, footpath_before_fork, footpath_track};
pub use types::{
    Batch, ClientError, ClockOffset, Consent, Delivery, FlushResult, Pause, Problem, Receipt, Stats, Who,
};

uniffi::setup_scaffolding!();
