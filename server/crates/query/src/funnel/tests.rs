//! A funnel over chunks and log equals one that folds every event of the log.

use footpath_engine::LinkRequest;
use footpath_engine::funnel_counts;
use footpath_model::definition::{Condition, Counting, Entry, Op, Order, Step};
use footpath_model::range::Range;
use footpath_model::record::EventSpans;

use super::*;
use crate::testing::{NOW_US, Rng, SHOP, stored};

const HOUR_US: i64 = 3_600_000_000;

fn asked(rng: &mut Rng) -> CountedFunnel {
    let step = |name: &str, filters| Step { name: String::new(), events: vec![name.to_owned()], filters };
    let large = Condition { property: "amount".into(), op: Op::Gte, values: vec!["5".into()] };
    let filters = if rng.below(2) == 0 { vec![large] } else { Vec::new() };
    let definition = FunnelDefinition {
        id: "f".into(),
        name: String::new(),
        version: 1,
        steps: vec![step("open", Vec::new()), step("pay", filters)],
        window_us: (1 + rng.below(20) as i64) * HOUR_US,
        entry: Entry::Latest,
        order: Order::Ordered,
        counting: Counting::Persons,
    };
    let from_us = NOW_US + rng.below(30) as i64 * HOUR_US;
    let to_us = from_us + (1 + rng.below(20) as i64) * HOUR_US;
    CountedFunnel { definition, range: Range::Fixed { from_us, to_us }, zone: "UTC".into() }
}

/// Every event of the log, whatever its time and name.
fn naive(pinned: &Pinned, asked: &CountedFunnel) -> Vec<u64> {
    let (from_us, to_us) = asked.resolve(NOW_US).unwrap();
    let rules = Rules::of(&asked.definition).unwrap().with_entry_before(to_us);
    let matcher = StepMatcher::new(&asked.definition);
    let mut graph = IdentityGraph::new();
    let mut events = Vec::new();
    let scan = Scan { columns: Columns::ALL, ..Scan::all(SHOP.number) };
    let scanned = pinned.scan(&scan, &mut |row| {
        let spans = EventSpans {
            name: row.name.as_bytes(),
            anonymous_id: row.anonymous_id.as_bytes(),
            user_id: row.user_id.as_bytes(),
            ..EventSpans::default()
        };
        LinkRequest::of_event(SHOP.id, &spans).map(|request| graph.apply(request));
        let mask = matcher.mask(row.name, row.properties);
        let slim = SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask };
        events.push((row.head.actor_key, slim));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    let mut persons: HashMap<u64, Vec<SlimEvent>> = HashMap::new();
    for (actor, slim) in events {
        persons.entry(graph.canonical(ActorKey(actor)).0).or_default().push(slim);
    }
    let depths = persons.into_values().map(|mut own| {
        own.sort_unstable_by_key(SlimEvent::order);
        fold_person(&rules, own).depth(from_us)
    });
    funnel_counts(2, depths)
}

#[test]
fn a_funnel_over_chunks_and_log_equals_a_fold_of_the_log() {
    let mut converted = 0;
    for seed in 0..80 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        for _ in 0..4 {
            let asked = asked(&mut rng);
            let (chunked, log_only) = (both.chunked.pin(), both.log_only.pin());
            let upto = rng.below(chunked.position() + 1);
            let (chunked, log_only) = (chunked.upto(upto), log_only.upto(upto));
            let answer = funnel(&chunked, SHOP, &asked, NOW_US).unwrap();
            assert_eq!(answer.reached, naive(&log_only, &asked), "seed {seed}");
            assert_eq!(answer.position, upto);
            assert_eq!(answer, funnel(&log_only, SHOP, &asked, NOW_US).unwrap(), "seed {seed}");
            converted += answer.reached[1];
        }
    }
    assert!(converted > 100, "the funnels count too little to prove anything: {converted}");
}
