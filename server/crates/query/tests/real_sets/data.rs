//! The data sets as events.
//!
//! They lie in the folder that `FOOTPATH_DATA` names, or beside the project. Where they are absent, the tests say so.

use std::io::Read;
use std::path::PathBuf;

use jiff::civil::DateTime;

/// An event of a data set.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub name: String,
    pub user: String,
    pub time_us: i64,
    /// Given by the store, in the order of the file.
    pub id: u128,
    /// A text that it is broken down by.
    pub text: String,
    /// More texts, by key.
    pub also: Vec<(&'static str, String)>,
    /// A whole number.
    pub number: Option<i64>,
    /// A decimal number, as written.
    pub decimal: Option<String>,
}

fn unpacked(path: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data");
    let path = std::env::var_os("FOOTPATH_DATA").map_or_else(beside, PathBuf::from).join(path);
    let Ok(packed) = std::fs::read(&path) else {
        println!("skipped: there is no {}; FOOTPATH_DATA names the folder of the data sets", path.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    Some(text)
}

pub fn time_us(format: &str, text: &str) -> i64 {
    DateTime::strptime(format, text).unwrap().in_tz("UTC").unwrap().timestamp().as_microsecond()
}

/// Noon of a day such as 19970101.
pub fn day_us(date: &str) -> i64 {
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    time_us("%Y-%m-%d %H", &format!("{year}-{month}-{day} 12"))
}

/// A shop's visits, by user, in the order of time; `text` is the platform.
/// `also` where they came from, since when, and how long they are there.
pub fn shop() -> Option<Vec<Event>> {
    let event = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        let [user, _, name, time, platform, channel, cohort, stage] = fields[..] else {
            panic!("a line has another number of fields")
        };
        Event {
            name: name.to_owned(),
            user: user.to_owned(),
            time_us: time_us("%Y-%m-%d %H:%M:%S", time),
            text: platform.to_owned(),
            also: vec![("channel", channel.into()), ("cohort", cohort.into()), ("stage", stage.into())],
            ..Event::default()
        }
    };
    Some(unpacked("shop-incidents/ecom.csv.gz")?.lines().skip(1).map(event).collect())
}

/// A web server's log, whose lines are out of order; `text` is the status, `number` the bytes.
pub fn web_log() -> Option<Vec<Event>> {
    let event = |line: &str| {
        let (address, rest) = line.split_once(' ').unwrap();
        let (_, rest) = rest.split_once('[').unwrap();
        let (time, rest) = rest.split_once(" +0000] ").unwrap();
        let (request, rest) = rest[1..].split_once("\" ").unwrap();
        let mut answer = rest.split(' ');
        let (status, bytes) = (answer.next().unwrap_or_default(), answer.next().unwrap_or_default());
        Event {
            name: request.split(' ').next().unwrap_or_default().to_lowercase(),
            user: address.to_owned(),
            time_us: time_us("%d/%b/%Y:%H:%M:%S", time),
            text: status.to_owned(),
            number: bytes.parse().ok(),
            ..Event::default()
        }
    };
    Some(unpacked("web-log/apache_logs.gz")?.lines().map(event).collect())
}

/// Purchases of CDs; `number` is how many, `decimal` the dollars.
pub fn cdnow() -> Option<Vec<Event>> {
    let event = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [user, date, discs, dollars] = fields[..] else { panic!("a line has too few fields") };
        Event {
            name: "buy".to_owned(),
            user: user.to_owned(),
            time_us: day_us(date),
            number: discs.parse().ok(),
            decimal: Some(dollars.to_owned()),
            ..Event::default()
        }
    };
    let text = unpacked("cdnow/CDNOW_master.txt.gz")?;
    Some(text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(event).collect())
}
