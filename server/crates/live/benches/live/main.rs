//! What the live path takes for an event without network, log and threads, in samples of some thousand events.
//!
//! `cargo bench -p footpath-live`, or with a part of a name behind it: `-- frames`. The figures a second are those of one core.

mod many;
mod one;
mod shop;
#[allow(dead_code)] // Shared with the kernel's bench, which measures more.
#[path = "../../../engine/benches/kernel/traffic.rs"]
mod traffic;

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}
