use proptest::prelude::*;

use super::*;

fn sketch_of(numbers: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    numbers.iter().for_each(|number| sketch.add(*number));
    sketch
}

fn recoded(sketch: &Sketch) -> Sketch {
    let mut bytes = Vec::new();
    sketch.encode(&mut bytes);
    Sketch::decode(&mut bytes.as_slice()).unwrap()
}

fn numbers() -> impl Strategy<Value = Vec<f64>> {
    let any = any::<f64>().prop_filter("finite", |number| number.is_finite());
    let number = prop_oneof![any, 0.001..5000.0_f64, -50.0..0.0_f64, Just(0.0), Just(-0.0), Just(5e-324)];
    prop::collection::vec(number, 1..100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_of_numbers_in_ascending_order(numbers in numbers()) {
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        let sketch = sketch_of(&numbers);
        let counted = sketch.counts().flat_map(|(number, count)| (0..count).map(move |_| number));
        let counted: Vec<f64> = counted.collect();
        prop_assert_eq!(counted.len(), numbers.len());
        prop_assert!(sketch.counts().is_sorted_by(|a, b| a.0 < b.0));
        for (found, exact) in counted.iter().zip(&sorted) {
            prop_assert!((found - exact).abs() <= exact.abs() * RELATIVE_ACCURACY + f64::MIN_POSITIVE);
        }
    }

    #[test]
    fn quantiles_are_within_one_per_cent(numbers in numbers(), q in 0.0..=1.0_f64) {
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        let exact = sorted[(q * (sorted.len() - 1) as f64) as usize];
        let found = sketch_of(&numbers).quantile(q).unwrap();
        prop_assert!((found - exact).abs() <= RELATIVE_ACCURACY * exact.abs(), "{found} {exact}");
    }

    #[test]
    fn any_order_and_split_is_the_same_sketch(
        (numbers, shuffled) in numbers().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        split: u64,
        retracted in numbers(),
    ) {
        let whole = sketch_of(&numbers);
        let (mut a, mut b) = (sketch_of(&retracted), Sketch::new());
        for (i, number) in shuffled.iter().enumerate() {
            if split >> (i % 64) & 1 == 0 { a.add(*number) } else { b.add(*number) }
        }
        let mut a = recoded(&a);
        a.merge(&recoded(&b));
        let mut by_merge = a.clone();
        for number in &retracted {
            prop_assert_eq!(a.retract(*number), Retraction::Done);
        }
        prop_assert_eq!(&a, &whole);
        prop_assert_eq!(by_merge.subtract(&sketch_of(&retracted)), Retraction::Done);
        prop_assert_eq!(&by_merge, &whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, q: f64) {
        if let Ok(mut sketch) = Sketch::decode(&mut bytes.as_slice()) {
            sketch.add(1.0);
            let _ = sketch.quantile(q);
        }
    }
}

#[test]
fn nothing_has_no_quantile() {
    assert_eq!(Sketch::new().quantile(0.5), None);
    let three = sketch_of(&[-7.0, 0.0, 7.0]);
    let signs = [0.0, 0.5, 1.0].map(|q| three.quantile(q).unwrap().signum());
    assert_eq!((signs, three.count()), ([-1.0, 1.0, 1.0], 3));
    assert_eq!(three.quantile(0.5), Some(0.0));
    assert_eq!(three.quantile(f64::NAN), three.quantile(0.0));
}

#[test]
fn too_many_sizes_collapse_at_the_low_end_in_any_order() {
    let numbers: Vec<_> = (0..5000).map(|i| 1.02_f64.powi(i)).collect();
    let mut whole = sketch_of(&numbers);
    assert!(whole.is_collapsed());
    assert_eq!(whole.count(), 5000);
    let high = whole.quantile(0.9).unwrap();
    assert!((high / numbers[4499] - 1.0).abs() < RELATIVE_ACCURACY);

    let backwards: Vec<_> = numbers.iter().rev().copied().collect();
    assert_eq!(sketch_of(&backwards), whole);
    let (mut even, mut odd) = (Sketch::new(), Sketch::new());
    for pair in numbers.chunks(2) {
        even.add(pair[0]);
        odd.add(pair[1]);
    }
    even.merge(&odd);
    assert_eq!(even, whole);
    assert_eq!(recoded(&even), whole);
    assert_eq!(whole.retract(numbers[4999]), Retraction::Stale);
    assert_eq!(even, whole);
}

#[test]
fn what_was_never_counted_cannot_be_retracted() {
    let mut sketch = sketch_of(&[1.0, 5.0]);
    let before = sketch.clone();
    assert_eq!(sketch.retract(2.0), Retraction::Stale);
    assert_eq!(sketch.subtract(&sketch_of(&[1.0, 5.0, 5.0])), Retraction::Stale);
    assert_eq!(sketch, before);
}
