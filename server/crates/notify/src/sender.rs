//! One attempt: render, send, judge.

use std::sync::Arc;
use std::time::Duration;

use footpath_model::clock::Clock;

use crate::attempt::{Outcome, Told};
use crate::http::Http;
use crate::mail::Mailer;
use crate::secret::without_secrets;
use crate::{Counters, Destination, DestinationKind, Message, Notice, Settings, SettingsError, render};

/// Makes attempts.
pub(crate) struct Sender {
    http: Http,
    mailer: Mailer,
    timeout: Duration,
    plain: bool,
    clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
}

impl Sender {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::new(settings)?,
            mailer: Mailer::new(settings)?,
            timeout: settings.timeout,
            plain: settings.http,
            clock,
            counters: Counters::default(),
        })
    }

    /// One attempt. Takes no longer than the settings allow.
    pub(crate) async fn attempt(&self, destination: &Destination, notice: &Notice) -> Outcome {
        let at_us = self.clock.now_us();
        let told = tokio::time::timeout(self.timeout, self.told(destination, notice, at_us)).await;
        let told = told.unwrap_or_else(|_| Told::retry("no answer in time"));
        self.counters.count_attempt(&destination.kind, told.verdict);
        Outcome {
            verdict: told.verdict,
            words: without_secrets(&told.words, &destination.secrets()),
            status: told.status,
            retry_after: told.retry_after,
            at_us,
            took_us: u64::try_from(self.clock.now_us() - at_us).unwrap_or(0),
        }
    }

    async fn told(&self, destination: &Destination, notice: &Notice, at_us: i64) -> Told {
        if let Err(invalid) = destination.check(self.plain) {
            return Told::refused(invalid.to_string());
        }
        match render(destination, notice, at_us, self.mailer.relay()) {
            Err(words) => Told::refused(words),
            Ok(Message::Http(request)) => self.http.post(request).await,
            Ok(Message::Mail(message)) => self.mailer.send(*message, own_server(&destination.kind)).await,
        }
    }
}

fn own_server(kind: &DestinationKind) -> Option<&crate::MailServer> {
    match kind {
        DestinationKind::Email { server, .. } => server.as_ref(),
        _ => None,
    }
}
