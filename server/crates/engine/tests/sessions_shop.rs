//! Sessions of real arrivals: a shop's events that bring session ids of their own, and a web server's log whose lines
//! are out of order.
//!
//! The sets lie in the folder that `FOOTPATH_DATA` names, or beside the project. Where they are absent, the tests say so.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use footpath_engine::{
    PersonSessions, Session, SessionEvent, SessionRules, SessionTotals, fold_person_sessions,
};
use jiff::civil::DateTime;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// An unpacked file of the data sets, or `None` with a line that says why.
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

fn time_us(format: &str, text: &str) -> i64 {
    DateTime::strptime(format, text).unwrap().in_tz("UTC").unwrap().timestamp().as_microsecond()
}

/// Numbers names in the order in which they are first seen.
#[derive(Default)]
struct Names(BTreeMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// One person's events in the order of arrival.
type Arrivals = Vec<SessionEvent>;

fn sorted(events: &[SessionEvent]) -> Vec<SessionEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(SessionEvent::order);
    events
}

/// What was told of a person's events as they came: sessions kept, totals, and how often events had to be read again.
fn live(rules: &SessionRules, arrivals: &[SessionEvent]) -> (PersonSessions, SessionTotals, usize) {
    let (mut person, mut totals, mut refolds) = (PersonSessions::new(), SessionTotals::default(), 0);
    for (i, event) in arrivals.iter().enumerate() {
        if let Ok(delta) = person.apply(rules, *event) {
            totals.apply(&delta);
            continue;
        }
        let stored = sorted(&arrivals[..=i]);
        totals = totals_of(&fold_person_sessions(rules, stored.iter().copied()));
        person = PersonSessions::rebuild(rules, stored);
        refolds += 1;
    }
    (person, totals, refolds)
}

fn totals_of(sessions: &[Session]) -> SessionTotals {
    let mut totals = SessionTotals::default();
    sessions.iter().for_each(|session| totals.add(session));
    totals
}

/// Checks that arrivals give the sessions of the sorted events. All totals, and how often events had to be read again.
fn live_equals_batch<'a>(
    rules: &SessionRules,
    persons: impl IntoIterator<Item = &'a Arrivals>,
) -> (SessionTotals, usize) {
    let (mut all, mut all_refolds) = (SessionTotals::default(), 0);
    for arrivals in persons {
        let batch = fold_person_sessions(rules, sorted(arrivals));
        let (person, totals, refolds) = live(rules, arrivals);
        assert_eq!(totals, totals_of(&batch));
        let settled = person.settled() as usize;
        assert_eq!(person.sessions().copied().collect::<Vec<_>>(), batch[settled..]);
        all += totals;
        all_refolds += refolds;
    }
    (all, all_refolds)
}

struct Shop {
    /// By user, in the order of the file, which is that of time.
    persons: BTreeMap<String, Arrivals>,
    /// The set's own session id of each event; an event's id is its line.
    session_of: Vec<String>,
}

fn shop() -> Option<Shop> {
    let text = unpacked("shop-incidents/ecom.csv.gz")?;
    assert!(!text.contains('"'), "no field is quoted, so a comma always parts two");
    let (mut persons, mut session_of, mut names) =
        (BTreeMap::<_, Arrivals>::new(), Vec::new(), Names::default());
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [user, session, name, time, ..] = fields[..] else { panic!("a line has too few fields") };
        let time_us = time_us("%Y-%m-%d %H:%M:%S", time);
        let event = SessionEvent { time_us, id: session_of.len() as u128, name: names.number(name) };
        persons.entry(user.to_owned()).or_default().push(event);
        session_of.push(session.to_owned());
    }
    Some(Shop { persons, session_of })
}

/// Why our sessions and the set's differ between two neighbouring events of a person.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    /// We split one of theirs: the pause is longer than our gap.
    split_by_gap: usize,
    /// We split one of theirs: it is longer than our limit.
    split_by_limit: usize,
    /// We join two of theirs: the pause is no longer than our gap.
    joined: usize,
}

fn differences(rules: &SessionRules, shop: &Shop) -> Differences {
    let mut found = Differences::default();
    for events in shop.persons.values() {
        let slots: Vec<_> =
            footpath_engine::fold_sessions(rules, events.iter().map(|event| event.time_us)).collect();
        for (pair, slots) in events.windows(2).zip(slots.windows(2)) {
            let theirs = |event: &SessionEvent| &shop.session_of[event.id as usize];
            let they_split = theirs(&pair[0]) != theirs(&pair[1]);
            let we_split = slots[0].number != slots[1].number;
            let pause = pair[1].time_us - pair[0].time_us;
            let reach = pair[1].time_us - slots[0].start_us;
            match (we_split, they_split) {
                (true, false) if pause > rules.gap_us() => found.split_by_gap += 1,
                (true, false) if reach > rules.max_us() => found.split_by_limit += 1,
                (false, true) if pause <= rules.gap_us() && reach <= rules.max_us() => found.joined += 1,
                (true, false) | (false, true) => panic!("no rule explains {pair:?}"),
                (true, true) | (false, false) => {}
            }
        }
    }
    found
}

#[test]
fn the_shops_own_sessions_are_ours() {
    let Some(shop) = shop() else { return };
    let cut = |gap_us: i64, max_us: i64| {
        let rules = SessionRules::new(gap_us, max_us).unwrap();
        let sessions =
            shop.persons.values().map(|events| fold_person_sessions(&rules, events.iter().copied()));
        let totals = totals_of(&sessions.flatten().collect::<Vec<_>>());
        let found = differences(&rules, &shop);
        println!(
            "gap {} min, at most {} min: {totals:?}, {found:?}",
            rules.gap_us() / MINUTE,
            rules.max_us() / MINUTE
        );
        let Differences { split_by_gap, split_by_limit, joined } = found;
        ((totals.started, totals.bounces, totals.duration_us), (split_by_gap, split_by_limit, joined))
    };
    let second = i128::from(SECOND);
    // The numbers of a second program that shares no code with this one. The set's longest pause within a session is 27:57, its
    // shortest between two 10:40:02.
    assert_eq!(cut(30 * MINUTE, 24 * HOUR), ((3605, 231, 3_747_594 * second), (0, 0, 0)));
    assert_eq!(cut(5 * MINUTE, 24 * HOUR), ((6725, 1811, 2_256_614 * second), (3120, 0, 0)));
    assert_eq!(cut(30 * MINUTE, 30 * MINUTE), ((4259, 491, 3_419_385 * second), (0, 654, 0)));
    assert_eq!(cut(12 * HOUR, 7 * 24 * HOUR), ((3604, 231, 3_785_996 * second), (0, 0, 1)));
}

#[test]
fn the_shop_in_any_order_of_arrival() {
    let Some(shop) = shop() else { return };
    let rules = SessionRules::default();
    /// Which event arrives at a place, of so many.
    type Order = fn(usize, usize) -> usize;
    let reordered = |order: Order| -> Vec<Arrivals> {
        let reorder = |events: &Arrivals| (0..events.len()).map(|i| events[order(i, events.len())]).collect();
        shop.persons.values().map(reorder).collect()
    };
    let orders: [(&str, Order); 3] = [
        ("in order", |i, _| i),
        ("backwards", |i, count| count - 1 - i),
        // Neighbours overtake each other by up to three places.
        ("overtaken", |i, count| if i / 4 < count / 4 { i / 4 * 4 + 3 - i % 4 } else { i }),
    ];
    for (name, order) in orders {
        let (totals, refolds) = live_equals_batch(&rules, &reordered(order));
        println!("{name}: {totals:?}, {refolds} refolds");
        assert_eq!((totals.started, totals.events), (3605, 31_106));
        assert_eq!(refolds > 0, name == "backwards");
    }
}

#[test]
fn a_web_servers_log_in_the_order_of_its_lines() {
    let Some(text) = unpacked("web-log/apache_logs.gz") else { return };
    let (mut persons, mut names) = (BTreeMap::<_, Arrivals>::new(), Names::default());
    let mut times = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let (address, rest) = line.split_once(' ').unwrap();
        let (_, rest) = rest.split_once('[').unwrap();
        let (time, request) = rest.split_once(" +0000] ").unwrap();
        let time_us = time_us("%d/%b/%Y:%H:%M:%S", time);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let event = SessionEvent { time_us, id: i as u128, name: names.number(path) };
        persons.entry(address.to_owned()).or_default().push(event);
        times.push(time_us);
    }
    assert_eq!(times.windows(2).filter(|pair| pair[1] < pair[0]).count(), 4915);
    // Again the numbers of a second program.
    let cut = |gap_us: i64, max_us: i64| {
        let (totals, refolds) =
            live_equals_batch(&SessionRules::new(gap_us, max_us).unwrap(), persons.values());
        println!(
            "gap {} min, at most {} min: {totals:?}, {refolds} refolds",
            gap_us / MINUTE,
            max_us / MINUTE
        );
        assert_eq!(totals.events, 10_000);
        (totals.started, totals.bounces, totals.duration_us / i128::from(SECOND))
    };
    assert_eq!(cut(30 * MINUTE, 24 * HOUR), (3052, 1607, 49_216));
    assert_eq!(cut(HOUR, 2 * HOUR), (2663, 1357, 1_621_452));
    assert_eq!(cut(12 * HOUR, 24 * HOUR), (2002, 870, 9_398_305));
    assert_eq!(cut(12 * HOUR, 7 * 24 * HOUR), (1951, 865, 10_211_747));
    // Backwards, so that beginnings move and the limit cuts elsewhere.
    let backwards: Vec<Arrivals> =
        persons.values().map(|events| events.iter().rev().copied().collect()).collect();
    let (totals, refolds) = live_equals_batch(&SessionRules::new(HOUR, 2 * HOUR).unwrap(), &backwards);
    println!("backwards, gap 60 min, at most 120 min: {totals:?}, {refolds} refolds");
    assert_eq!(totals.started, 2663);
    assert!(refolds > 0);
}
