//! A chunk file as the Parquet reader wants it.

use std::io::{BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use footpath_log::disk::DiskFile;
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

/// An open file and its length.
pub(crate) struct Input {
    file: Arc<dyn DiskFile>,
    length: u64,
}

impl Input {
    pub(crate) fn new(file: Arc<dyn DiskFile>) -> std::io::Result<Self> {
        let length = file.len()?;
        Ok(Self { file, length })
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Input {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(From { file: Arc::clone(&self.file), at: start, end: self.length }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Reads on from a position.
pub(crate) struct From {
    file: Arc<dyn DiskFile>,
    at: u64,
    end: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.end.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}
