//! The demo's course: start everything, play, check the books, stop everything.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use footpath_api::access::{Claims, Role};
use footpath_model::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use super::Args;
use super::api::{Api, Outcomes, PROJECT};
use super::board::Board;
use super::check::{Before, Verdict, check};
use super::child::{Server, Setup};
use super::data::{Visit, visits};
use super::folder::Folder;
use super::funnels::funnels;
use super::history::{History, backfill};
use super::notes::{Notes, print};
use super::panel::{Panel, read_keys};
use super::script::Action;
use super::shop::Shop;
use super::visits::{Plan, Visitors, WARM_UP};
use super::watch::{Seen, follow};
use crate::tools::link::new_link;
use crate::tools::remote::{Bearer, SignedChannel};
use crate::tools::token::by_folder;

/// How often the panel is drawn.
const PANEL: Duration = Duration::from_millis(200);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);
/// The span that the rate is taken over.
const RATE_SPAN: Duration = Duration::from_secs(5);
/// How long a server may take from its link to its first answer.
const READY: Duration = Duration::from_secs(30);
/// The demo's own token works as long.
const TOKEN_S: i64 = 30 * 24 * 3600;

/// Everything that runs.
struct Demo {
    server: tokio::sync::Mutex<Server>,
    url: String,
    link: Mutex<String>,
    shop: Arc<Shop>,
    visitors: Arc<Visitors>,
    api: Api,
    before: Before,
    history: Arc<History>,
    seen: Arc<Seen>,
    notes: Arc<Notes>,
    ledger: Mutex<Outcomes>,
    rates: Mutex<VecDeque<(Instant, u64)>>,
    /// A check was bad.
    bad: AtomicBool,
}

/// Runs the demo.
///
/// # Errors
/// If it cannot start; the message says what to do.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let with_panel = !args.no_keys && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let (actions_in, mut actions) = unbounded_channel();
    let demo = Arc::new(start(&args, !with_panel).await?);
    forward_signals(&actions_in);
    play_script(&args, &actions_in);
    let panel = if with_panel {
        read_keys(actions_in.clone());
        Some(Panel::open().context("the terminal cannot be used; try --no-keys")?)
    } else {
        None
    };
    let good = perform(&demo, panel.as_ref(), &mut actions).await;
    drop(panel);
    if with_panel {
        demo.notes.last().iter().all(|line| print(line));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start(args: &Args, print: bool) -> anyhow::Result<Demo> {
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
    let visits: Vec<Arc<Visit>> = visits()?.into_iter().map(Arc::new).collect();
    let history = Arc::new(History::default());
    let sender = Bearer::new(&key)?.sign(channel.clone());
    tokio::spawn(remember(visits.clone(), folder, sender, Arc::clone(&history), Arc::clone(&notes)));
    let seen = Arc::new(Seen::default());
    let watched = funnels().into_iter().map(|funnel| funnel.id).collect();
    tokio::spawn(follow(api.channel(), watched, Arc::clone(&seen)));
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
        url: format!("http://{}", args.listen),
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
    let endpoint = Endpoint::from_shared(format!("http://{}", args.listen))?
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

fn forward_signals(actions: &UnboundedSender<Action>) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let Ok(mut signal) = signal(kind) else { continue };
        let actions = actions.clone();
        tokio::spawn(
            async move { while signal.recv().await.is_some() && actions.send(Action::Quit).is_ok() {} },
        );
    }
}

fn play_script(args: &Args, actions: &UnboundedSender<Action>) {
    let end = args.seconds.map(|seconds| (Action::Quit, Duration::from_secs(seconds)));
    for (action, at) in args.play.iter().map(|cue| (cue.action, cue.at)).chain(end) {
        let actions = actions.clone();
        tokio::spawn(async move {
            tokio::time::sleep(at).await;
            let _ = actions.send(action); // The demo may have ended already.
        });
    }
}

/// Plays until somebody quits, then closes the shop. Whether everything was found good.
async fn perform(demo: &Arc<Demo>, panel: Option<&Panel>, actions: &mut UnboundedReceiver<Action>) -> bool {
    let mut ticks = tokio::time::interval(if panel.is_some() { PANEL } else { LINE });
    let ledger = tokio::spawn(follow_ledger(Arc::clone(demo)));
    let killing = Arc::new(AtomicBool::new(false));
    loop {
        tokio::select! {
            _ = ticks.tick() => if !show(demo, panel) || demo.server_ended() { break },
            action = actions.recv() => match action {
                Some(Action::Quit) | None => break,
                Some(action) => act(demo, action, &killing).await,
            },
        }
    }
    let ending = close(demo);
    tokio::pin!(ending);
    let good = loop {
        tokio::select! {
            good = &mut ending => break good,
            _ = ticks.tick() => { show(demo, panel); }
            Some(Action::Quit) = actions.recv() => {
                demo.notes.say("stopped before the books were checked");
                break false;
            }
        }
    };
    ledger.abort();
    good
}

async fn act(demo: &Arc<Demo>, action: Action, killing: &Arc<AtomicBool>) {
    match action {
        Action::Outage => {
            demo.shop.set_outage(true);
            demo.notes.say("payment outage: every payment fails");
        }
        Action::Fix => {
            demo.shop.set_outage(false);
            demo.notes.say("fixed: payments succeed again");
        }
        Action::Return => {
            let visitors = Arc::clone(&demo.visitors);
            tokio::spawn(async move { visitors.come_back().await });
        }
        Action::Link => {
            let demo = Arc::clone(demo);
            tokio::spawn(async move { demo.new_link().await });
        }
        Action::Kill if killing.swap(true, Ordering::SeqCst) => {
            demo.notes.say("one kill at a time: the books are still being checked");
        }
        Action::Kill => {
            let (demo, killing) = (Arc::clone(demo), Arc::clone(killing));
            tokio::spawn(async move {
                demo.kill().await;
                killing.store(false, Ordering::SeqCst);
            });
        }
        Action::Quit => {}
    }
}

/// Visitors leave, phones come back, everything is delivered and checked; then the server stops.
async fn close(demo: &Demo) -> bool {
    demo.notes.say("closing: visitors leave, phones come back, the books are checked");
    demo.shop.closing.cancel();
    let mut server = demo.server.lock().await; // A kill that still runs comes to its end first.
    demo.shop.bring_back().await;
    if server.has_ended() {
        demo.notes.say("the server has ended by itself; server.log in the demo's folder says why");
        return false;
    }
    demo.check().await;
    server.stop().await;
    !demo.bad.load(Ordering::SeqCst)
}

/// Draws or prints the numbers. Whether somebody is still there to see them.
fn show(demo: &Demo, panel: Option<&Panel>) -> bool {
    let board = demo.board();
    match panel {
        Some(panel) => panel.draw(&board.panel()).is_ok(),
        None => print(&board.line()),
    }
}

async fn follow_ledger(demo: Arc<Demo>) {
    loop {
        if let Ok(outcomes) = demo.api.outcomes().await {
            *demo.ledger.lock() = outcomes.since(demo.before.outcomes);
        }
        tokio::time::sleep(LINE / 2).await;
    }
}

impl Demo {
    fn server_ended(&self) -> bool {
        // Locked while it is being killed and started again.
        self.server.try_lock().is_ok_and(|mut server| server.has_ended())
    }

    /// Kills the server, starts it again, and checks that nothing is lost.
    async fn kill(&self) {
        let mut server = self.server.lock().await;
        self.notes.say("kill -9 to the server");
        let begin = Instant::now();
        if let Err(error) = server.kill_and_restart().await {
            self.bad.store(true, Ordering::SeqCst);
            self.notes.say(format!("{error:#}"));
            return;
        }
        *self.link.lock() = server.link().to_owned();
        self.notes.say(format!("the server is back after {} ms", begin.elapsed().as_millis()));
        self.check().await;
    }

    async fn new_link(&self) {
        match new_link(self.api.channel(), &self.url, PROJECT).await {
            Ok(link) => *self.link.lock() = link,
            Err(error) => self.notes.say(format!("no new link: {error:#}")),
        }
    }

    async fn check(&self) {
        let verdict = match check(&self.shop, &self.api, &self.history, self.before).await {
            Ok(verdict) => verdict,
            Err(error) => {
                self.bad.store(true, Ordering::SeqCst);
                return self.notes.say(format!("the books could not be checked: {error:#}"));
            }
        };
        self.report(&verdict);
    }

    fn report(&self, verdict: &Verdict) {
        verdict.lines().iter().for_each(|line| self.notes.say(line));
        if !verdict.is_good() {
            self.bad.store(true, Ordering::SeqCst);
            self.notes.say("the books do NOT agree");
        }
    }

    fn board(&self) -> Board {
        let (sums, offline) = self.shop.sums();
        let numbers = |funnel: footpath_proto::v1::Funnel| {
            let numbers = self.seen.funnel(&funnel.id);
            (funnel.id, funnel.title, numbers)
        };
        Board {
            seconds: self.notes.seconds(),
            link: self.link.lock().clone(),
            sums,
            offline,
            rate: self.rate(sums.tracked),
            installs: self.shop.open_installs(),
            history: (self.history.done.load(Ordering::Relaxed), self.history.total.load(Ordering::Relaxed)),
            ledger: *self.ledger.lock(),
            lag: self.seen.lag(),
            outage: self.shop.outage(),
            funnels: funnels().into_iter().map(numbers).collect(),
            notes: self.notes.last(),
        }
    }

    fn rate(&self, tracked: u64) -> f64 {
        let now = Instant::now();
        let mut rates = self.rates.lock();
        rates.push_back((now, tracked));
        while rates.len() > 2 && rates.front().is_some_and(|(at, _)| now - *at > RATE_SPAN) {
            rates.pop_front();
        }
        let Some((at, earlier)) = rates.front() else { return 0.0 };
        let seconds = (now - *at).as_secs_f64();
        if seconds > 0.0 { (tracked - earlier) as f64 / seconds } else { 0.0 }
    }
}
