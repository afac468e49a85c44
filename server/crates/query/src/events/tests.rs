//! Pages follow the order of the log, wherever the events lie.

use super::*;
use crate::testing::{NOW_US, Rng, SHOP, stored};

type Told = ((u64, u32), i64, String);

fn told(row: &StoredRow<'_>) -> Told {
    ((row.offset, row.index), row.append_us, format!("{row:?}"))
}

fn naive(pinned: &Pinned, wanted: &EventQuery) -> Vec<Told> {
    let mut found = Vec::new();
    let scan = Scan { columns: Columns::ALL, ..Scan::all(SHOP.number) };
    let scanned = pinned.scan(&scan, &mut |row| {
        let actor = if row.user_id.is_empty() { row.anonymous_id } else { row.user_id };
        let here = (wanted.from_us..wanted.to_us).contains(&row.head.time_us);
        if here && (wanted.actor.is_empty() || wanted.actor == actor) {
            found.push(told(row));
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found
}

fn all_pages(pinned: &Pinned, wanted: &EventQuery) -> Vec<Told> {
    let (mut found, mut wanted) = (Vec::new(), wanted.clone());
    loop {
        let page = events(pinned, &wanted, &told).unwrap();
        let length = page.events.len();
        assert!(length <= wanted.limit);
        found.extend(page.events);
        let Some(next) = page.next else { return found };
        assert_eq!(length, wanted.limit, "only the last page may be short");
        wanted.from_position = next;
    }
}

#[test]
fn pages_hold_every_event_once_in_the_order_of_the_log() {
    let mut hits = 0;
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        for _ in 0..3 {
            let from_us = NOW_US + rng.below(20) as i64 * 3_600_000_000;
            let wanted = EventQuery {
                project: SHOP.number,
                project_id: SHOP.id.to_owned(),
                actor: ["", "a1", "u1"][rng.below(3) as usize].to_owned(),
                from_us,
                to_us: from_us + rng.below(40) as i64 * 3_600_000_000,
                from_position: (0, 0),
                limit: 1 + rng.below(7) as usize,
            };
            let found = all_pages(&both.chunked.pin(), &wanted);
            assert_eq!(found, naive(&both.log_only.pin(), &wanted), "seed {seed}");
            hits += found.len();
        }
    }
    assert!(hits > 300, "the queries ask for too little to prove anything: {hits}");
}
