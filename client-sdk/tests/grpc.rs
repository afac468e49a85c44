//! The client over a real socket: tonic on both sides.

#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use footpath_client::{Client, PauseReason, Track};
use footpath_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use footpath_proto::v1::{IngestRequest, IngestResponse, IngestStreamRequest, IngestStreamResponse};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

const LONG: Duration = Duration::from_secs(20);

/// Fails every call but the third and those after it; then says stored.
#[derive(Clone, Default)]
struct Server {
    calls: Arc<AtomicU32>,
    stored: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl IngestService for Server {
    type IngestStreamStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<IngestStreamResponse, Status>> + Send>>;

    async fn ingest(&self, request: Request<IngestRequest>) -> Result<Response<IngestResponse>, Status> {
        if request.metadata().get("authorization").is_none_or(|value| value != "Bearer right") {
            let details = ErrorDetails::with_error_info("key_unknown", "footpath", HashMap::new());
            return Err(Status::with_error_details(Code::Unauthenticated, "who is it?", details));
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Status::unavailable("not now"));
        }
        let batch = request.into_inner();
        let stored = u32::try_from(batch.events.len()).unwrap();
        self.stored.fetch_add(stored, Ordering::SeqCst);
        Ok(Response::new(IngestResponse { batch_id: batch.batch_id, stored, ..Default::default() }))
    }

    async fn ingest_stream(
        &self,
        _: Request<Streaming<IngestStreamRequest>>,
    ) -> Result<Response<Self::IngestStreamStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// A certificate for localhost, with its key, as PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    (wanted.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Serves with a certificate until it is told to stop.
async fn serve_tls(
    server: Server,
    address: SocketAddr,
    (certificate, key): (String, String),
    stop: tokio::sync::oneshot::Receiver<()>,
) {
    let service = IngestServiceServer::new(server).accept_compressed(CompressionEncoding::Gzip);
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    let server = tonic::transport::Server::builder().tls_config(tls).unwrap().add_service(service);
    server.serve_with_shutdown(address, async move { drop(stop.await) }).await.unwrap();
}

async fn serve(server: Server, address: &str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    let service = IngestServiceServer::new(server).accept_compressed(CompressionEncoding::Gzip);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

fn client(address: SocketAddr, key: &str) -> Client {
    Client::builder(format!("http://{address}"), key)
        .project("demo")
        .queue_in_memory()
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivers_after_failures_with_the_key() {
    let server = Server::default();
    let address = serve(server.clone(), "127.0.0.1:0").await;
    let client = client(address, "right");
    client.track(Track::new("a").user("u")).unwrap();
    let flushed = client.flush_async(LONG).await;
    assert_eq!((flushed.acked, flushed.pending, flushed.complete), (1, 0, true));
    assert_eq!((client.stats().sends, server.stored.load(Ordering::SeqCst)), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_on_a_wrong_key() {
    let address = serve(Server::default(), "127.0.0.1:0").await;
    let client = client(address, "wrong");
    client.track(Track::new("a").user("u")).unwrap();
    let flushed = client.flush_async(LONG).await;
    assert_eq!(flushed.pending, 1);
    assert!(matches!(flushed.paused, Some(PauseReason::Unauthenticated(_))), "{flushed:?}");
}

#[test]
fn waits_for_a_server_that_starts_later_on_a_runtime_of_its_own() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(free, "right");
    client.track(Track::new("a").user("u")).unwrap();
    assert_eq!(client.flush(Duration::from_millis(200)).pending, 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve(Server::default(), &free.to_string()));
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
}

/// Swallows the first connection without a word, as a router that has forgotten it; leads later ones to the server.
async fn forgetful(to: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let forgotten = listener.accept().await.unwrap();
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
        drop(forgotten);
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_a_connection_that_says_nothing_any_more() {
    let server = Server::default();
    let address = forgetful(serve(server.clone(), "127.0.0.1:0").await).await;
    let client = Client::builder(format!("http://{address}"), "right")
        .project("demo")
        .queue_in_memory()
        .request_timeout(Duration::from_millis(300))
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .build()
        .unwrap();
    client.track(Track::new("a").user("u")).unwrap();
    assert!(client.flush_async(LONG).await.complete, "{:?}", client.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trusts_nobody_who_comes_between() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (real, theirs) = (certificate(), certificate());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let interceptor = Server::default();
    let between = tokio::spawn(serve_tls(interceptor.clone(), free, theirs, stopped));
    let client = Client::builder(format!("https://localhost:{}", free.port()), "right")
        .project("demo")
        .queue_in_memory()
        .ca_certificate(real.0.clone())
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .build()
        .unwrap();
    client.track(Track::new("a").user("u")).unwrap();
    while client.stats().resends < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stats = client.stats();
    assert_eq!((stats.pending, stats.acked, stats.paused), (1, 0, None));
    assert_eq!(interceptor.calls.load(Ordering::SeqCst), 0, "no key and no event reaches it");
    drop(stop);
    between.await.unwrap();

    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let server = Server::default();
    tokio::spawn(serve_tls(server.clone(), free, real, stopped));
    assert!(client.flush_async(LONG).await.complete, "{:?}", client.stats());
    assert_eq!(server.stored.load(Ordering::SeqCst), 1);
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trusts_nobody_who_comes_between_by_http_either() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let interceptor = Server::default();
    tokio::spawn(serve_tls(interceptor.clone(), free, certificate(), stopped));
    let client = Client::builder(format!("https://localhost:{}", free.port()), "right")
        .project("demo")
        .queue_in_memory()
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .http()
        .build()
        .unwrap();
    client.track(Track::new("a").user("u")).unwrap();
    while client.stats().resends < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stats = client.stats();
    assert_eq!((stats.pending, stats.acked, stats.paused), (1, 0, None), "{:?}", stats.last_error);
    assert_eq!(interceptor.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn an_endpoint_or_a_key_that_can_never_work_is_refused_at_once() {
    let said = |endpoint: &str, key: &str| {
        let client = Client::builder(endpoint, key).project("demo").queue_in_memory().build();
        client.map(drop).unwrap_err().to_string()
    };
    assert!(said("events.example.com", "key").contains("http://"));
    assert!(said("http://127.0.0.1:1", "").contains("key"));
    assert!(said("http://127.0.0.1:1/events", "key").contains("path"));
    let trusting = |pem: &str| {
        let client = Client::builder("https://127.0.0.1:1", "key").project("demo").queue_in_memory();
        client.ca_certificate(pem).build().map(drop)
    };
    assert!(trusting("not PEM").is_err());
}
