//! History: Parquet chunks in the final schema, their manifest, scans.
