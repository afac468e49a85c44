//! The access layer: judges a call on its path and headers, before any body is read.

use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk, Ready, ready};
use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::access::{Caller, need};
use crate::context::Context;
use crate::http::{is_grpc, path_unknown, refusal};
use crate::status::invalid;

/// What the paths of our own services begin with.
const OURS: &str = "/footpath.v1.";

/// Puts the access check before every call.
#[derive(Clone)]
pub struct AccessLayer {
    context: Arc<Context>,
}

impl AccessLayer {
    /// Checks with `context.access`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessService { inner, context: Arc::clone(&self.context) }
    }
}

/// A service behind the access check.
#[derive(Clone)]
pub struct AccessService<S> {
    inner: S,
    context: Arc<Context>,
}

impl<S, B> Service<Request<B>> for AccessService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Future<Output = Result<Response<Body>, S::Error>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<MapOk<S::Future, Explain>, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match judge(&self.context, request.uri().path(), request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request).map_ok(explain))
            }
            Err(status) => Either::Right(ready(Ok(refusal(status, request.headers()).map(Body::new)))),
        }
    }
}

type Explain = fn(Response<Body>) -> Response<Body>;

/// What tonic cannot decode it answers with INTERNAL and without a reason; every error of ours has one.
fn explain(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let internal = headers.get(Status::GRPC_STATUS).is_some_and(|code| code == "13");
    if !internal || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let what = "the message is not what this RPC takes, encoded in protobuf; use the published .proto files";
    invalid("message_malformed", what).into_http()
}

/// Who calls, if the call may go on. The generated services would take any body for gRPC, and answer an unknown method
/// without a reason, so both end here.
fn judge(context: &Context, path: &str, headers: &HeaderMap) -> Result<Caller, Status> {
    match need(path) {
        None if path.starts_with(OURS) => Err(path_unknown()),
        Some(_) if !is_grpc(headers) => Err(invalid(
            "content_type_wrong",
            "an RPC takes gRPC or gRPC-Web, content type application/grpc or application/grpc-web+proto; batches in \
             plain HTTP go to POST /v1/ingest",
        )),
        _ => context.access.check(path, headers),
    }
}
