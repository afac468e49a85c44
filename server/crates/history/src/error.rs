//! What can go wrong with history.

use footpath_log::LogError;

/// Why history refused.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The part of the events that is still in the log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file that was durable is damaged or gone. Restore it from a backup; history does not guess.
    #[error("{file} is damaged ({problem}); restore it from a backup")]
    Damaged {
        /// Name of the file in the chunk folder.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Written by a newer build.
    #[error("{file} has format version {version}, this build reads up to {supported}; upgrade footpath")]
    Newer {
        /// Name of the file.
        file: String,
        /// The version found.
        version: u32,
        /// The newest version this build reads.
        supported: u32,
    },
    /// The chunks were made from another log: their positions mean nothing in this one.
    #[error(
        "the chunks belong to another log; put back the log they were made from, or remove the chunk folder"
    )]
    OtherLog,
    /// The log was trimmed because chunks held its older part, and now they do not.
    #[error(
        "chunks end at log position {upto} but the log begins at {first}: the events between are in neither; \
         restore the chunk folder from a backup"
    )]
    Gap {
        /// The position (exclusive) that chunks cover.
        upto: u64,
        /// The log's first position.
        first: u64,
    },
    /// The option asks for a column that cannot be.
    #[error("{0}")]
    Option(String),
    /// Rows could not be encoded as Parquet.
    #[error("a chunk could not be encoded: {0}")]
    Encode(String),
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer any more")]
    Stopped,
    /// Reading or writing failed; the message is the system's.
    #[error("chunk IO: {0}")]
    Io(#[from] std::io::Error),
}

impl HistoryError {
    /// Damage to `file`, from whatever noticed it.
    pub(crate) fn damaged(file: &str, problem: impl ToString) -> Self {
        Self::Damaged { file: file.to_owned(), problem: problem.to_string() }
    }

    /// Rows that could not be encoded, from whatever noticed it.
    pub(crate) fn encode(problem: impl ToString) -> Self {
        Self::Encode(problem.to_string())
    }
}
