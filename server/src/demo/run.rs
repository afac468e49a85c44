//! The demo's course: play, check the books, stop everything.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::Args;
use super::api::{Api, Outcomes, PROJECT};
use super::board::Board;
use super::check::{Before, Verdict, check};
use super::child::Server;
use super::funnels::funnels;
use super::history::History;
use super::notes::{Notes, print};
use super::panel::{Panel, read_keys};
use super::script::Action;
use super::shop::Shop;
use super::start::start;
use super::visits::Visitors;
use super::watch::Seen;
use crate::tools::link::new_link;

/// How often the panel is drawn.
const PANEL: Duration = Duration::from_millis(200);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);
/// The span that the rate is taken over.
const RATE_SPAN: Duration = Duration::from_secs(5);

/// Everything that runs.
pub struct Demo {
    pub(super) server: tokio::sync::Mutex<Server>,
    pub(super) url: String,
    pub(super) link: Mutex<String>,
    pub(super) shop: Arc<Shop>,
    pub(super) visitors: Arc<Visitors>,
    pub(super) api: Api,
    pub(super) before: Before,
    pub(super) history: Arc<History>,
    pub(super) seen: Arc<Seen>,
    pub(super) notes: Arc<Notes>,
    pub(super) ledger: Mutex<Outcomes>,
    pub(super) rates: Mutex<VecDeque<(Instant, u64)>>,
    /// A check was bad.
    pub(super) bad: AtomicBool,
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
