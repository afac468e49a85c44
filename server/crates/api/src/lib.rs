//! The API: tonic services, access, the error map, HTTP edges.

pub mod access;
pub mod admin;
pub mod body;
pub mod budget;
pub mod context;
pub mod convert;
pub mod cursor;
pub mod definitions;
mod funnel_watch;
pub mod http;
pub mod ingest;
pub mod layer;
pub mod live;
pub mod metrics;
pub mod page;
pub mod pieces;
pub mod projection;
pub mod query;
pub mod raw;
pub mod routes;
pub mod rows;
pub mod status;
mod tail;
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
