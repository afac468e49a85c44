use proptest::prelude::*;

use super::*;
use crate::metric::testing::{Sent, item, sent};
use crate::metric::value::MetricValue;

fn kinds() -> [MetricKind; 7] {
    [
        MetricKind::Count,
        MetricKind::Uniques,
        MetricKind::Sum,
        MetricKind::Average,
        MetricKind::Min,
        MetricKind::Max,
        MetricKind::Percentiles(vec![0.5, 0.9]),
    ]
}

fn recoded(kind: &MetricKind, partial: &Partial) -> Partial {
    let mut bytes = Vec::new();
    partial.encode(&mut bytes);
    bytes.push(7);
    let mut rest = bytes.as_slice();
    let decoded = Partial::decode(kind, &mut rest).unwrap();
    assert_eq!(rest, [7]);
    decoded
}

proptest! {
    #[test]
    fn every_kind_takes_any_order_split_and_retraction(
        (all, shuffled) in prop::collection::vec((0_u64..9, prop::option::of(sent())), 0..20)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        split: u32,
        extra in prop::collection::vec(sent(), 0..4),
    ) {
        for kind in kinds() {
            let mut ordinals = Ordinals::default();
            let event = |(person, value): &(u64, Option<Sent>)| (*person, value.clone());
            let (mut whole, mut a, mut b) = (Partial::new(&kind), Partial::new(&kind), Partial::new(&kind));
            for (person, value) in all.iter().map(event) {
                whole.add(&item(0, person, value.as_ref().map(Sent::value)), &mut ordinals);
            }
            for (i, (person, value)) in shuffled.iter().map(event).enumerate() {
                let half = if split >> i & 1 == 0 { &mut a } else { &mut b };
                half.add(&item(0, person, value.as_ref().map(Sent::value)), &mut ordinals);
            }
            let mut a = recoded(&kind, &a);
            a.merge(&recoded(&kind, &b), &ordinals);
            prop_assert_eq!(&a, &whole);
            prop_assert_eq!(kind.value(&a), kind.value(&whole));
            for value in &extra {
                let before = a.clone();
                let one = item(0, 3, Some(value.value()));
                a.add(&one, &mut ordinals);
                if a.retract(&one) == Retraction::Stale {
                    prop_assert!(matches!(kind, MetricKind::Uniques | MetricKind::Min | MetricKind::Max));
                    a = before.clone();
                }
                prop_assert_eq!(&a, &before);
            }
            for (person, value) in &all {
                if a.retract(&item(0, *person, value.as_ref().map(Sent::value))) == Retraction::Stale {
                    break;
                }
            }
            let remembers = !matches!(kind, MetricKind::Uniques | MetricKind::Min | MetricKind::Max);
            prop_assert_eq!(a.is_empty() || !remembers, true);
        }
    }

    #[test]
    fn damaged_images_never_panic(
        all in prop::collection::vec((0_u64..300, sent()), 0..40),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for kind in kinds() {
            let mut ordinals = Ordinals::new(200);
            let mut partial = Partial::new(&kind);
            for (person, value) in &all {
                partial.add(&item(0, *person, Some(value.value())), &mut ordinals);
            }
            let mut bytes = Vec::new();
            partial.encode(&mut bytes);
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let Ok(mut damaged) = Partial::decode(&kind, &mut bytes.as_slice()) else { continue };
            let _ = damaged.subtract(&partial);
            damaged.merge(&partial, &ordinals);
            for (person, value) in &all {
                let one = item(0, *person, Some(value.value()));
                damaged.add(&one, &mut ordinals);
                let _ = damaged.retract(&one);
            }
            kind.value(&damaged).samples();
            damaged.encode(&mut bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        for kind in kinds() {
            if let Ok(mut partial) = Partial::decode(&kind, &mut bytes.as_slice()) {
                let mut ordinals = Ordinals::default();
                partial.add(&item(0, 1, Some(Sent::Int(3).value())), &mut ordinals);
                kind.value(&partial);
            }
        }
    }
}

#[test]
fn an_event_without_a_number_counts_as_an_event_and_a_person_only() {
    let mut ordinals = Ordinals::default();
    for kind in kinds() {
        let mut partial = Partial::new(&kind);
        partial.add(&item(0, 1, None), &mut ordinals);
        let counts = matches!(kind, MetricKind::Count | MetricKind::Uniques);
        assert_eq!(partial.is_empty(), !counts, "{kind:?}");
        assert_eq!(kind.value(&partial).samples(), u64::from(counts), "{kind:?}");
    }
}

#[test]
fn a_count_cannot_be_less_than_nothing() {
    let mut count = Partial::Count(1);
    assert_eq!(count.subtract(&Partial::Count(2)), Retraction::Stale);
    assert_eq!(count.subtract(&Partial::Count(1)), Retraction::Done);
    assert_eq!(count.retract(&item(0, 1, None)), Retraction::Stale);
    assert_eq!(MetricKind::Count.value(&count), MetricValue::Count(0));
}
