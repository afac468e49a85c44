use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::*;
use crate::metric::testing::{Sent, exact_decimal, sent};

/// Whether the double is the one nearest to the number, and of two equally near the even one.
fn is_nearest(double: f64, exact: &BigRational) -> bool {
    let distance = |other: f64| {
        let difference = BigRational::from_float(other).unwrap() - exact;
        if difference < BigRational::from_integer(0.into()) { -difference } else { difference }
    };
    let own = distance(double);
    let neighbours = [double.next_down(), double.next_up()];
    neighbours.into_iter().filter(|other| other.is_finite()).all(|other| {
        let other = distance(other);
        own < other || (own == other && double.to_bits().is_multiple_of(2))
    })
}

/// Whether the number rounds to infinity: from the middle between the largest double and the one that would follow.
fn is_beyond_doubles(exact: &BigRational) -> bool {
    let half_step = (f64::MAX - f64::MAX.next_down()) / 2.0;
    let beyond = BigRational::from_float(f64::MAX).unwrap() + BigRational::from_float(half_step).unwrap();
    *exact >= beyond || *exact <= -beyond
}

fn matches(amount: &Amount, exact: &BigRational) -> bool {
    match amount {
        Amount::Decimal(text) => exact_decimal(text) == *exact,
        Amount::Double(double) => is_nearest(*double, exact),
    }
}

fn sum_of<'a>(all: impl IntoIterator<Item = &'a Sent>) -> ExactSum {
    let mut sum = ExactSum::new();
    all.into_iter().for_each(|one| sum.add(&one.value()));
    sum
}

fn encoded(sum: &ExactSum) -> Vec<u8> {
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    bytes
}

#[test]
fn sums_read_as_people_write_them() {
    let text = |all: &[Sent]| sum_of(all).sums().iter().map(|s| s.amount.to_string()).collect::<Vec<_>>();
    let decimal = |text: &str| Sent::Decimal(text.into());
    assert_eq!(text(&[decimal("0.10"), decimal("0.20")]), ["0.3"]);
    assert_eq!(text(&[decimal("999999999.999999999"), decimal("0.000000001")]), ["1000000000"]);
    assert_eq!(text(&[Sent::Int(-1), decimal("0.25")]), ["-0.75"]);
    assert_eq!(text(&[Sent::Int(5), Sent::Int(-5)]), ["0"]);
    assert_eq!(text(&[Sent::Int(-500_000_000), Sent::Int(-500_000_000)]), ["-1000000000"]);
    assert_eq!(text(&[Sent::Int(i64::MAX), Sent::Int(i64::MAX)]), ["18446744073709551614"]);
    assert_eq!(text(&[Sent::Int(i64::MIN), Sent::Int(1)]), ["-9223372036854775807"]);
    assert_eq!(text(&[Sent::Double(1e16), Sent::Double(1.0), Sent::Double(-1e16)]), ["1"]);
    assert_eq!(
        text(&[Sent::Double(1e308), Sent::Double(5e-324), Sent::Double(-1e308)]),
        ["5e-324".parse::<f64>().unwrap().to_string()]
    );
    assert_eq!(text(&[Sent::Double(0.1), decimal("0.2")]), ["0.3"]);
    assert_eq!(
        text(&[Sent::Money("USD", 1, 5), Sent::Money("EUR", -1, -500_000_000), Sent::Int(2)]),
        ["2", "-1.5", "1.000000005"]
    );
    let most = text(&[Sent::Double(f64::MAX), Sent::Double(f64::MAX)]);
    assert!(most[0].starts_with("359538626972463141629054847463408713596") && most[0].len() == 309);
}

#[test]
fn averages_are_divided_before_they_are_rounded() {
    let average = |all: &[Sent]| sum_of(all).averages()[0].amount.clone();
    assert_eq!(average(&[Sent::Int(1), Sent::Int(2)]), Amount::Double(1.5));
    assert_eq!(average(&[1, 0, 0].map(Sent::Int)), Amount::Double(1.0 / 3.0));
    assert_eq!(average(&[Sent::Double(f64::MAX), Sent::Double(f64::MAX)]), Amount::Double(f64::MAX));
    // Half of the smallest double: the even neighbour is 0. Three quarters of it: one.
    assert_eq!(average(&[Sent::Double(5e-324), Sent::Int(0)]), Amount::Double(0.0));
    let three = Sent::Double(1.5e-323);
    assert_eq!(average(&[three, Sent::Int(0), Sent::Int(0), Sent::Int(0)]), Amount::Double(5e-324));
    // A third of this is more than the middle between 1 and the next double by 10^-900 / 3.
    let thrice_the_middle = "3.00000000000000033306690738754696212708950042724609375";
    let little_more = Sent::Decimal(format!("{thrice_the_middle:0<901}1"));
    assert_eq!(average(&[little_more, Sent::Int(0), Sent::Int(0)]), Amount::Double(1.0_f64.next_up()));
    let middle = Sent::Decimal(thrice_the_middle.into());
    assert_eq!(average(&[middle, Sent::Int(0), Sent::Int(0)]), Amount::Double(1.0));
}

#[test]
fn what_was_never_added_cannot_be_retracted() {
    let mut sum = sum_of(&[Sent::Int(1)]);
    let before = sum.clone();
    for other in [Sent::Double(1.0), Sent::Money("EUR", 1, 0)] {
        assert_eq!(sum.retract(&other.value()), Retraction::Stale);
    }
    assert_eq!(sum, before);
    assert_eq!((sum.retract(&Sent::Int(1).value()), sum.is_empty()), (Retraction::Done, true));
}

#[test]
fn limbs_carry_before_they_overflow() {
    let mut limbs = Limbs::<DECIMAL>::default();
    for _ in 0..5 {
        limbs.add_at(0, (1 << 62) - 1);
    }
    assert_eq!(limbs.digits().to_text(), (5 * ((1_i128 << 62) - 1)).to_string());
    let mut twice = limbs.clone();
    twice.merge(&limbs, true);
    assert!(twice.is_zero());
}

#[test]
fn a_usual_sum_is_small() {
    let prices: Vec<_> = (0..1000).map(|i| Sent::Money("EUR", i % 90, 990_000_000)).collect();
    assert!(encoded(&sum_of(&prices)).len() < 30);
    let doubles: Vec<_> = (0..1000).map(|i| Sent::Double(f64::from(i) / 7.0)).collect();
    assert!(encoded(&sum_of(&doubles)).len() < 30);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_split_gives_the_exact_sum(
        (all, shuffled) in prop::collection::vec(sent(), 0..30)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        split: u32,
        cut in 0_usize..30,
        retracted in prop::collection::vec(sent(), 0..6),
    ) {
        let whole = sum_of(&all);
        let (mut a, mut b) = (ExactSum::new(), ExactSum::new());
        retracted.iter().for_each(|one| a.add(&one.value()));
        for (i, one) in shuffled.iter().enumerate() {
            if split >> i & 1 == 0 { a.add(&one.value()) } else { b.add(&one.value()) }
            if i == cut {
                a = ExactSum::decode(&mut encoded(&a).as_slice()).unwrap();
            }
        }
        a.merge(&b);
        for one in &retracted {
            prop_assert_eq!(a.retract(&one.value()), Retraction::Done);
        }
        prop_assert_eq!(&a, &whole);
        prop_assert_eq!(encoded(&a), encoded(&whole));
        prop_assert_eq!(a.sums(), whole.sums());

        let mut exact: BTreeMap<Option<Currency>, (BigRational, u64, bool)> = BTreeMap::new();
        for one in &all {
            let zero = || (BigRational::from_integer(0.into()), 0, false);
            let (sum, count, doubles) = exact.entry(one.unit()).or_insert_with(zero);
            *sum += one.exact();
            *count += 1;
            *doubles |= one.is_double();
        }
        prop_assert_eq!(a.sums().len(), exact.len());
        for ((sum, average), (unit, (exact, count, doubles))) in
            a.sums().iter().zip(a.averages()).zip(exact)
        {
            prop_assert_eq!((sum.unit, sum.samples, average.samples), (unit, count, count));
            let text = matches!(sum.amount, Amount::Decimal(_));
            prop_assert_eq!(text, !doubles || is_beyond_doubles(&exact));
            prop_assert!(matches(&sum.amount, &exact), "{:?} {exact}", sum);
            let exact_average = exact / BigRational::from_integer(BigInt::from(count));
            prop_assert!(matches(&average.amount, &exact_average), "{:?} {exact_average}", average);
        }
    }

    #[test]
    fn what_cancels_leaves_the_rest_to_the_last_bit(
        (all, rest) in (prop::collection::vec(any::<f64>(), 1..40), any::<f64>()).prop_flat_map(|(all, rest)| {
            let both = all.iter().flat_map(|number| [*number, -*number]);
            let with_rest: Vec<_> = both.chain([rest]).filter(|number| number.is_finite()).collect();
            (Just(with_rest).prop_shuffle(), Just(rest))
        })
    ) {
        prop_assume!(rest.is_finite());
        let numbers: Vec<_> = all.into_iter().map(Sent::Double).collect();
        prop_assert_eq!(&sum_of(&numbers).sums()[0].amount, &Amount::Double(rest));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        if let Ok(mut sum) = ExactSum::decode(&mut bytes.as_slice()) {
            sum.add(&Sent::Double(0.1).value());
            let _ = (sum.sums(), sum.averages(), sum.retract(&Sent::Int(1).value()));
        }
    }
}
