//! The questions, and how long each takes.

use anyhow::{Context as _, ensure};
use footpath_proto::v1;
use serde::Serialize;
use tokio::time::Instant;
use v1::query_service_client::QueryServiceClient;

use crate::signed::{Signed, connect};

const STEPS: [&str; 4] = ["product_viewed", "add_to_cart", "checkout_started", "purchase"];
const DAY_S: i64 = 86_400;

/// What is asked; all of it over the whole set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How many persons got how far in four steps within a day.
    Funnel,
    /// Distinct persons by UTC day.
    Daily,
    /// Events by hour.
    Hourly,
}

impl std::str::FromStr for Question {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "funnel" => Self::Funnel,
            "daily" => Self::Daily,
            "hourly" => Self::Hourly,
            other => anyhow::bail!("{other:?} is none of funnel, daily, hourly"),
        })
    }
}

/// An answer, and how long the call took.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    ms: f64,
    answer: Numbers,
    events_read: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Numbers {
    /// Who reached each step.
    Reached(Vec<u64>),
    /// Each span's beginning, ms since 1970, and its number.
    Buckets(Vec<(i64, u64)>),
}

/// Asks over one connection.
pub struct Asking {
    client: QueryServiceClient<Signed>,
    project: String,
    range: v1::TimeRange,
}

impl Asking {
    /// Connects to `target` (a URL) with a token. Asks about a range, as times in RFC 3339, in UTC.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn open(
        target: &str,
        token: &str,
        project: &str,
        (from, to): (String, String),
    ) -> anyhow::Result<Self> {
        let span = v1::FixedRange { from, to };
        Ok(Self {
            client: QueryServiceClient::new(connect(target, token).await?),
            project: project.to_owned(),
            range: v1::TimeRange {
                kind: Some(v1::time_range::Kind::Fixed(span)),
                time_zone: "UTC".to_owned(),
            },
        })
    }

    /// Asks, and times the call.
    ///
    /// # Errors
    /// When the call fails or its answer is not what was asked for.
    pub async fn ask(&mut self, question: Question) -> anyhow::Result<Answer> {
        match question {
            Question::Funnel => self.funnel().await,
            Question::Daily => {
                self.metric(v1::MetricAggregate::UniquePersons, v1::MetricBucketUnit::Day).await
            }
            Question::Hourly => self.metric(v1::MetricAggregate::Count, v1::MetricBucketUnit::Hour).await,
        }
    }

    async fn funnel(&mut self) -> anyhow::Result<Answer> {
        let step = |name: &str| v1::FunnelStep { events: vec![name.to_owned()], ..Default::default() };
        let funnel = v1::Funnel {
            steps: STEPS.map(step).to_vec(),
            window: Some(prost_types::Duration { seconds: DAY_S, nanos: 0 }),
            ..Default::default()
        };
        let request = v1::QueryFunnelRequest {
            project: self.project.clone(),
            funnel: Some(funnel),
            range: Some(self.range.clone()),
            ..Default::default()
        };
        let begin = Instant::now();
        let answer = self.client.query_funnel(request).await?.into_inner();
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        Ok(Answer { ms, answer: Numbers::Reached(answer.reached), events_read: answer.events_read })
    }

    async fn metric(
        &mut self,
        aggregate: v1::MetricAggregate,
        unit: v1::MetricBucketUnit,
    ) -> anyhow::Result<Answer> {
        let term = v1::MetricTerm { aggregate: aggregate.into(), ..Default::default() };
        let metric = v1::Metric { measure: Some(v1::metric::Measure::Events(term)), ..Default::default() };
        let request = v1::QueryMetricRequest {
            project: self.project.clone(),
            metric: Some(metric),
            range: Some(self.range.clone()),
            unit: unit.into(),
            ..Default::default()
        };
        let begin = Instant::now();
        let answer = self.client.query_metric(request).await?.into_inner();
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let series = answer.series.first().context("no series")?;
        ensure!(answer.series.len() == 1, "a metric without a breakdown has one series");
        let buckets = series.buckets.iter().map(bucket).collect::<anyhow::Result<_>>()?;
        Ok(Answer { ms, answer: Numbers::Buckets(buckets), events_read: answer.events_read })
    }
}

fn bucket(bucket: &v1::MetricBucket) -> anyhow::Result<(i64, u64)> {
    let start = bucket.start.as_ref().context("a bucket without a beginning")?;
    let value = bucket.value.as_ref().context("a bucket without a value")?;
    ensure!(!value.approximate, "a bucket is an estimate");
    Ok((start.seconds * 1000, value.number.context("a bucket without a number")? as u64))
}
