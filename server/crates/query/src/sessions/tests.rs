//! Sessions over chunks and log equal those of the events as they were sent.

use footpath_engine::SessionRules;

use super::*;
use crate::testing::{Both, HOUR_US, MINUTE_US, NOW_US, Rng, Told, World, key, source, stored, stored_of};

/// Few persons who hardly ever make a pause.
fn busy(rng: &mut Rng) -> Both {
    let mut minute = 0;
    stored_of(
        2,
        |_, _| {
            let told = (0..3).map(|_| {
                minute += if rng.chance(25) { 31 } else { rng.one(&[0, 3, 7, 10, 30]) };
                let late = if rng.chance(5) { rng.below(300) as i64 } else { 0 };
                Told {
                    project: 1,
                    name: rng.one(&["open", "view", "pay"]).to_owned(),
                    anonymous_id: rng.one(&["a", "a", "a", "b"]).to_owned(),
                    time_us: NOW_US + (minute - late) * MINUTE_US,
                    ..Told::default()
                }
            });
            told.collect()
        },
        30,
    )
}

fn naive(world: &World, rules: &SessionRules, now_us: i64) -> Vec<(u64, SessionRow)> {
    let mut found = Vec::new();
    for (person, own) in world.persons() {
        let mut cut: Vec<Vec<&Told>> = Vec::new();
        for told in own {
            let belongs = |session: &Vec<&Told>| {
                told.time_us - session[session.len() - 1].time_us <= rules.gap_us()
                    && told.time_us - session[0].time_us <= rules.max_us()
            };
            match cut.last_mut() {
                Some(session) if belongs(session) => session.push(told),
                _ => cut.push(vec![told]),
            }
        }
        let count = cut.len();
        for (i, session) in cut.into_iter().enumerate() {
            let (first, last) = (session[0], session[session.len() - 1]);
            let until = (last.time_us + rules.gap_us()).min(first.time_us + rules.max_us());
            let row = SessionRow {
                person: String::new(),
                start_us: first.time_us,
                end_us: last.time_us,
                events: session.len() as u64,
                entry_event: first.name.clone(),
                exit_event: last.name.clone(),
                open: i + 1 == count && now_us <= until,
            };
            found.push((person, row));
        }
    }
    found.sort_by_key(|(person, row)| (row.start_us, *person));
    found
}

fn all_pages(source: &Source<'_>, query: &SessionsQuery<'_>) -> Vec<SessionRow> {
    let (mut found, mut query) = (Vec::new(), *query);
    loop {
        let page = sessions(source, &query).unwrap();
        assert!(page.sessions.len() <= query.limit);
        found.extend(page.sessions);
        if page.next.is_none() {
            return found;
        }
        query.after = page.next;
    }
}

#[test]
fn sessions_are_listed_by_their_beginning() {
    let (mut listed, mut open) = (0, 0);
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let both = if rng.chance(2) { busy(&mut rng) } else { stored(&mut rng) };
        let rules = SessionRules::new(30 * MINUTE_US, rng.one(&[1, 2, 24]) * HOUR_US).unwrap();
        let pinned = both.chunked.pin();
        let world = both.world(u64::MAX);
        let now_us = NOW_US + rng.below(60) as i64 * HOUR_US;
        let source = Source { sessions: rules, now_us, ..source(&pinned) };
        for _ in 0..5 {
            let from_us = NOW_US + rng.below(40) as i64 * HOUR_US;
            let id = rng.one(&["a1", "u1", "a", "nobody"]);
            let person = rng.chance(3).then_some(id);
            let query = SessionsQuery {
                person,
                from_us: if rng.chance(4) { i64::MIN } else { from_us },
                to_us: if rng.chance(4) { i64::MAX } else { from_us + rng.below(20) as i64 * HOUR_US },
                after: None,
                limit: 3 + rng.below(30) as usize,
                internal: None,
            };
            let wanted = person.map(|id| world.graph.canonical(key(id)).0);
            let mut expected = naive(&world, &rules, now_us);
            expected.retain(|(person, row)| {
                (query.from_us..query.to_us).contains(&row.start_us) && wanted.is_none_or(|w| w == *person)
            });
            let found = all_pages(&source, &query);
            let keys: Vec<_> = found.iter().map(|row| key(&row.person).0).collect();
            assert_eq!(keys, expected.iter().map(|(person, _)| *person).collect::<Vec<_>>(), "seed {seed}");
            let bare: Vec<_> =
                found.into_iter().map(|row| SessionRow { person: String::new(), ..row }).collect();
            let expected: Vec<_> = expected.into_iter().map(|(_, row)| row).collect();
            assert_eq!(bare, expected, "seed {seed}");
            listed += bare.len();
            open += bare.iter().filter(|row| row.open).count();
        }
    }
    assert!(listed > 1000 && open > 10, "{listed} {open}");
}
