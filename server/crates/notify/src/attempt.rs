//! How one attempt ended.

use std::time::Duration;

use crate::Attempt;
use crate::text::one_line;

/// How much of a receiver's answer is kept, in characters.
const ANSWER: usize = 200;
/// The longest outcome, in characters.
const OUTCOME: usize = 400;

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// Not now: the receiver is unreachable, slow, busy or broken.
    Retry,
    /// Never: the receiver refuses it, or nothing may be sent there.
    Refused,
}

/// One attempt and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it came to.
    pub verdict: Verdict,
    /// The same in words, with the beginning of the receiver's answer and without secrets.
    pub words: String,
    /// The HTTP status or SMTP code, if there was one.
    pub status: Option<u16>,
    /// How long the receiver asked to wait.
    pub retry_after: Option<Duration>,
    /// When it began; microseconds since 1970.
    pub at_us: i64,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

impl Outcome {
    /// The row of the record.
    pub fn attempt(&self) -> Attempt {
        Attempt {
            at_us: self.at_us,
            outcome: one_line(&self.words, OUTCOME),
            status: self.status,
            took_us: self.took_us,
        }
    }
}

/// What a transport says about an attempt; the sender adds time and takes secrets out.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub verdict: Verdict,
    pub words: String,
    pub status: Option<u16>,
    pub retry_after: Option<Duration>,
}

impl Told {
    pub(crate) fn without_answer(verdict: Verdict, words: impl Into<String>) -> Self {
        Self { verdict, words: words.into(), status: None, retry_after: None }
    }

    pub(crate) fn retry(words: impl Into<String>) -> Self {
        Self::without_answer(Verdict::Retry, words)
    }

    pub(crate) fn refused(words: impl Into<String>) -> Self {
        Self::without_answer(Verdict::Refused, words)
    }
}

/// The beginning of an answer, on one line.
pub(crate) fn quoted(answer: &str) -> String {
    one_line(answer, ANSWER)
}
