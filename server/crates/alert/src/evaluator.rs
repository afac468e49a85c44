//! Judges buckets as soon as they are over and counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use footpath_engine::alert::{AlertFold, RuleState};
use footpath_model::alert::{CountedRule, Observed};
use footpath_model::control::Control;
use footpath_store::ProjectRow;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::keeper::Keeper;
use crate::learning::{buckets_back, past};
use crate::numbers::{Numbers, NumbersError, Seen};
use crate::plan::{Bucket, due};

mod explain;
mod observe;

pub(crate) use observe::days_against;

/// How often it is looked whether something is due, and how long numbers may take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two looks.
    pub every: Duration,
    /// Numbers that take longer are asked for again later.
    pub numbers: Duration,
    /// Drivers of all incidents that begin at once; those that take longer are left out.
    pub drivers: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let (every, numbers) = (Duration::from_millis(250), Duration::from_secs(20));
        Self { every, numbers, drivers: Duration::from_secs(5) }
    }
}

/// What a rule is to be asked, and what becomes of it.
struct Asked {
    rule: CountedRule,
    bucket: Bucket,
}

/// Evaluates all rules; ends when dropped.
pub struct Evaluator {
    task: JoinHandle<()>,
}

impl Evaluator {
    /// Starts it. `down` is the time before the start in which nothing could come in: from, to, microseconds since 1970.
    pub fn start<N: Numbers>(numbers: Arc<N>, keeper: Arc<Keeper>, pace: Pace, down: (i64, i64)) -> Self {
        let work = Arc::new(Work { numbers, keeper, pace, down, learning: Mutex::default() });
        Self { task: tokio::spawn(work.run()) }
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work<N> {
    numbers: Arc<N>,
    keeper: Arc<Keeper>,
    pace: Pace,
    down: (i64, i64),
    /// Rules whose past is being read: project, rule, version.
    learning: Mutex<HashSet<(u32, String, u64)>>,
}

impl<N: Numbers> Work<N> {
    async fn run(self: Arc<Self>) {
        let mut ticks = interval(self.pace.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut busy: HashMap<u32, JoinHandle<()>> = HashMap::new();
        loop {
            ticks.tick().await;
            busy.retain(|_, task| !task.is_finished());
            let projects = match self.numbers.projects() {
                Ok(projects) => projects,
                Err(error) => {
                    tracing::warn!(%error, "alert rules cannot be evaluated; trying again");
                    continue;
                }
            };
            for project in projects {
                // One project that is slow holds up no other one.
                if busy.contains_key(&project.number) || !self.has_work(&project) {
                    continue;
                }
                let (work, number) = (Arc::clone(&self), project.number);
                busy.insert(number, tokio::spawn(async move { work.step(&project).await }));
            }
        }
    }

    fn has_work(self: &Arc<Self>, project: &ProjectRow) -> bool {
        let Some(seen) = self.numbers.seen(project.number) else { return false };
        let (due, new) = self.look(project, seen);
        new.into_iter().for_each(|rule| self.learn(project, rule));
        !due.is_empty()
    }

    /// What is due in a project, and the rules whose past has to be read.
    fn look(&self, project: &ProjectRow, seen: Seen) -> (Vec<Asked>, Vec<CountedRule>) {
        let look = |fold: &AlertFold| {
            let (mut asked, mut new) = (Vec::new(), Vec::new());
            for rule in fold.rules() {
                if rule.state() == RuleState::BackFilling {
                    new.push(rule.counted.clone());
                }
                let buckets = due(rule, seen.processed_us).into_iter();
                asked.extend(buckets.map(|bucket| Asked { rule: rule.counted.clone(), bucket }));
            }
            (asked, new)
        };
        self.keeper.read(project.number, look).unwrap_or_default()
    }

    /// Reads the past of a rule beside everything else.
    fn learn(self: &Arc<Self>, project: &ProjectRow, rule: CountedRule) {
        let name = (project.number, rule.definition.id.clone(), rule.definition.version);
        if !self.learning.lock().insert(name.clone()) {
            return;
        }
        let (work, project) = (Arc::clone(self), project.clone());
        tokio::spawn(async move {
            if let Err(error) = work.learned(&project, &rule).await {
                tracing::warn!(%error, rule = rule.definition.id, "the past of an alert rule cannot be read; trying again");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            work.learning.lock().remove(&name);
        });
    }

    async fn learned(&self, project: &ProjectRow, rule: &CountedRule) -> Result<(), NumbersError> {
        let now_us = self.numbers.now_us();
        let upto_us = now_us - rule.definition.delay_us;
        let back_us = rule.definition.every.usual_us() * buckets_back(rule.definition.every) as i64;
        let past = past(self.numbers.as_ref(), project, rule, upto_us - back_us, upto_us).await?;
        for record in past.records(rule) {
            self.numbers.record(project, record).await?;
        }
        Ok(())
    }

    async fn step(&self, project: &ProjectRow) {
        let Some(seen) = self.numbers.seen(project.number) else { return };
        let (asked, _) = self.look(project, seen);
        match self.evaluate(project, seen, asked).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, project = project.id, "alert rules cannot be evaluated; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn evaluate(
        &self,
        project: &ProjectRow,
        seen: Seen,
        asked: Vec<Asked>,
    ) -> Result<(), NumbersError> {
        let observed = asked.iter().map(|one| self.observe(project, seen, one));
        let (mut rules, mut failed) = (Vec::new(), HashSet::new());
        for (one, observed) in asked.iter().zip(join_all(observed).await) {
            let id = &one.rule.definition.id;
            match observed {
                // Buckets of a rule are judged in their order: after one that failed the others wait.
                Ok(observed) if !failed.contains(id) => rules.push(observed),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, rule = id, "an alert rule has no numbers; trying again");
                    failed.insert(id.clone());
                }
            }
        }
        if rules.is_empty() {
            return if failed.is_empty() { Ok(()) } else { Err(NumbersError("no rule has numbers".into())) };
        }
        rules.sort_by_key(|one: &Observed| one.to_us);
        self.explain(project, &asked, &mut rules).await;
        self.numbers.record(project, Control::Observed { rules }).await
    }
}
