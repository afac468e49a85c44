//! /series: numbers of metrics and funnels as Prometheus reads them, for whoever selected some in the settings.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use footpath_api::series::SeriesNumbers;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use http::{StatusCode, header};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use crate::admin::{OPEN_METRICS, open_metrics};

mod families;
mod labels;
mod samples;

use families::Families;

/// Where the numbers stand in text, or why they do not.
type Answer = Result<Arc<str>, Arc<str>>;
type Scrape = BoxFuture<'static, Answer>;

/// When to come again where there are no numbers yet, in seconds.
const RETRY_AFTER: &str = "5";
const NOT_SELECTED: &str = "nothing is shown here: select projects, metrics or funnels with the setting \"series\", \
    as in series = \"shop,blog/signups\"; its numbers are then open to whoever reaches this port";

/// Answers scrapes.
pub struct Series {
    numbers: Option<Arc<SeriesNumbers>>,
    running: Mutex<Option<WeakShared<Scrape>>>,
}

impl Series {
    /// Shows `numbers`; `None` if nothing was selected.
    pub fn new(numbers: Option<SeriesNumbers>) -> Self {
        Self { numbers: numbers.map(Arc::new), running: Mutex::default() }
    }

    /// Answers one scrape.
    pub async fn answer(&self) -> Response {
        let Some(numbers) = &self.numbers else {
            return (StatusCode::NOT_FOUND, NOT_SELECTED).into_response();
        };
        match self.scrape(numbers).await {
            Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text.to_string()).into_response(),
            Err(why) => {
                let again = [(header::RETRY_AFTER, RETRY_AFTER)];
                (StatusCode::SERVICE_UNAVAILABLE, again, why.to_string()).into_response()
            }
        }
    }

    /// The scrape that is under way, or a new one: whoever comes meanwhile gets the same answer, and it ends when nobody waits
    /// for it any more.
    fn scrape(&self, numbers: &Arc<SeriesNumbers>) -> Shared<Scrape> {
        join(&mut self.running.lock(), || text(Arc::clone(numbers)).boxed())
    }
}

/// What is under way, else something new.
fn join(running: &mut Option<WeakShared<Scrape>>, new: impl FnOnce() -> Scrape) -> Shared<Scrape> {
    let under_way = running.as_ref().and_then(WeakShared::upgrade);
    under_way.filter(|scrape| scrape.peek().is_none()).unwrap_or_else(|| {
        let scrape = new().shared();
        *running = scrape.downgrade();
        scrape
    })
}

async fn text(numbers: Arc<SeriesNumbers>) -> Answer {
    let page = numbers.page().await.map_err(|error| Arc::from(error.to_string()))?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families::of(&page)));
    open_metrics(&registry).map(Arc::from).map_err(|error| Arc::from(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::sync::oneshot;

    use super::*;

    fn answer(text: &str) -> Answer {
        Ok(Arc::from(text))
    }

    fn none() -> Scrape {
        panic!("there is one already")
    }

    #[tokio::test]
    async fn who_comes_meanwhile_gets_the_same_answer_and_who_comes_later_a_new_one() {
        let mut running = None;
        let (end, ended) = oneshot::channel();
        let first = join(&mut running, || ended.map(|text| answer(text.unwrap())).boxed());
        let second = join(&mut running, none);
        end.send("one").unwrap();
        assert_eq!(first.clone().await, answer("one"));
        let third = join(&mut running, || ready(answer("two")).boxed());
        assert_eq!((second.await, third.await), (answer("one"), answer("two")));
    }

    #[tokio::test]
    async fn a_scrape_ends_with_the_last_who_waits() {
        let (mut running, (end, ended)) = (None, oneshot::channel::<()>());
        drop(join(&mut running, || ended.map(|_| answer("never")).boxed()));
        assert!(end.is_closed());
        assert_eq!(join(&mut running, || ready(answer("new")).boxed()).await, answer("new"));
    }
}
