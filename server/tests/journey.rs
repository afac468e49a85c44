//! The journey of an event through the real binary: sent, synced, counted live and by query, and still there after
//! `kill -9`.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tonic::Request;
use tonic::transport::Channel;

struct Server {
    child: Child,
    address: String,
    key: Option<String>,
    code: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL; it may be gone already.
        let _ = self.child.wait();
    }
}

fn start(data: &Path) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_footpath"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut key, mut address, mut code) = (None, String::new(), String::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(found) = line.strip_prefix("project key: ") {
            key = Some(found.to_owned());
        }
        if let Some((link, found)) = line.split_once("/?code=") {
            address = link.split_once("//").unwrap().1.to_owned();
            code = found.to_owned();
            break;
        }
    }
    Server { child, address, key, code }
}

async fn connect(server: &Server) -> Channel {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{}", server.address)).unwrap();
    for _ in 0..100 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server does not answer");
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn sign_in(server: &Server, channel: Channel) -> String {
    let mut admin = v1::admin_service_client::AdminServiceClient::new(channel);
    let code = v1::ExchangeCodeRequest { code: server.code.clone() };
    admin.exchange_code(code).await.unwrap().into_inner().token
}

fn event(name: &str, anonymous: &str, user: &str) -> v1::Event {
    v1::Event {
        name: name.into(),
        anonymous_id: anonymous.into(),
        user_id: user.into(),
        ..v1::Event::default()
    }
}

fn batch(events: Vec<v1::Event>) -> v1::IngestRequest {
    let batch_id = "0190163d-8694-739b-aea5-966c26f8ad91".into();
    v1::IngestRequest { batch_id, events, ..v1::IngestRequest::default() }
}

fn funnel() -> v1::Funnel {
    let step = |name: &str| v1::FunnelStep { events: vec![name.into()], ..v1::FunnelStep::default() };
    v1::Funnel {
        id: "checkout".into(),
        steps: vec![step("view"), step("pay")],
        window: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..v1::Funnel::default()
    }
}

async fn query(token: &str, channel: Channel) -> Vec<u64> {
    let mut query = v1::query_service_client::QueryServiceClient::new(channel);
    let asked = v1::QueryFunnelRequest {
        project: "default".into(),
        funnel_id: "checkout".into(),
        ..v1::QueryFunnelRequest::default()
    };
    query.query_funnel(with(token, asked)).await.unwrap().into_inner().reached
}

/// Watches the funnel until it shows `wanted`.
async fn live(token: &str, channel: Channel, wanted: &[u64]) {
    let mut live = v1::live_service_client::LiveServiceClient::new(channel);
    let target = v1::FunnelSubscription { funnel_id: "checkout".into(), interval_ms: 20 };
    let subscription = v1::Subscription {
        id: "f".into(),
        target: Some(v1::subscription::Target::Funnel(target)),
        ..v1::Subscription::default()
    };
    let request = v1::WatchRequest { project: "default".into(), subscriptions: vec![subscription] };
    let mut stream = live.watch(with(token, request)).await.unwrap().into_inner();
    let follow = async {
        while let Some(message) = stream.message().await.unwrap() {
            let reached = match message.message {
                Some(Message::FunnelSnapshot(snapshot)) => snapshot.reached,
                Some(Message::FunnelDelta(delta)) => delta.reached,
                _ => continue,
            };
            if reached == wanted {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), follow).await.expect("the numbers never came");
}

#[tokio::test]
async fn an_event_is_stored_counted_and_survives_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path());
    let key = server.key.clone().expect("the first start prints a key");
    let channel = connect(&server).await;
    let token = sign_in(&server, channel.clone()).await;
    let mut ingest = v1::ingest_service_client::IngestServiceClient::new(channel.clone());
    let sent = batch(vec![
        event("view", "anon-1", ""),
        event("$identify", "anon-1", "user-1"),
        event("pay", "", "user-1"),
        event("view", "anon-2", ""),
        v1::Event::default(),
    ]);
    let answer = ingest.ingest(with(&key, sent.clone())).await.unwrap().into_inner();
    assert_eq!((answer.stored, answer.duplicates, answer.refused.len()), (4, 0, 1));
    assert_eq!(answer.batch_id, sent.batch_id);

    let mut definitions = v1::definition_service_client::DefinitionServiceClient::new(channel.clone());
    let create = v1::CreateFunnelRequest { project: "default".into(), funnel: Some(funnel()) };
    definitions.create_funnel(with(&token, create)).await.unwrap();
    assert_eq!(query(&token, channel.clone()).await, [2, 1]);
    live(&token, channel.clone(), &[2, 1]).await;
    drop(server); // SIGKILL

    let server = start(data.path());
    let channel = connect(&server).await;
    let token = sign_in(&server, channel.clone()).await;
    let mut ingest = v1::ingest_service_client::IngestServiceClient::new(channel.clone());
    let again = ingest.ingest(with(&key, sent)).await.unwrap().into_inner();
    assert_eq!((again.stored, again.duplicates), (0, 4), "a retry after the crash stores nothing twice");
    assert_eq!(query(&token, channel.clone()).await, [2, 1]);
    live(&token, channel, &[2, 1]).await;
}

#[tokio::test]
async fn without_a_credential_nothing_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path());
    let mut ingest = v1::ingest_service_client::IngestServiceClient::new(connect(&server).await);
    let status = ingest.ingest(batch(vec![event("view", "a", "")])).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn the_page_is_served_beside_grpc() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path());
    connect(&server).await;
    let mut socket = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("<title>"), "{answer}");
}
