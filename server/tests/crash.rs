//! `kill -9` under load: a few rounds of what `footpath-crash` does for hours.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::time::Duration;

use footpath_load::crash::{Options, run};

const ROUNDS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_nothing_and_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        server: env!("CARGO_BIN_EXE_footpath").into(),
        folder: folder.path().to_owned(),
        rounds: ROUNDS,
        rounds_per_folder: ROUNDS,
        most: Duration::MAX,
        seed: 3,
    };
    let done = run(&options, |line| println!("{line}")).await;
    let Ok(sum) = done.inspect_err(|violation| eprintln!("VIOLATION: {violation:#}")) else {
        panic!("a violation; data and log stay in {}", folder.keep().display());
    };
    assert_eq!(sum.rounds, ROUNDS);
    assert!(sum.kills >= ROUNDS && sum.acked > 0 && sum.duplicates > 0, "{sum:?}");
}
