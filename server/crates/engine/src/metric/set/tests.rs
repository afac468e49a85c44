use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::metric::testing::{Sent, item};
use crate::metric::value::MetricValue;

const MINUTE: i64 = 60_000_000;
const NAMES: [&str; 8] = ["h", "g", "f", "e", "d", "c", "b", "a"];

fn set(kind: MetricKind, room: usize) -> SeriesSet {
    SeriesSet::with_room(kind, Horizons::default(), room)
}

fn name(value: u32) -> &'static str {
    NAMES[value as usize]
}

fn recoded(kind: &MetricKind, room: usize, set: &SeriesSet) -> SeriesSet {
    let mut bytes = Vec::new();
    set.encode(&mut bytes);
    self::set(kind.clone(), room).decode(&mut bytes.as_slice()).unwrap()
}

proptest! {
    #[test]
    fn rows_others_and_total_are_unions(
        events in prop::collection::vec((prop::option::of(0_u32..8), 0_i64..30, 0_u64..12), 0..80),
        room in 0_usize..9,
        top in 0_usize..5,
    ) {
        let kind = MetricKind::Uniques;
        let mut ordinals = Ordinals::default();
        let mut set = set(kind.clone(), room);
        for (value, minute, person) in &events {
            set.add(*value, &item(minute * MINUTE, *person, None), &mut ordinals);
        }
        let set = recoded(&kind, room, &set);
        let spans = [(0, 10 * MINUTE), (10 * MINUTE, 20 * MINUTE)];
        let answer = set.answer(&spans, top, name, &ordinals);
        let named: Vec<_> = answer.rows.iter().map(|row| row.key).collect();
        prop_assert_eq!(&set.answer_for(&named, &spans, &ordinals), &answer);
        let absent = set.answer_for(&[SeriesKey::Value(99)], &spans, &ordinals);
        prop_assert_eq!((absent.rows[0].answer.total.samples(), &absent.total), (0, &answer.total));

        let of = |keys: &[SeriesKey], from: i64, to: i64| {
            let inside = events.iter().filter(|(_, minute, _)| (from..to).contains(minute));
            let own = inside.filter(|(value, ..)| keys.contains(&set.key(*value)));
            own.map(|(_, _, person)| person).collect::<HashSet<_>>().len() as u64
        };
        let check = |answer: &Answer, keys: &[SeriesKey]| {
            let found = [answer.buckets[0].samples(), answer.buckets[1].samples(), answer.total.samples()];
            found == [of(keys, 0, 10), of(keys, 10, 20), of(keys, 0, 20)]
        };
        let mut seen: Vec<_> = Vec::new();
        for (value, ..) in &events {
            if let Some(value) = value && !seen.contains(value) {
                seen.push(*value);
            }
        }
        let kept = &seen[..seen.len().min(room)];
        prop_assert_eq!(set.overflow(), seen.len() > room);
        let mut keys: Vec<_> = kept.iter().map(|value| SeriesKey::Value(*value)).collect();
        keys.push(SeriesKey::NotSet);
        keys.retain(|key| of(&[*key], 0, 20) > 0);
        let order = |key: &SeriesKey| {
            let name = if let SeriesKey::Value(value) = key { name(*value) } else { "~" };
            (std::cmp::Reverse(of(&[*key], 0, 20)), name)
        };
        keys.sort_by_key(order);
        let cut = top.min(keys.len());
        prop_assert_eq!(answer.rows.iter().map(|row| row.key).collect::<Vec<_>>(), &keys[..cut]);
        for row in &answer.rows {
            prop_assert!(check(&row.answer, &[row.key]));
        }
        let mut others = keys[cut..].to_vec();
        prop_assert_eq!(answer.other_values, others.len());
        others.extend(set.overflow().then_some(SeriesKey::Rest));
        prop_assert_eq!(answer.other.is_some(), !others.is_empty());
        prop_assert!(answer.other.is_none_or(|other| check(&other, &others)));
        keys.push(SeriesKey::Rest);
        prop_assert!(check(&answer.total, &keys));
    }
}

#[test]
fn a_value_keeps_its_series_and_the_rest_is_flagged() {
    let mut ordinals = Ordinals::default();
    let mut set = set(MetricKind::Count, 1);
    let event = item(0, 1, None);
    for value in [Some(3), Some(4), Some(3), None] {
        set.add(value, &event, &mut ordinals);
    }
    assert_eq!(
        [Some(3), Some(4), None].map(|value| set.key(value)),
        [SeriesKey::Value(3), SeriesKey::Rest, SeriesKey::NotSet]
    );
    assert!(set.overflow());
    assert_eq!(set.retract(Some(4), &event), Ok(()));
    assert_eq!(set.retract(Some(3), &event), Ok(()));
    assert_eq!(set.retract(Some(3), &event), Ok(()));
    let (key, bucket) = set.retract(Some(3), &event).unwrap_err();
    assert_eq!((key, bucket), (SeriesKey::Value(3), StaleBucket { from_us: 0, to_us: MINUTE }));
    // Empty, but it still has its room.
    assert_eq!(set.key(Some(3)), SeriesKey::Value(3));
    set.forget_before(MINUTE);
    assert_eq!((set.overflow(), set.len()), (false, 0));
    set.add(Some(4), &event, &mut ordinals);
    assert_eq!(set.key(Some(4)), SeriesKey::Value(4));
}

#[test]
fn rows_of_several_currencies_are_ordered_in_the_commonest() {
    let mut ordinals = Ordinals::default();
    let mut set = set(MetricKind::Sum, 8);
    let sales = [(0, "EUR", 5), (1, "EUR", 7), (1, "EUR", 1), (2, "USD", 900), (3, "EUR", 5)];
    for (value, currency, units) in sales {
        let sent = Sent::Money(currency, units, 0);
        set.add(Some(value), &item(0, 1, Some(sent.value())), &mut ordinals);
    }
    let answer = set.answer(&[(0, MINUTE)], 4, name, &ordinals);
    let order: Vec<_> = answer.rows.iter().map(|row| row.key).collect();
    assert_eq!(order, [1, 3, 0, 2].map(SeriesKey::Value));
    let MetricValue::Sum(total) = answer.total.total else { panic!() };
    assert_eq!(total.iter().map(|sum| sum.amount.to_string()).collect::<Vec<_>>(), ["18", "900"]);
}

#[test]
fn merges_rolls_and_recounts_reach_every_series() {
    let mut ordinals = Ordinals::new(1);
    let mut set = set(MetricKind::Uniques, 1);
    for (value, person) in [(Some(1), 1), (Some(1), 2), (Some(2), 1), (None, 1)] {
        set.add(value, &item(0, person, None), &mut ordinals);
    }
    let [loser, winner] = [1, 2].map(|person| ordinals.ordinal(crate::ActorKey(person)));
    let bucket = StaleBucket { from_us: 0, to_us: MINUTE };
    assert_eq!(set.replace(0, loser, winner), [(SeriesKey::Value(1), bucket)]);
    let mut again = Partial::new(&MetricKind::Uniques);
    again.add(&item(0, 2, None), &mut ordinals);
    set.put(SeriesKey::Value(1), 0, again, &ordinals);
    set.roll(1000 * 24 * 60 * MINUTE, &ordinals);
    assert_eq!(set.bucket(5), StaleBucket { from_us: 0, to_us: 24 * 60 * MINUTE });
    let answer = set.answer(&[(0, MINUTE)], 9, name, &ordinals);
    assert!(answer.total.cut);
    assert_eq!(answer.total.total, MetricValue::Uniques { persons: 1, standard_error: None });
    assert_eq!(set.remove(SeriesKey::NotSet, 0, winner), Ok(()));
    assert_eq!(set.answer(&[(0, MINUTE)], 9, name, &ordinals).rows.len(), 1);
    assert_eq!(set.erase(0, winner), []);
    assert_eq!(set.answer(&[(0, MINUTE)], 9, name, &ordinals).rows.len(), 0);
}
