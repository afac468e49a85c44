//! Answers that are not the server's, over HTTP/1.1 and HTTP/2 alike.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use footpath_proto::v1::IngestResponse;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::weather::{Lie, Weather};

const PAGE: &str = "<html><title>Welcome on board</title>Please accept the terms of this network.</html>";

/// Starts it; it says what the weather wants.
///
/// # Errors
/// If there is no port.
pub async fn start(weather: watch::Receiver<Weather>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port")?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(answer).with_state(Arc::new(weather));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn answer(State(weather): State<Arc<watch::Receiver<Weather>>>) -> Response {
    let Weather::Lie(lie) = weather.borrow().clone() else { return page(503, None) };
    match lie {
        Lie::Page(status, wait) => page(status, wait),
        Lie::Stale => stale(),
        Lie::Grpc(code) => grpc(code),
    }
}

fn page(status: u16, wait: Option<&str>) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "text/html; charset=utf-8");
    if status == 302 {
        response = response.header("location", "http://portal.invalid/login");
    }
    if let Some(wait) = wait {
        response = response.header("retry-after", wait);
    }
    response.body(Body::from(PAGE)).unwrap_or_default()
}

/// As from a cache.
fn stale() -> Response {
    let body = IngestResponse { batch_id: "of another time".into(), stored: 1, ..IngestResponse::default() };
    let response = Response::builder().header("content-type", "application/x-protobuf");
    response.body(Body::from(body.encode_to_vec())).unwrap_or_default()
}

fn grpc(code: u8) -> Response {
    let response = Response::builder().header("content-type", "application/grpc");
    let response = response.header("grpc-status", code.to_string()).header("grpc-message", "RBAC: no");
    response.body(Body::empty()).unwrap_or_default()
}
