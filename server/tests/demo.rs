//! The demo, played by flags against the real binary.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};
use support::{footpath, free_address, run};

/// However busy the machine is, by then the demo has told what a test waits for.
const PATIENCE: &str = "180";

fn command(folder: &Path, play: &[&str]) -> Command {
    let address = free_address();
    let mut command = footpath();
    command.args(["demo", "--no-keys", "--rate", "3", "--seed", "1", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--listen", &address, "--data"]).arg(folder).args(play);
    command
}

fn demo(folder: &Path, play: &[&str]) -> (String, bool, String) {
    run(&mut command(folder, play))
}

/// Lets the demo go on until what it has told is `enough`, then quits it.
fn demo_until(folder: &Path, play: &[&str], enough: impl Fn(&str) -> bool) -> (String, bool, String) {
    let mut command = command(folder, play);
    command.args(["--seconds", PATIENCE]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    let mut quit = false;
    while out.read_line(&mut told).unwrap() > 0 {
        if !quit && enough(&told) {
            rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            quit = true;
        }
    }
    let ended = child.wait_with_output().unwrap();
    let all = format!("{told}\n{}", String::from_utf8_lossy(&ended.stderr));
    (told, ended.status.success(), all)
}

/// The first number after `before`.
fn number(line: &str, before: &str) -> u64 {
    let (_, after) = line.split_once(before).unwrap();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The last step of the payment failures in a line of numbers.
fn failures(line: &str) -> Option<u64> {
    let (_, after) = line.split_once("payment-failures ")?;
    after.split_whitespace().next()?.rsplit('/').next()?.parse().ok()
}

/// Whether late events corrected the funnel for anybody.
fn corrected(told: &str) -> bool {
    let mut lines = told.lines().filter(|line| line.contains("late events corrected"));
    lines.any(|line| number(line, "funnel for ") > 0)
}

/// The most payments that failed before the outage and since.
fn failures_around_the_outage(told: &str) -> (Option<u64>, Option<u64>) {
    let outage = told.lines().position(|line| line.contains("payment outage")).unwrap_or(usize::MAX);
    let most = |lines: &mut dyn Iterator<Item = &str>| lines.filter_map(failures).max();
    (most(&mut told.lines().take(outage)), most(&mut told.lines().skip(outage)))
}

#[test]
fn an_outage_and_a_kill_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let play = "kill@6,outage@12,fix@17";
    let play = ["--offline-for", "9", "--play", play];
    let (told, good, all) = demo_until(folder.path(), &play, |told| {
        let happened = ["= stored", "fixed: ", "history: "].iter().all(|text| told.contains(text));
        happened && corrected(told) && failures_around_the_outage(told).1 > Some(0)
    });
    assert!(good, "{all}");
    let books: Vec<_> =
        told.lines().filter(|line| line.contains("acked ") && line.contains("= stored")).collect();
    assert_eq!(books.len(), 2, "after the kill and at the end: {all}");
    for line in &books {
        let acked = number(line, "acked ");
        assert!(acked > 0 && acked == number(line, "stored ") + number(line, "duplicate "), "{line}");
        assert_eq!(number(line, "lost "), 0, "{line}");
    }
    assert!(number(books[1], "acked ") > number(books[0], "acked "), "traffic went on: {all}");
    assert!(corrected(&told), "{all}");
    let (before, after) = failures_around_the_outage(&told);
    assert!(before == Some(0) && after > Some(0), "{all}");
    // How many of them are new depends on whether the kill took an answer on its way: then its batch is known already.
    assert!(told.contains("history: 31106 events acknowledged"), "{all}");
}

#[test]
fn a_second_start_knows_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let (told, good, all) = demo_until(folder.path(), &[], |told| told.contains("history: "));
    assert!(good && told.contains("31106 of them new"), "{all}");
    let (told, good, all) = demo(folder.path(), &["--seconds", "2"]);
    assert!(good && told.contains("from an earlier start"), "{all}");
    // As if the demo had been interrupted before it could note that: everything is sent again.
    let memory = folder.path().join("demo.json");
    let text = std::fs::read_to_string(&memory).unwrap();
    std::fs::write(&memory, text.replace("\"history_done\": true", "\"history_done\": false")).unwrap();
    let (told, good, all) = demo_until(folder.path(), &[], |told| told.contains("history: "));
    assert!(good && told.contains("31106 events acknowledged, 0 of them new"), "{all}");
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_, good, all) =
        run(footpath().args(["demo", "--no-keys", "--listen", &address, "--data"]).arg(folder.path()));
    assert!(!good && all.contains("--listen"), "{all}");
    std::fs::write(folder.path().join("state.redb"), "").unwrap();
    let (_, good, all) = demo(folder.path(), &[]);
    assert!(!good && all.contains("footpath serve"), "{all}");
    let (_, good, all) = demo(folder.path(), &["--play", "dance@3"]);
    assert!(!good && all.contains("outage@40"), "{all}");
}
