//! Metrics that the live path does not follow, counted again and again from stored events while somebody watches: once for all
//! who look at the same.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use footpath_engine::metric::Table;
use footpath_live::{MetricNumbers, Numbers, Progress, Shape, Shown, Standing};
use footpath_model::control::CountedMetric;
use footpath_query::{MetricAnswer, MetricQuery};
use footpath_store::ProjectRow;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::context::Context;
use crate::query::QueryApi;

/// Least time between two counts.
const LEAST: Duration = Duration::from_secs(1);
/// How much longer it rests than it counted: a tenth of one thread's time at most.
const REST: u32 = 9;

type Key = (String, String, u64, Shape);
type Feed = watch::Sender<Arc<Shown>>;

/// What is counted again at present; a feed ends with its last watcher.
#[derive(Default)]
pub struct Recounts(Mutex<HashMap<Key, Weak<Feed>>>);

impl Recounts {
    /// The numbers of a metric in a shape, whenever they were counted.
    pub fn watch(
        &self,
        context: &Arc<Context>,
        project: &Arc<ProjectRow>,
        counted: CountedMetric,
        shape: Shape,
    ) -> watch::Receiver<Arc<Shown>> {
        let key =
            (project.id.clone(), counted.definition.id.clone(), counted.definition.version, shape.clone());
        let mut feeds = self.0.lock();
        feeds.retain(|_, feed| feed.strong_count() > 0);
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade) {
            return feed.subscribe();
        }
        let standing = Standing { version: counted.definition.version, ..Standing::default() };
        let feed = Arc::new(watch::Sender::new(Arc::new(Shown { standing, numbers: Numbers::None })));
        feeds.insert(key, Arc::downgrade(&feed));
        let receiver = feed.subscribe();
        let recount = Recount { context: Arc::clone(context), project: Arc::clone(project), counted, shape };
        tokio::spawn(recount.run(feed));
        receiver
    }
}

/// A metric that is counted again.
struct Recount {
    context: Arc<Context>,
    project: Arc<ProjectRow>,
    counted: CountedMetric,
    shape: Shape,
}

impl Recount {
    /// Counts until nobody watches, or the definition is another one.
    async fn run(self, feed: Arc<Feed>) {
        while feed.receiver_count() > 0 && self.is_defined() {
            let begun = Instant::now();
            let before = self.context.log.durable_end();
            match self.count().await {
                Ok(shown) => _ = feed.send_replace(Arc::new(shown)),
                Err(error) => tracing::warn!(reason = error.message(), "a watched metric cannot be counted"),
            }
            let rest = LEAST.max(begun.elapsed() * REST);
            let moves = self.shape.range.moves();
            self.rest(&feed, rest, (!moves).then_some(before)).await;
        }
    }

    /// Waits, and then for something new where time alone changes nothing.
    async fn rest(&self, feed: &Feed, rest: Duration, seen: Option<u64>) {
        tokio::select! {
            () = sleep(rest) => {}
            () = feed.closed() => return,
        }
        while seen == Some(self.context.log.durable_end()) && self.is_defined() {
            tokio::select! {
                () = sleep(LEAST) => {}
                () = feed.closed() => return,
            }
        }
    }

    fn is_defined(&self) -> bool {
        let id = &self.counted.definition.id;
        let known = crate::definitions::find::<CountedMetric>(&self.context, &self.project.id, id);
        known.is_ok_and(|known| known.as_ref() == Some(&self.counted))
    }

    async fn count(&self) -> Result<Shown, Status> {
        let api = QueryApi::new(Arc::clone(&self.context));
        let (counted, shape) = (self.counted.clone(), self.shape.clone());
        let answer = api.asked(&self.project)?.answer(move |source| {
            let Shape { range, zone, unit, top, .. } = &shape;
            let query = MetricQuery {
                counted: &counted,
                range,
                zone,
                unit: *unit,
                compare_previous: false,
                top: *top,
            };
            footpath_query::metric(source, &query)
        });
        Ok(self.shown(answer.await?))
    }

    fn shown(&self, answer: MetricAnswer) -> Shown {
        let at = Progress { position: answer.read.position, processed_us: answer.read.processed_us };
        let standing = Standing {
            version: self.counted.definition.version,
            at,
            live: true,
            percent: 100,
            next: None,
            behind: true,
        };
        let mut series = answer.series;
        let (rows, total) = match answer.total {
            Some(total) => (Some(series), Some(total)),
            None => (None, series.pop()),
        };
        let Some(total) = total else { return Shown { standing, numbers: Numbers::None } };
        let table = Table { keys: Vec::new(), rows, total, overflow: answer.overflow, cut: false };
        let span = (answer.span.from_us, answer.span.to_us);
        let numbers = MetricNumbers::new(&self.counted.definition, table, span);
        let numbers = MetricNumbers { recounted: true, ..numbers };
        Shown { standing, numbers: Numbers::Metric(Box::new(numbers)) }
    }
}
