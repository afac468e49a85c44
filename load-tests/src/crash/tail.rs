//! A tail of events that goes on through every kill: from its cursor, each event comes once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{bail, ensure};
use footpath_proto::v1::watch_response::Message;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::api::Api;
use super::books::key;
use super::link::Link;

/// How far it may be behind before that is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts, and two looks.
const AGAIN: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct State {
    cursor: String,
    seen: HashSet<u64>,
    /// Log records that were trimmed before it came to them.
    trimmed: u64,
    fault: Option<String>,
}

/// A running tail; stops when dropped.
#[derive(Debug)]
pub struct Tail {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tail {
    /// Follows from now on.
    pub fn start(link: Arc<Link>, token: String) -> Self {
        let state = Arc::default();
        let task = tokio::spawn(follow(link, token, Arc::clone(&state)));
        Self { state, task }
    }

    /// Whether it has got anything; then its cursor leads on from there.
    pub fn has_begun(&self) -> bool {
        !lock(&self.state).cursor.is_empty()
    }

    /// What is stored by now may have been before it began.
    pub fn began_after(&self, link: &Link) {
        let keys: Vec<u64> = link.books().stored().map(|entry| entry.key).collect();
        lock(&self.state).seen.extend(keys);
    }

    /// Log records that were trimmed before it came to them, and so were announced as a gap.
    pub fn trimmed(&self) -> u64 {
        lock(&self.state).trimmed
    }

    /// When nothing is under way: it has brought every stored event, once, and nothing else.
    ///
    /// # Errors
    /// Names an event that is missing, came twice, or is not stored.
    pub async fn check(&self, link: &Link) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (missing, fault) = self.compare(link)?;
            if let Some(fault) = fault {
                bail!("the tail of events: {fault}");
            }
            let Some(missing) = missing else { return Ok(()) };
            ensure!(Instant::now() < until, "the tail of events never brought {missing}");
            sleep(AGAIN).await;
        }
    }

    /// What it has not brought yet, and what it did wrong.
    fn compare(&self, link: &Link) -> anyhow::Result<(Option<String>, Option<String>)> {
        let (books, state) = (link.books(), lock(&self.state));
        let mut stored = HashSet::new();
        let mut missing = None;
        for entry in books.stored() {
            stored.insert(entry.key);
            if state.trimmed == 0 && !state.seen.contains(&entry.key) {
                missing = Some(entry.to_string());
            }
        }
        let phantom = state.seen.iter().find(|key| !stored.contains(*key));
        ensure!(phantom.is_none(), "the tail of events brought {phantom:x?}, which is not stored");
        Ok((missing, state.fault.clone()))
    }
}

impl State {
    fn take(&mut self, message: Message) {
        match message {
            Message::Events(page) => {
                for event in &page.events {
                    let fresh = key(event).is_some_and(|key| self.seen.insert(key));
                    if !fresh {
                        self.fault = Some(format!("came twice, or without its key: {event:?}"));
                    }
                }
                self.cursor = page.cursor;
            }
            Message::Gap(gap) if gap.reason == "trimmed" => self.trimmed += gap.count,
            Message::Gap(gap) => self.fault = Some(format!("{gap:?}")),
            Message::Ended(ended) => self.fault = Some(format!("{ended:?}")),
            _ => {}
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(link: Arc<Link>, token: String, state: Arc<Mutex<State>>) {
    loop {
        let url = link.url().await;
        let cursor = lock(&state).cursor.clone();
        let Ok(api) = Api::connect(&url, &token).await else {
            sleep(AGAIN).await;
            continue;
        };
        match api.tail(cursor).await {
            Ok(mut stream) => {
                while let Ok(Some(message)) = stream.message().await {
                    message.message.into_iter().for_each(|message| lock(&state).take(message));
                }
            }
            Err(status) if status.code() == tonic::Code::InvalidArgument => {
                lock(&state).fault = Some(format!("it cannot go on: {status:?}"));
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}
