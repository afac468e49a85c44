//! What a watcher sees: the numbers of one moment, as a panel or as one line.

use std::time::Duration;

use super::api::Outcomes;
use super::funnels::{ALL, CHECKOUT, FAILURES};
use super::shop::Sums;
use super::watch::Numbers;

/// The widest bar of a funnel's step.
const BAR: u64 = 36;

/// The numbers of one moment.
#[derive(Debug, Default)]
pub struct Board {
    /// Seconds since the start.
    pub seconds: u64,
    /// The page, and how to get in.
    pub link: String,
    /// What the clients say; of what waits, only what could be sent.
    pub sums: Sums,
    /// Events that wait on offline phones.
    pub offline: u64,
    /// Events a second, over the last seconds.
    pub rate: f64,
    /// Open installs, and those of them that are offline.
    pub installs: (usize, usize),
    /// Events of the history: stored, all.
    pub history: (u64, u64),
    /// The server's ledger since the start.
    pub ledger: Outcomes,
    /// From disk to funnel.
    pub lag: Option<Duration>,
    /// Whether payments fail.
    pub outage: bool,
    /// Funnels by id, with their titles.
    pub funnels: Vec<(String, String, Numbers)>,
    /// The newest notes.
    pub notes: Vec<String>,
}

impl Board {
    /// One line for a pipe.
    pub fn line(&self) -> String {
        let steps = |id: &str| {
            let found = self.funnels.iter().find(|(known, _, _)| known == id);
            let reached = found.map(|(_, _, numbers)| numbers.reached.as_slice()).unwrap_or_default();
            reached.iter().map(u64::to_string).collect::<Vec<_>>().join("/")
        };
        format!(
            "{:>4} s  rate {:.1}/s  acked {}  waiting {}  offline {}  stored {}  duplicate {}  refused {}  lag {}  {CHECKOUT} {}  \
             {FAILURES} {}  {ALL} {}",
            self.seconds,
            self.rate,
            self.sums.acked,
            self.sums.waiting,
            self.offline,
            self.ledger.stored,
            self.ledger.duplicate,
            self.ledger.refused,
            self.lag_text(),
            steps(CHECKOUT),
            steps(FAILURES),
            steps(ALL),
        )
    }

    /// The panel's lines.
    pub fn panel(&self) -> Vec<String> {
        let (open, offline) = self.installs;
        let state = if self.outage { "PAYMENTS FAIL" } else { "payments work" };
        let mut lines = vec![
            format!("# Footpath demo: a shop, twenty times as fast    {} s    {state}", self.seconds),
            "i payment outage  f fix it  k kill -9 the server  r phones return  l new link  q quit".into(),
            String::new(),
            format!("open      {}", self.link),
            format!("traffic   {:.1} events/s from {open} installs, {offline} of them offline", self.rate),
            format!("history   {} of {} events back-filled", self.history.0, self.history.1),
            format!(
                "outcomes  stored {}  duplicate {}  refused {}  on their way {}  on offline phones {}",
                self.ledger.stored,
                self.ledger.duplicate,
                self.ledger.refused,
                self.sums.waiting,
                self.offline
            ),
            format!("lag       {} from disk to funnel", self.lag_text()),
        ];
        // What matters most comes first: a small terminal shows the beginning.
        for (index, (_, title, numbers)) in self.funnels.iter().enumerate() {
            lines.extend([String::new(), format!("# {title}")]);
            lines.extend(steps(numbers));
            if index == 0 {
                lines.push(String::new());
                lines.extend(self.notes.iter().cloned());
            }
        }
        lines
    }

    fn lag_text(&self) -> String {
        self.lag.map_or_else(|| "-".into(), |lag| format!("{} ms", lag.as_millis()))
    }
}

fn steps(numbers: &Numbers) -> impl Iterator<Item = String> {
    let most = numbers.reached.iter().copied().max().unwrap_or_default().max(1);
    let first = numbers.reached.first().copied().unwrap_or_default().max(1);
    numbers.labels.iter().zip(&numbers.reached).map(move |(label, &persons)| {
        let share = persons as f64 * 100.0 / first as f64;
        let bar = "█".repeat(usize::try_from(persons * BAR / most).unwrap_or_default());
        format!("  {label:<16}{persons:>7} {share:>6.1} %  {bar}")
    })
}
