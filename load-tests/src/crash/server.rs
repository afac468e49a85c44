//! The server as a child process that gets SIGKILL.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longer than a start takes on a busy machine in a debug build.
const START: Duration = Duration::from_secs(120);
/// Chunks, images and snapshots have to be under way whenever a kill comes.
const HURRY: [&str; 6] =
    ["--chunk-age", "150ms", "--image-interval", "120ms", "--snapshot-interval", "100ms"];

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it serves, as a URL.
    pub url: String,
    /// The project key, after the first start on a folder.
    pub key: Option<String>,
    /// The one-time code of its link.
    pub code: String,
}

impl Server {
    /// Starts it and waits until it says how to get in.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let mut child = spawn(setup)?;
        let stdout = child.stdout.take().context("the server's output cannot be read")?;
        let mut lines = BufReader::new(stdout).lines();
        let said = tokio::time::timeout(START, read(&mut lines)).await;
        let Ok(Ok((url, key, code))) = said else {
            let _ = child.kill().await; // It may have ended by itself.
            bail!("the server does not start; its log: {}", setup.log.display());
        };
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, url, key, code })
    }

    /// Starts it and kills it a moment later, wherever its start has got to.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start_and_kill(setup: &Setup, after: Duration) -> anyhow::Result<()> {
        let mut child = spawn(setup)?;
        tokio::time::sleep(after).await;
        Self::end(&mut child).await
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// If it had ended by itself.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Self::end(&mut self.child).await
    }

    async fn end(child: &mut Child) -> anyhow::Result<()> {
        let ended = child.try_wait()?;
        ensure!(ended.is_none(), "the server ended by itself: {ended:?}");
        child.kill().await.context("the server cannot be killed")
    }
}

fn spawn(setup: &Setup) -> anyhow::Result<Child> {
    let mut options = std::fs::OpenOptions::new();
    let log = options.create(true).append(true).open(&setup.log);
    let log = log.with_context(|| format!("cannot write {}", setup.log.display()))?;
    let mut command = Command::new(&setup.program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FOOTPATH_")) {
        command.env_remove(name);
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .arg("--until-stdin-closes") // Should this process be killed, the server ends as well.
        .args(HURRY)
        .arg("--data")
        .arg(&setup.data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", setup.program.display()))
}

/// URL, key and code, from what it prints.
async fn read(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<(String, Option<String>, String)> {
    let mut key = None;
    while let Some(line) = lines.next_line().await? {
        if let Some(found) = line.strip_prefix("project key: ") {
            key = Some(found.to_owned());
        }
        if let Some((url, code)) = line.strip_prefix("open: ").and_then(|link| link.split_once("/?code=")) {
            return Ok((url.to_owned(), key, code.to_owned()));
        }
    }
    bail!("the server ended")
}
