//! Definitions as files: TOML that people read, compare and keep under version control. docs/tools.md has every option.
//!
//! ```toml
//! [[funnel]]
//! id = "checkout"
//! title = "Checkout"
//! window = "1h"
//! range = "last 30 days"
//!
//! [[funnel.step]]
//! label = "Basket"
//! events = ["add_to_cart", "cart"]
//!
//! [[funnel.step]]
//! events = ["purchase"]
//!
//! [[funnel.step.where]]
//! property = "plan"
//! operator = "equals"
//! values = ["pro"]
//! ```

use anyhow::Context as _;
use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use v1::admin_service_client::AdminServiceClient;

use super::remote::{Project, SignedChannel, explain_for};

mod filter;
mod funnel;
mod kind;
mod metric;
mod place;
mod rule;
mod tidy;
mod word;

pub use funnel::Funnel;
pub use kind::{Client, Kind};
pub use metric::{Metric, Segment};
pub use place::{Place, places};
pub use rule::AlertRule;
pub use word::Word;

/// One file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The segments.
    #[serde(default, rename = "segment", skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// The funnels.
    #[serde(default, rename = "funnel", skip_serializing_if = "Vec::is_empty")]
    pub funnels: Vec<Funnel>,
    /// The metrics.
    #[serde(default, rename = "metric", skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The alert rules.
    #[serde(default, rename = "alert_rule", skip_serializing_if = "Vec::is_empty")]
    pub alert_rules: Vec<AlertRule>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// With line and column of what cannot be read.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// Its text.
    ///
    /// # Errors
    /// If TOML cannot say it.
    pub fn write(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }
}

/// All definitions of a kind in a project, as the API shows them; `role` is what the caller's command needs.
///
/// # Errors
/// If the server does not answer or the token does not suffice.
pub async fn list<K: Kind>(
    client: &mut Client,
    project: &str,
    role: &str,
) -> anyhow::Result<Vec<K::Message>> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let page = K::page(client, project, token).await;
        let (messages, next) = page.map_err(|status| explain_for(role, &status))?;
        all.extend(messages);
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

/// The project's time zone, which definitions have that name none.
///
/// # Errors
/// If the server does not answer, or the token does not open the project.
pub async fn time_zone(channel: SignedChannel, project: &Project, role: &str) -> anyhow::Result<String> {
    let mut admin = AdminServiceClient::new(channel);
    let mut page_token = String::new();
    loop {
        let request = v1::ListProjectsRequest { page_size: 0, page_token };
        let page = admin.list_projects(request).await.map_err(|status| explain_for(role, &status))?;
        let page = page.into_inner();
        if let Some(known) = page.projects.into_iter().find(|known| known.id == project.id) {
            return Ok(known.time_zone);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    None.context("no such project; name another with --project, the page lists those there are")
}

#[cfg(test)]
mod tests;
