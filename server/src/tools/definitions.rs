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
use serde::Serialize;
use v1::admin_service_client::AdminServiceClient;

use super::remote::{Project, SignedChannel, explain_for};

mod field;
mod filter;
mod found;
mod funnel;
mod kind;
mod metric;
mod place;
mod rule;
mod tidy;
mod wanted;
mod word;

pub use field::{in_file, renamed};
pub use found::{Found, Placed};
pub use funnel::Funnel;
pub use kind::{Client, Kind};
pub use metric::{Metric, Segment};
#[cfg(test)]
pub use place::Source;
pub use rule::AlertRule;
pub use wanted::Wanted;
pub use word::Word;

/// One file, as it is written; [`Wanted`] reads.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct File {
    /// The segments.
    #[serde(rename = "segment", skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// The funnels.
    #[serde(rename = "funnel", skip_serializing_if = "Vec::is_empty")]
    pub funnels: Vec<Funnel>,
    /// The metrics.
    #[serde(rename = "metric", skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The alert rules.
    #[serde(rename = "alert_rule", skip_serializing_if = "Vec::is_empty")]
    pub alert_rules: Vec<AlertRule>,
}

impl File {
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
impl File {
    /// Reads a file; of one with mistakes, these.
    fn parse(text: &str) -> Result<Self, String> {
        fn all<K: Kind>(found: Found<K>) -> Vec<K> {
            found.placed.into_iter().map(|one| one.definition).collect()
        }
        let mut wanted = Wanted::default();
        wanted.add(Source { file: "f.toml", text });
        match wanted.mistakes(&[]) {
            Some(mistakes) => Err(mistakes),
            None => Ok(Self {
                segments: all(wanted.segments),
                funnels: all(wanted.funnels),
                metrics: all(wanted.metrics),
                alert_rules: all(wanted.alert_rules),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
