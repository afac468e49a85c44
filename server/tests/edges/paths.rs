//! Paths and content types: what is not there, and what does not speak gRPC.

use bytes::Bytes;
use tonic::Code;

use crate::access::call;
use crate::support::{PATIENCE, Server, exchange, reason, start};

const RPC: &str = "/footpath.v1.IngestService/Ingest";
const NOWHERE: [&str; 3] = ["/footpath.v1.IngestService/Nope", "/footpath.v1.Nope/Ingest", "/nope"];

/// POSTs an empty body: the whole answer.
fn post(server: &Server, path: &str, content_type: &str) -> String {
    let key = &server.key;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: footpath\r\nConnection: close\r\nAuthorization: Bearer {key}\r\nContent-Type: {content_type}\r\nContent-Length: 0\r\n\r\n"
    );
    exchange(&server.address, &head, &[])
}

#[tokio::test]
async fn an_unknown_path_is_told_to_grpc_and_to_http() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    for path in NOWHERE {
        let status = call(&channel, path, None, Bytes::new()).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unimplemented, "path_unknown"),
            "{path}"
        );
        let web = post(&server, path, "application/grpc-web+proto");
        assert!(web.starts_with("HTTP/1.1 200") && web.contains("grpc-status: 12"), "{path}: {web}");
        let http = post(&server, path, "application/json");
        assert!(http.starts_with("HTTP/1.1 404"), "{path}: {http}");
        assert!(http.contains("\"reason\":\"path_unknown\""), "{path}: {http}");
    }
}

#[tokio::test]
async fn an_rpc_says_that_it_takes_grpc() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    for path in [RPC, "/grpc.health.v1.Health/Check"] {
        for kind in ["application/json", "application/grpc+json", "application/grpc-web+json"] {
            let answer = post(&server, path, kind);
            assert!(answer.starts_with("HTTP/1.1 415"), "{path} {kind}: {answer}");
            assert!(answer.contains("content_type_wrong") && answer.contains("application/grpc"), "{answer}");
        }
    }
    let web = post(&server, RPC, "application/grpc-web+proto");
    assert!(web.starts_with("HTTP/1.1 200") && web.contains("grpc-status"), "{web}");
}

#[tokio::test]
async fn a_wrong_method_or_file_is_told_in_json() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: footpath\r\nConnection: close\r\n\r\n");
        exchange(&server.address, &head, &[])
    };
    let batch = get("/v1/ingest");
    assert!(batch.starts_with("HTTP/1.1 405") && batch.contains("\"reason\":\"method_wrong\""), "{batch}");
    assert!(batch.to_ascii_lowercase().contains("\r\nallow: post\r\n"), "{batch}");
    let file = get("/assets/nope.js");
    assert!(file.starts_with("HTTP/1.1 404") && file.contains("\"reason\":\"path_unknown\""), "{file}");
}

#[tokio::test]
async fn a_message_that_is_none_is_refused_with_a_reason() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let token = server.admin_token(&channel).await;
    for path in ["/footpath.v1.QueryService/ListEvents", "/footpath.v1.LiveService/Watch"] {
        let status = call(&channel, path, Some(&token), Bytes::from_static(b"\xff\xff")).await.unwrap_err();
        let found = (status.code(), reason(&status));
        assert_eq!(found, (Code::InvalidArgument, "message_malformed".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let said = ["", "PRI * HTTP/2.0\r\n"].map(|beginning| {
        let address = server.address.clone();
        tokio::task::spawn_blocking(move || exchange(&address, beginning, &[]))
    });
    for answer in said {
        // Shorter than the socket's own patience, which would end in the same empty answer.
        let answer = tokio::time::timeout(PATIENCE / 2, answer).await.expect("still held after 30 s");
        assert_eq!(answer.unwrap(), "");
    }
}
