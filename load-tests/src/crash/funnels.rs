//! Funnels that come, change and go, and what each has to show.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use footpath_proto::v1;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;
use tonic::Code;

use super::api::Api;
use super::books::{Books, Entry};
use super::link::Link;
use super::source::{IDENTIFY, NAMES, PLAN, PLANS, SPAN_S};

/// Most funnels at a time.
const MOST: usize = 4;
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(10);

/// What a funnel counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Names of its steps, all different.
    pub steps: Vec<&'static str>,
    /// The plan that its first step asks for.
    pub plan: Option<&'static str>,
    /// Seconds from the first step to the last.
    pub window_s: i64,
    /// Its range: from here on, seconds since 1970 ...
    pub from_s: i64,
    /// ... and before here.
    pub to_s: i64,
}

impl Spec {
    fn draw(rng: &mut StdRng, base_s: i64) -> Self {
        let mut steps = NAMES.to_vec();
        steps.shuffle(rng);
        steps.truncate(rng.random_range(2..=3));
        let from_s = base_s + rng.random_range(0..SPAN_S / 2);
        Self {
            steps,
            plan: rng.random_bool(0.3).then(|| PLANS[rng.random_range(0..PLANS.len())]),
            window_s: rng.random_range(30..=1_800),
            from_s,
            to_s: from_s + rng.random_range(SPAN_S / 4..=SPAN_S / 2),
        }
    }

    /// As the API takes it.
    pub fn message(&self, id: &str) -> v1::Funnel {
        let step = |(index, name): (usize, &&str)| {
            let plan = self.plan.filter(|_| index == 0).map(|plan| v1::PropertyCondition {
                property: PLAN.to_owned(),
                operator: v1::ConditionOperator::Equals.into(),
                values: vec![plan.to_owned()],
                ..v1::PropertyCondition::default()
            });
            let conditions = plan.into_iter().collect();
            let events = vec![(*name).to_owned()];
            v1::FunnelStep { label: (*name).to_owned(), events, conditions, ..v1::FunnelStep::default() }
        };
        let fixed = v1::FixedRange { from: rfc3339(self.from_s), to: rfc3339(self.to_s) };
        v1::Funnel {
            id: id.to_owned(),
            steps: self.steps.iter().enumerate().map(step).collect(),
            window: Some(prost_types::Duration { seconds: self.window_s, nanos: 0 }),
            range: Some(v1::TimeRange {
                kind: Some(v1::time_range::Kind::Fixed(fixed)),
                time_zone: "UTC".to_owned(),
            }),
            ..v1::Funnel::default()
        }
    }

    /// Persons at each step, counted without any cleverness.
    pub fn count(&self, books: &Books) -> Vec<u64> {
        let mut reached = vec![0; self.steps.len()];
        for times in self.persons(books).values() {
            for step in &mut reached[..self.depth(times)] {
                *step += 1;
            }
        }
        reached
    }

    /// Of each person, the times of each step in order.
    fn persons<'a>(&self, books: &'a Books) -> HashMap<&'a str, Vec<Vec<i64>>> {
        let identified = books.stored().filter(|entry| entry.name == IDENTIFY);
        let users: HashMap<&str, &str> = identified.map(|e| (&*e.anonymous, &*e.user)).collect();
        let mut persons: HashMap<&str, Vec<Vec<i64>>> = HashMap::new();
        for entry in books.stored() {
            let Some(step) = self.step(entry) else { continue };
            let actor = entry.actor();
            let person = users.get(actor).copied().unwrap_or(actor);
            let times = persons.entry(person).or_insert_with(|| vec![Vec::new(); self.steps.len()]);
            times[step].push(entry.time_s);
        }
        persons.values_mut().flatten().for_each(|times| times.sort_unstable());
        persons
    }

    fn step(&self, entry: &Entry) -> Option<usize> {
        let step = self.steps.iter().position(|name| *name == entry.name)?;
        (step > 0 || self.plan.is_none_or(|plan| plan == entry.plan)).then_some(step)
    }

    /// The deepest chain: from every entry, each step as early as it comes. Equal times count as in order.
    fn depth(&self, times: &[Vec<i64>]) -> usize {
        let entries = times[0].iter().filter(|entry| (self.from_s..self.to_s).contains(*entry));
        let chain = |entry: &i64| {
            let (mut at, mut depth) = (*entry, 1);
            for step in &times[1..] {
                let next = step.iter().find(|time| **time >= at && **time <= entry + self.window_s);
                let Some(next) = next else { break };
                (at, depth) = (*next, depth + 1);
            }
            depth
        };
        entries.map(chain).max().unwrap_or(0)
    }
}

fn rfc3339(seconds: i64) -> String {
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}

/// The funnels that exist, as far as the server has confirmed.
#[derive(Debug)]
pub struct Funnels {
    rng: StdRng,
    base_s: i64,
    made: u32,
    /// By id.
    pub known: BTreeMap<String, Spec>,
    /// The one deleted last.
    pub deleted: Option<String>,
}

/// One change.
enum Change {
    Create(String, Spec),
    Update(String, Spec),
    Delete(String),
}

impl Funnels {
    /// No funnel yet.
    pub fn new(seed: u64, base_s: i64) -> Self {
        Self { rng: StdRng::seed_from_u64(!seed), base_s, made: 0, known: BTreeMap::new(), deleted: None }
    }

    /// Makes a change now and then while the link produces, and gets each confirmed, whatever happens to the server.
    ///
    /// # Errors
    /// If a change is refused.
    pub async fn run(mut self, link: std::sync::Arc<Link>, token: String) -> anyhow::Result<Self> {
        if self.known.is_empty() {
            self.change(&link, &token).await?;
        }
        loop {
            sleep(Duration::from_millis(self.rng.random_range(50..600))).await;
            if !link.is_producing() {
                return Ok(self);
            }
            self.change(&link, &token).await?;
        }
    }

    async fn change(&mut self, link: &Link, token: &str) -> anyhow::Result<()> {
        let change = self.draw();
        let mut attempts = 0;
        while !apply(&change, link, token, attempts).await? {
            attempts += 1;
            sleep(AGAIN).await;
        }
        match change {
            Change::Create(id, spec) | Change::Update(id, spec) => drop(self.known.insert(id, spec)),
            Change::Delete(id) => {
                self.known.remove(&id);
                self.deleted = Some(id);
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> Change {
        let spec = Spec::draw(&mut self.rng, self.base_s);
        let place = self.rng.random_range(0..=MOST);
        let Some(id) = self.known.keys().nth(place).cloned() else {
            self.made += 1;
            return Change::Create(format!("funnel-{}", self.made), spec);
        };
        if self.rng.random_bool(0.4) { Change::Delete(id) } else { Change::Update(id, spec) }
    }
}

/// One attempt; says whether the change is made.
async fn apply(change: &Change, link: &Link, token: &str, attempts: u32) -> anyhow::Result<bool> {
    let Ok(api) = Api::connect(&link.url().await, token).await else { return Ok(false) };
    let done = match change {
        Change::Create(id, spec) => api.put(&spec.message(id), true).await,
        Change::Update(id, spec) => api.put(&spec.message(id), false).await,
        Change::Delete(id) => api.delete(id).await,
    };
    match done {
        Ok(()) => Ok(true),
        // An earlier attempt was made, only its answer never came.
        Err(status) if status.code() == Code::NotFound && attempts > 0 => {
            anyhow::ensure!(matches!(change, Change::Delete(_)), "a funnel is gone: {status:?}");
            Ok(true)
        }
        Err(status)
            if matches!(status.code(), Code::NotFound | Code::InvalidArgument | Code::AlreadyExists) =>
        {
            Err(anyhow::anyhow!("a definition was refused: {status:?}"))
        }
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec { steps: vec!["view", "cart", "pay"], plan: None, window_s: 60, from_s: 50, to_s: 100 }
    }

    #[test]
    fn the_deepest_chain_counts_and_equal_times_are_in_order() {
        let depth = |times: [&[i64]; 3]| spec().depth(&times.map(<[i64]>::to_vec));
        assert_eq!(depth([&[50], &[50], &[50]]), 3);
        assert_eq!(depth([&[50, 80], &[70], &[110]]), 3, "exactly the window");
        assert_eq!(depth([&[50], &[70], &[111]]), 2);
        assert_eq!(depth([&[49, 100], &[70], &[80]]), 0, "no entry in the range");
        assert_eq!(depth([&[50, 90], &[95], &[150]]), 3, "the second entry");
        assert_eq!(depth([&[60], &[55], &[70]]), 1);
    }

    #[test]
    fn moments_are_written_as_the_api_reads_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
