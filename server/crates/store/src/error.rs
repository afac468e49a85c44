//! Errors that say what to do next.

/// The crate's result.
pub type Result<T> = std::result::Result<T, StoreError>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store refused or failed. A call that returns an error has changed nothing, except that
/// after [`StoreError::Io`] at a commit the change may be found on disk when it is reopened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The id is taken by a row with other content.
    #[error("{what} `{id}` exists with other content: choose another id, or read the stored one")]
    Conflict {
        /// The kind of row.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// No such row.
    #[error("{what} `{id}` does not exist: create it first, or list what there is")]
    NotFound {
        /// The kind of row.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The argument can never be stored.
    #[error("{0}: correct the argument, a retry will not help")]
    Invalid(String),
    /// A newer Footpath wrote the file.
    #[error(
        "the store has format {found}, this version reads up to {supported}: start the newer \
         version of Footpath that wrote it, or restore a backup made before the upgrade"
    )]
    NewerFormat {
        /// The format in the file.
        found: u64,
        /// The newest format this version reads.
        supported: u64,
    },
    /// Another process, or another handle of this one, has the file open.
    #[error("the store is open elsewhere: stop the other server, or use another data folder")]
    Locked,
    /// The bytes on disk are not what was written.
    #[error("the store state.redb is damaged ({0}): stop the server and restore it from a backup")]
    Corrupt(String),
    /// The disk failed or is full.
    #[error("the store cannot use its file ({0}): check space and rights, then reopen it")]
    Io(#[source] Source),
}

impl StoreError {
    pub(crate) fn conflict(what: &'static str, id: &str) -> Self {
        Self::Conflict { what, id: id.to_owned() }
    }

    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.to_owned() }
    }

    pub(crate) fn from_redb(error: redb::Error) -> Self {
        use redb::Error as E;
        match error {
            E::DatabaseAlreadyOpen => Self::Locked,
            E::Corrupted(_) | E::TableTypeMismatch { .. } | E::TableDoesNotExist(_) => {
                Self::Corrupt(error.to_string())
            }
            E::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => Self::Corrupt(io.to_string()),
            other => Self::Io(Box::new(other)),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Box::new(error))
    }
}

macro_rules! from_redb {
    ($($kind:ident),*) => {$(
        impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> Self {
                Self::from_redb(error.into())
            }
        }
    )*};
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);
