//! Clients in bad weather: a few rounds of what `footpath-faults` does for hours.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::time::Duration;

use footpath_load::faults::{Options, Program, client, run};

const ROUNDS: u32 = 6;

/// Not a test of its own: the process that the other one starts and kills.
#[test]
fn client_process() {
    if client::is_one() {
        client::run().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tracked_is_stored_once_whatever_happens_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--exact", "client_process", "--nocapture"].map(String::from).to_vec();
    let options = Options {
        server: env!("CARGO_BIN_EXE_footpath").into(),
        client: Program { path: std::env::current_exe().unwrap(), arguments },
        folder: folder.path().to_owned(),
        rounds: ROUNDS,
        rounds_per_folder: ROUNDS,
        day_events: 1_000,
        most: Duration::MAX,
        seed: 1,
    };
    let done = run(&options, |line| println!("{line}")).await;
    let Ok(sum) = done.inspect_err(|violation| eprintln!("VIOLATION: {violation:#}")) else {
        panic!("a violation; data, queues and logs stay in {}", folder.keep().display());
    };
    assert_eq!((sum.rounds, sum.days), (ROUNDS, 1));
    assert!(sum.kills > 0 && sum.durable > 0 && sum.duplicates > 0, "{sum:?}");
}
