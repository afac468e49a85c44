//! The floor to compare with: a tonic and prost server that decodes every batch and answers as if it had stored it.
//!
//! It checks nothing and keeps nothing. Run it on one core: `taskset -c 0 footpath-noop`.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::SystemTime;

use clap::Parser;
use footpath_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use footpath_proto::v1::{
    BatchAck, IngestRequest, IngestResponse, IngestStreamRequest, IngestStreamResponse,
    ingest_stream_response::Message,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decodes batches and answers them, nothing else.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7410")]
    listen: SocketAddr,
    /// Threads of the runtime; 1 runs without a scheduler between cores, the best case on one core.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
}

#[derive(Debug, Clone, Copy)]
struct Noop;

#[allow(clippy::disallowed_methods, reason = "a real answer carries the machine's time")]
fn now() -> prost_types::Timestamp {
    SystemTime::now().into()
}

/// The answer to a batch all of whose events are new and good.
fn answer(batch: IngestRequest) -> IngestResponse {
    let received_at = Some(now());
    let stored = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
    IngestResponse {
        batch_id: batch.batch_id,
        stored,
        received_at,
        answered_at: Some(now()),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl IngestService for Noop {
    async fn ingest(&self, request: Request<IngestRequest>) -> Result<Response<IngestResponse>, Status> {
        Ok(Response::new(answer(request.into_inner())))
    }

    type IngestStreamStream = Pin<Box<dyn Stream<Item = Result<IngestStreamResponse, Status>> + Send>>;

    async fn ingest_stream(
        &self,
        request: Request<Streaming<IngestStreamRequest>>,
    ) -> Result<Response<Self::IngestStreamStream>, Status> {
        let acks = request.into_inner().map(|message| {
            let IngestStreamRequest { sequence, batch } = message?;
            let ack = BatchAck { sequence, response: batch.map(answer), error: None };
            Ok(IngestStreamResponse { message: Some(Message::Ack(ack)) })
        });
        Ok(Response::new(Box::pin(acks)))
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads.into()).enable_all().build()?
        }
    };
    runtime.block_on(async {
        eprintln!("no-op server on {}", args.listen);
        Server::builder()
            .tcp_nodelay(true)
            .add_service(IngestServiceServer::new(Noop))
            .serve(args.listen)
            .await
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use footpath_proto::v1::Event;

    use super::*;

    #[test]
    fn every_event_is_answered_as_stored() {
        let batch = IngestRequest {
            batch_id: "b".to_owned(),
            events: vec![Event::default(); 3],
            ..Default::default()
        };
        let answer = answer(batch);
        assert_eq!((answer.batch_id.as_str(), answer.stored, answer.duplicates), ("b", 3, 0));
        assert!(answer.refused.is_empty() && answer.received_at.is_some() && answer.answered_at.is_some());
    }
}
