//! A channel whose every call carries a credential.

use anyhow::Context as _;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A signed channel.
pub type Signed = InterceptedService<Channel, Bearer>;

/// Adds `authorization: Bearer` to every call.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Connects to `target` (a URL) with a key or a token.
///
/// # Errors
/// When the target is no URL, nothing listens there, or the secret is not printable.
pub async fn connect(target: &str, secret: &str) -> anyhow::Result<Signed> {
    let bearer = format!("Bearer {secret}").parse().context("the key or token is not printable")?;
    let channel = Endpoint::from_shared(target.to_owned())
        .with_context(|| format!("{target} is not a URL like http://127.0.0.1:7400"))?
        .tcp_nodelay(true)
        .connect()
        .await
        .with_context(|| format!("nothing answers at {target}; start the server first"))?;
    Ok(InterceptedService::new(channel, Bearer(bearer)))
}
