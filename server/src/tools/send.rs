//! `footpath send`: events from a file of JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use footpath_proto::v1;
use prost::Message as _;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use v1::ingest_service_client::IngestServiceClient;

use super::ndjson;
use super::remote::{Bearer, Server, SignedChannel, explain, given, is_foreign};

/// A batch holds at most so many events and bytes; the server's limits are 10,000 and 4 MiB by default.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;
/// The longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Refusals that are printed one by one.
const SHOWN: u64 = 100;

/// Sends events from a file, one JSON object a line.
///
/// A line holds name, time (like 2026-01-31T12:00:00Z; left out: now), anonymousId, userId, sessionId, properties (plain
/// JSON), person {set, setOnce, unset, add}, id (a UUID). For example:
///
///   {"name":"purchase","time":"2026-01-31T12:00:00Z","userId":"u-1","properties":{"plan":"pro"}}
///
/// Sending is idempotent: a line without an id gets one from its number and its text, so sending a file again, whole or
/// grown at its end, stores only what is new. The server recognises a repeated line for 72 hours. After an interruption,
/// run the same command again, or go on with --from-line.
///
/// Exit code 0: every line is stored, now or earlier. 1: a line was refused, or the server could not be reached.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The file, or - for standard input.
    file: PathBuf,
    /// Old events, in bulk: they keep any time after 1970 and raise no alerts.
    #[arg(long)]
    historical: bool,
    /// Begins at this line of the file.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: u64,
    /// Gives up when the server takes nothing for so many seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    /// The project key; the page shows how to get one.
    #[arg(long, env = "FOOTPATH_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Lines on their way.
#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    events: Vec<v1::Event>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.events.len() >= BATCH_EVENTS || self.bytes >= BATCH_BYTES
    }

    fn push(&mut self, line: u64, event: v1::Event) {
        self.bytes += event.encoded_len();
        self.lines.push(line);
        self.events.push(event);
    }
}

#[derive(Default)]
struct Counts {
    stored: u64,
    duplicates: u64,
    refused: u64,
}

struct Sender {
    ingest: IngestServiceClient<SignedChannel>,
    historical: bool,
    patience: Duration,
    counts: Counts,
    progress: bool,
    told_waiting: bool,
}

/// Sends the file.
///
/// # Errors
/// If the file cannot be read or the server not be reached; the message says how to go on.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let key = given(args.key.as_deref()).context(
        "a project key is needed: pass it as --key or FOOTPATH_KEY. The server prints one on its first start, and the \
         page makes more",
    )?;
    let input: Box<dyn BufRead> = match args.file.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(BufReader::new(
            File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?,
        )),
    };
    let mut sender = Sender {
        ingest: IngestServiceClient::new(Bearer::new(key)?.sign(args.server.connect().await?)),
        historical: args.historical,
        patience: Duration::from_secs(args.patience),
        counts: Counts::default(),
        progress: std::io::stderr().is_terminal(),
        told_waiting: false,
    };
    let sent = sender.file(input, args.from_line).await;
    sender.summary();
    sent?;
    Ok(if sender.counts.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Sender {
    async fn file(&mut self, input: Box<dyn BufRead>, from_line: u64) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        for (number, line) in (1..).zip(input.split(b'\n')) {
            let line = line.with_context(|| format!("line {number} cannot be read"))?;
            let line = ndjson::without_mark(&line, number);
            if number < from_line || line.trim_ascii().is_empty() {
                continue;
            }
            match ndjson::event(line, number) {
                Ok(event) => batch.push(number, event),
                Err(error) => self.refuse(number, &format!("{error:#}")),
            }
            if batch.is_full() {
                self.batch(std::mem::take(&mut batch)).await?;
            }
        }
        self.batch(batch).await
    }

    /// Sends a batch until every event has reached its end.
    async fn batch(&mut self, mut batch: Batch) -> anyhow::Result<()> {
        let mut wait = Duration::from_millis(250);
        let mut deadline = Instant::now() + self.patience;
        while let (Some(&line), Some(first)) = (batch.lines.first(), batch.events.first()) {
            let request = v1::IngestRequest {
                batch_id: ndjson::line_id(&first.id, line),
                historical: self.historical,
                events: batch.events.clone(),
                ..v1::IngestRequest::default()
            };
            let pause = match self.ingest.ingest(request).await {
                Ok(answer) => {
                    let left = batch.events.len();
                    let pause = self.settle(&mut batch, answer.into_inner());
                    if batch.events.len() < left {
                        deadline = Instant::now() + self.patience;
                    }
                    pause
                }
                Err(status) if !is_passing(&status) || Instant::now() > deadline => {
                    return Err(stopped(explain(&status), line));
                }
                Err(status) => {
                    self.say_waiting(&status);
                    status.get_details_retry_info().and_then(|info| info.retry_delay)
                }
            };
            if batch.events.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                bail!("the server is too busy; go on later with --from-line {line}");
            }
            tokio::time::sleep(pause.unwrap_or(wait).min(MAX_WAIT)).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
        self.show();
        Ok(())
    }

    /// Takes an answer: what the server asks to see again stays in the batch. Returns when.
    fn settle(&mut self, batch: &mut Batch, answer: v1::IngestResponse) -> Option<Duration> {
        self.counts.stored += u64::from(answer.stored);
        self.counts.duplicates += u64::from(answer.duplicates);
        let sent = std::mem::take(batch);
        let mut pause = None;
        for refusal in answer.refused {
            let index = refusal.index as usize;
            let (Some(&line), Some(event)) = (sent.lines.get(index), sent.events.get(index)) else {
                continue;
            };
            if refusal.retryable {
                batch.push(line, event.clone());
                pause = pause.max(refusal.retry_after.and_then(|after| after.try_into().ok()));
            } else {
                self.refuse(line, &format!("{}: {}", refusal.reason, refusal.message));
            }
        }
        pause
    }

    fn refuse(&mut self, line: u64, why: &str) {
        self.counts.refused += 1;
        if self.counts.refused <= SHOWN {
            eprintln!("line {line}: {why}");
        }
        if self.counts.refused == SHOWN {
            eprintln!("(more refused lines are only counted)");
        }
    }

    /// Once: whoever named the wrong address should not have to wait to the end to learn it.
    fn say_waiting(&mut self, status: &Status) {
        if !self.told_waiting && is_foreign(status) {
            eprintln!("waiting: {:#}", explain(status));
            self.told_waiting = true;
        }
    }

    fn show(&self) {
        if self.progress {
            let Counts { stored, duplicates, refused } = &self.counts;
            eprint!("\r{stored} stored, {duplicates} duplicate, {refused} refused");
            let _ = std::io::stderr().flush(); // Progress only.
        }
    }

    fn summary(&self) {
        if self.progress {
            eprintln!();
        }
        let Counts { stored, duplicates, refused } = &self.counts;
        println!("stored {stored}, duplicate {duplicates}, refused {refused}");
    }
}

/// Whether another attempt can succeed.
fn is_passing(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::Unimplemented
    )
}

fn stopped(error: anyhow::Error, line: u64) -> anyhow::Error {
    if line == 1 {
        return error;
    }
    anyhow::anyhow!(
        "{error:#}. Everything before line {line} has been answered; go on with --from-line {line}"
    )
}
