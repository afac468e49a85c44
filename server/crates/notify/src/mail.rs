//! Messages to mail servers: one connection for each, to an address that was judged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, extension::ClientId};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::attempt::{Told, quoted};
use crate::check::check_server;
use crate::{Guard, MailSecurity, MailServer, Resolver, Settings, SettingsError, Verdict, reach};

/// Sends messages.
pub(crate) struct Mailer {
    guard: Guard,
    resolver: Resolver,
    relay: Option<MailServer>,
    authorities: Vec<Certificate>,
    timeout: Duration,
}

impl Mailer {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        if let Some(relay) = &settings.relay {
            check_server(relay).map_err(SettingsError::Relay)?;
        }
        let certificate = |der: &Vec<u8>| Certificate::from_der(der.clone());
        let authorities: Result<_, _> = settings.authorities.iter().map(certificate).collect();
        Ok(Self {
            guard: Guard::new(settings.allow.clone()),
            resolver: Arc::clone(&settings.resolver),
            relay: settings.relay.clone(),
            authorities: authorities.map_err(|error| SettingsError::Authority(error.to_string()))?,
            timeout: settings.timeout,
        })
    }

    /// The operator's server.
    pub(crate) fn relay(&self) -> Option<&MailServer> {
        self.relay.as_ref()
    }

    /// One message, without a limit of time over all. `own` is the project's server; without it the relay's address is not judged: it is the operator's.
    pub(crate) async fn send(&self, message: Message, own: Option<&MailServer>) -> Told {
        self.tried(message, own).await.unwrap_or_else(|told| told)
    }

    async fn tried(&self, message: Message, own: Option<&MailServer>) -> Result<Told, Told> {
        let Some(server) = own.or(self.relay.as_ref()) else {
            return Err(Told::refused("the server has no mail relay"));
        };
        let everywhere = Guard::new(vec![ipnet::Ipv4Net::default().into(), ipnet::Ipv6Net::default().into()]);
        let guard = if own.is_some() { &self.guard } else { &everywhere };
        let addresses = reach::addresses(&self.resolver, guard, &server.host).await?;
        let mut last = Told::retry("the mail server has no address");
        for address in addresses {
            last = self.sent_to(address, server, &message).await?;
            // No code means that there was no talk with this address; the next may be better.
            if last.status.is_some() {
                break;
            }
        }
        Ok(last)
    }

    /// Connects to the address; the name is only for the certificate.
    async fn sent_to(&self, address: IpAddr, server: &MailServer, message: &Message) -> Result<Told, Told> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.to_string())
            .port(server.port)
            .timeout(Some(self.timeout))
            .hello_name(hello(message))
            .tls(self.tls(server)?);
        if let (Some(username), Some(password)) = (&server.username, &server.password) {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
        }
        Ok(match builder.build().send(message.clone()).await {
            Ok(response) => Told {
                verdict: Verdict::Delivered,
                words: format!(
                    "answered {}: {}",
                    response.code(),
                    quoted(&response.message().collect::<Vec<_>>().join(" "))
                ),
                status: Some(u16::from(response.code())),
                retry_after: None,
            },
            Err(error) => told(&error),
        })
    }

    fn tls(&self, server: &MailServer) -> Result<Tls, Told> {
        let mut parameters = TlsParameters::builder(server.host.clone());
        for authority in &self.authorities {
            parameters = parameters.add_root_certificate(authority.clone());
        }
        let parameters = parameters
            .build_rustls()
            .map_err(|_| Told::refused("the mail server's host is no name for TLS"))?;
        Ok(match server.security {
            MailSecurity::Starttls => Tls::Required(parameters),
            MailSecurity::Tls => Tls::Wrapper(parameters),
            MailSecurity::None => Tls::None,
        })
    }
}

/// The sender's domain: the machine's own name is nobody's business.
fn hello(message: &Message) -> ClientId {
    let domain = message.envelope().from().map(|from| from.domain().to_owned());
    domain.map_or_else(ClientId::default, ClientId::Domain)
}

/// 5xx and what the server cannot do are refused, the rest may pass.
fn told(error: &Error) -> Told {
    let verdict = if error.is_permanent() || error.is_client() { Verdict::Refused } else { Verdict::Retry };
    let words = match error.status() {
        Some(code) => format!("answered {code}: {}", quoted(&error.to_string())),
        None if error.is_tls() => "TLS with the mail server failed".to_owned(),
        None if error.is_timeout() => "the mail server was too slow".to_owned(),
        None if error.is_client() => {
            format!("the mail server cannot take it: {}", quoted(&error.to_string()))
        }
        None => "no talk with the mail server".to_owned(),
    };
    Told { verdict, words, status: error.status().map(u16::from), retry_after: None }
}
