//! Bodies: what is too large, compressed, or too much at once.

use std::io::Write as _;
use std::net::TcpStream;

use footpath_proto::v1;
use footpath_proto::v1::admin_service_client::AdminServiceClient;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic_types::StatusExt as _;

use crate::support::{Server, batch, event, exchange, http, reason, start, until, with};

const MIB: usize = 1 << 20;

/// A batch of about `bytes` bytes that compresses to almost nothing.
fn large(bytes: usize) -> v1::IngestRequest {
    let filler = v1::Event { session_id: "x".repeat(bytes), ..event("large") };
    batch(vec![filler])
}

fn stream_of(
    batches: Vec<v1::IngestRequest>,
) -> impl futures_util::Stream<Item = v1::IngestStreamRequest> + Send + 'static {
    let numbered = (7..).zip(batches);
    futures_util::stream::iter(
        numbered.map(|(sequence, batch)| v1::IngestStreamRequest { sequence, batch: Some(batch) }),
    )
}

async fn acks(server: &Server, compressed: bool, batches: Vec<v1::IngestRequest>) -> Vec<v1::BatchAck> {
    let mut ingest = IngestServiceClient::new(server.channel().await);
    if compressed {
        ingest = ingest.send_compressed(CompressionEncoding::Gzip);
    }
    let mut answers = ingest.ingest_stream(with(&server.key, stream_of(batches))).await.unwrap().into_inner();
    let mut acks = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.message {
            Some(v1::ingest_stream_response::Message::Ack(ack)) => acks.push(ack),
            other => panic!("{other:?}"),
        }
    }
    acks
}

#[tokio::test]
async fn too_large_a_batch_is_refused_with_the_documented_error() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut ingest = IngestServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            ingest = ingest.send_compressed(encoding);
        }
        for bytes in [5 * MIB, 64 * MIB] {
            let status = ingest.ingest(with(&server.key, large(bytes))).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{encoding:?} {bytes}: {status:?}");
            assert_eq!(reason(&status), "batch_too_large");
        }
        let fits = ingest.ingest(with(&server.key, batch(vec![event("view")]))).await.unwrap();
        assert_eq!(fits.into_inner().stored, 1, "{encoding:?}");
    }
    assert_eq!(server.metric("footpath_batches_refused_total{reason=\"batch_too_large\"}"), Some(6.0));
}

#[tokio::test]
async fn a_refused_batch_on_a_stream_is_an_ack_and_the_stream_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    for compressed in [false, true] {
        let good = || batch(vec![event("view")]);
        let acks =
            acks(&server, compressed, vec![good(), large(5 * MIB), good(), large(40 * MIB), good()]).await;
        let numbers: Vec<_> = acks.iter().map(|ack| ack.sequence).collect();
        assert_eq!(numbers, [7, 8, 9, 10, 11], "compressed: {compressed}");
        for (at, ack) in acks.iter().enumerate() {
            if at % 2 == 0 {
                assert_eq!(ack.response.as_ref().unwrap().stored, 1);
            } else {
                let error = ack.error.as_ref().unwrap();
                assert_eq!((error.reason.as_str(), error.retryable), ("batch_too_large", false));
                assert_eq!(error.code, Code::InvalidArgument as u32);
            }
        }
    }
}

#[tokio::test]
async fn the_largest_batch_that_is_allowed_is_stored() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let filler = v1::Event { session_id: "s".repeat(380), ..event("view") };
    let full = batch(vec![filler; 10_000]);
    assert!((3 * MIB..4 * MIB).contains(&full.encoded_len()), "{}", full.encoded_len());
    let mut ingest = IngestServiceClient::new(server.channel().await);
    assert_eq!(ingest.ingest(with(&server.key, full)).await.unwrap().into_inner().stored, 10_000);
}

/// Opens a request and leaves it at that.
fn half_sent(server: &Server, head: &str, body: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body).unwrap();
    socket
}

fn post(server: &Server, more: &str, length: usize) -> String {
    let key = &server.key;
    format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: footpath\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n{more}Content-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn who_comes_when_all_memory_is_taken_is_told_when_to_come_back() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &["--body-memory", "12MiB"]);
    let head = post(&server, "", 4 * MIB);
    let taken: Vec<_> = (0..3).map(|_| half_sent(&server, &head, &vec![0; 4 * MIB - 1])).collect();
    until(|| server.metric("footpath_body_bytes") == Some((12 * MIB - 3) as f64)).await;
    let channel = server.channel().await;
    let mut ingest = IngestServiceClient::new(channel.clone());
    let status = ingest.ingest(with(&server.key, batch(vec![event("view")]))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "busy"));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    let on_stream = acks(&server, false, vec![batch(vec![event("view")])]).await;
    let error = on_stream[0].error.as_ref().unwrap();
    assert_eq!((on_stream[0].sequence, error.reason.as_str(), error.retryable), (7, "busy", true));
    let body = batch(vec![event("view")]).encode_to_vec();
    let (status, _) = http(&server.address, &post(&server, "", body.len()), &body);
    assert!(status.contains("429"), "{status}");
    // An operator is not held up by that.
    let admin = server.admin_token(&channel).await;
    let mut service = AdminServiceClient::new(channel);
    service.list_projects(with(&admin, v1::ListProjectsRequest::default())).await.unwrap();
    drop(taken);
    until(|| server.metric("footpath_body_bytes") == Some(0.0)).await;
    let stored = ingest.ingest(with(&server.key, batch(vec![event("view")]))).await.unwrap();
    assert_eq!(stored.into_inner().stored, 1);
}

#[tokio::test]
async fn who_announces_much_and_sends_little_holds_up_nobody() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &["--body-memory", "12MiB"]);
    let plain = post(&server, "", 4 * MIB);
    let gzip = post(&server, "Content-Encoding: gzip\r\n", 4 * MIB);
    let web = web_head(&server, "", 4 * MIB);
    let web_gzip = web_head(&server, "grpc-encoding: gzip\r\n", 4 * MIB);
    let frame = |flag: u8| [&[flag, 0, 0x3f, 0xff, 0xfb][..], &[0; 995]].concat();
    let requests = [(plain, frame(0)), (gzip, frame(0)), (web, frame(0)), (web_gzip, frame(1))];
    let open: Vec<_> =
        (0..20).flat_map(|_| &requests).map(|(head, body)| half_sent(&server, head, body)).collect();
    until(|| server.metric("footpath_body_bytes") == Some(1000.0 * open.len() as f64)).await;
    let good = || batch(vec![event("view")]);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut ingest = IngestServiceClient::new(server.channel().await).send_compressed(encoding);
        assert_eq!(ingest.ingest(with(&server.key, good())).await.unwrap().into_inner().stored, 1);
    }
    let acks = acks(&server, false, vec![good(), large(3 * MIB)]).await;
    assert!(acks.iter().all(|ack| ack.error.is_none()), "{acks:?}");
    let body = good().encode_to_vec();
    assert!(http(&server.address, &post(&server, "", body.len()), &body).0.contains("200"));
    drop(open);
    until(|| server.metric("footpath_body_bytes") == Some(0.0)).await;
}

#[tokio::test]
async fn without_a_credential_only_a_small_message_is_read() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let mut service = AdminServiceClient::new(server.channel().await);
    let mut exchange = async |bytes| {
        let asked = v1::ExchangeCodeRequest { code: "x".repeat(bytes) };
        reason(&service.exchange_code(asked).await.unwrap_err())
    };
    assert_eq!(exchange(16_000).await, "code_unknown");
    assert_eq!(exchange(17_000).await, "message_too_large");
}

#[tokio::test]
async fn without_a_credential_no_batch_is_read() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let head = post(&server, "", 4 * MIB).replace(&server.key, "fp_dev_unknown");
    let (status, answer) = http(&server.address, &head, &[]);
    assert!(status.contains("401") && answer.contains("key_unknown"), "{status} {answer}");
    assert_eq!(server.metric("footpath_body_bytes"), Some(0.0));
}

#[tokio::test]
async fn over_plain_http_the_same_limits_hold() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let send = |more: &str, body: &[u8]| http(&server.address, &post(&server, more, body.len()), body);
    let body = batch(vec![event("view")]).encode_to_vec();
    assert!(send("", &body).0.contains("200"));
    let packed = zstd::encode_all(&body[..], 3).unwrap();
    assert!(send("Content-Encoding: zstd\r\n", &packed).0.contains("200"));
    assert!(
        send("Content-Encoding: ZSTD\r\nContent-Type: application/x-protobuf\r\n", &packed).0.contains("200")
    );
    for other in ["application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"] {
        let (status, answer) = send(&format!("Content-Type: {other}\r\n"), b"{\"events\":[]}");
        assert!(status.contains("415") && answer.contains("content_type_wrong"), "{status} {answer}");
        assert!(answer.contains("application/x-protobuf"), "{answer}");
    }
    let (status, answer) = send("Content-Encoding: br\r\n", &body);
    assert!(status.contains("400") && answer.contains("compression_unknown"), "{status} {answer}");
    let (status, answer) = send("Content-Encoding: gzip\r\n", &body);
    assert!(status.contains("400") && answer.contains("compression_damaged"), "{status} {answer}");
    let (status, answer) = send("", &vec![0; 5 * MIB]);
    assert!(status.contains("413") && answer.contains("batch_too_large"), "{status} {answer}");
    let chunked = post(&server, "Transfer-Encoding: chunked\r\n", 0).replace("Content-Length: 0\r\n", "");
    let mut chunks = format!("{:x}\r\n", 5 * MIB).into_bytes();
    chunks.resize(chunks.len() + 5 * MIB, 0);
    chunks.extend(b"\r\n0\r\n\r\n");
    let (status, answer) = http(&server.address, &chunked, &chunks);
    assert!(status.contains("413") && answer.contains("batch_too_large"), "{status} {answer}");
}

#[tokio::test]
async fn a_compression_that_is_not_known_is_told_with_those_that_are() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let mut ingest = IngestServiceClient::new(server.channel().await);
    for unknown in ["deflate", "br"] {
        let mut request = with(&server.key, batch(vec![event("view")]));
        request.metadata_mut().insert("grpc-encoding", unknown.parse().unwrap());
        let status = ingest.ingest(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "compression_unknown"));
        assert!(status.message().contains(unknown) && status.message().contains("gzip, zstd"), "{status:?}");
        assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity,gzip,zstd");
    }
}

#[tokio::test]
async fn every_service_takes_compressed_messages() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut service = AdminServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip);
    let projects = service.list_projects(with(&admin, v1::ListProjectsRequest::default())).await.unwrap();
    assert_eq!(projects.into_inner().projects.len(), 1);
}

#[tokio::test]
async fn bombs_do_not_grow_the_server() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 512 * MIB as u64), 3).unwrap();
    assert!(bomb.len() < MIB);
    let before = server.metric("process_resident_memory_bytes").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let head = post(&server, "Content-Encoding: zstd\r\n", bomb.len());
                let (status, answer) = http(&server.address, &head, &bomb);
                assert!(status.contains("413") && answer.contains("batch_too_large"), "{status} {answer}");
            });
        }
    });
    let grown = server.metric("process_resident_memory_bytes").unwrap() - before;
    // One bomb inflated is 512 MiB; 16 that are bounded hold 8 MiB each and a window at the very most.
    assert!(grown < 256.0 * MIB as f64, "grew by {grown} bytes");
}

/// The head of a gRPC-Web call over HTTP/1.1.
fn web_head(server: &Server, more: &str, length: usize) -> String {
    post(server, &format!("Content-Type: application/grpc-web+proto\r\n{more}"), length)
        .replace("/v1/ingest", "/footpath.v1.IngestService/Ingest")
}

/// One gRPC-Web call whose body is `frames`; the whole answer, headers included.
fn web_call(server: &Server, frames: &[u8]) -> String {
    let head = web_head(server, "", frames.len());
    exchange(&server.address, &head, frames)
}

#[tokio::test]
async fn what_is_no_message_is_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    // What they promise is never sent, so an answer proves that nobody waited for it.
    let hostile: [(&[u8], &str); 5] = [
        (&[0, 0xff, 0xff, 0xff, 0xff], "a message may hold"),
        (&[9, 0, 0, 0, 1, 0], "begins with 0 or 1"),
        (&[1, 0, 0, 0, 1, 0], "needs the header grpc-encoding"),
        (&[0, 0, 0, 0, 9, 1, 2], "ends inside a message"),
        (&[0, 0], "ends too early"),
    ];
    for (frames, what) in hostile {
        let answer = web_call(&server, frames).replace("%20", " ");
        assert!(
            answer.contains("grpc-status:3") || answer.contains("grpc-status: 3"),
            "{frames:?}: {answer}"
        );
        assert!(answer.contains(what), "{frames:?}: {answer}");
    }
    until(|| server.metric("footpath_body_bytes") == Some(0.0)).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_once_inflated_is_counted_and_kept() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let bomb = zstd::encode_all(&vec![0; 5 * MIB][..], 3).unwrap();
    let head = post(&server, "Content-Encoding: zstd\r\n", bomb.len());
    let (status, answer) = http(&server.address, &head, &bomb);
    assert!(status.contains("413") && answer.contains("batch_too_large"), "{status} {answer}");
    let metric =
        |reason: &str| server.metric(&format!("footpath_batches_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!(metric("batch_too_large"), Some(1.0));
    let channel = server.channel().await;
    let token = server.admin_token(&channel).await;
    let query = v1::query_service_client::QueryServiceClient::new(channel);
    let asked = v1::ListRefusedEventsRequest { project: "default".into(), ..Default::default() };
    let list = async || {
        let mut query = query.clone();
        query.list_refused_events(with(&token, asked.clone())).await.unwrap().into_inner().events
    };
    let mut events = list().await;
    while events.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        events = list().await;
    }
    assert_eq!(events.len(), 1);
    assert!(format!("{:?}", events[0]).contains("batch_too_large"), "{:?}", events[0]);
    let (status, _) = http(&server.address, &post(&server, "Content-Encoding: gzip\r\n", 3), b"abc");
    assert!(status.contains("400"), "{status}");
    assert_eq!(metric("compression_damaged"), Some(1.0));
}
