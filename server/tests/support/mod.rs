//! The real binary, started and stopped by tests.

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A port that was free a moment ago, below those that outgoing connections get: one of them could take it before the
/// server does, or while the server is killed.
pub fn free_address() -> String {
    let first = 10_000 + (std::process::id() % 2_500) as u16 * 8;
    let mut addresses = (0..).map(|_| NEXT_PORT.fetch_add(1, Ordering::Relaxed)).map(|next| {
        let port = first + next;
        format!("127.0.0.1:{port}")
    });
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}

/// The binary without the surroundings' settings.
pub fn footpath() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footpath"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FOOTPATH_")) {
        command.env_remove(name);
    }
    command.env("FOOTPATH_ADMIN_LISTEN", "127.0.0.1:0");
    command
}

/// What it printed, whether it ended well, and both outputs together for messages.
pub fn run(command: &mut Command) -> (String, bool, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let all = format!("{stdout}\n{stderr}");
    (stdout, status.success(), all)
}
