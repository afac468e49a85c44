//! What a destination must be like, and what to do if it is not.

use std::net::IpAddr;

use lettre::message::Mailbox;
use url::{Host, Url};

use crate::render::signing_key;
use crate::{Destination, DestinationKind, MailSecurity, MailServer, Secret};

/// The most mailboxes of a destination: more are a mailing list, which has one address.
const MOST_MAILBOXES: usize = 20;
/// The longest id, as in the store.
const MOST_ID_BYTES: usize = 255;

/// A field that is not right, and what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {must}")]
pub struct InvalidDestination {
    /// Which field.
    pub field: &'static str,
    /// What it must be, as the rest of a sentence.
    pub must: String,
}

pub(crate) type Checked<T = ()> = Result<T, InvalidDestination>;

pub(crate) fn invalid<T>(field: &'static str, must: impl Into<String>) -> Checked<T> {
    Err(InvalidDestination { field, must: must.into() })
}

impl Destination {
    /// Whether everything can be used; `http` says whether URLs without TLS may be. Asks no name server: what a host resolves to is judged at every attempt.
    ///
    /// # Errors
    /// The first field that cannot, with what it has to be.
    pub fn check(&self, http: bool) -> Checked {
        if self.id.is_empty() || self.id.len() > MOST_ID_BYTES {
            return invalid("id", format!("must have 1 to {MOST_ID_BYTES} bytes"));
        }
        match &self.kind {
            DestinationKind::Webhook { url, secret, .. } => {
                check_url(url, http)?;
                check_secret(secret)
            }
            DestinationKind::AlertmanagerApi { url } => check_url(url, http).map(drop),
            DestinationKind::PagerDuty { routing_key, url } => {
                check_url(url, http)?;
                check_routing_key(routing_key)
            }
            DestinationKind::Email { to, server } => {
                check_mailboxes(to)?;
                server.as_ref().map_or(Ok(()), check_project_server)
            }
        }
    }
}

/// The URL, if a request may go there.
pub(crate) fn check_url(text: &Secret, http: bool) -> Checked<Url> {
    let Ok(url) = Url::parse(text.expose()) else {
        return invalid("url", "must be https://host/path");
    };
    match url.scheme() {
        "https" => {}
        "http" if http => {}
        "http" => return invalid("url", "must be https://... (the operator can allow http)"),
        _ => return invalid("url", "must be https://..."),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("url", "must have no user and no password: requests are signed instead");
    }
    Ok(url)
}

fn check_secret(secret: &Secret) -> Checked {
    match signing_key(secret) {
        Some(key) if (24..=64).contains(&key.len()) => Ok(()),
        _ => invalid("secret", "must be whsec_ followed by base64 of 24 to 64 random bytes"),
    }
}

fn check_routing_key(key: &Secret) -> Checked {
    let key = key.expose();
    let fits = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits {
        Ok(())
    } else {
        invalid("routing_key", "must be the 32 letters and digits of an Events API v2 integration")
    }
}

fn check_mailboxes(to: &[String]) -> Checked {
    if to.is_empty() || to.len() > MOST_MAILBOXES {
        return invalid("to", format!("must have 1 to {MOST_MAILBOXES} addresses"));
    }
    match to.iter().position(|address| !is_mailbox(address)) {
        Some(at) => {
            invalid("to", format!("must have addresses like a@example.com; number {} is none", at + 1))
        }
        None => Ok(()),
    }
}

fn is_mailbox(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// What is asked of any mail server, the operator's too.
pub(crate) fn check_server(server: &MailServer) -> Checked {
    if Host::parse(&server.host).is_err() && server.host.parse::<IpAddr>().is_err() {
        return invalid("server.host", "must be the name or address of a mail server");
    }
    if server.port == 0 {
        return invalid("server.port", "must be a port, mostly 587 or 465");
    }
    if server.username.is_some() != server.password.is_some() {
        return invalid("server.password", "must be given with a username, and only then");
    }
    if !is_mailbox(&server.from) {
        return invalid("server.from", "must be an address, or `Name <address>`");
    }
    Ok(())
}

fn check_project_server(server: &MailServer) -> Checked {
    check_server(server)?;
    let here = matches!(server.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if server.security == MailSecurity::None && !here {
        return invalid("server.security", "must be starttls or tls: none is only for localhost");
    }
    Ok(())
}
