//! The shop's data: visits as they happened, read from the embedded file.

use std::collections::HashMap;
use std::io::Read as _;

use anyhow::Context as _;

const FILE: &[u8] = include_bytes!("../../demo/ecom.csv.gz");

/// What puts something into the basket.
pub const BASKET: [&str; 2] = ["add_to_cart", "cart"];
/// What a paid order is called.
pub const PURCHASE: &str = "purchase";
/// What a payment that failed is called.
pub const PAYMENT_ERROR: &str = "payment_error";

/// One visit of one user.
#[derive(Debug)]
pub struct Visit {
    /// The user's id in the data.
    pub user: String,
    /// The visit's id in the data.
    pub session: String,
    /// "desktop", "mobile" or "tablet".
    pub platform: String,
    /// Where the visit came from.
    pub channel: String,
    /// "new", "returning" or "loyal".
    pub lifecycle: String,
    /// The month of the user's first visit.
    pub cohort: String,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

/// One event of a visit.
#[derive(Debug)]
pub struct Step {
    /// When, microseconds since 1970.
    pub at_us: i64,
    /// What.
    pub name: String,
}

impl Visit {
    /// Whether no incident touched it.
    pub fn is_healthy(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step.name.as_str(), PAYMENT_ERROR | "checkout_bug"))
    }

    /// Whether something is put into the basket.
    pub fn fills_basket(&self) -> bool {
        self.steps.iter().any(|step| BASKET.contains(&step.name.as_str()))
    }

    /// The index of the first purchase that has something put into the basket before it.
    pub fn purchase(&self) -> Option<usize> {
        let filled = self.steps.iter().position(|step| BASKET.contains(&step.name.as_str()))?;
        let bought = self.steps[filled..].iter().position(|step| step.name == PURCHASE)?;
        Some(filled + bought)
    }

    /// Microseconds from the first event to the event at `index`.
    pub fn until_us(&self, index: usize) -> i64 {
        self.steps[index].at_us - self.steps[0].at_us
    }
}

/// All visits, in the file's order.
///
/// # Errors
/// If the embedded file is damaged: a build fault.
pub fn visits() -> anyhow::Result<Vec<Visit>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE).read_to_string(&mut text).context("the demo's data is damaged")?;
    let mut visits: Vec<Visit> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).records() {
        let row = row.context("the demo's data is damaged")?;
        let field = |i: usize| row.get(i).unwrap_or_default().to_owned();
        let at = *known.entry(field(1)).or_insert_with(|| {
            visits.push(Visit {
                user: field(0),
                session: field(1),
                platform: field(4),
                channel: field(5),
                cohort: field(6),
                lifecycle: field(7),
                steps: Vec::new(),
            });
            visits.len() - 1
        });
        visits[at].steps.push(Step { at_us: moment(&field(3))?, name: field(2) });
    }
    for visit in &mut visits {
        visit.steps.sort_by_key(|step| step.at_us);
    }
    Ok(visits)
}

fn moment(text: &str) -> anyhow::Result<i64> {
    let civil: jiff::civil::DateTime = text.parse().context("the demo's data is damaged")?;
    Ok(jiff::tz::TimeZone::UTC.to_timestamp(civil)?.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        let visits = visits().unwrap();
        let users: std::collections::HashSet<_> = visits.iter().map(|visit| &visit.user).collect();
        let events: usize = visits.iter().map(|visit| visit.steps.len()).sum();
        assert_eq!((events, users.len(), visits.len()), (31_106, 600, 3_605));
        let first = visits.iter().find(|visit| visit.session == "sess_000001").unwrap();
        assert_eq!((first.steps[0].at_us, first.steps[0].name.as_str()), (1_710_325_274_000_000, "home"));
    }

    #[test]
    fn phones_find_visits_that_buy_quickly() {
        let visits = visits().unwrap();
        let buys = |visit: &&Visit| visit.is_healthy() && visit.purchase().is_some();
        assert!(visits.iter().filter(buys).count() > 300);
    }
}
