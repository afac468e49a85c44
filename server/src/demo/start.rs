//! How the demo starts: folder, token, server, funnels, metrics, history, visitors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use footpath_api::access::{Claims, Role};
use footpath_model::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use super::Args;
use super::api::{Api, PROJECT};
use super::check::Before;
use super::child::{Server, Setup};
use super::data::{Visit, visits};
use super::folder::Folder;
use super::funnels::funnels;
use super::history::{History, backfill};
use super::metrics::metrics;
use super::notes::Notes;
use super::rules::rules;
use super::run::Demo;
use super::shop::Shop;
use super::visits::{Plan, Visitors, WARM_UP};
use super::watch::{Seen, follow};
use crate::app::reachable;
use crate::tools::remote::{Bearer, SignedChannel};
use crate::tools::token::by_folder;

/// How long a server may take from its link to its first answer.
const READY: Duration = Duration::from_secs(30);
/// The demo's own token works as long.
const TOKEN_S: i64 = 30 * 24 * 3600;

/// Starts the server, the history, the watch and the visitors. With `print`, notes are printed.
///
/// # Errors
/// If something cannot start; the message says what to do.
pub async fn start(args: &Args, print: bool) -> anyhow::Result<Demo> {
    let now_us = SystemClock.now_us();
    let folder = Folder::open(&args.data, args.fresh, now_us)?;
    let exp = now_us / 1_000_000 + TOKEN_S;
    let claims = Claims { sub: "demo".into(), role: Role::Admin, projects: vec!["*".into()], exp };
    let token = by_folder(&folder.server(), claims).context("is another demo running?")?;
    let setup = Setup {
        data: folder.server(),
        log: folder.server_log(),
        listen: args.listen,
        admin_listen: args.admin_listen,
        project: PROJECT,
    };
    let notes = Arc::new(Notes::new(print));
    let server = Server::start(setup).await?;
    notes.say(format!("open: {}", server.link()));
    let channel = connect(args).await?;
    let api = Api::new(channel.clone(), &token)?;
    compose(args, folder, server, channel, api, notes).await
}

/// Puts together what runs, and sets it going.
async fn compose(
    args: &Args,
    mut folder: Folder,
    server: Server,
    channel: Channel,
    api: Api,
    notes: Arc<Notes>,
) -> anyhow::Result<Demo> {
    let key = project_key(&mut folder, &api).await?;
    let from_us = SystemClock.now_us() - WARM_UP.as_micros() as i64;
    let before = Before { outcomes: api.outcomes().await?, from_us };
    for funnel in funnels() {
        api.define(funnel).await?;
    }
    for metric in metrics() {
        api.define_metric(metric).await?;
    }
    for rule in rules() {
        api.define_rule(rule).await?;
    }
    let visits: Vec<Arc<Visit>> = visits()?.into_iter().map(Arc::new).collect();
    let history = Arc::new(History::default());
    let sender = Bearer::new(&key)?.sign(channel.clone());
    tokio::spawn(remember(visits.clone(), folder, sender, Arc::clone(&history), Arc::clone(&notes)));
    let seen = Arc::new(Seen::default());
    let watched = funnels().into_iter().map(|funnel| funnel.id).collect();
    tokio::spawn(follow(api.channel(), watched, Arc::clone(&seen), Arc::clone(&notes)));
    let shop = Arc::new(Shop::new(channel, key));
    let plan = Plan {
        per_second: args.rate,
        offline_for: Duration::from_secs(args.offline_for),
        run: format!("{:x}", from_us / 1_000_000),
        seed: args.seed.unwrap_or(from_us.cast_unsigned()),
    };
    let visitors = Visitors::new(Arc::clone(&shop), Arc::clone(&notes), Arc::clone(&seen), &visits, plan);
    let visitors = Arc::new(visitors);
    tokio::spawn(Arc::clone(&visitors).come());
    tokio::spawn(Arc::clone(&visitors).tunnel());
    Ok(Demo {
        url: format!("http://{}", reachable(args.listen)),
        link: Mutex::new(server.link().to_owned()),
        server: tokio::sync::Mutex::new(server),
        shop,
        visitors,
        api,
        before,
        history,
        seen,
        notes,
        ledger: Mutex::default(),
        rates: Mutex::default(),
        bad: AtomicBool::new(false),
    })
}

/// A channel to the server, once it answers.
async fn connect(args: &Args) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", reachable(args.listen)))?
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true);
    let until = Instant::now() + READY;
    loop {
        match endpoint.connect().await {
            // A lazy channel connects again after a kill.
            Ok(_) => return Ok(endpoint.connect_lazy()),
            Err(error) if Instant::now() > until => {
                return Err(error)
                    .with_context(|| format!("the demo's server does not answer at {}", args.listen));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn project_key(folder: &mut Folder, api: &Api) -> anyhow::Result<String> {
    if let Some(key) = &folder.memory.key {
        return Ok(key.clone());
    }
    let key = api.create_key().await?;
    folder.memory.key = Some(key.clone());
    folder.save()?;
    Ok(key)
}

/// Fills in the history, unless an earlier start did.
async fn remember(
    visits: Vec<Arc<Visit>>,
    mut folder: Folder,
    channel: SignedChannel,
    history: Arc<History>,
    notes: Arc<Notes>,
) {
    history.total.store(visits.iter().map(|visit| visit.steps.len() as u64).sum(), Ordering::Relaxed);
    if folder.memory.history_done {
        history.done.store(history.total.load(Ordering::Relaxed), Ordering::Relaxed);
        notes.say("the history is there from an earlier start");
        return;
    }
    notes.say("filling in half a year of history");
    let sent = backfill(&visits, folder.memory.history_ends_us, channel, &history).await;
    let saved = sent.and_then(|()| {
        folder.memory.history_done = true;
        folder.save()
    });
    match saved {
        Ok(()) => {
            let (total, stored) = (&history.total, &history.stored);
            let (total, stored) = (total.load(Ordering::Relaxed), stored.load(Ordering::Relaxed));
            notes.say(format!("history: {total} events acknowledged, {stored} of them new"));
        }
        Err(error) => notes.say(format!("the history could not be filled in: {error:#}")),
    }
}
