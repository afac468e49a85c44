//! Footpath.
fn main() {}
