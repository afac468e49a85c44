//! What chance decides of a round. The same seed decides the same.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::files::Damage;
use super::orders::{Carrier, End};
use super::weather::Weather;

/// The most events of a process.
const MOST: f64 = 5_000.0;

/// What the third client of a round is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the others.
    Plain,
    /// Two processes on one folder.
    Twins,
    /// A folder is copied, and put back later.
    Backup,
    /// Files cannot grow.
    FullDisk,
    /// Files are damaged.
    Damaged(Damage),
}

/// One process of a client.
#[derive(Debug, Clone)]
pub struct Life {
    /// Events.
    pub count: u64,
    /// Between two events.
    pub pace_us: u64,
    /// Each so many-th event is critical.
    pub critical_every: u64,
    /// How it ends.
    pub end: End,
    /// Files cannot grow.
    pub full_disk: bool,
    /// Nobody is where it sends to.
    pub away: bool,
}

/// What happens to a client, in order.
#[derive(Debug, Clone)]
pub enum Step {
    /// A process lives.
    Live(Life),
    /// Two processes live at once.
    Twins(Life, Life),
    /// The folder is copied.
    Backup,
    /// A process delivers everything, past all weather.
    Drain,
    /// The copy is put in the folder's place.
    Restore,
    /// Files are damaged.
    Damage(Damage),
}

/// A client of a round.
#[derive(Debug, Clone)]
pub struct ClientPlan {
    /// How batches travel.
    pub carrier: Carrier,
    /// Whether it has no person of its own.
    pub backend: bool,
    /// What happens to it.
    pub steps: Vec<Step>,
}

impl ClientPlan {
    /// Whether its files are damaged.
    pub fn is_damaged(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Damage(_)))
    }
}

/// A round.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the third client is there for.
    pub theme: Theme,
    /// The weather, and how long it lasts.
    pub weather: Vec<(Weather, Duration)>,
    /// The server gets SIGKILL in these weathers.
    pub server_kills: Vec<usize>,
    /// Who sends.
    pub clients: Vec<ClientPlan>,
}

impl Plan {
    /// Draws one.
    pub fn draw(rng: &mut StdRng) -> Self {
        let count = rng.random_range(2..=4);
        let weather: Vec<_> = (0..count)
            .map(|_| (Weather::draw(rng), Duration::from_millis(rng.random_range(200..=700))))
            .collect();
        let server_kills = (0..weather.len()).filter(|_| rng.random_bool(0.25)).collect();
        let theme = Theme::draw(rng);
        let third = if rng.random_bool(0.5) { Carrier::Grpc } else { Carrier::Http };
        let clients = vec![
            client(Carrier::Grpc, Theme::Plain, rng),
            client(Carrier::Http, Theme::Plain, rng),
            client(third, theme, rng),
        ];
        Self { theme, weather, server_kills, clients }
    }
}

impl Theme {
    fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..12) {
            0 => Self::Plain,
            1..=3 => Self::Twins,
            4..=5 => Self::Backup,
            6 => Self::FullDisk,
            _ => Self::Damaged(Damage::ALL[rng.random_range(0..Damage::ALL.len())]),
        }
    }
}

fn client(carrier: Carrier, theme: Theme, rng: &mut StdRng) -> ClientPlan {
    let life = |rng: &mut StdRng| Step::Live(Life::draw(rng));
    let steps = match theme {
        Theme::Plain => {
            let lives = rng.random_range(1..=3);
            let mut steps: Vec<_> = (0..lives).map(|_| life(rng)).collect();
            if rng.random_bool(0.6) {
                steps.push(Step::Live(Life { end: End::Settle, ..Life::draw(rng) }));
            }
            steps
        }
        Theme::Twins => vec![Step::Twins(Life::draw(rng), Life::draw(rng)), life(rng)],
        Theme::Backup => {
            vec![life(rng), Step::Backup, life(rng), Step::Drain, Step::Restore, life(rng)]
        }
        Theme::FullDisk => {
            // An event that waits for a full disk waits for nothing.
            let (count, critical_every) = (rng.random_range(2_000..=5_000), 1_000);
            let full = Life { count, critical_every, pace_us: 0, full_disk: true, ..Life::draw(rng) };
            vec![Step::Live(full), life(rng)]
        }
        Theme::Damaged(damage) => damaged(damage, rng),
    };
    ClientPlan { carrier, backend: rng.random_bool(0.5), steps }
}

/// Something is left in the file that is damaged.
fn damaged(damage: Damage, rng: &mut StdRng) -> Vec<Step> {
    let end = match damage {
        Damage::Ring | Damage::RingHeader => End::Kill(0),
        Damage::Log => End::Kill(150),
        // Only in order is everything in the database itself.
        Damage::Database | Damage::Orphan => End::Shutdown,
    };
    let last = Life { end, away: true, pace_us: 0, ..Life::draw(rng) };
    let lived = match damage {
        Damage::Orphan => {
            let main = Life { end: End::Kill(400), ..Life::draw(rng) };
            Step::Twins(main, last)
        }
        _ => Step::Live(last),
    };
    vec![Step::Live(Life::draw(rng)), lived, Step::Damage(damage)]
}

impl Life {
    /// Draws one that ends with SIGKILL or, now and then, in order.
    fn draw(rng: &mut StdRng) -> Self {
        let count = rng.random_range(0.0..=MOST.ln()).exp().round() as u64;
        let time_us = if rng.random_bool(0.4) { 0 } else { rng.random_range(0..=900_000) };
        let end = match rng.random_range(0..10) {
            0 => End::Shutdown,
            1..=5 => End::Kill(0),
            _ => End::Kill(rng.random_range(1..=300)),
        };
        Self {
            count,
            pace_us: time_us / count,
            critical_every: [0, 20, 100, 400][rng.random_range(0..4)],
            end,
            full_disk: false,
            away: false,
        }
    }
}
