//! A connection to a server, and errors that say what to do next.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio_rustls::rustls;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

/// A channel whose every call carries a credential.
pub type SignedChannel = InterceptedService<Channel, Bearer>;

/// Where the server is.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// The server's address.
    #[arg(long, env = "FOOTPATH_URL", default_value = "http://127.0.0.1:7400", value_name = "URL")]
    pub url: String,
    /// The certificate authority (PEM) that signed the server's certificate; needed for https.
    #[arg(long, env = "FOOTPATH_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// If the address or the authority cannot be used, or nothing answers.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = self.endpoint()?;
        endpoint.connect().await.map_err(|error| {
            // Only the root: tonic's own words repeat what lies below them.
            let root = anyhow::Chain::new(&error).last().map(ToString::to_string).unwrap_or_default();
            anyhow!("{} ({root})", no_connection(&error, &self.url))
        })
    }

    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let no_address = || format!("{:?} is no address; write it like http://127.0.0.1:7400", self.url);
        let endpoint = Endpoint::from_shared(self.url.clone()).with_context(no_address)?;
        let known = ["http", "https"].map(Some).contains(&endpoint.uri().scheme_str());
        anyhow::ensure!(known, no_address());
        let endpoint = endpoint.connect_timeout(Duration::from_secs(10)).tcp_nodelay(true);
        let Some(file) = &self.ca else {
            if endpoint.uri().scheme_str() == Some("https") {
                bail!("for https, name the authority that signed the server's certificate with --ca FILE");
            }
            return Ok(endpoint);
        };
        let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(endpoint.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))?)
    }
}

/// Why there is no connection, and what to do.
fn no_connection(error: &tonic::transport::Error, url: &str) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(_)) => format!(
            "a server answers at {url}, but its certificate is not accepted: --ca must name the authority that signed \
             it, or the certificate itself if it is self-signed and no authority (CA:FALSE), and it must be made for \
             this host; the section \"TLS\" of docs/operations.md makes one"
        ),
        Some(_) => format!(
            "what answers at {url} does not speak TLS: write http:// if the server has no certificate, and name its \
             main port"
        ),
        None => {
            format!("no server answers at {url}; start one with `footpath serve`, or name it with --url")
        }
    }
}

/// What TLS says, however deep it lies.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut wrapped =
        anyhow::Chain::new(error).filter_map(|error| error.downcast_ref::<std::io::Error>()?.get_ref());
    wrapped.find_map(|error| error.downcast_ref())
}

/// A key or token; an empty one, as of a variable that is set to nothing, counts as none.
pub fn given(secret: Option<&str>) -> Option<&str> {
    secret.filter(|secret| !secret.trim().is_empty())
}

/// A server, a project on it, and the right to read and define.
#[derive(Debug, Clone, clap::Args)]
pub struct Project {
    #[command(flatten)]
    pub server: Server,
    /// A token of the role that is named above.
    #[arg(long, env = "FOOTPATH_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The project's id.
    // Named by itself: a command may have an `id` of its own.
    #[arg(id = "project", long, env = "FOOTPATH_PROJECT", default_value = "default", value_name = "ID")]
    pub id: String,
}

impl Project {
    /// Connects with the token, which needs at least this role.
    ///
    /// # Errors
    /// Without a token, or if nothing answers.
    pub async fn connect(&self, role: &str) -> anyhow::Result<SignedChannel> {
        let token = given(self.token.as_deref()).with_context(|| {
            format!(
                "a token is needed: make one with `footpath token --role {role}` and pass it as --token or \
                 FOOTPATH_TOKEN"
            )
        })?;
        Ok(Bearer::new(token)?.sign(self.server.connect().await?))
    }
}

/// Adds `authorization: Bearer` to every call.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// A key or a token.
    ///
    /// # Errors
    /// If it has characters that no header can carry.
    pub fn new(secret: &str) -> anyhow::Result<Self> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", secret.trim())
            .parse()
            .context("the key or token has characters that cannot be sent; copy it again")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Signs every call of `channel`.
    pub fn sign(self, channel: Channel) -> SignedChannel {
        InterceptedService::new(channel, self)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A status in words, with what to do next.
pub fn explain(status: &Status) -> anyhow::Error {
    match reason(status).as_str() {
        // The messages name calls of the API, which are no commands.
        "project_unknown" => {
            anyhow!("no such project; name another with --project, the page lists those there are")
        }
        "funnel_unknown" => anyhow!("no such funnel; `footpath export` shows those there are"),
        "alert_rule_unknown" => anyhow!("no such alert rule; `footpath export` shows those there are"),
        "destination_unknown" => {
            anyhow!("no such destination; `footpath destinations` lists those there are")
        }
        "destination_exists" => anyhow!(
            "a destination with this id and other content exists; change it with --replace, or choose another id"
        ),
        "incident_unknown" => anyhow!("no such incident; `footpath incidents` lists those there are"),
        "annotation_unknown" => {
            anyhow!("no such annotation; `footpath annotate --list` shows those there are")
        }
        _ if status.code() == Code::Unavailable => {
            anyhow!("{}: is the server running? Try again, or name another with --url", status.message())
        }
        _ if is_foreign(status) => anyhow!(
            "no answer of Footpath came ({:?} {:?}): either the connection broke, or --url names something else than a \
             server's main port. It is not the admin port, and begins with https:// if the server has a certificate, \
             else with http://",
            status.code(),
            status.message()
        ),
        _ => anyhow!("{}", in_commands(status.message())),
    }
}

/// A message of the server for whoever types commands: it names calls of the API, which are none.
pub fn in_commands(message: &str) -> String {
    let exported = ["ListSegments", "ListFunnels", "ListMetrics", "ListAlertRules"];
    let exported = exported.map(|call| (call, "`footpath export` shows those there are"));
    let listed = ("ListDestinations", "`footpath destinations` lists those there are");
    exported.into_iter().chain([listed]).fold(message.to_owned(), |message, (call, command)| {
        message.replace(&format!("{call} names them"), command)
    })
}

/// As [`explain`], for a call that needs a token of this role.
pub fn explain_for(role: &str, status: &Status) -> anyhow::Error {
    let reason = reason(status);
    if reason.starts_with("token_") || ["role_too_low", "project_not_allowed"].contains(&reason.as_str()) {
        return anyhow!("{}; `footpath token --role {role}` makes one", status.message());
    }
    explain(status)
}

/// Whether it does not come from Footpath, which always names a reason.
pub fn is_foreign(status: &Status) -> bool {
    reason(status).is_empty()
}

fn reason(status: &Status) -> String {
    footpath_api::status::reason_of(status).unwrap_or_default()
}
