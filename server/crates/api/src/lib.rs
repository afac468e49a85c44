//! The API: tonic services, access, the error map, HTTP edges.

pub mod access;
pub mod admin;
pub mod alerts;
pub mod body;
pub mod budget;
pub mod catalog;
mod context;
pub mod convert;
pub mod cursor;
mod definitions;
mod http;
mod ingest;
pub mod layer;
pub mod listings;
pub mod live;
pub mod metrics;
mod page;
mod persons;
mod pieces;
pub mod projection;
mod query;
mod raw;
pub mod recount;
mod routes;
pub mod rows;
pub mod series;
mod settings;
pub mod status;
mod tail;
mod watch;
pub mod web;

pub use context::Context;
pub use routes::routes;

/// The size of a page: 100 if none is asked for, 1,000 at most.
fn page_size(asked: u32) -> usize {
    match asked {
        0 => 100,
        n => n.min(1000) as usize,
    }
}
