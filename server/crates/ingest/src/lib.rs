//! Ingest: admission, the wire walk, validation, privacy, commit.
