//! Events, ids, properties, filters, time ranges and definitions: the words everything else is said in.
pub mod alert;
pub mod calendar;
pub mod changes;
pub mod clock;
pub mod context;
pub mod control;
pub mod decimal;
pub mod definition;
pub mod filter;
pub mod id;
mod narrowed;
pub mod props;
pub mod range;
pub mod record;
pub mod text;
pub mod wire;
