//! The server as a child process of the demo, so that it can be killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a start may take; a debug build on a busy machine needs seconds.
const START: Duration = Duration::from_secs(60);
/// How long a clean stop may take before the server is killed.
const STOP: Duration = Duration::from_secs(15);

/// How to start the server.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its data folder.
    pub data: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Its address.
    pub listen: SocketAddr,
    /// The address of its admin port.
    pub admin_listen: SocketAddr,
    /// The project that the first start makes.
    pub project: &'static str,
}

/// The running server.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    child: Child,
    link: String,
}

impl Server {
    /// Starts the server and waits until it says how to get in.
    ///
    /// # Errors
    /// If its address is taken, or it does not start: then the message holds the end of its log.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        std::net::TcpListener::bind(setup.listen).with_context(|| {
            format!(
                "{} cannot be used; is another demo running? Name another address with --listen",
                setup.listen
            )
        })?;
        let mut options = std::fs::OpenOptions::new();
        let log = options
            .create(true)
            .append(true)
            .open(&setup.log)
            .with_context(|| format!("cannot write {}", setup.log.display()))?;
        let mut child = command(&setup, log).spawn().context("cannot start the server")?;
        let Some(stdout) = child.stdout.take() else { bail!("the server's output cannot be read") };
        let mut lines = BufReader::new(stdout).lines();
        let link = tokio::time::timeout(START, read_link(&mut lines)).await;
        let Ok(Ok(link)) = link else {
            let _ = child.kill().await; // It may have ended by itself.
            bail!("the server does not start. The end of its log:\n{}", tail(&setup));
        };
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { setup, child, link })
    }

    /// The link that opens the page signed in; its code works once.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it without a warning (SIGKILL) and starts it again.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the server")?;
        *self = Self::start(self.setup.clone()).await?;
        Ok(())
    }

    /// Stops it cleanly.
    pub async fn stop(&mut self) {
        drop(self.child.stdin.take()); // It ends with its standard input.
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await; // Its log is durable; a kill loses nothing.
        }
    }
}

fn command(setup: &Setup, log: std::fs::File) -> Command {
    let mut command = Command::new(own_binary());
    // The operator's settings are for `serve`, not for the demo.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FOOTPATH_")) {
        command.env_remove(name);
    }
    command
        .args(["serve", "--until-stdin-closes", "--project", setup.project])
        .args([
            "--listen",
            &setup.listen.to_string(),
            "--admin-listen",
            &setup.admin_listen.to_string(),
            "--data",
        ])
        .arg(&setup.data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0); // Ctrl-C is for the demo, which stops the server when the clients are done.
    command
}

/// This program, even if its file was replaced meanwhile.
fn own_binary() -> PathBuf {
    let linux = PathBuf::from("/proc/self/exe");
    if linux.exists() { linux } else { std::env::current_exe().unwrap_or_else(|_| "footpath".into()) }
}

async fn read_link(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some(at) = line.find("http").filter(|_| line.contains("?code=")) {
            return Ok(line[at..].trim().to_owned());
        }
    }
    bail!("the server ended");
}

fn tail(setup: &Setup) -> String {
    let log = std::fs::read_to_string(&setup.log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
