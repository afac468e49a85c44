//! What a detector promises, on series that are made up.

use proptest::prelude::*;

use super::*;
use crate::image::BadImage;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn settings(kind: SeriesKind, bucket_us: i64) -> Settings {
    Settings { kind, bucket_us, false_alerts_per_month: 1.0, direction: Direction::Both }
}

/// Numbers between -1 and 1 that look random (SplitMix64).
fn noise(i: i64) -> f64 {
    let mut x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn point(bucket_us: i64, i: i64, value: f64) -> Point {
    let start_us = i * bucket_us;
    Point { start_us, local_us: start_us, value, weight: 1000.0, annotated: false }
}

/// A count by the hour with a day in it.
fn usual(i: i64) -> f64 {
    let daily = (i as f64 / 24.0 * std::f64::consts::TAU).sin();
    (1000.0 * (1.0 + 0.5 * daily) + 40.0 * (noise(i) + noise(-i) + noise(7 * i))).round()
}

fn taught(buckets: i64) -> Detector {
    let mut detector = Detector::new(&settings(SeriesKind::Count, HOUR));
    (0..buckets).for_each(|i| _ = detector.step(&point(HOUR, i, usual(i))));
    detector
}

const MONTH: i64 = 30 * 24;

#[test]
fn a_usual_bucket_is_normal_and_inside_of_its_band() {
    let mut detector = taught(MONTH);
    let verdict = detector.step(&point(HOUR, MONTH, usual(MONTH)));
    assert_eq!(verdict.state, State::Normal);
    assert!(verdict.low < usual(MONTH) && usual(MONTH) < verdict.high, "{verdict:?}");
    assert!((verdict.expected / usual(MONTH) - 1.0).abs() < 0.1, "{verdict:?}");
}

#[test]
fn an_outage_is_anomalous_from_its_first_bucket_to_its_last_and_told_once() {
    let mut detector = taught(MONTH);
    let outage: Vec<_> = (0..6).map(|i| detector.step(&point(HOUR, MONTH + i, 0.0))).collect();
    assert!(outage.iter().all(|verdict| verdict.state == State::Anomalous), "{outage:?}");
    assert!(outage.iter().all(|verdict| verdict.low > 0.0), "nothing of it is learned: {outage:?}");
    assert!(outage[0].score > 2.0, "{outage:?}");
    assert!(outage[1..].iter().all(|verdict| verdict.score < 0.5 * outage[0].score), "{outage:?}");
    let after: Vec<_> = (6..48).map(|i| detector.step(&point(HOUR, MONTH + i, usual(MONTH + i)))).collect();
    assert!(after[8..].iter().all(|verdict| verdict.state == State::Normal), "{after:?}");
}

#[test]
fn a_level_that_stays_becomes_the_baseline() {
    let mut detector = taught(MONTH);
    let states: Vec<_> =
        (MONTH..MONTH + 72).map(|i| detector.step(&point(HOUR, i, 3.0 * usual(i))).state).collect();
    let changed = states.iter().position(|state| *state == State::Changed);
    assert_eq!(changed, Some(23), "after a day: {states:?}");
    assert!(states[..23].iter().all(|state| *state == State::Anomalous));
    assert!(states[36..].iter().filter(|state| **state == State::Normal).count() > 30, "{states:?}");
}

#[test]
fn what_was_rare_and_became_usual_is_expected_as_it_is() {
    let mut detector = Detector::new(&settings(SeriesKind::Count, DAY));
    (0..120).for_each(|i| _ = detector.step(&point(DAY, i, f64::from(i % 40 == 3))));
    let more = [4.0, 15.0, 11.0, 9.0, 12.0, 8.0, 14.0, 10.0, 11.0, 9.0];
    let states: Vec<_> =
        more.iter().zip(120..).map(|(x, i)| detector.step(&point(DAY, i, *x)).state).collect();
    assert!(states.contains(&State::Changed), "{states:?}");
    let verdict = detector.step(&point(DAY, 130, 10.0));
    assert!((6.0..=15.0).contains(&verdict.expected), "{verdict:?}");
}

#[test]
fn a_rate_of_shares_is_watched_as_a_ratio_and_one_above_as_a_value() {
    let watch = |value: fn(i64) -> f64| {
        let mut detector = Detector::new(&settings(SeriesKind::Rate, HOUR));
        (0..MONTH).for_each(|i| _ = detector.step(&point(HOUR, i, value(i))));
        detector
    };
    let mut shares = watch(|i| 0.98 + 0.004 * noise(i));
    let verdict = shares.step(&point(HOUR, MONTH, 0.98));
    assert!(verdict.state == State::Normal && verdict.high <= 1.0, "{verdict:?}");
    assert_eq!(shares.step(&point(HOUR, MONTH + 1, 0.5)).state, State::Anomalous);
    let mut above = watch(|i| 2.0 + 0.1 * noise(i));
    assert!((above.step(&point(HOUR, MONTH, 2.0)).expected - 2.0).abs() < 0.1);
    assert_eq!(above.step(&point(HOUR, MONTH + 1, 5.0)).state, State::Anomalous);
    // It looked like a share for a month, and then was none: it is learned anew.
    for i in 0..12 {
        shares.step(&point(HOUR, MONTH + 2 + i, 1.5));
    }
    assert!(matches!(shares.step(&point(HOUR, MONTH + 20, 1.5)).state, State::Learning { .. }));
}

#[test]
fn the_channel_says_what_it_was() {
    let mut detector = taught(MONTH);
    let high = detector.step(&point(HOUR, MONTH, 2.0 * usual(MONTH)));
    assert_eq!(high.state, State::Anomalous);
    let mut still = taught(MONTH);
    let verdicts: Vec<_> = (0..12).map(|i| still.step(&point(HOUR, MONTH + i, 1000.0))).collect();
    let flat =
        verdicts.iter().find(|verdict| verdict.channel == Some(Channel::Flat)).expect("it stood still");
    assert_eq!(flat.state, State::Anomalous);
}

#[test]
fn a_direction_hears_its_side_only() {
    for (direction, factor, state) in [
        (Direction::Up, 0.2, State::Normal),
        (Direction::Up, 3.0, State::Anomalous),
        (Direction::Down, 0.2, State::Anomalous),
        (Direction::Down, 3.0, State::Normal),
    ] {
        let mut bytes = Vec::new();
        taught(MONTH).encode(&mut bytes);
        let settings = Settings { direction, ..settings(SeriesKind::Count, HOUR) };
        let mut detector = Detector::decode(&settings, &mut &bytes[..]).unwrap();
        let verdict = detector.step(&point(HOUR, MONTH, factor * usual(MONTH)));
        assert_eq!(verdict.state, state, "{direction:?} {factor}: {verdict:?}");
    }
}

#[test]
fn learning_says_how_far_it_is() {
    let mut detector = Detector::new(&settings(SeriesKind::Count, HOUR));
    let mut percent_at =
        |bucket: i64| (0..=bucket).map(|i| detector.step(&point(HOUR, i, usual(i))).state).last();
    assert_eq!(percent_at(0), Some(State::Learning { percent: 0 }));
    let mut other = taught(96);
    assert_eq!(other.step(&point(HOUR, 96, usual(96))).state, State::Learning { percent: 50 });
    assert_eq!(taught(192).step(&point(HOUR, 192, usual(192))).state, State::Normal);
}

#[test]
fn annotated_days_have_a_baseline_of_their_own() {
    let mut detector = taught(MONTH);
    let mut day = |first: i64, factor: f64, annotated: bool| {
        let step =
            |i: i64| detector.step(&Point { annotated, ..point(HOUR, i, (factor * usual(i)).round()) });
        (first..first + 24).map(step).collect::<Vec<_>>()
    };
    let mut first = MONTH;
    for _ in 0..8 {
        day(first, 1.3, true);
        day(first + 24, 1.0, false);
        first += 48;
    }
    let special = day(first, 1.3, true);
    let off = |verdict: &Verdict, i: i64| (verdict.expected / (1.3 * usual(i)) - 1.0).abs();
    assert!(off(&special[0], first) < 0.2, "from its first hour on: {:?}", special[0]);
    let mean = special.iter().zip(first..).map(|(verdict, i)| off(verdict, i)).sum::<f64>() / 24.0;
    assert!(mean < 0.1, "{mean}");
}

#[test]
fn what_is_no_bucket_is_no_lesson() {
    let mut detector = taught(MONTH);
    let mut bytes = Vec::new();
    detector.encode(&mut bytes);
    let last = detector.step(&point(HOUR, MONTH - 1, 1e9));
    assert_eq!(detector.step(&point(HOUR, 3, 1e9)), last, "older ones are ignored");
    let mut again = Vec::new();
    detector.encode(&mut again);
    assert_eq!(bytes, again);
    for (i, value) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().enumerate() {
        assert_eq!(detector.step(&point(HOUR, MONTH + i as i64, value)), last, "{value} is a gap");
    }
    detector.gap((MONTH + 3) * HOUR);
    let after = detector.step(&point(HOUR, MONTH + 4, usual(MONTH + 4)));
    assert_eq!(after.state, State::Normal);
}

#[test]
fn a_ratio_without_a_denominator_is_a_gap() {
    let mut detector = Detector::new(&settings(SeriesKind::Ratio, HOUR));
    let first = detector.step(&point(HOUR, 0, 0.5));
    assert_eq!(detector.step(&Point { weight: 0.0, ..point(HOUR, 1, 0.1) }), first);
}

#[test]
fn a_ratio_of_few_is_no_alarm_and_of_many_is_one() {
    let mut detector = Detector::new(&settings(SeriesKind::Ratio, HOUR));
    let share = |i: i64| 0.95 + 0.004 * noise(i);
    (0..MONTH).for_each(|i| _ = detector.step(&Point { weight: 5000.0, ..point(HOUR, i, share(i)) }));
    let few = detector.step(&Point { weight: 10.0, ..point(HOUR, MONTH, 0.9) });
    let many = detector.step(&Point { weight: 5000.0, ..point(HOUR, MONTH + 1, 0.9) });
    assert_eq!((few.state, many.state), (State::Normal, State::Anomalous), "{few:?} {many:?}");
    assert!(few.low < 0.9 && many.low > 0.9);
    assert_eq!(few.score, 0.0, "nor is it news");
}

#[test]
fn a_day_of_23_hours_is_no_alarm() {
    let mut detector = taught(MONTH);
    // The wall clock jumps ahead, and so do the habits.
    let later = |i: i64| Point { local_us: (i + 1) * HOUR, ..point(HOUR, i, usual(i + 1)) };
    let alarms = (MONTH..MONTH + 48).filter(|i| detector.step(&later(*i)).state == State::Anomalous).count();
    assert!(alarms <= 1, "{alarms}");
}

#[test]
fn a_state_is_small() {
    for bucket_us in [MINUTE, 5 * MINUTE, HOUR, DAY, 7 * DAY] {
        for kind in [SeriesKind::Count, SeriesKind::Ratio, SeriesKind::Value] {
            let mut detector = Detector::new(&settings(kind, bucket_us));
            let mut largest = 0;
            for i in 0..3000 {
                detector.step(&point(bucket_us, i, 0.5 + 0.4 * noise(i)));
                if i % 100 == 10 {
                    let mut bytes = Vec::new();
                    detector.encode(&mut bytes);
                    largest = largest.max(bytes.len()).max(size_of::<Detector>() + detector.heap());
                }
            }
            assert!(largest <= 8192, "{kind:?} {bucket_us}: {largest}");
        }
    }
}

/// Series that are hard on arithmetic.
fn hard(which: u8, i: i64) -> f64 {
    match which % 8 {
        0 => 0.0,
        1 => 1e9 * (1.0 + 0.01 * noise(i)),
        2 => f64::from(noise(i) > 0.9),
        3 => 42.0,
        4 => -1e-300 * noise(i),
        5 => 1e300 * noise(i),
        6 => noise(i) * if i % 500 == 499 { 1e6 } else { 1.0 },
        _ => [f64::NAN, f64::INFINITY, -1.0, 0.0, 1.0][i.rem_euclid(5) as usize],
    }
}

#[test]
fn hard_series_give_numbers() {
    for kind in [SeriesKind::Count, SeriesKind::Ratio, SeriesKind::Value] {
        for which in 0..8 {
            for bucket_us in [MINUTE, HOUR, 7 * DAY] {
                let mut detector = Detector::new(&settings(kind, bucket_us));
                for i in 0..1500 {
                    let verdict = detector.step(&point(bucket_us, i, hard(which, i)));
                    let numbers = [verdict.expected, verdict.low, verdict.high, verdict.score];
                    assert!(
                        numbers.iter().all(|number| number.is_finite()),
                        "{kind:?} {which} {i} {verdict:?}"
                    );
                    assert!((0.0..=1.0).contains(&verdict.p_value), "{kind:?} {which} {i} {verdict:?}");
                    assert!(verdict.low <= verdict.high, "{kind:?} {which} {i} {verdict:?}");
                }
                let mut bytes = Vec::new();
                detector.encode(&mut bytes);
                let back = Detector::decode(&settings(kind, bucket_us), &mut &bytes[..]);
                assert!(back.is_ok(), "{kind:?} {which} {bucket_us}");
            }
        }
    }
}

#[test]
fn a_constant_that_moves_is_an_anomaly() {
    for kind in [SeriesKind::Count, SeriesKind::Value] {
        let mut detector = Detector::new(&settings(kind, HOUR));
        let last = (0..MONTH).map(|i| detector.step(&point(HOUR, i, 42.0))).last().unwrap();
        assert_eq!(last.state, State::Normal);
        let moved = detector.step(&point(HOUR, MONTH, 99.0));
        assert_eq!(moved.state, State::Anomalous, "{kind:?} {moved:?}");
    }
}

#[test]
fn what_breaks_an_invariant_is_refused_or_does_no_harm() {
    let mut bytes = Vec::new();
    taught(200).encode(&mut bytes);
    let mut refused = 0;
    for at in 0..bytes.len() - 8 {
        for patch in [f64::NAN.to_le_bytes(), f64::INFINITY.to_le_bytes(), f64::MIN.to_le_bytes()] {
            let mut patched = bytes.clone();
            patched[at..at + 8].copy_from_slice(&patch);
            let Ok(mut detector) = Detector::decode(&settings(SeriesKind::Count, HOUR), &mut &patched[..])
            else {
                refused += 1;
                continue;
            };
            let verdict = detector.step(&point(HOUR, 300, usual(300)));
            assert!((0.0..=1.0).contains(&verdict.p_value), "{at} {patch:?} {verdict:?}");
        }
    }
    assert!(refused > bytes.len(), "{refused} of {}", 3 * bytes.len());
}

fn any_kind() -> impl Strategy<Value = SeriesKind> {
    prop_oneof![
        Just(SeriesKind::Count),
        Just(SeriesKind::Ratio),
        Just(SeriesKind::Rate),
        Just(SeriesKind::Value)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_state_comes_back_and_goes_on(kind in any_kind(), which: u8, cut in 0_i64..400, hours in 1_i64..30) {
        let settings = settings(kind, hours * HOUR);
        let step = |detector: &mut Detector, i: i64| detector.step(&point(hours * HOUR, i, hard(which, i).abs()));
        let mut detector = Detector::new(&settings);
        (0..cut).for_each(|i| _ = step(&mut detector, i));
        let mut bytes = Vec::new();
        detector.encode(&mut bytes);
        let whole = bytes.len();
        bytes.push(7);
        let mut rest = bytes.as_slice();
        let mut back = Detector::decode(&settings, &mut rest).unwrap();
        prop_assert_eq!(rest, [7]);
        for i in cut..cut + 50 {
            prop_assert_eq!(step(&mut back, i), step(&mut detector, i));
        }
        for cut in (0..whole).step_by(61) {
            prop_assert_eq!(Detector::decode(&settings, &mut &bytes[..cut]).err(), Some(BadImage));
        }
        let other = Settings { bucket_us: settings.bucket_us + 1, ..settings };
        prop_assert_eq!(Detector::decode(&other, &mut bytes.as_slice()).err(), Some(BadImage));
    }

    #[test]
    fn random_bytes_never_panic(at: prop::sample::Index, patch in prop::collection::vec(any::<u8>(), 1..60)) {
        let settings = settings(SeriesKind::Count, HOUR);
        let mut bytes = Vec::new();
        taught(60).encode(&mut bytes);
        let at = at.index(bytes.len());
        let patched = patch.len().min(bytes.len() - at);
        bytes[at..at + patched].copy_from_slice(&patch[..patched]);
        for bytes in [bytes, patch] {
            let Ok(mut detector) = Detector::decode(&settings, &mut bytes.as_slice()) else { continue };
            for i in [61, 62, 5_000, i64::MAX / HOUR] {
                detector.step(&point(HOUR, i, usual(i)));
            }
        }
    }

    #[test]
    fn what_is_learned_does_not_depend_on_what_is_asked(rate in 0.01_f64..50.0, which: u8) {
        let plain = settings(SeriesKind::Value, HOUR);
        let other = Settings { false_alerts_per_month: rate, direction: Direction::Up, ..plain };
        let (mut a, mut b) = (Detector::new(&plain), Detector::new(&other));
        for i in 0..600 {
            let (a, b) = (a.step(&point(HOUR, i, hard(which, i))), b.step(&point(HOUR, i, hard(which, i))));
            prop_assert_eq!((a.score, a.expected), (b.score, b.expected));
        }
        for another in [settings(SeriesKind::Count, HOUR), settings(SeriesKind::Value, DAY)] {
            prop_assert!(!a.retune(&another));
        }
        prop_assert!(a.retune(&other));
        for i in 600..610 {
            let next = point(HOUR, i, hard(which, i));
            let (a, b) = (a.step(&next), b.step(&next));
            prop_assert_eq!((a.score, a.expected), (b.score, b.expected));
        }
    }
}

#[test]
fn a_retuned_detector_tells_what_it_is_asked_for_from_then_on() {
    let mut detector = taught(3 * MONTH);
    let drop = point(HOUR, 3 * MONTH, 0.2 * usual(3 * MONTH));
    assert_eq!(detector.clone().step(&drop).state, State::Anomalous);
    let settings = settings(SeriesKind::Count, HOUR);
    assert!(detector.retune(&Settings { direction: Direction::Up, ..settings }));
    assert_eq!(detector.clone().step(&drop).state, State::Normal);
    assert!(detector.retune(&Settings { false_alerts_per_month: 2.0, ..settings }));
    assert_eq!(detector.step(&drop).state, State::Anomalous);
}
