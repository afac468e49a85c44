//! One client of a round, through all its processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::books::Excuse;
use super::files;
use super::orders::{CLIENT_BITS, End, Orders, first_key};
use super::plan::{ClientPlan, Life, Step};
use super::process::{Said, live};
use super::round::Stage;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
/// Bytes that make an event heavy: 2,000 of them are more than a full disk has room for.
const HEAVY: usize = 700;
/// The second of two processes starts so much later.
const LATER: Duration = Duration::from_millis(120);

/// See the module.
#[derive(Debug)]
pub struct Actor {
    stage: Arc<Stage>,
    round: u64,
    index: u64,
    /// Its next process.
    life: u64,
    rng: StdRng,
    said: Said,
    damage: String,
    resumes: bool,
}

/// What became of it.
#[derive(Debug)]
pub struct Ended {
    /// Names it, as in the keys of its events.
    pub client: u64,
    /// Its files were damaged.
    pub damaged: bool,
    /// Where.
    pub damage: String,
    /// What its processes said.
    pub said: Said,
}

impl Ended {
    /// What may be missing of it.
    pub fn excuse(&self) -> Excuse {
        Excuse { named: self.said.lost, torn: self.said.torn, quarantined: self.said.quarantined }
    }
}

impl Actor {
    /// Client `index` of a round; `resumes`: the weather has long waits.
    pub fn new(stage: Arc<Stage>, round: u64, index: u64, seed: u64, resumes: bool) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { stage, round, index, life: 0, rng, said: Said::default(), damage: String::new(), resumes }
    }

    /// Does everything in order, then delivers what is left, in fine weather.
    ///
    /// # Errors
    /// If a process ends otherwise than it was told to.
    pub async fn play(mut self, plan: ClientPlan) -> anyhow::Result<Ended> {
        for step in &plan.steps {
            self.step(&plan, step)
                .await
                .with_context(|| format!("client {}, process {}", self.index, self.life))?;
        }
        let mut fine = self.stage.fine.subscribe();
        fine.wait_for(|fine| *fine).await.map(drop)?;
        let url = self.stage.proxy.url.clone();
        self.drain(&plan, url).await.with_context(|| format!("client {}: the last drain", self.index))?;
        let left = files::left_beside_main(&self.folder())?;
        ensure!(plan.is_damaged() || left == 0, "{left} folders of other processes were not taken over");
        Ok(Ended {
            client: self.round << CLIENT_BITS | self.index,
            damaged: plan.is_damaged(),
            damage: self.damage,
            said: self.said,
        })
    }

    fn folder(&self) -> PathBuf {
        self.stage.folder.join(format!("queue-{}-{}", self.round, self.index))
    }

    fn backup(&self) -> PathBuf {
        self.stage.folder.join(format!("backup-{}-{}", self.round, self.index))
    }

    async fn step(&mut self, plan: &ClientPlan, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Live(life) => {
                let orders = self.orders(plan, life);
                let said = self.live(&orders, life.full_disk).await;
                let met = said.as_ref().map_or(true, |said| said.storage_failed);
                ensure!(met || !life.full_disk, "the disk never got full");
                self.take(said)
            }
            Step::Twins(first, second) => {
                let (first, second) = (self.orders(plan, first), self.orders(plan, second));
                let later = async {
                    sleep(LATER).await;
                    self.live(&second, false).await
                };
                let (one, other) = tokio::join!(self.live(&first, false), later);
                self.take(one)?;
                self.take(other)
            }
            Step::Backup => files::copy(&self.folder(), &self.backup()),
            Step::Drain => self.drain(plan, self.stage.straight.url.clone()).await,
            Step::Restore => files::restore(&self.backup(), &self.folder()),
            Step::Damage(damage) => {
                self.damage = damage.strike(&self.folder(), &mut self.rng)?;
                Ok(())
            }
        }
    }

    fn orders(&mut self, plan: &ClientPlan, life: &Life) -> Orders {
        let first = first_key(self.round, self.index, self.life);
        self.life += 1;
        self.stage.books().launch(first, life.count);
        Orders {
            url: if life.away { NOWHERE.into() } else { self.stage.proxy.url.clone() },
            key: self.stage.key.clone(),
            folder: self.folder(),
            carrier: plan.carrier,
            backend: plan.backend,
            first,
            count: life.count,
            pace_us: life.pace_us,
            critical_every: life.critical_every,
            end: life.end,
            filler: if life.full_disk { HEAVY } else { 0 },
            resumes: self.resumes,
        }
    }

    async fn live(&self, orders: &Orders, full_disk: bool) -> anyhow::Result<Said> {
        let log = self.stage.folder.join(format!("client-{}-{}.log", self.round, self.index));
        let fine = self.stage.fine.subscribe();
        live(&self.stage.program, orders, full_disk, &log, fine).await
    }

    fn take(&mut self, said: anyhow::Result<Said>) -> anyhow::Result<()> {
        let said = said?;
        self.stage.books().enter(&said);
        self.said.add(said);
        Ok(())
    }

    async fn drain(&mut self, plan: &ClientPlan, url: String) -> anyhow::Result<()> {
        let nothing =
            Life { count: 0, pace_us: 0, critical_every: 0, end: End::Drain, full_disk: false, away: false };
        let orders = Orders { url, ..self.orders(plan, &nothing) };
        let said = self.live(&orders, false).await;
        self.take(said)
    }
}
