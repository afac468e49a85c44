//! The end: SIGTERM with everything open.

use std::net::TcpStream;

use footpath_proto::v1;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use footpath_proto::v1::live_service_client::LiveServiceClient;
use footpath_proto::v1::watch_response::Message;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::streams::{events, next};
use crate::support::{batch, event, reason, start, until, with};

#[tokio::test]
async fn a_server_that_is_told_to_stop_tells_everybody_and_ends() {
    let data = tempfile::tempdir().unwrap();
    let mut server = start(data.path(), &[]);
    server.until_ready().await;
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let silent = TcpStream::connect(&server.address).unwrap(); // Never says a word.
    let idle = server.channel().await; // HTTP/2 without a call.
    let mut health = HealthClient::new(server.channel().await);
    let _watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut live = LiveServiceClient::new(channel.clone());
    let mut watch = live.watch(with(&admin, events("", &[]))).await.unwrap().into_inner();
    assert!(matches!(next(&mut watch).await.unwrap(), Some(Message::Started(_))));
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let batches = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut ingest = IngestServiceClient::new(channel);
    let mut answers = ingest.ingest_stream(with(&server.key, batches)).await.unwrap().into_inner();

    server.terminate();
    let Some(Message::Ending(ending)) = next(&mut watch).await.unwrap() else { panic!("no announcement") };
    assert_eq!(ending.reason, "drain");
    let status = next(&mut watch).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "draining"));
    use v1::ingest_stream_response::Message::{Ack, Ending};
    let Some(Ending(ending)) = answers.message().await.unwrap().unwrap().message else { panic!("no ending") };
    assert_eq!(ending.reason, "drain");
    let (status, why) = server.get("/readyz");
    assert!(status.contains("503") && why.contains("draining"), "{status} {why}");
    // What is under way is still answered.
    let last = v1::IngestStreamRequest { sequence: 1, batch: Some(batch(vec![event("last")])) };
    sender.send(last).await.unwrap();
    let Some(Ack(ack)) = answers.message().await.unwrap().unwrap().message else { panic!("no ack") };
    assert_eq!(ack.response.unwrap().stored, 1);
    // The client keeps everything open; the server ends all the same.
    assert_eq!(server.ended().await.code(), Some(0));
    drop((sender, silent, idle));

    let server = start(data.path(), &[]);
    until(|| server.get("/readyz").0.contains("200")).await;
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut query = v1::query_service_client::QueryServiceClient::new(channel);
    let asked = v1::ListEventsRequest { project: "default".into(), ..v1::ListEventsRequest::default() };
    let stored = query.list_events(with(&admin, asked)).await.unwrap().into_inner().events;
    assert_eq!(stored.len(), 1);
}
