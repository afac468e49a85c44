//! Starts a server on an empty folder and measures how long it takes to its first ack, then its memory when idle.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use footpath_load::first::{first_ack, resident_bytes};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// Measures from the start of a server to its first ack. The server is killed in the end.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The server's URL.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    target: String,
    /// Seconds to leave the server alone before its memory is read; 0 does not.
    #[arg(long, default_value_t = 0.0)]
    idle: f64,
    /// The server's command line, with a folder that does not exist yet.
    #[arg(last = true, required = true)]
    server: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!(args.idle.is_finite() && args.idle >= 0.0, "--idle cannot be negative");
    let start = Instant::now();
    let (mut server, mut lines) = spawn(&args.server)?;
    let key = timeout(PATIENCE, key(&mut lines)).await.context("no project key within 20 s")??;
    let printed = start.elapsed();
    timeout(PATIENCE, first_ack(&args.target, &key)).await.context("no ack within 20 s")??;
    let acked = start.elapsed();
    println!("key_ms {:.1}", printed.as_secs_f64() * 1000.0);
    println!("first_ack_ms {:.1}", acked.as_secs_f64() * 1000.0);
    if args.idle > 0.0 {
        sleep(Duration::from_secs_f64(args.idle)).await;
        let pid = server.id().context("the server ended by itself")?;
        println!("resident_mb {:.1}", resident_bytes(pid).context("no /proc here")? as f64 / 1e6);
    }
    server.kill().await?;
    Ok(ExitCode::SUCCESS)
}

fn spawn(command: &[String]) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let (program, args) = command.split_first().context("name the server's command after --")?;
    let mut server = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let stdout = server.stdout.take().context("the server has no output")?;
    Ok((server, BufReader::new(stdout).lines()))
}

/// The key that the first start of a folder prints.
async fn key(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some(key) = line.strip_prefix("project key: ") {
            return Ok(key.to_owned());
        }
    }
    anyhow::bail!("the server ended, or its folder is not empty: it printed no project key")
}
