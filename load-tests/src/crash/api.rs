//! The reading side of the API, as an admin.

use std::time::Duration;

use anyhow::{Context as _, bail};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::link::with;
use super::source::PROJECT;

type QueryClient = v1::query_service_client::QueryServiceClient<Channel>;
type LiveClient = v1::live_service_client::LiveServiceClient<Channel>;
type DefinitionClient = v1::definition_service_client::DefinitionServiceClient<Channel>;

/// Room for a page of heavy events.
const MESSAGE_BYTES: usize = 64 << 20;
/// How far the numbers may be behind before that is a failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// Without a message this long, a watch is opened anew.
const SILENCE: Duration = Duration::from_secs(2);

/// The ledger's totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Stored.
    pub stored: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Invalid.
    pub invalid: u64,
    /// Everything else.
    pub other: u64,
}

/// A funnel's numbers and how complete they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Persons at each step.
    pub reached: Vec<u64>,
    /// Everything before this log position is in.
    pub position: u64,
    /// Numbered events known to be missing.
    pub expected: u64,
    /// The definition's version.
    pub version: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    token: String,
}

impl Api {
    /// Signs in with a one-time code; answers the token, which outlives restarts.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn sign_in(url: &str, code: &str) -> anyhow::Result<String> {
        let mut admin = v1::admin_service_client::AdminServiceClient::connect(url.to_owned()).await?;
        let code = v1::ExchangeCodeRequest { code: code.to_owned() };
        Ok(admin.exchange_code(code).await?.into_inner().token)
    }

    /// Connects.
    ///
    /// # Errors
    /// If nothing listens.
    pub async fn connect(url: &str, token: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        Ok(Self { channel, token: token.to_owned() })
    }

    /// Every stored event.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn events(&self) -> anyhow::Result<Vec<v1::StoredEvent>> {
        let mut query = QueryClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let asked = v1::ListEventsRequest {
                project: PROJECT.to_owned(),
                page_size: 1_000,
                page_token,
                ..v1::ListEventsRequest::default()
            };
            let mut page =
                query.list_events(with(&self.token, asked)).await.context("ListEvents")?.into_inner();
            for event in &mut page.events {
                if let Some(properties) = &mut event.properties {
                    properties.fields.remove("filler"); // Large, and not compared.
                }
            }
            events.append(&mut page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The ledger.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        let asked = v1::QueryOutcomesRequest { project: PROJECT.to_owned(), from: None, to: None };
        let mut query = QueryClient::new(self.channel.clone());
        let answer = query.query_outcomes(with(&self.token, asked)).await.context("QueryOutcomes")?;
        let mut ledger = Ledger::default();
        for total in answer.into_inner().totals {
            match total.outcome.as_str() {
                "stored" => ledger.stored += total.count,
                "duplicate" => ledger.duplicates += total.count,
                "invalid" => ledger.invalid += total.count,
                _ => ledger.other += total.count,
            }
        }
        Ok(ledger)
    }

    /// How many numbered events are called missing, and a few streams that miss some.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn gaps(&self) -> anyhow::Result<(u64, Vec<v1::StreamGap>)> {
        let asked = v1::ListGapsRequest { project: PROJECT.to_owned(), ..v1::ListGapsRequest::default() };
        let mut query = QueryClient::new(self.channel.clone());
        let answer = query.list_gaps(with(&self.token, asked)).await.context("ListGaps")?.into_inner();
        Ok((answer.missing, answer.gaps))
    }

    /// A funnel from stored events; nothing if there is no such funnel.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn query(&self, funnel: &str) -> anyhow::Result<Option<Numbers>> {
        let asked = v1::QueryFunnelRequest {
            project: PROJECT.to_owned(),
            funnel_id: funnel.to_owned(),
            ..v1::QueryFunnelRequest::default()
        };
        let mut query = QueryClient::new(self.channel.clone());
        match query.query_funnel(with(&self.token, asked)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok(Some(numbers(answer.reached, answer.watermark, answer.version)))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status).context("QueryFunnel"),
        }
    }

    /// A funnel's live numbers, once it has come to a position and a version: until a changed definition is back-filled,
    /// the one before serves.
    ///
    /// # Errors
    /// If it does not come there.
    pub async fn watched(&self, funnel: &str, position: u64, version: u64) -> anyhow::Result<Numbers> {
        let until = Instant::now() + PATIENCE;
        let mut last = String::from("no message");
        while Instant::now() < until {
            if let Some(found) = self.watch(funnel, position, version, &mut last).await? {
                return Ok(found);
            }
        }
        bail!("live funnel {funnel} did not come to position {position}, version {version}; last: {last}")
    }

    async fn watch(
        &self,
        funnel: &str,
        position: u64,
        version: u64,
        last: &mut String,
    ) -> anyhow::Result<Option<Numbers>> {
        let target = v1::FunnelSubscription { funnel_id: funnel.to_owned(), interval_ms: 20 };
        let target = v1::subscription::Target::Funnel(target);
        let mut stream = self.subscribe(target, String::new()).await.context("Watch")?;
        let mut shown = None;
        while let Ok(message) = timeout(SILENCE, stream.message()).await {
            let Some(message) = message.context("Watch")?.and_then(|message| message.message) else { break };
            *last = format!("{message:?}");
            let found = match message {
                Message::FunnelSnapshot(now) => {
                    shown = (now.state() == v1::DefinitionState::Live).then_some(now.version);
                    shown.map(|version| numbers(now.reached, now.watermark, version))
                }
                Message::FunnelDelta(now) => {
                    shown.map(|version| numbers(now.reached, now.watermark, version))
                }
                _ => None,
            };
            if let Some(found) = found.filter(|found| found.position >= position && found.version >= version)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// All events from a cursor on, or from now on without one.
    ///
    /// # Errors
    /// The server's status.
    pub async fn tail(&self, cursor: String) -> Result<Streaming<v1::WatchResponse>, tonic::Status> {
        self.subscribe(v1::subscription::Target::Events(v1::EventSubscription::default()), cursor).await
    }

    async fn subscribe(
        &self,
        target: v1::subscription::Target,
        cursor: String,
    ) -> Result<Streaming<v1::WatchResponse>, tonic::Status> {
        let subscription = v1::Subscription { id: "it".to_owned(), target: Some(target), cursor };
        let asked = v1::WatchRequest { project: PROJECT.to_owned(), subscriptions: vec![subscription] };
        let mut live = LiveClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES);
        Ok(live.watch(with(&self.token, asked)).await?.into_inner())
    }

    /// All funnels.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn funnels(&self) -> anyhow::Result<Vec<v1::Funnel>> {
        let asked =
            v1::ListFunnelsRequest { project: PROJECT.to_owned(), page_size: 1_000, ..Default::default() };
        let answer =
            self.definitions().list_funnels(with(&self.token, asked)).await.context("ListFunnels")?;
        Ok(answer.into_inner().funnels)
    }

    /// Creates or changes a funnel so that it is as given.
    ///
    /// # Errors
    /// The server's status.
    pub async fn put(&self, funnel: &v1::Funnel, create: bool) -> Result<(), tonic::Status> {
        let (project, funnel) = (PROJECT.to_owned(), Some(funnel.clone()));
        let mut definitions = self.definitions();
        if create {
            let asked = v1::CreateFunnelRequest { project, funnel };
            return definitions.create_funnel(with(&self.token, asked)).await.map(drop);
        }
        let asked = v1::UpdateFunnelRequest { project, funnel, update_mask: None };
        definitions.update_funnel(with(&self.token, asked)).await.map(drop)
    }

    /// Deletes a funnel.
    ///
    /// # Errors
    /// The server's status.
    pub async fn delete(&self, funnel: &str) -> Result<(), tonic::Status> {
        let asked = v1::DeleteFunnelRequest { project: PROJECT.to_owned(), funnel_id: funnel.to_owned() };
        self.definitions().delete_funnel(with(&self.token, asked)).await.map(drop)
    }

    fn definitions(&self) -> DefinitionClient {
        DefinitionClient::new(self.channel.clone())
    }
}

fn numbers(reached: Vec<u64>, watermark: Option<v1::Watermark>, version: u64) -> Numbers {
    let watermark = watermark.unwrap_or_default();
    Numbers { reached, position: watermark.position, expected: watermark.expected, version }
}
