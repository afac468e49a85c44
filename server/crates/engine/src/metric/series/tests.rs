use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::metric::testing::{Sent, item};
use crate::metric::value::MetricValue;

const MINUTE: i64 = 60_000_000;
const HORIZONS: Horizons =
    Horizons { minutes_us: 40 * MINUTE, quarters_us: 150 * MINUTE, hours_us: 3000 * MINUTE };

/// Minutes, with room for some days.
fn minute() -> impl Strategy<Value = i64> {
    prop_oneof![0..6000_i64, 5800..6000_i64, 5000..5100_i64]
}

#[derive(Debug, Clone)]
enum Step {
    Event(i64, u64),
    Roll(i64),
    Recode,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (minute(), 0_u64..20).prop_map(|(minute, person)| Step::Event(minute, person)),
        1 => minute().prop_map(Step::Roll),
        1 => Just(Step::Recode),
    ]
}

/// Where an event is at `now`, from first principles: the bucket of the finest width that is not too old as a whole, which is
/// decided for all minutes of a coarser bucket at once.
fn naive_bucket(minute: i64, now: i64) -> (i64, i64) {
    let (hour, day) = (minute / 60 * 60, minute / 1440 * 1440);
    let first = |age: i64, width: i64| (now - age).max(0) / width * width;
    if minute >= first(40, 15) {
        (minute, 1)
    } else if minute >= first(150, 60) {
        (minute / 15 * 15, 15)
    } else if minute >= first(3000, 1440) {
        (hour, 60)
    } else {
        (day, 1440)
    }
}

fn recoded(series: &Series) -> Series {
    let mut bytes = Vec::new();
    series.encode(&mut bytes);
    Series::decode(series.kind().clone(), HORIZONS, &mut bytes.as_slice()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_and_rolls_is_the_naive_map(
        (steps, shuffled) in prop::collection::vec(step(), 0..80)
            .prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
        edges in prop::collection::vec(minute(), 2..6),
    ) {
        let mut ordinals = Ordinals::new(7);
        let mut series = [&steps, &shuffled].map(|steps| {
            let mut series = Series::new(MetricKind::Uniques, HORIZONS);
            for step in steps {
                match step {
                    Step::Event(minute, person) => {
                        series.add(&item(minute * MINUTE + 17, *person, None), &mut ordinals);
                    }
                    Step::Roll(now) => series.roll(now * MINUTE, &ordinals),
                    Step::Recode => series = recoded(&series),
                }
            }
            series
        });
        prop_assert_eq!(&series[0], &series[1]);

        let rolls = steps.iter().filter_map(|s| if let Step::Roll(now) = s { Some(*now) } else { None });
        let now = rolls.max();
        let mut naive: BTreeMap<(i64, i64), HashSet<u64>> = BTreeMap::new();
        for step in &steps {
            let Step::Event(minute, person) = step else { continue };
            let bucket = now.map_or((*minute, 1), |now| naive_bucket(*minute, now));
            naive.entry(bucket).or_default().insert(*person);
        }
        prop_assert_eq!(series[0].len(), naive.len());
        for ((start, width), persons) in &naive {
            let found = series[0].sum(start * MINUTE, (start + 1) * MINUTE, &ordinals);
            let MetricValue::Uniques { persons: count, standard_error } = MetricKind::Uniques.value(&found)
                else { unreachable!() };
            prop_assert_eq!((count, standard_error.is_some()), (persons.len() as u64, persons.len() > 7));
            let span = StaleBucket { from_us: start * MINUTE, to_us: (start + width) * MINUTE };
            prop_assert_eq!(series[0].bucket(start * MINUTE), span);
        }

        let mut edges = edges.clone();
        edges.sort_unstable();
        let spans: Vec<_> = edges.windows(2).map(|edge| (edge[0] * MINUTE, edge[1] * MINUTE)).collect();
        let answer = series[0].answer(&spans, &ordinals);
        let within = |from: i64, to: i64| {
            let starts = naive.iter().filter(|((start, _), _)| (from..to).contains(start));
            starts.flat_map(|(_, persons)| persons).collect::<HashSet<_>>().len() as u64
        };
        let counts: Vec<_> = answer.buckets.iter().map(MetricValue::samples).collect();
        let expected: Vec<_> = edges.windows(2).map(|edge| within(edge[0], edge[1])).collect();
        prop_assert_eq!(counts, expected);
        prop_assert_eq!(answer.total.samples(), within(edges[0], edges[edges.len() - 1]));
        let inside = |edge: &i64| naive.keys().any(|(start, width)| start < edge && *edge < start + width);
        prop_assert_eq!(answer.cut, edges.iter().any(inside));

        // Forgetting goes by the end of a bucket.
        series[0].forget_before(edges[0] * MINUTE);
        let left = naive.keys().filter(|(start, width)| start + width > edges[0]).count();
        prop_assert_eq!(series[0].len(), left);
    }

    #[test]
    fn retracted_events_leave_nothing_behind(
        minutes in prop::collection::vec((minute(), -50_i64..50), 0..60), rolls in prop::collection::vec(minute(), 0..3),
    ) {
        let mut ordinals = Ordinals::default();
        for kind in [MetricKind::Count, MetricKind::Sum, MetricKind::Percentiles(vec![0.5])] {
            let mut series = Series::new(kind, HORIZONS);
            let sent: Vec<_> = minutes.iter().map(|(_, number)| Sent::Int(*number)).collect();
            let items = || minutes.iter().zip(&sent).map(|((minute, _), sent)| item(minute * MINUTE, 1, Some(sent.value())));
            items().for_each(|item| series.add(&item, &mut ordinals));
            rolls.iter().for_each(|now| series.roll(now * MINUTE, &ordinals));
            for item in items() {
                prop_assert_eq!(series.retract(&item), Ok(()));
            }
            prop_assert!(series.is_empty());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        if let Ok(mut series) = Series::decode(MetricKind::Sum, HORIZONS, &mut bytes.as_slice()) {
            series.add(&item(5, 1, Some(Sent::Int(1).value())), &mut Ordinals::default());
            series.roll(1 << 50, &Ordinals::default());
        }
    }
}

#[test]
fn the_extreme_is_recounted_by_who_reads_stored_events() {
    let mut ordinals = Ordinals::default();
    let mut series = Series::new(MetricKind::Max, HORIZONS);
    let sent = [Sent::Int(3), Sent::Int(8)];
    let items: Vec<_> = sent.iter().map(|sent| item(5 * MINUTE + 1, 1, Some(sent.value()))).collect();
    items.iter().for_each(|item| series.add(item, &mut ordinals));
    let stale = series.retract(&items[1]).unwrap_err();
    assert_eq!(stale, StaleBucket { from_us: 5 * MINUTE, to_us: 6 * MINUTE });
    let mut again = Partial::new(series.kind());
    again.add(&items[0], &mut ordinals);
    series.put(stale.from_us, again, &ordinals);
    assert_eq!(series.sum(0, i64::MAX, &ordinals), {
        let mut three = Partial::new(series.kind());
        three.add(&items[0], &mut ordinals);
        three
    });
    series.put(stale.from_us, Partial::new(&MetricKind::Max), &ordinals);
    assert!(series.is_empty());
}

#[test]
fn merged_persons_are_one_in_every_bucket() {
    let mut ordinals = Ordinals::new(2);
    let mut series = Series::new(MetricKind::Uniques, HORIZONS);
    for (minute, person) in [(1, 1), (1, 2), (2, 1), (3, 2), (4, 1), (4, 2), (4, 3)] {
        series.add(&item(minute * MINUTE, person, None), &mut ordinals);
    }
    let [loser, winner] = [1, 2].map(|person| ordinals.ordinal(crate::ActorKey(person)));
    // Minute 4 is a sketch.
    let stale = StaleBucket { from_us: 4 * MINUTE, to_us: 5 * MINUTE };
    assert_eq!(series.replace(MINUTE + 5, loser, winner), [stale]);
    let spans: Vec<_> = (1..5).map(|minute| (minute * MINUTE, (minute + 1) * MINUTE)).collect();
    let answer = series.answer(&spans, &ordinals);
    let counts: Vec<_> = answer.buckets.iter().map(MetricValue::samples).collect();
    assert_eq!(counts, [1, 1, 1, 3]);
    assert_eq!(series.remove(2 * MINUTE, winner), Ok(()));
    assert_eq!(series.remove(4 * MINUTE, winner), Err(stale));
    assert_eq!(series.len(), 3);
    let ever = series.answer(&[(i64::MIN, i64::MAX)], &ordinals);
    assert_eq!((ever.total.samples(), ever.cut), (3, false));
    assert_eq!(series.replace(i64::MAX, winner, loser), []);
    assert_eq!(series.replace(i64::MIN, loser, winner), [stale]);
    assert_eq!(series.erase(2 * MINUTE, winner), [stale]);
    let counts: Vec<_> = series.answer(&spans, &ordinals).buckets.iter().map(MetricValue::samples).collect();
    assert_eq!((counts, series.len()), (vec![1, 0, 0, 3], 2));
}

#[test]
fn an_image_of_another_grid_is_refused() {
    let mut ordinals = Ordinals::default();
    let mut series = Series::new(MetricKind::Count, HORIZONS);
    series.add(&item(7 * MINUTE, 1, None), &mut ordinals);
    let mut bytes = Vec::new();
    series.encode(&mut bytes);
    let decode = |bytes: &[u8]| Series::decode(MetricKind::Count, HORIZONS, &mut &*bytes);
    assert_eq!(decode(&bytes), Ok(series));
    // Minutes that begin after the bucket.
    let mut rolled = Vec::new();
    crate::metric::codec::put(&mut rolled, 15 * MINUTE as u64);
    assert_eq!(decode(&[&rolled, &bytes[1..]].concat()), Err(BadBytes));
}
