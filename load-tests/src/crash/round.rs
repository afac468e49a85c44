//! One round after another on one data folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::Summary;
use super::api::Api;
use super::check;
use super::funnels::Funnels;
use super::link::Link;
use super::plan::{Line, Plan};
use super::sender::Sender;
use super::server::{Server, Setup};
use super::source::{Kind, SPAN_S, Source};
use super::tail::Tail;
use crate::clock::wall_ms;

/// Who sends: how events are named, and whether over `IngestStream`.
const SENDERS: [(Kind, bool); 7] = [
    (Kind::Numbered, false),
    (Kind::Numbered, true),
    (Kind::Ids, false),
    (Kind::Ids, true),
    (Kind::Derived, false),
    (Kind::Numbered, true),
    (Kind::Heavy, false),
];
/// How long everything may take to be acknowledged after a restart.
const DELIVERY: Duration = Duration::from_secs(120);

/// Between two batches until the tail has begun.
const GREETING: Duration = Duration::from_millis(200);

/// A data folder, the server on it, and who works with it.
pub struct World {
    seed: u64,
    setup: Setup,
    server: Option<Server>,
    link: Arc<Link>,
    token: String,
    senders: Vec<Sender>,
    tail: Tail,
    funnels: Option<Funnels>,
    kills: u32,
}

impl World {
    /// Starts a server on a new folder.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(program: &Path, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (data, log) = (folder.join("data"), folder.join("server.log"));
        let setup = Setup { program: program.to_owned(), data, log };
        let server = Server::start(&setup).await?;
        let key = server.key.clone().context("the first start prints no key")?;
        let token = Api::sign_in(&server.url, &server.code).await?;
        let base_s = (wall_ms() / 1_000).cast_signed() - 2 * SPAN_S;
        let source = |(index, (kind, streams)): (usize, &(Kind, bool))| {
            Sender::new(Source::new(index as u64, *kind, seed, base_s), *kind, *streams)
        };
        let link = Arc::new(Link::new(key));
        link.set_up(server.url.clone());
        let mut senders: Vec<_> = SENDERS.iter().enumerate().map(source).collect();
        let tail = tail(&link, &token, &mut senders).await?;
        Ok(Self {
            seed,
            setup,
            server: Some(server),
            link,
            token,
            senders,
            tail,
            funnels: Some(Funnels::new(seed, base_s)),
            kills: 0,
        })
    }

    /// Load, kill, restart, retries, comparison.
    ///
    /// # Errors
    /// A violation.
    pub async fn round(&mut self, number: u64) -> anyhow::Result<String> {
        let seed = self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(number);
        let plan = Plan::draw(&mut StdRng::seed_from_u64(seed));
        let before = self.summary();
        self.link.produce(true);
        let mut senders = JoinSet::new();
        for sender in self.senders.drain(..) {
            senders.spawn(sender.run(Arc::clone(&self.link)));
        }
        let funnels = self.funnels.take().context("a round failed before")?;
        let definer = tokio::spawn(funnels.run(Arc::clone(&self.link), self.token.clone()));
        sleep(plan.life).await;
        let (up, told) = self.kill_and_restart(&plan).await?;
        let delivered = self.delivered(senders, definer);
        timeout(DELIVERY, delivered).await.context("not everything was acknowledged")??;
        self.check().await?;
        let (after, first) = (self.summary(), self.link.first_ack());
        let line = Line {
            seed,
            life: plan.life,
            kills: after.kills - before.kills,
            acked: after.acked - before.acked,
            duplicates: after.duplicates - before.duplicates,
            up,
            first_ack: first.map(|first| up + (first - told)),
            trimmed: self.tail.trimmed(),
        };
        Ok(line.to_string())
    }

    /// Waits until nothing is under way.
    async fn delivered(
        &mut self,
        mut senders: JoinSet<anyhow::Result<Sender>>,
        definer: JoinHandle<anyhow::Result<Funnels>>,
    ) -> anyhow::Result<()> {
        while let Some(sender) = senders.join_next().await {
            self.senders.push(sender??);
        }
        self.funnels = Some(definer.await??);
        Ok(())
    }

    async fn check(&self) -> anyhow::Result<()> {
        let funnels = self.funnels.as_ref().context("nobody knows the funnels")?;
        check::everything(&self.api().await?, &self.link, funnels).await?;
        self.tail.check(&self.link).await?;
        self.no_panic()
    }

    /// Answers how long the last start took, and when senders were told.
    async fn kill_and_restart(&mut self, plan: &Plan) -> anyhow::Result<(Duration, Instant)> {
        self.kill().await?;
        self.link.produce(false);
        if let Some(after) = plan.in_its_start {
            Server::start_and_kill(&self.setup, after).await?;
            self.kills += 1;
        }
        let mut up = self.restart().await?;
        if plan.look_first {
            let looked = check::untouched(&self.api().await?, &self.link).await;
            looked.context("before anything was sent again")?;
        }
        let mut told = self.tell()?;
        if let Some(after) = plan.in_the_retries {
            sleep(after).await;
            self.kill().await?;
            up = self.restart().await?;
            told = self.tell()?;
        }
        Ok((up, told))
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        let killed = self.server.take().context("no server")?.kill().await;
        self.link.down();
        self.kills += 1;
        killed
    }

    async fn restart(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.server = Some(Server::start(&self.setup).await?);
        Ok(start.elapsed())
    }

    fn tell(&self) -> anyhow::Result<Instant> {
        self.link.set_up(self.server.as_ref().context("no server")?.url.clone());
        Ok(Instant::now())
    }

    async fn api(&self) -> anyhow::Result<Api> {
        Api::connect(&self.server.as_ref().context("no server")?.url, &self.token).await
    }

    fn no_panic(&self) -> anyhow::Result<()> {
        let log = std::fs::read_to_string(&self.setup.log)?;
        let panic = log.lines().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "the server panicked: {panic:?}");
        Ok(())
    }

    /// Stops the server; what was done on this folder.
    ///
    /// # Errors
    /// If the server had ended by itself.
    pub async fn end(mut self) -> anyhow::Result<Summary> {
        let summary = self.summary();
        self.kill().await?;
        Ok(summary)
    }

    fn summary(&self) -> Summary {
        let books = self.link.books();
        Summary { rounds: 0, kills: self.kills, acked: books.acked(), duplicates: books.tally.duplicates }
    }
}

/// A tail that has got its first events; what was stored until then may have been too early for it.
async fn tail(link: &Arc<Link>, token: &str, senders: &mut [Sender]) -> anyhow::Result<Tail> {
    let tail = Tail::start(Arc::clone(link), token.to_owned());
    let sender = senders.first_mut().context("nobody sends")?;
    for _ in 0..100 {
        ensure!(sender.greet(link).await?, "a batch was not acknowledged, and nobody was killed");
        sleep(GREETING).await;
        if tail.has_begun() {
            tail.began_after(link);
            return Ok(tail);
        }
    }
    anyhow::bail!("the tail of events brings nothing")
}
