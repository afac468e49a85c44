//! Numbers of metrics and funnels for scrapers: one whole span of each, of production only and without internal traffic, as alert
//! rules count.

use std::sync::Arc;
use std::time::Duration;

use footpath_engine::SliceValue;
use footpath_engine::metric::MetricSeries;
use footpath_store::ProjectRow;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::alerts::numbers::LiveNumbers;
use crate::context::Context;

mod ask;
mod chosen;
mod selection;
mod span;

use ask::Counts;
use chosen::Chosen;
pub use selection::Selection;

/// Values of a breakdown that are named, the largest first.
pub const TOP: usize = 100;
/// How long all questions together may take. Prometheus waits 10 s where nothing else is set (`scrape_timeout`).
const DEADLINE: Duration = Duration::from_secs(8);
/// Questions that are open at a time: a scrape must not take all processors from those who wait for an answer.
const AT_A_TIME: usize = 2;

/// What there is to show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Numbered events that are known to be missing, by the projects that are shown.
    pub missing: Vec<(String, u64)>,
    /// What was selected, and whether nothing has that name now.
    pub selected: Vec<(Selection, bool)>,
    /// The metrics.
    pub metrics: Vec<Shown<Metric>>,
    /// The funnels.
    pub funnels: Vec<Shown<Funnel>>,
}

/// A definition and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<N> {
    /// The project's id.
    pub project: String,
    /// The definition's id.
    pub id: String,
    /// The property of its breakdown.
    pub breakdown: Option<String>,
    /// What was counted; `None` if that failed or took too long.
    pub numbers: Option<N>,
}

/// A metric's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// End of the span that was counted, exclusive, microseconds since 1970.
    pub to_us: i64,
    /// What the numbers are.
    pub unit: Unit,
    /// The percentiles that it asks for.
    pub percentiles: Vec<f64>,
    /// One series without a breakdown, else one for each of the largest values and one for all others.
    pub series: Vec<MetricSeries>,
    /// Whether values are among the others that have a name.
    pub cut: bool,
}

/// What the numbers of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whatever the metric says: events, persons, money.
    Own,
    /// One over another.
    Ratio,
    /// Seconds.
    Seconds,
}

/// A funnel's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Funnel {
    /// End of the span that entries lie in, exclusive, microseconds since 1970.
    pub to_us: i64,
    /// Who reached each step, without a breakdown or over all of its values.
    pub reached: Vec<u64>,
    /// The same by value, with a breakdown.
    pub slices: Vec<FunnelValue>,
    /// Whether values are among the others that have a name.
    pub cut: bool,
}

/// A funnel's numbers of one value of its breakdown.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelValue {
    /// Which value.
    pub value: SliceValue,
    /// Who reached each step.
    pub reached: Vec<u64>,
}

/// Why nothing can be shown now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The live path has not read what was stored before the start.
    #[error("live numbers are catching up with what was stored before the start; scrape again")]
    CatchingUp,
    /// The store failed.
    #[error("definitions cannot be read: {0}")]
    Store(String),
}

/// Counts what is selected.
pub struct SeriesNumbers {
    context: Arc<Context>,
    numbers: LiveNumbers,
    selected: Vec<Selection>,
}

impl SeriesNumbers {
    /// Of what `context` serves, what is `selected`.
    pub fn new(context: Arc<Context>, selected: Vec<Selection>) -> Self {
        let numbers = LiveNumbers::new(Arc::clone(&context));
        Self { context, numbers, selected }
    }

    /// Counts everything that is selected, each definition once.
    ///
    /// # Errors
    /// If nothing can be said yet, or the store fails. A definition that cannot be counted is no error: it has no numbers.
    pub async fn page(&self) -> Result<Page, PageError> {
        let processed_us = self.numbers.processed_us().ok_or(PageError::CatchingUp)?;
        let chosen = Chosen::find(&self.context, &self.selected)?;
        let deadline = Instant::now() + DEADLINE;
        let missing =
            |project: &Arc<ProjectRow>| (project.id.clone(), self.context.ingest.missing(project.number));
        Ok(Page {
            missing: chosen.projects.iter().map(missing).collect(),
            metrics: self.counted(chosen.metrics, processed_us, deadline).await,
            funnels: self.counted(chosen.funnels, processed_us, deadline).await,
            selected: chosen.selected,
        })
    }

    /// Counts definitions of one kind, a few at a time; in their order.
    async fn counted<D: Counts>(
        &self,
        chosen: Vec<(Arc<ProjectRow>, D)>,
        processed_us: i64,
        deadline: Instant,
    ) -> Vec<Shown<D::Numbers>> {
        let shown = |(project, definition)| self.shown(project, definition, processed_us, deadline);
        let shown: Vec<_> = chosen.into_iter().map(shown).collect();
        stream::iter(shown).buffered(AT_A_TIME).collect().await
    }

    async fn shown<D: Counts>(
        &self,
        project: Arc<ProjectRow>,
        definition: D,
        processed_us: i64,
        deadline: Instant,
    ) -> Shown<D::Numbers> {
        let (id, by) = (definition.id().to_owned(), definition.breakdown());
        let breakdown = by.map(|by| by.property.clone());
        let asked = definition.count(&self.numbers, &project, processed_us);
        let numbers = answered(deadline, asked).await;
        Shown { project: project.id.clone(), id, breakdown, numbers }
    }
}

/// An answer that came in time.
async fn answered<N, E: std::fmt::Display>(
    deadline: Instant,
    asked: impl Future<Output = Result<N, E>>,
) -> Option<N> {
    match timeout_at(deadline, asked).await {
        Ok(Ok(numbers)) => Some(numbers),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a definition has no numbers for /series");
            None
        }
        Err(_) => {
            tracing::warn!("the definitions of /series take too long; select fewer");
            None
        }
    }
}
