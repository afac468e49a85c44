//! The first ack of a server that has just been started.

use std::time::Duration;

use anyhow::ensure;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use footpath_proto::v1::{Event, IngestRequest};
use tokio::time::sleep;

use crate::clock::wall_ms;
use crate::patch::{uuid_text, uuid7};
use crate::signed::{Signed, connect};

/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(2);

/// Connects, trying again until it works, and sends one event; returns when it is acknowledged as stored.
///
/// # Errors
/// When the server answers with an error, or did not store the event.
pub async fn first_ack(target: &str, key: &str) -> anyhow::Result<()> {
    let mut client = IngestServiceClient::new(connected(target, key).await);
    let event =
        Event { name: "product_viewed".to_owned(), anonymous_id: "first".to_owned(), ..Default::default() };
    let batch_id = String::from_utf8_lossy(&uuid_text(&uuid7(wall_ms(), 1, 1))).into_owned();
    let answer = client.ingest(IngestRequest { batch_id, events: vec![event], ..Default::default() }).await?;
    let stored = answer.into_inner().stored;
    ensure!(stored == 1, "{stored} events were stored of 1");
    Ok(())
}

async fn connected(target: &str, key: &str) -> Signed {
    loop {
        match connect(target, key).await {
            Ok(channel) => return channel,
            Err(_) => sleep(AGAIN).await, // The caller limits the time.
        }
    }
}

/// Resident memory of a process; `None` where `/proc` does not tell.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    parse_status(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn parse_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tfootpath\nVmHWM:\t   31000 kB\nVmRSS:\t   30476 kB\nThreads:\t9\n";
        assert_eq!(parse_status(status), Some(30_476 * 1024));
        assert_eq!(parse_status("Name:\tzombie\n"), None);
    }
}
