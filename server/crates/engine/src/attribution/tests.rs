//! Effects add up, planted drivers are found, and nothing is named where everything moved alike.

use proptest::prelude::*;

use super::*;

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

    fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }
}

fn is(text: &str) -> SliceValue {
    SliceValue::Is(text.to_owned())
}

/// Counts events by the values of several dimensions, as a query does.
struct Counting {
    dimensions: Vec<Vec<Slice>>,
}

impl Counting {
    fn new(dimensions: usize) -> Self {
        Self { dimensions: vec![Vec::new(); dimensions] }
    }

    fn sides(&mut self, values: &[String], after: bool, change: impl Fn(&mut Numbers)) {
        for (slices, value) in self.dimensions.iter_mut().zip(values) {
            let value = is(value);
            let at = slices.iter().position(|slice| slice.value == value).unwrap_or_else(|| {
                slices.push(Slice::new(value));
                slices.len() - 1
            });
            change(if after { &mut slices[at].after } else { &mut slices[at].before });
        }
    }

    fn ask(&self, shape: Shape, scale: f64) -> Vec<Driver> {
        attribute(&Question { shape, scale, dispersion: Dispersion::default(), dimensions: &self.dimensions })
    }
}

/// Where an event comes from. The device says what the system is, the country and channel often go along with it, the version says
/// nothing.
fn values(rng: &mut Rng, android: f64) -> Vec<String> {
    let is_android = rng.uniform() < android;
    let system = if is_android { "android" } else { ["ios", "web"][rng.below(2)] };
    let device = format!("{system}-{}", rng.below(4));
    let along = rng.uniform() < 0.7;
    let country =
        if along && is_android { "in".to_owned() } else { ["us", "de", "in", "br"][rng.below(4)].to_owned() };
    let version = format!("v{}", rng.below(5));
    vec![device, version, system.to_owned(), country]
}

const SYSTEM: usize = 2;

fn numbers() -> impl Strategy<Value = Numbers> {
    let amount = || {
        (-50.0..200.0, 0.0..400.0, 0_u64..200).prop_map(|(sum, squares, samples)| Amount {
            sum,
            squares,
            samples,
        })
    };
    (amount(), 0_u64..300).prop_map(|(above, below)| Numbers { above, below: Amount::count(below) })
}

fn slices() -> impl Strategy<Value = Vec<Slice>> {
    prop::collection::vec((numbers(), numbers()), 1..8).prop_map(|sides| {
        let slice = |(i, (before, after)): (usize, (Numbers, Numbers))| Slice {
            value: is(&i.to_string()),
            before,
            after,
        };
        sides.into_iter().enumerate().map(slice).collect()
    })
}

fn total(slices: &[Slice], pick: impl Fn(&Slice) -> Numbers) -> (f64, f64) {
    slices.iter().map(pick).fold((0.0, 0.0), |sum, own| (sum.0 + own.above.sum, sum.1 + own.below.sum))
}

proptest! {
    #[test]
    fn effects_add_up_to_the_change(slices in slices(), scale in 0.05..3.0) {
        let (before, after) = (total(&slices, |slice| slice.before), total(&slices, |slice| slice.after));
        let sum = |shape| effects(shape, scale, &slices).iter().map(Effects::sum).sum::<f64>();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + a.abs().max(b.abs())) * 100.0;
        prop_assert!(near(sum(Shape::Volume), after.0 - scale * before.0));
        // A value with something above and nothing below has no rate: counted so that there is none.
        let mut sound = slices.clone();
        for slice in &mut sound {
            for side in [&mut slice.before, &mut slice.after] {
                if side.below.sum == 0.0 {
                    side.above = Amount::default();
                }
            }
        }
        let (before, after) = (total(&sound, |slice| slice.before), total(&sound, |slice| slice.after));
        if before.1 > 0.0 && after.1 > 0.0 {
            let sum = effects(Shape::Share, scale, &sound).iter().map(Effects::sum).sum::<f64>();
            prop_assert!(near(sum, after.0 / after.1 - before.0 / before.1), "{sum}");
        }
    }

    #[test]
    fn whatever_the_numbers_are_there_is_an_answer(dimensions in prop::collection::vec(slices(), 0..4), scale in 0.05..3.0) {
        for shape in [Shape::Volume, Shape::Share, Shape::Quotient] {
            for driver in attribute(&Question { shape, scale, dispersion: Dispersion::default(), dimensions: &dimensions }) {
                prop_assert!(driver.explained >= 0.1 && driver.evidence.is_finite() && driver.contribution.is_finite());
                prop_assert!(driver.dimension < dimensions.len() && driver.surprise.is_finite());
            }
        }
    }
}

#[test]
fn a_planted_driver_of_a_count_is_named_first() {
    for seed in 0..100 {
        let mut rng = Rng(seed);
        let mut counting = Counting::new(4);
        for after in [false, true] {
            // Seven days against one: android lost half of its events, or has twice as many.
            for _ in 0..if after { 1_500 } else { 10_500 } {
                let values = values(&mut rng, 0.4);
                let times = match (after && values[SYSTEM] == "android", seed % 2) {
                    (true, 0) => rng.below(2),
                    (true, _) => 2,
                    _ => 1,
                };
                (0..times).for_each(|_| counting.sides(&values, after, |own| own.above += Amount::count(1)));
            }
        }
        let found = counting.ask(Shape::Volume, 1.0 / 7.0);
        let first = found.first().unwrap_or_else(|| panic!("seed {seed}: nothing is named"));
        assert_eq!((first.dimension, &first.value), (SYSTEM, &is("android")), "seed {seed}: {found:#?}");
        assert!(first.kind == Kind::Volume && first.explained > 0.6 && first.surprise > 0.0, "{first:?}");
        assert_eq!(
            found.iter().filter(|driver| driver.dimension == SYSTEM).count(),
            1,
            "seed {seed}: {found:#?}"
        );
        assert!(
            found.iter().all(|driver| driver.dimension != 1),
            "seed {seed}: versions did nothing: {found:#?}"
        );
    }
}

#[test]
fn a_rate_that_fell_and_traffic_that_came_are_told_apart() {
    for seed in 0..100 {
        let mut rng = Rng(seed);
        let mut counting = Counting::new(4);
        let is_mix = seed % 2 == 1;
        for after in [false, true] {
            let more = if after && is_mix { 2_400 } else { 0 };
            for i in 0..3_000 + more {
                // The traffic that came is android's, whose rate was always low.
                let values = values(&mut rng, if i < 3_000 { 0.3 } else { 1.0 });
                let rate = match (values[SYSTEM].as_str(), is_mix, after) {
                    ("android", true, _) => 0.4,
                    ("android", false, true) => 0.6,
                    _ => 0.9,
                };
                let success = u64::from(rng.uniform() < rate);
                counting.sides(&values, after, |own| {
                    own.below += Amount::count(1);
                    own.above += Amount::count(success);
                });
            }
        }
        let found = counting.ask(Shape::Quotient, 1.0);
        let first = found.first().unwrap_or_else(|| panic!("seed {seed}: nothing is named"));
        let kind = if is_mix { Kind::Mix } else { Kind::Rate };
        assert_eq!(
            (first.dimension, &first.value, first.kind),
            (SYSTEM, &is("android"), kind),
            "seed {seed}: {found:#?}"
        );
        assert!(found.iter().all(|driver| driver.dimension != 1), "seed {seed}: {found:#?}");
    }
}

#[test]
fn an_average_is_explained_like_a_rate() {
    for seed in 0..50 {
        let mut rng = Rng(seed);
        let mut counting = Counting::new(4);
        for after in [false, true] {
            for _ in 0..3_000 {
                let values = values(&mut rng, 0.3);
                let slow = after && values[1] == "v3";
                let took = -(1.0 - rng.uniform()).ln() * if slow { 250.0 } else { 100.0 };
                counting.sides(&values, after, |own| {
                    own.below += Amount::count(1);
                    own.above.add(took);
                });
            }
        }
        let found = counting.ask(Shape::Share, 1.0);
        let first = found.first().unwrap_or_else(|| panic!("seed {seed}: nothing is named"));
        assert_eq!((first.dimension, &first.value, first.kind), (1, &is("v3"), Kind::Rate), "seed {seed}");
        assert!(first.after > 2.0 * first.before, "{first:?}");
    }
}

#[test]
fn nothing_is_named_where_everything_moved_alike() {
    let mut named = 0;
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let mut counting = Counting::new(4);
        for after in [false, true] {
            for _ in 0..2_000 {
                let values = values(&mut rng, 0.3);
                // Half of everything is gone, and of what is left fewer succeed, whoever it is.
                if after && rng.uniform() < 0.5 {
                    continue;
                }
                let success = u64::from(rng.uniform() < if after { 0.6 } else { 0.8 });
                counting.sides(&values, after, |own| {
                    own.below += Amount::count(1);
                    own.above += Amount::count(success);
                });
            }
        }
        named += counting.ask(Shape::Volume, 1.0).len() + counting.ask(Shape::Quotient, 1.0).len();
    }
    // Of 600 questions; one in a hundred may be answered wrongly.
    assert!(named <= 6, "{named}");
}

/// One dimension, of counts before and after.
fn counts(of: &[(&str, u64, u64)]) -> Vec<Slice> {
    let numbers = |count| Numbers { above: Amount::count(count), ..Numbers::default() };
    let slice = |(value, before, after): &(&str, u64, u64)| Slice {
        value: is(value),
        before: numbers(*before),
        after: numbers(*after),
    };
    of.iter().map(slice).collect()
}

fn names(dimension: &[Slice]) -> Vec<SliceValue> {
    let found = attribute(&Question {
        shape: Shape::Volume,
        scale: 1.0,
        dispersion: Dispersion::default(),
        dimensions: &[dimension.to_vec()],
    });
    found.into_iter().map(|driver| driver.value).collect()
}

#[test]
fn of_two_values_the_one_that_moved_is_named() {
    assert_eq!(names(&counts(&[("a", 900, 400), ("b", 100, 100)])), [is("a")]);
    assert_eq!(names(&counts(&[("a", 400, 900), ("b", 600, 600)])), [is("a")]);
    // Everything doubled, and one more than that.
    assert_eq!(names(&counts(&[("a", 100, 500), ("b", 300, 600), ("c", 200, 400)])), [is("a")]);
    assert_eq!(names(&counts(&[("a", 300, 600), ("b", 200, 400)])), []);
}

#[test]
fn what_is_new_and_what_is_gone_is_named() {
    assert_eq!(names(&counts(&[("a", 500, 510), ("bot", 0, 400)])), [is("bot")]);
    assert_eq!(names(&counts(&[("a", 500, 490), ("b", 500, 480), ("gone", 200, 0)])), [is("gone")]);
}

#[test]
fn a_handful_of_events_is_no_driver() {
    assert_eq!(names(&counts(&[("a", 20, 21), ("b", 3, 0), ("c", 0, 3), ("d", 1, 4)])), []);
    // Nor is a value that says nothing of the whole, however sure its change is.
    assert_eq!(names(&counts(&[("a", 100_000, 80_000), ("b", 100_000, 80_000), ("c", 200, 20)])), []);
}

#[test]
fn no_change_no_values_and_a_single_value_have_no_drivers() {
    assert_eq!(names(&[]), []);
    assert_eq!(names(&counts(&[("a", 100, 900)])), []);
    assert_eq!(names(&counts(&[("a", 100, 900), ("b", 900, 100)])), []);
}

#[test]
fn sums_that_are_refunds_have_drivers_too() {
    let amount = |sum: f64, samples: u64| Amount { sum, squares: samples as f64 * 100.0, samples };
    let numbers = |sum, samples| Numbers { above: amount(sum, samples), ..Numbers::default() };
    let slice = |value, before: (f64, u64), after: (f64, u64)| Slice {
        value: is(value),
        before: numbers(before.0, before.1),
        after: numbers(after.0, after.1),
    };
    let dimension = [
        slice("buy", (9_000.0, 900), (9_100.0, 910)),
        slice("refund", (-500.0, 50), (-4_000.0, 400)),
        slice("gift", (1_000.0, 100), (980.0, 98)),
    ];
    assert_eq!(names(&dimension), [is("refund")]);
}
