//! A shop's half year, day by day on a clock that the test turns: what is alerted live, and what a simulation over the same events shows.
//!
//! The data set and its three incidents are described in `server/tests/data/shop-incidents/README.md`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _};
use footpath_alert::{Evaluator, Pace, Simulation, Told, simulate};
use footpath_api::access::{Claims, Role};
use footpath_api::alerts::numbers::LiveNumbers;
use footpath_engine::alert::{RuleState, Transition, TransitionKind};
use footpath_model::alert::Series;
use footpath_model::clock::ManualClock;

use super::*;
use crate::{Cli, Command, tools};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 2024-01-01 00:00 UTC.
const YEAR_US: i64 = 1_704_067_200 * SECOND;
/// Days of the year that were stored before the rules came: up to 15 February.
const BEFORE: i64 = 46;
/// Days that there are: up to 29 June.
const DAYS: i64 = 181;

fn set(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop-incidents").join(name)
}

/// The shop's events as lines of JSON, by day of the year.
fn events() -> BTreeMap<i64, String> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/ecom.csv.gz");
    let packed = std::fs::File::open(demo).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let mut days: BTreeMap<i64, String> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [user, session, name, time, platform, channel, _, stage] = fields[..] else { panic!("{line}") };
        let time = format!("{}Z", time.replace(' ', "T"));
        let at_us = time.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let event = serde_json::json!({
            "name": name, "time": time, "userId": user, "sessionId": session,
            "properties": { "platform": platform, "acquisition_channel": channel, "user_lifecycle": stage },
        });
        *days.entry((at_us - YEAR_US).div_euclid(DAY)).or_default() += &format!("{event}\n");
    }
    days
}

/// A server on a clock that stands still until it is turned.
struct Shop {
    context: Arc<Context>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    url: String,
    key: String,
    token: String,
    pipeline: Pipeline,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(YEAR_US + BEFORE * DAY + 90 * SECOND));
        let config = tests::config(&folder.path().join("data"));
        let app = App::open(&config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let App { context, pipeline, listener, first_key, .. } = app;
        let url = format!("http://{}", listener.local_addr().unwrap());
        let room = Arc::new(Semaphore::new(100));
        let server = tonic::transport::Server::builder()
            .layer(AccessLayer::new(Arc::clone(&context)))
            .layer(BodyLayer::new(Arc::clone(&context)))
            .add_routes(routes(&context, false).unwrap());
        tokio::spawn(server.serve_with_incoming(listener::connections(listener, None, room)));
        let exp = (YEAR_US + 400 * DAY) / SECOND;
        let claims = Claims { sub: "ann".into(), role: Role::Admin, projects: vec!["*".into()], exp };
        let token = context.access.sign(&claims).unwrap();
        Self { context, clock, folder, url, key: first_key.unwrap(), token, pipeline }
    }

    fn command(&self, words: &[&str], credential: [&str; 2]) -> Command {
        let address = ["--url", &self.url];
        let words = ["footpath"].iter().chain(words).chain(&address).copied().chain(credential);
        Cli::from_arg_matches(&Cli::command().get_matches_from(words)).unwrap().command
    }

    async fn send(&self, lines: &str, historical: bool) {
        let file = self.folder.path().join("events.ndjson");
        std::fs::write(&file, lines).unwrap();
        let mut words = vec!["send", file.to_str().unwrap()];
        words.extend(historical.then_some("--historical"));
        let Command::Send(args) = self.command(&words, ["--key", &self.key]) else { panic!() };
        assert_eq!(tools::send::run(&args).await.unwrap(), std::process::ExitCode::SUCCESS);
    }

    async fn apply(&self) {
        let words = ["apply", "-f", set("alerts.toml").to_str().unwrap()].map(str::to_owned);
        let words = words.each_ref().map(String::as_str);
        let Command::Apply(args) = self.command(&words, ["--token", &self.token]) else { panic!() };
        assert_eq!(tools::apply::run(&args).await.unwrap(), std::process::ExitCode::SUCCESS);
    }

    /// Waits until every rule has judged what was before a moment.
    async fn judged(&self, upto_us: i64) {
        let ready = || {
            let all = |fold: &footpath_engine::alert::AlertFold| {
                let ready =
                    fold.rules().filter(|rule| rule.state() == RuleState::Judging && rule.last_us >= upto_us);
                ready.count() == 6
            };
            self.context.alerts.read(1, all).unwrap_or_default()
        };
        for _ in 0..6_000 {
            if ready() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the rules did not judge day {}", (upto_us - YEAR_US) / DAY);
    }

    /// Lets a day go by: its events come, then it is over.
    async fn day(&self, day: i64, lines: &str) {
        let over_us = YEAR_US + (day + 1) * DAY;
        self.clock.set(over_us - SECOND);
        self.send(lines, false).await;
        self.clock.set(over_us + 90 * SECOND);
        self.judged(over_us).await;
    }

    /// What began, live.
    fn live(&self) -> Vec<Told> {
        let rows = self.context.store.transitions(1, (0, 0), 10_000).unwrap();
        let told = rows.iter().map(|row| serde_json::from_str::<Told>(&row.json).unwrap());
        told.filter(|told| told.transition.kind == TransitionKind::Opened).collect()
    }

    /// What a simulation over the same days says that would have begun, and the number of values that were named as drivers.
    async fn simulated(&self) -> (Vec<Transition>, usize) {
        let numbers = LiveNumbers::new(Arc::clone(&self.context));
        let project = self.context.store.projects().unwrap().remove(0);
        let rules = |fold: &footpath_engine::alert::AlertFold| {
            fold.rules().map(|rule| rule.counted.clone()).collect::<Vec<_>>()
        };
        let (mut began, mut drivers) = (Vec::new(), 0);
        for rule in &self.context.alerts.read(1, rules).unwrap() {
            let (from_us, to_us) = (YEAR_US + BEFORE * DAY, YEAR_US + DAYS * DAY);
            let asked = Simulation { project: &project, rule, from_us, to_us };
            let simulated = simulate(&numbers, asked, &|_| {}).await.unwrap();
            drivers += simulated.drivers.values().flatten().count();
            began.extend(simulated.transitions.into_iter().filter(|one| one.kind == TransitionKind::Opened));
        }
        began.sort_by(|a, b| (a.at_us, &a.incident.rule).cmp(&(b.at_us, &b.incident.rule)));
        (began, drivers)
    }
}

/// The day whose number was a problem, the rule, and the value of its breakdown.
fn line(transition: &Transition) -> String {
    let day = jiff::Timestamp::from_microsecond(transition.at_us - DAY).unwrap();
    let value = match &transition.incident.series {
        Series::Value(value) => format!(" {value}"),
        _ => String::new(),
    };
    format!("{} {}{value}", day.strftime("%Y-%m-%d"), transition.incident.rule)
}

/// Its three incidents are alerted on their last day of four, on the third day with phones in the checkout, and on the first day; and nothing else is.
const ALERTED: [&str; 5] = [
    "2024-03-03 support",
    "2024-04-14 checkout mobile",
    "2024-05-19 payment-errors",
    "2024-05-20 payments",
    "2024-05-20 support",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_shops_three_incidents_are_alerted_and_nothing_else_is() {
    let (shop, mut days) = (Shop::open().await, events());
    let later = days.split_off(&BEFORE);
    shop.send(&days.into_values().collect::<String>(), true).await;
    shop.apply().await;
    let pace = Pace { every: Duration::from_millis(10), ..Pace::default() };
    let numbers = Arc::new(LiveNumbers::new(Arc::clone(&shop.context)));
    let keeper = Arc::clone(&shop.context.alerts);
    let evaluator = Evaluator::start(numbers, keeper, pace, (0, 0));
    shop.judged(YEAR_US + BEFORE * DAY).await;
    for day in BEFORE..DAYS {
        shop.day(day, later.get(&day).map_or("", String::as_str)).await;
    }
    let live = shop.live();
    assert_eq!(live.iter().map(|told| line(&told.transition)).collect::<Vec<_>>(), ALERTED);
    // Whom an incident concerned is its series; apart from that everybody was concerned alike, so nobody may be named.
    assert!(live.iter().all(|told| told.incident.drivers.is_empty()), "{live:?}");
    let (simulated, drivers) = shop.simulated().await;
    assert_eq!(simulated.iter().map(line).collect::<Vec<_>>(), ALERTED);
    assert_eq!(drivers, 0);
    drop(evaluator);
    tokio::task::spawn_blocking(|| shop.pipeline.stop()).await.unwrap().unwrap();
}
