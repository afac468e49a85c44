//! Client processes as the driver sees them.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::orders::{End, ORDERS, Orders};

/// Longer than any process has to live.
const LIFE: Duration = Duration::from_secs(90);
/// Sets a limit for the size of files ($1, in blocks of 512 bytes) that fails writes as a full disk does, without a signal.
const FULL_DISK: &str = r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#;
/// Little more than such a client's ring has, and less than the database's log of writes gets.
const FULL_DISK_BLOCKS: &str = "700";
const SIGKILL: i32 = 9;

/// How a client process is started; its orders are in its environment.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What a process said.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Keys that were tracked: first and last of each line.
    pub tracked: Vec<(u64, u64)>,
    /// Keys of events that are on the disk.
    pub durable: Vec<u64>,
    /// Numbers that the server was told are lost.
    pub lost: u64,
    /// Parts of the ring that could not be read.
    pub torn: u64,
    /// The database was put aside.
    pub quarantined: bool,
    /// The storage failed, as it said itself.
    pub storage_failed: bool,
    /// Whether it delivered everything, if it had to, and its own words.
    pub flushed: Option<(bool, String)>,
    /// What must not happen.
    pub faults: Vec<String>,
    /// SIGKILLs.
    pub kills: u32,
}

impl Said {
    /// Adds what another process said.
    pub fn add(&mut self, other: Self) {
        self.tracked.extend(other.tracked);
        self.durable.extend(other.durable);
        self.faults.extend(other.faults);
        self.lost += other.lost;
        self.torn += other.torn;
        self.quarantined |= other.quarantined;
        self.storage_failed |= other.storage_failed;
        self.flushed = other.flushed.or(self.flushed.take());
        self.kills += other.kills;
    }

    /// Events that were tracked.
    pub fn count(&self) -> u64 {
        self.tracked.iter().map(|(first, last)| last + 1 - first).sum()
    }

    fn summary(&self) -> String {
        let Self { lost, torn, quarantined, flushed, faults, .. } = self;
        format!(
            "{} tracked, {} durable, {lost} lost, {torn} torn, {quarantined}, {flushed:?}, {faults:?}",
            self.count(),
            self.durable.len()
        )
    }

    fn take(&mut self, line: &str) -> anyhow::Result<()> {
        let Some((word, rest)) = line.split_once(' ') else { return Ok(()) };
        let number = |text: &str| text.parse::<u64>().with_context(|| format!("no number: {line}"));
        match word {
            "tracked" => {
                let (first, last) = rest.split_once(' ').context("half a line")?;
                self.tracked.push((number(first)?, number(last)?));
            }
            "durable" => self.durable.push(number(rest)?),
            "lost" => self.lost += number(rest.split(' ').next().unwrap_or_default())?,
            "torn" => self.torn += number(rest)?,
            "flushed" => self.flushed = Some((rest.starts_with("true"), rest.to_owned())),
            "fault" => self.faults.push(rest.to_owned()),
            "problem" if rest.starts_with("Quarantined") => self.quarantined = true,
            "problem" if rest.starts_with("Storage") => self.storage_failed = true,
            // `torn` counts these, and weather is weather.
            "problem" if rest.starts_with("Lost(\"a part ") || rest.starts_with("Unreachable") => {}
            "problem" => self.faults.push(rest.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// Runs a client process to its end. One that settles is told when the weather is fine.
///
/// # Errors
/// If it ends otherwise than it was told to, or does not end.
pub async fn live(
    program: &Program,
    orders: &Orders,
    full_disk: bool,
    log: &Path,
    fine: watch::Receiver<bool>,
) -> anyhow::Result<Said> {
    let mut child = spawn(program, orders, full_disk, log)?;
    let mut said = Said::default();
    let lived = timeout(LIFE, listen(&mut child, orders.end, fine, &mut said)).await;
    let Ok(status) = lived else { bail!("a client hangs: {orders:?}, said {}", said.summary()) };
    let status = status?;
    check_end(status, orders, &said, full_disk)?;
    said.kills = u32::from(status.signal() == Some(SIGKILL));
    Ok(said)
}

fn check_end(status: ExitStatus, orders: &Orders, said: &Said, full_disk: bool) -> anyhow::Result<()> {
    let as_told = match orders.end {
        End::Kill(_) => status.signal() == Some(SIGKILL),
        _ => status.success(),
    };
    // On a full disk a client may not open at all, and says so.
    ensure!(as_told || full_disk, "a client ended with {status}: {orders:?}, said {}", said.summary());
    if matches!(orders.end, End::Settle | End::Drain) {
        let (complete, words) = said.flushed.clone().unwrap_or_default();
        ensure!(complete, "a client does not deliver everything in fine weather: {orders:?}: {words}");
    }
    Ok(())
}

fn spawn(program: &Program, orders: &Orders, full_disk: bool, log: &Path) -> anyhow::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(if full_disk { Path::new("sh") } else { &program.path });
    if full_disk {
        command.args(["-c", FULL_DISK, "sh", FULL_DISK_BLOCKS]).arg(&program.path);
    }
    command
        .args(&program.arguments)
        .env(ORDERS, serde_json::to_string(orders)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", program.path.display()))
}

async fn listen(
    child: &mut Child,
    end: End,
    mut fine: watch::Receiver<bool>,
    said: &mut Said,
) -> anyhow::Result<ExitStatus> {
    let mut stdin = child.stdin.take().context("no way to tell it")?;
    let stdout = child.stdout.take().context("no way to hear it")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut told = end != End::Settle;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => said.take(&line)?,
                None => break,
            },
            changed = until_fine(&mut fine), if !told => {
                changed?;
                stdin.write_all(b"fine\n").await?;
                told = true;
            }
        }
    }
    Ok(child.wait().await?)
}

async fn until_fine(fine: &mut watch::Receiver<bool>) -> anyhow::Result<()> {
    fine.wait_for(|fine| *fine).await.map(drop).context("nobody says when the weather is fine")
}
