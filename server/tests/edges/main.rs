//! The server's edges, through the real binary: configuration, admin port, bodies, access, TLS, telemetry, drain.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

mod access;
mod admin;
mod alerts;
mod bodies;
mod config;
mod drain;
mod environments;
mod funnels;
mod numbers;
mod openmetrics;
mod paths;
mod questions;
#[path = "../support/receiver.rs"]
mod receiver;
mod records;
mod reflection;
mod series;
mod streams;
mod support;
mod telemetry;
mod tls;
