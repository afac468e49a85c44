//! What the kernel takes for an event, in samples of some thousand events.
//!
//! `cargo bench -p footpath-engine --bench kernel`, or with a part of a name behind it: `-- together`.

mod funnel;
mod traffic;

fn main() {
    divan::main();
}
