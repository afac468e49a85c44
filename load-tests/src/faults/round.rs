//! One round after another on one data folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::actor::{Actor, Ended};
use super::books::{Books, Excuse, Found};
use super::plan::Plan;
use super::process::Program;
use super::proxy::Proxy;
use super::weather::Weather;
use super::{Options, Summary};
use crate::crash::api::Api;
use crate::crash::server::{Server, Setup};

/// The ledger is a projection and comes a moment later.
const LEDGER: Duration = Duration::from_secs(30);
/// Between two looks at it.
const AGAIN: Duration = Duration::from_millis(50);

/// What the actors of a round share.
#[derive(Debug)]
pub struct Stage {
    /// Between clients and server.
    pub proxy: Proxy,
    /// Another way there, always in fine weather; it outlives a server's port.
    pub straight: Proxy,
    /// The project key.
    pub key: String,
    /// How a client process starts.
    pub program: Program,
    /// For queues and logs.
    pub folder: PathBuf,
    /// The weather is fine, and stays so for this round.
    pub fine: watch::Sender<bool>,
    books: Mutex<Books>,
}

impl Stage {
    /// The books; never held across a wait.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data folder, the server on it, and the way to it.
#[derive(Debug)]
pub struct World {
    setup: Setup,
    server: Option<Server>,
    token: String,
    stage: Arc<Stage>,
    /// Numbered events that damaged clients miss, as far as the server knows.
    known_gaps: u64,
    sum: Summary,
}

impl World {
    /// Starts a server on a new folder, and the proxy.
    ///
    /// # Errors
    /// If one of them does not start.
    pub async fn start(options: &Options, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (data, log) = (folder.join("data"), folder.join("server.log"));
        let setup = Setup { program: options.server.clone(), data, log };
        let server = Server::start(&setup).await?;
        let stage = Arc::new(Stage {
            proxy: Proxy::start().await?,
            straight: Proxy::start().await?,
            key: server.key.clone().context("the first start prints no key")?,
            program: options.client.clone(),
            folder: folder.to_owned(),
            fine: watch::Sender::new(false),
            books: Mutex::default(),
        });
        let token = Api::sign_in(&server.url, &server.code).await?;
        let world =
            Self { setup, server: Some(server), token, stage, known_gaps: 0, sum: Summary::default() };
        world.tell()?;
        Ok(world)
    }

    /// Faults, fine weather, comparison.
    ///
    /// # Errors
    /// A violation.
    pub async fn round(&mut self, number: u64, seed: u64) -> anyhow::Result<String> {
        let began = Instant::now();
        let plan = Plan::draw(&mut StdRng::seed_from_u64(seed));
        std::fs::write(self.stage.folder.join("plan"), format!("{plan:#?}\n"))?;
        self.stage.fine.send_replace(false);
        let resumes = plan.weather.iter().any(|(weather, _)| weather.is_long());
        let mut actors = JoinSet::new();
        for (index, client) in plan.clients.iter().enumerate() {
            let actor = Actor::new(Arc::clone(&self.stage), number, index as u64, seed, resumes);
            actors.spawn(actor.play(client.clone()));
        }
        let server_kills = self.weathers(&plan).await?;
        self.stage.proxy.set(Weather::Clear);
        self.stage.fine.send_replace(true);
        let mut ended = Vec::new();
        while let Some(actor) = actors.join_next().await {
            ended.push(actor??);
        }
        let found = self.compare(&ended).await.with_context(|| format!("{:?}", plan.theme))?;
        Ok(self.line(seed, &plan, &ended, found, server_kills, began.elapsed()))
    }

    /// One weather after another; answers how often the server was killed.
    async fn weathers(&mut self, plan: &Plan) -> anyhow::Result<u32> {
        for (index, (weather, lasts)) in plan.weather.iter().enumerate() {
            self.stage.proxy.set(weather.clone());
            if plan.server_kills.contains(&index) {
                sleep(*lasts / 2).await;
                self.kill_and_restart().await?;
            }
            sleep(*lasts / 2).await;
        }
        Ok(plan.server_kills.len() as u32)
    }

    async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.lead(None);
        self.server.take().context("no server")?.kill().await?;
        self.server = Some(Server::start(&self.setup).await?);
        self.tell()
    }

    fn tell(&self) -> anyhow::Result<()> {
        let url = &self.server.as_ref().context("no server")?.url;
        let address = url.strip_prefix("http://").context("no address")?.parse()?;
        self.lead(Some(address));
        Ok(())
    }

    fn lead(&self, to: Option<SocketAddr>) {
        self.stage.proxy.server(to);
        self.stage.straight.server(to);
    }

    async fn compare(&mut self, ended: &[Ended]) -> anyhow::Result<Found> {
        for actor in ended {
            ensure!(actor.said.faults.is_empty(), "client {:#x}: {:?}", actor.client, actor.said.faults);
            ensure!(actor.damaged || actor.said.lost == 0, "client {:#x} reports losses", actor.client);
            ensure!(actor.damaged || !actor.said.quarantined, "client {:#x}: quarantined", actor.client);
            ensure!(actor.damaged || actor.said.torn == 0, "client {:#x}: torn", actor.client);
        }
        let damaged = ended.iter().filter(|actor| actor.damaged);
        let excuses: BTreeMap<u64, Excuse> = damaged.map(|actor| (actor.client, actor.excuse())).collect();
        let api = Api::connect(&self.server.as_ref().context("no server")?.url, &self.token).await?;
        let events = api.events().await?;
        let damages =
            || ended.iter().filter(|actor| actor.damaged).map(|actor| &*actor.damage).collect::<String>();
        let found = self.stage.books().compare(&events, &excuses).with_context(damages)?;
        self.gaps(&api, found, !excuses.is_empty()).await?;
        self.ledger(&api, events.len() as u64).await?;
        self.no_panic()?;
        Ok(found)
    }

    /// Nothing is called missing that is not.
    async fn gaps(&mut self, api: &Api, found: Found, damaged: bool) -> anyhow::Result<()> {
        let (missing, gaps) = api.gaps().await?;
        let most = self.known_gaps + if damaged { found.missing } else { 0 };
        ensure!(missing <= most, "{missing} numbered events are called missing, {most} are: {gaps:?}");
        self.sum.unnamed += missing - self.known_gaps.min(missing);
        self.known_gaps = missing;
        Ok(())
    }

    /// What the server counted as stored is what is there, and nothing was refused for what it is.
    async fn ledger(&mut self, api: &Api, stored: u64) -> anyhow::Result<()> {
        let until = Instant::now() + LEDGER;
        let mut ledger = api.ledger().await?;
        while ledger.stored != stored && Instant::now() < until {
            sleep(AGAIN).await;
            ledger = api.ledger().await?;
        }
        ensure!(ledger.stored == stored && ledger.invalid == 0, "{ledger:?} does not fit {stored} events");
        self.sum.duplicates = ledger.duplicates;
        Ok(())
    }

    fn no_panic(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(&self.stage.folder)?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(entry.path())?;
                let panic = log.lines().find(|line| line.contains("panicked at"));
                ensure!(panic.is_none(), "{}: {panic:?}", entry.path().display());
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        seed: u64,
        plan: &Plan,
        ended: &[Ended],
        found: Found,
        server_kills: u32,
        took: Duration,
    ) -> String {
        let events: u64 = ended.iter().map(|actor| actor.said.count()).sum();
        let durable: u64 = ended.iter().map(|actor| actor.said.durable.len() as u64).sum();
        let named: u64 = ended.iter().map(|actor| actor.said.lost).sum();
        let kills = server_kills + ended.iter().map(|actor| actor.said.kills).sum::<u32>();
        self.sum.kills += kills;
        self.sum.tracked += events;
        self.sum.durable += durable;
        self.sum.stored = found.stored;
        self.sum.missing += found.missing;
        self.sum.named += named;
        let mut line = format!(
            "seed {seed} {:?}: {kills} kills ({server_kills} of the server), tracked {events:>5}, durable \
             {durable:>3}, stored {} in all, {} ms",
            plan.theme,
            found.stored,
            took.as_millis()
        );
        let damaged: Vec<_> = ended.iter().filter(|actor| actor.damaged).collect();
        for actor in damaged {
            line += &format!(
                "; damaged ({}): {} missing ({} durable), {named} named, {} gaps in all{}{}",
                actor.damage,
                found.missing,
                found.missing_durable,
                self.known_gaps,
                if actor.said.quarantined { ", database set aside" } else { "" },
                if actor.said.torn > 0 { ", ring torn" } else { "" },
            );
        }
        line
    }

    /// The server, for somebody who sends by other means.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn api(&self) -> anyhow::Result<(Api, String, String)> {
        let url = self.server.as_ref().context("no server")?.url.clone();
        Ok((Api::connect(&url, &self.token).await?, url, self.stage.key.clone()))
    }

    /// For queues and logs.
    pub fn folder(&self) -> &Path {
        &self.stage.folder
    }

    /// Stops the server; what was done on this folder.
    ///
    /// # Errors
    /// If the server had ended by itself.
    pub async fn end(mut self) -> anyhow::Result<Summary> {
        self.server.take().context("no server")?.kill().await?;
        Ok(self.sum)
    }
}
