//! Intervals hold what they promise, over many simulated metrics; and a few by hand.

use super::*;

const HOUR_US: i64 = 3_600_000_000;
const ROUNDS: u64 = 1_500;

/// splitmix64: a seed replays a failure.
struct Rng(u64);

impl Rng {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Waiting times that fit into one.
    fn poisson(&mut self, mean: f64) -> f64 {
        let (mut count, mut waited) = (0.0, 0.0);
        loop {
            waited -= (1.0 - self.uniform()).ln();
            if waited > mean {
                return count;
            }
            count += 1.0;
        }
    }

    fn binomial(&mut self, of: f64, share: f64) -> f64 {
        (0..of as u64).filter(|_| self.uniform() < share).count() as f64
    }
}

/// Buckets of an hour, one behind the other; `make` says what is above and below in the hour.
fn hours(range: std::ops::Range<i64>, mut make: impl FnMut(i64) -> (f64, f64)) -> Vec<Bucket> {
    range
        .map(|hour| {
            let (above, below) = make(hour);
            Bucket { start_us: hour * HOUR_US, above, below }
        })
        .collect()
}

fn ask(nature: Nature, before: &[Bucket], after: &[Bucket]) -> Comparison {
    compare(&Compared { nature, wrong: Wrong::Low, width_us: HOUR_US, before, after }).unwrap()
}

/// How often the interval holds the truth.
fn coverage(nature: Nature, truth: f64, make: impl Fn(&mut Rng) -> (Vec<Bucket>, Vec<Bucket>)) -> f64 {
    let held = |seed: &u64| {
        let (before, after) = make(&mut Rng(seed * 7_919));
        let found = ask(nature, &before, &after);
        assert!(found.low <= found.estimate && found.estimate <= found.high, "{found:?}");
        (found.low..=found.high).contains(&truth)
    };
    (0..ROUNDS).filter(held).count() as f64 / ROUNDS as f64
}

fn holds(name: &str, coverage: f64) {
    println!("{name}: {:.1} %", coverage * 100.0);
    assert!((0.92..=0.98).contains(&coverage), "{name}: {coverage}");
}

#[test]
fn intervals_of_counts_hold_the_truth() {
    for (mean, spread, before, after) in
        [(20.0, 0.0, 24, 24), (3.0, 0.0, 48, 12), (30.0, 0.4, 24, 48), (200.0, 0.2, 12, 12)]
    {
        let found = coverage(Nature::Count, 0.8, |rng| {
            let side = |rng: &mut Rng, range, mean: f64| {
                hours(range, |_| {
                    let factor = (1.0 + spread * rng.normal()).max(0.05);
                    (rng.poisson(mean * factor), 0.0)
                })
            };
            (side(rng, 0..before, mean), side(rng, before..before + after, mean * 0.8))
        });
        holds(&format!("counts of {mean}, spread {spread}, {before} and {after} buckets"), found);
    }
}

#[test]
fn intervals_of_shares_hold_the_truth() {
    let cases =
        [(0.1, 0.15, 40.0, 0.0), (0.97, 0.9, 60.0, 0.0), (0.5, 0.4, 50.0, 0.1), (0.02, 0.02, 80.0, 0.0)];
    for (from, to, of, spread) in cases {
        let found = coverage(Nature::Share, to - from, |rng| {
            let side = |rng: &mut Rng, range, share: f64| {
                hours(range, |_| {
                    let share = (share + spread * rng.normal()).clamp(0.0, 1.0);
                    (rng.binomial(of, share), of)
                })
            };
            (side(rng, 0..24, from), side(rng, 24..48, to))
        });
        holds(&format!("shares {from} to {to} of {of}, spread {spread}"), found);
    }
}

#[test]
fn intervals_of_values_hold_the_truth() {
    for (carried, before, after) in [(0.0, 10, 10), (0.0, 48, 16), (0.5, 80, 80), (0.3, 48, 96)] {
        let found = coverage(Nature::Value, 1.2, |rng| {
            let mut wave = rng.normal() / (1.0_f64 - carried * carried).sqrt();
            let mut side = |range, level: f64| {
                hours(range, |_| {
                    wave = carried * wave + rng.normal();
                    (level * (0.3 * wave).exp(), 0.0)
                })
            };
            (side(0..before, 100.0), side(before..before + after, 120.0))
        });
        holds(&format!("values, {carried} carried over, {before} and {after} buckets"), found);
    }
}

#[test]
fn intervals_of_quotients_hold_the_truth() {
    let found = coverage(Nature::Quotient, 1.25, |rng| {
        let side = |rng: &mut Rng, range, rate: f64| {
            hours(range, |_| {
                let below = 1.0 + rng.poisson(10.0);
                let amounts = (0..rng.poisson(below * rate) as u64).map(|_| 5.0 + 20.0 * rng.uniform());
                (amounts.sum(), below)
            })
        };
        (side(rng, 0..40, 0.8), side(rng, 40..80, 1.0))
    });
    holds("quotients", found);
}

/// A week has a shape: nights are quiet, weekends too.
fn shape(hour: i64) -> f64 {
    let of_day = (hour.rem_euclid(24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    (1.5 + of_day) * if hour.div_euclid(24).rem_euclid(7) < 2 { 0.4 } else { 1.0 }
}

#[test]
fn the_week_does_not_pass_for_a_change() {
    const WEEK: i64 = 168;
    // Two weeks before, and two days of working hours after.
    let both = |mut make: Box<dyn FnMut(i64, f64) -> (f64, f64) + '_>| {
        let before = hours(0..2 * WEEK, |hour| make(hour, 1.0));
        (before, hours(2 * WEEK + 56..2 * WEEK + 104, |hour| make(hour, 0.8)))
    };
    let counts = coverage(Nature::Count, 0.8, |rng| {
        both(Box::new(|hour, change| (rng.poisson(20.0 * shape(hour) * change), 0.0)))
    });
    holds("counts by slot of the week", counts);
    let values = coverage(Nature::Value, 0.8, |rng| {
        both(Box::new(|hour, change| (shape(hour) * change * (0.2 * rng.normal()).exp(), 0.0)))
    });
    holds("values by slot of the week", values);
    let shares = coverage(Nature::Share, -0.04, |rng| {
        // The share has a shape as well: so has the true difference, which is that of the slots after.
        both(Box::new(|hour, change| {
            let of = (30.0 * shape(hour)).ceil();
            (rng.binomial(of, 0.2 * change), of)
        }))
    });
    holds("shares by slot of the week", shares);
    let mut rng = Rng(1);
    let (before, after) = both(Box::new(|hour, _| (rng.poisson(50.0 * shape(hour)), 0.0)));
    let found = ask(Nature::Count, &before, &after);
    assert!(found.by_slot && found.verdict == Verdict::NoClearChange, "{found:?}");
    assert_eq!((found.before, found.after), (96, 48));
}

#[test]
fn newcombes_own_example() {
    // Newcombe (1998), table II (a), method 10: 56 of 70 against 48 of 80 is 0.0524 to 0.3339. As two buckets each, of one mind; the
    // quantile there is the normal one, here Student's for a degree of freedom: compared by hand for the normal one.
    let share = |above: f64, below: f64| -> (f64, f64) {
        let (z, p) = (1.959_964_f64, above / below);
        let wide = z * (p * (1.0 - p) / below + z * z / (4.0 * below * below)).sqrt();
        let (middle, whole) = (p + z * z / (2.0 * below), 1.0 + z * z / below);
        ((middle - wide) / whole, (middle + wide) / whole)
    };
    let ((low_a, _), (_, high_b)) = (share(56.0, 70.0), share(48.0, 80.0));
    let low = 0.2 - (0.8 - low_a).hypot(high_b - 0.6);
    assert!((low - 0.0524).abs() < 1e-4, "{low}");
    // 400 buckets each: Student's quantile is the normal one, nearly. The numbers are 400 times as large, the interval the same for a
    // 400th of them.
    let before = hours(0..40, |_| (48.0, 80.0));
    let after = hours(40..80, |_| (56.0, 70.0));
    let found = ask(Nature::Share, &before, &after);
    let (a, b) = (share(56.0 * 40.0, 70.0 * 40.0), share(48.0 * 40.0, 80.0 * 40.0));
    let expected = (0.2 - (0.8 - a.0).hypot(b.1 - 0.6), 0.2 + (a.1 - 0.8).hypot(0.6 - b.0));
    assert!((found.low - expected.0).abs() < 1e-3 && (found.high - expected.1).abs() < 1e-3, "{found:?}");
}

#[test]
fn verdicts_go_by_what_was_wrong() {
    let (low, high) = (hours(0..24, |_| (50.0, 0.0)), hours(24..48, |_| (100.0, 0.0)));
    let verdict = |wrong| {
        compare(&Compared { nature: Nature::Count, wrong, width_us: HOUR_US, before: &low, after: &high })
            .unwrap()
            .verdict
    };
    assert_eq!((verdict(Wrong::Low), verdict(Wrong::High)), (Verdict::Better, Verdict::Worse));
    let words = ask(Nature::Count, &low, &high).to_string();
    assert!(words.starts_with("better: +100.0 % (+"), "{words}");
}

#[test]
fn what_is_not_clear_becomes_clear_with_about_as_many_more_buckets_as_said() {
    let mut told = 0;
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let before = hours(0..160, |_| (rng.poisson(20.0), 0.0));
        let mut after = hours(160..164, |_| (rng.poisson(18.0), 0.0));
        let found = ask(Nature::Count, &before, &after);
        let Some(more) = found.more_buckets.filter(|more| *more < 500) else { continue };
        assert_eq!(found.verdict, Verdict::NoClearChange);
        // As many more, at the level that was estimated.
        let level = 20.0 * found.estimate;
        after.extend(hours(164..164 + more as i64 * 2, |_| (level.round(), 0.0)));
        let later = ask(Nature::Count, &before, &after);
        let wide = |of: &Comparison| of.high.ln() - of.low.ln();
        assert!(wide(&later) < wide(&found));
        told += u32::from(later.verdict != Verdict::NoClearChange);
    }
    assert!(told > 50, "{told}");
}

#[test]
fn a_number_falls_back_when_it_is_what_it_was() {
    let mut rng = Rng(3);
    let mut shares = |range, share| hours(range, |_| (rng.binomial(80.0, share), 80.0));
    let (incident, mended) = (shares(0..12, 0.6), shares(12..36, 0.9));
    let (back, still, halfway, little) =
        (shares(36..48, 0.62), shares(36..48, 0.9), shares(36..48, 0.82), shares(36..37, 0.6));
    let falls = |recent: &[Bucket]| {
        falls_back(&Returning {
            nature: Nature::Share,
            wrong: Wrong::Low,
            width_us: HOUR_US,
            incident: &incident,
            mended: &mended,
            recent,
        })
    };
    assert!(falls(&back));
    assert!(!falls(&still) && !falls(&halfway) && !falls(&little));
}

#[test]
fn too_little_says_nothing_and_zeros_say_something() {
    let nothing = |nature, before: &[Bucket], after: &[Bucket]| {
        compare(&Compared { nature, wrong: Wrong::Low, width_us: HOUR_US, before, after }).is_none()
    };
    let zeros = hours(0..24, |_| (0.0, 0.0));
    let some = hours(24..48, |_| (9.0, 0.0));
    assert!(nothing(Nature::Count, &zeros, &zeros) && nothing(Nature::Share, &zeros, &zeros));
    assert!(nothing(Nature::Value, &some[..1], &some) && nothing(Nature::Count, &[], &some));
    let found = ask(Nature::Count, &some, &zeros);
    assert!(found.verdict == Verdict::Worse && found.estimate > 0.0 && found.high < 0.1, "{found:?}");
    let same = ask(Nature::Value, &some, &some);
    assert_eq!((same.estimate, same.low, same.high, same.verdict), (1.0, 1.0, 1.0, Verdict::NoClearChange));
    let not_numbers = hours(0..4, |_| (f64::NAN, 1.0));
    assert!(nothing(Nature::Value, &not_numbers, &some));
}
