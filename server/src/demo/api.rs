//! What the demo asks its server, as an admin.

use footpath_proto::v1;
use tonic::transport::Channel;
use v1::admin_service_client::AdminServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::query_service_client::QueryServiceClient;

use crate::tools::remote::{Bearer, SignedChannel, explain};

/// The demo's project.
pub const PROJECT: &str = "shop";

/// The server's answers so far, over all projects' time.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcomes {
    /// Events stored.
    pub stored: u64,
    /// Delivery attempts of events that were stored already.
    pub duplicate: u64,
    /// Everything else.
    pub refused: u64,
}

impl Outcomes {
    /// What came since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            stored: self.stored.saturating_sub(earlier.stored),
            duplicate: self.duplicate.saturating_sub(earlier.duplicate),
            refused: self.refused.saturating_sub(earlier.refused),
        }
    }
}

/// The demo's access to its server.
#[derive(Debug, Clone)]
pub struct Api {
    channel: SignedChannel,
}

impl Api {
    /// Calls over `channel` with an admin's token.
    ///
    /// # Errors
    /// If the token cannot be sent.
    pub fn new(channel: Channel, token: &str) -> anyhow::Result<Self> {
        Ok(Self { channel: Bearer::new(token)?.sign(channel) })
    }

    /// The signed channel, for a watch.
    pub fn channel(&self) -> SignedChannel {
        self.channel.clone()
    }

    /// A new project key.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn create_key(&self) -> anyhow::Result<String> {
        let wanted = v1::CreateProjectKeyRequest {
            project: PROJECT.into(),
            label: "the demo's shop".into(),
            environment: v1::Environment::Prod.into(),
        };
        let answer = AdminServiceClient::new(self.channel()).create_project_key(wanted).await;
        Ok(answer.map_err(|status| explain(&status))?.into_inner().secret)
    }

    /// Defines a funnel, or changes it to what is wanted.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn define(&self, funnel: v1::Funnel) -> anyhow::Result<()> {
        let mut definitions = DefinitionServiceClient::new(self.channel());
        let create = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel.clone()) };
        match definitions.create_funnel(create).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            Err(status) => return Err(explain(&status)),
        }
        let update =
            v1::UpdateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel), update_mask: None };
        definitions.update_funnel(update).await.map_err(|status| explain(&status))?;
        Ok(())
    }

    /// Defines a metric, or changes it to what is wanted.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn define_metric(&self, metric: v1::Metric) -> anyhow::Result<()> {
        let mut definitions = DefinitionServiceClient::new(self.channel());
        let create = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(metric.clone()) };
        match definitions.create_metric(create).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            Err(status) => return Err(explain(&status)),
        }
        let update =
            v1::UpdateMetricRequest { project: PROJECT.into(), metric: Some(metric), update_mask: None };
        definitions.update_metric(update).await.map_err(|status| explain(&status))?;
        Ok(())
    }

    /// Defines an alert rule, or changes it to what is wanted.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn define_rule(&self, rule: v1::AlertRule) -> anyhow::Result<()> {
        let mut definitions = DefinitionServiceClient::new(self.channel());
        let create = v1::CreateAlertRuleRequest { project: PROJECT.into(), alert_rule: Some(rule.clone()) };
        match definitions.create_alert_rule(create).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            Err(status) => return Err(explain(&status)),
        }
        let (project, alert_rule) = (PROJECT.into(), Some(rule));
        let update = v1::UpdateAlertRuleRequest { project, alert_rule, update_mask: None };
        definitions.update_alert_rule(update).await.map_err(|status| explain(&status))?;
        Ok(())
    }

    /// What became of all delivery attempts, by the server's ledger.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn outcomes(&self) -> anyhow::Result<Outcomes> {
        let wanted = v1::QueryOutcomesRequest { project: PROJECT.into(), ..Default::default() };
        let answer = QueryServiceClient::new(self.channel()).query_outcomes(wanted).await;
        let mut outcomes = Outcomes::default();
        for total in answer.map_err(|status| explain(&status))?.into_inner().totals {
            match total.outcome.as_str() {
                "stored" => outcomes.stored += total.count,
                "duplicate" => outcomes.duplicate += total.count,
                _ => outcomes.refused += total.count,
            }
        }
        Ok(outcomes)
    }

    /// The ids of all events stored since `from_us` (event time), as often as they are stored.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn stored_ids(&self, from_us: i64) -> anyhow::Result<Vec<String>> {
        let mut query = QueryServiceClient::new(self.channel());
        let mut ids = Vec::new();
        let mut page_token = String::new();
        loop {
            let wanted = v1::ListEventsRequest {
                project: PROJECT.into(),
                from: Some(footpath_api::convert::timestamp(from_us)),
                page_size: 1_000,
                page_token,
                ..Default::default()
            };
            let page = query.list_events(wanted).await.map_err(|status| explain(&status))?.into_inner();
            ids.extend(page.events.into_iter().map(|event| event.id));
            if page.next_page_token.is_empty() {
                return Ok(ids);
            }
            page_token = page.next_page_token;
        }
    }
}
