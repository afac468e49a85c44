//! Fuzzes the wire walk against prost, by seeds: `cargo run -p footpath-ingest --example fuzz_walk -- --seconds 3600`.
//!
//! A failure prints its seed; `--seed N --count 1` runs it again. Without `--seed` it begins where nobody has been:
//! at the current second, a million seeds apart.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // It chooses its seeds and its end by the clock.

#[path = "../tests/walk_fuzz/mutate.rs"]
mod mutate;
#[path = "../tests/walk_fuzz/oracle.rs"]
mod oracle;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oracle::Found;

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|value| value.parse().ok())
}

fn main() -> ExitCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = argument("--seed").unwrap_or(now.wrapping_mul(1_000_000));
    let count = argument("--count").unwrap_or(u64::MAX);
    let end = Instant::now() + Duration::from_secs(argument("--seconds").unwrap_or(60));
    let (mut batches, mut accepted, mut refused, mut taken) = (0_u64, 0, 0, 0_u64);
    while batches < count && Instant::now() < end {
        let seed = first.wrapping_add(batches);
        let found = std::panic::catch_unwind(|| oracle::compare(&mutate::batch(seed)));
        let Ok(Found { taken: whole, accepted: good, refused: bad }) = found else {
            println!("FAILED: seed {seed}; run it again with --seed {seed} --count 1");
            return ExitCode::FAILURE;
        };
        batches += 1;
        (accepted, refused, taken) = (accepted + good, refused + bad, taken + u64::from(whole));
    }
    println!(
        "{batches} batches from seed {first}: {taken} taken, {accepted} events accepted, {refused} refused, no difference"
    );
    ExitCode::SUCCESS
}
