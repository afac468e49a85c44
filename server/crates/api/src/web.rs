//! gRPC-Web beside plain HTTP: only what says it is gRPC-Web is translated, for the translation refuses every other
//! HTTP/1 request.

use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response, header};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};

/// What the translation knows; it answers anything else with an empty 400.
const WEB: &[&[u8]] = &[
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// Translates gRPC-Web requests; lets all others pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebLayer;

impl<S: Clone> Layer<S> for WebLayer {
    type Service = WebService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WebService { web: GrpcWebLayer::new().layer(inner.clone()), inner }
    }
}

/// A service that speaks gRPC-Web too.
#[derive(Debug, Clone)]
pub struct WebService<S> {
    web: GrpcWebService<S>,
    inner: S,
}

impl<S> Service<Request<Body>> for WebService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<<GrpcWebService<S> as Service<Request<Body>>>::Future, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let kind = request.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        if kind.is_some_and(|kind| WEB.contains(&kind)) {
            Either::Left(self.web.call(request))
        } else {
            Either::Right(self.inner.call(request))
        }
    }
}
