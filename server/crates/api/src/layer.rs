//! The access layer: judges a call on its path and headers, before any body is read.

use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::future::{Either, Ready, ready};
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::context::Context;

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
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.context.access.check(request.uri().path(), request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}
