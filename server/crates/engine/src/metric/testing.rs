//! Numbers as events send them, for tests.

use footpath_model::props::Value;
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::{Currency, Item, ItemValue};
use crate::identity::ActorKey;

/// A number in a property.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    Int(i64),
    Double(f64),
    Decimal(String),
    Money(&'static str, i64, i32),
}

impl Sent {
    pub(crate) fn value(&self) -> ItemValue<'_> {
        let value = match self {
            Self::Int(number) => Value::Int(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Decimal(text) => Value::Decimal(text),
            Self::Money(currency, units, nanos) => Value::Money { currency, units: *units, nanos: *nanos },
        };
        ItemValue::of(&value).unwrap()
    }

    pub(crate) fn unit(&self) -> Option<Currency> {
        if let Self::Money(currency, ..) = self { Currency::new(currency) } else { None }
    }

    pub(crate) fn is_double(&self) -> bool {
        matches!(self, Self::Double(_))
    }

    pub(crate) fn exact(&self) -> BigRational {
        match self {
            Self::Int(number) => BigRational::from_integer((*number).into()),
            Self::Double(number) => BigRational::from_float(*number).unwrap(),
            Self::Decimal(text) => exact_decimal(text),
            Self::Money(_, units, nanos) => {
                let fraction = BigRational::new((*nanos).into(), 1_000_000_000.into());
                BigRational::from_integer((*units).into()) + fraction
            }
        }
    }
}

/// The number that decimal text says.
pub(crate) fn exact_decimal(text: &str) -> BigRational {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(fraction.len() as u32))
}

fn double() -> impl Strategy<Value = f64> {
    let any = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite());
    prop_oneof![
        any,
        (-1000.0..1000.0_f64),
        prop::sample::select(vec![
            5e-324,
            -5e-324,
            2.2e-308,
            1e308,
            -1e308,
            f64::MAX,
            f64::MIN,
            0.1,
            -0.0,
            1e16
        ]),
    ]
}

/// Numbers of all kinds; doubles only near and far from each other, so that sums cancel.
pub(crate) fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        any::<i64>().prop_map(Sent::Int),
        (-9_i64..9).prop_map(Sent::Int),
        double().prop_map(Sent::Double),
        "[+-]?[0-9]{1,30}(\\.[0-9]{1,30})?".prop_map(Sent::Decimal),
        "-?[0-9]{1,3}\\.[0-9]{1,2}".prop_map(Sent::Decimal),
        (prop::sample::select(vec!["EUR", "USD"]), any::<i64>(), 0_i32..1_000_000_000)
            .prop_map(|(currency, units, nanos)| Sent::Money(currency, units, nanos * units.signum() as i32)),
    ]
}

/// An event of a person with a number.
pub(crate) fn item(time_us: i64, person: u64, value: Option<ItemValue<'_>>) -> Item<'_> {
    Item { time_us, person: ActorKey(person), value }
}
