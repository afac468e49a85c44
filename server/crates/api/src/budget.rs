//! Memory for request bodies: budgets for all connections, taken from before a buffer grows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use crate::access::Need;
use crate::status::with_reason;

/// How long a request waits for its share. Longer than a group commit, so that a burst passes; short enough that
/// the sender hears while its own deadline is far.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a sender is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// For calls that carry a token: sixteen of the largest requests.
const TOKEN_BYTES: usize = 16 << 20;
/// For calls that need nothing: 256 of the largest requests.
const OPEN_BYTES: usize = 4 << 20;

/// A budget for each kind of caller, so that none can lock out another: an operator gets in while batches flood the
/// server, and both while somebody without a credential does.
#[derive(Debug, Clone)]
pub struct Budgets {
    key: Budget,
    token: Budget,
    open: Budget,
}

impl Budgets {
    /// `bytes` for batches; what the others have is fixed.
    pub fn new(bytes: usize) -> Self {
        Self { key: Budget::new(bytes), token: Budget::new(TOKEN_BYTES), open: Budget::new(OPEN_BYTES) }
    }

    /// The one for calls with this need.
    pub fn of(&self, need: Need) -> &Budget {
        match need {
            Need::Key => &self.key,
            Need::Token(_) => &self.token,
            Need::Nothing => &self.open,
        }
    }

    /// All of them together.
    pub fn bytes(&self) -> usize {
        self.key.bytes + self.token.bytes + self.open.bytes
    }

    /// What is taken now.
    pub fn in_use(&self) -> usize {
        self.key.in_use() + self.token.in_use() + self.open.in_use()
    }
}

/// One budget, in bytes.
#[derive(Debug, Clone)]
pub struct Budget {
    permits: Arc<Semaphore>,
    bytes: usize,
}

/// A share of the budget; dropping it gives it back.
pub type Share = OwnedSemaphorePermit;

impl Budget {
    /// A budget of `bytes`, at most 4 GiB.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(u32::MAX as usize);
        Self { permits: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// What is taken now.
    pub fn in_use(&self) -> usize {
        self.bytes - self.permits.available_permits()
    }

    /// Takes `bytes` if they are free.
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.permits).try_acquire_many_owned(bytes).ok()
    }

    /// Takes `bytes`, waiting a little where they are not free.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED with a time to come back.
    pub async fn take(&self, bytes: usize) -> Result<Share, Status> {
        if let Some(share) = self.try_take(bytes) {
            return Ok(share);
        }
        let wanted = u32::try_from(bytes).ok().filter(|wanted| *wanted as usize <= self.bytes);
        let wanted = wanted.ok_or_else(busy)?;
        let waiting = Arc::clone(&self.permits).acquire_many_owned(wanted);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(share)) => Ok(share),
            _ => Err(busy()),
        }
    }
}

/// RESOURCE_EXHAUSTED: all memory for bodies is taken.
pub fn busy() -> Status {
    let message = "the server has as much as it can take; send the same again after the delay";
    with_reason(Code::ResourceExhausted, "busy", message, Some(RETRY_AFTER))
}

/// What is known of one message of a call before it is decoded.
#[derive(Debug, Default)]
pub struct Slot {
    /// The memory it takes; held until its handling is done.
    pub share: Option<Share>,
    /// Why it was not taken; then the message that is decoded is only its beginning.
    pub refusal: Option<Status>,
}

/// The messages of one call, in order. Held by the call's body and by whoever answers it: when both are gone, so
/// are the shares.
#[derive(Debug, Default)]
pub struct Held(Mutex<VecDeque<Slot>>);

impl Held {
    /// A message is about to be decoded.
    pub fn push(&self, slot: Slot) {
        self.0.lock().push_back(slot);
    }

    /// What is known of the message that was just decoded.
    pub fn next(&self) -> Slot {
        self.0.lock().pop_front().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_told_when_to_come_back() {
        let budget = Budget::new(10);
        let share = budget.take(8).await.unwrap();
        assert_eq!(budget.in_use(), 8);
        let status = budget.take(3).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(crate::status::reason_of(&status).as_deref(), Some("busy"));
        drop(share);
        assert_eq!(budget.take(10).await.unwrap().num_permits(), 10);
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_when_somebody_gives_back() {
        let budget = Budget::new(10);
        let share = budget.take(10).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(5).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(share);
        assert!(waiting.await.unwrap());
    }
}
