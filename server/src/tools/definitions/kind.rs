//! The kinds of definitions: what the tools do with all of them alike is said once, in terms of this trait.

use footpath_api::convert;
use footpath_proto::v1;
use serde::de::DeserializeOwned;
use tonic::Status;
use v1::definition_service_client::DefinitionServiceClient;

use super::field::List;
use super::tidy::{tidy, tidy_rule};
use super::{AlertRule, Funnel, Metric, Segment};
use crate::tools::remote::SignedChannel;

/// The service that keeps them.
pub type Client = DefinitionServiceClient<SignedChannel>;
type Warnings = Vec<v1::DefinitionWarning>;

/// A kind of definition, as files say it. Its calls give the server's status where they fail.
pub trait Kind: DeserializeOwned {
    /// As the API says it.
    type Message: Clone + PartialEq;
    /// What it is called.
    const NAME: &'static str;

    /// Its id.
    fn id(&self) -> &str;
    /// As the API takes it.
    fn message(&self) -> anyhow::Result<Self::Message>;
    /// A message that says no more than an id.
    fn named(id: &str) -> Self::Message;
    /// Its lists of conditions.
    fn lists(&self) -> Vec<List<'_>>;
    /// From the API, without what it means anyway; `zone` is the project's.
    fn shown(message: Self::Message, zone: &str) -> anyhow::Result<Self>;
    /// What it comes down to, whichever way it is said; `zone` is the project's. Checks what the server checks.
    fn meaning(message: &Self::Message, zone: &str) -> Result<Self::Message, Status>;
    /// The id of a message.
    fn id_of(message: &Self::Message) -> &str;
    /// `message` as a change of `known`.
    fn change(message: Self::Message, known: &Self::Message) -> Self::Message;

    /// A page of a project's, and the token of the next.
    async fn page(
        client: &mut Client,
        project: &str,
        token: String,
    ) -> Result<(Vec<Self::Message>, String), Status>;
    /// Creates one.
    async fn create(client: &mut Client, project: &str, message: Self::Message) -> Result<Warnings, Status>;
    /// Changes one.
    async fn update(client: &mut Client, project: &str, message: Self::Message) -> Result<Warnings, Status>;
    /// Deletes one.
    async fn delete(client: &mut Client, project: &str, id: String) -> Result<(), Status>;
}

macro_rules! kind {
    (
        $type:ident, $name:ident, $id:ident, $meaning:expr, $shown:expr,
        $list:ident($list_request:ident) $items:ident, $create:ident($create_request:ident),
        $update:ident($update_request:ident), $delete:ident($delete_request:ident)
    ) => {
        impl Kind for $type {
            type Message = v1::$type;
            const NAME: &'static str = stringify!($name);

            fn id(&self) -> &str {
                &self.id
            }

            fn message(&self) -> anyhow::Result<v1::$type> {
                self.to_message()
            }

            fn named(id: &str) -> v1::$type {
                v1::$type { id: id.to_owned(), ..v1::$type::default() }
            }

            fn lists(&self) -> Vec<List<'_>> {
                self.wheres()
            }

            fn shown(message: v1::$type, zone: &str) -> anyhow::Result<Self> {
                $shown(message, zone)
            }

            fn meaning(message: &v1::$type, zone: &str) -> Result<v1::$type, Status> {
                $meaning(message, zone)
            }

            fn id_of(message: &v1::$type) -> &str {
                &message.id
            }

            fn change(message: v1::$type, known: &v1::$type) -> v1::$type {
                v1::$type { etag: known.etag.clone(), ..message }
            }

            async fn page(
                client: &mut Client,
                project: &str,
                page_token: String,
            ) -> Result<(Vec<v1::$type>, String), Status> {
                let request = v1::$list_request { project: project.to_owned(), page_size: 0, page_token };
                let page = client.$list(request).await?.into_inner();
                Ok((page.$items, page.next_page_token))
            }

            async fn create(
                client: &mut Client,
                project: &str,
                message: v1::$type,
            ) -> Result<Warnings, Status> {
                let request = v1::$create_request { project: project.to_owned(), $name: Some(message) };
                Ok(client.$create(request).await?.into_inner().warnings)
            }

            async fn update(
                client: &mut Client,
                project: &str,
                message: v1::$type,
            ) -> Result<Warnings, Status> {
                let project = project.to_owned();
                let request = v1::$update_request { project, $name: Some(message), update_mask: None };
                Ok(client.$update(request).await?.into_inner().warnings)
            }

            async fn delete(client: &mut Client, project: &str, $id: String) -> Result<(), Status> {
                let request = v1::$delete_request { project: project.to_owned(), $id };
                client.$delete(request).await.map(drop)
            }
        }
    };
}

kind!(
    Segment, segment, segment_id,
    |message, _zone| convert::segment(message, 1).map(|segment| convert::segment_message(&segment)),
    |message, _zone| Ok(Segment::from_message(message)),
    list_segments(ListSegmentsRequest) segments, create_segment(CreateSegmentRequest),
    update_segment(UpdateSegmentRequest), delete_segment(DeleteSegmentRequest)
);
kind!(
    Funnel, funnel, funnel_id,
    |message, zone| convert::funnel(message, 1, zone).map(|funnel| convert::funnel_message(&funnel)),
    |message, zone| Funnel::from_message(tidy(message, zone)),
    list_funnels(ListFunnelsRequest) funnels, create_funnel(CreateFunnelRequest),
    update_funnel(UpdateFunnelRequest), delete_funnel(DeleteFunnelRequest)
);
kind!(
    Metric, metric, metric_id,
    |message, _zone| convert::metric(message, 1).map(|metric| convert::metric_message(&metric)),
    |message, _zone| Metric::from_message(message),
    list_metrics(ListMetricsRequest) metrics, create_metric(CreateMetricRequest),
    update_metric(UpdateMetricRequest), delete_metric(DeleteMetricRequest)
);
kind!(
    AlertRule, alert_rule, alert_rule_id,
    AlertRule::spelled_out,
    |message, zone| AlertRule::from_message(tidy_rule(message, zone)),
    list_alert_rules(ListAlertRulesRequest) alert_rules, create_alert_rule(CreateAlertRuleRequest),
    update_alert_rule(UpdateAlertRuleRequest), delete_alert_rule(DeleteAlertRuleRequest)
);
