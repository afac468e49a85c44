//! The real binary, started and stopped by tests.

use std::process::{Command, Output, Stdio};

/// A port that was free a moment ago.
pub fn free_address() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("127.0.0.1:{port}")
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
