//! The numbers that a series of a metric has.

use footpath_engine::metric::{Currency, Measured, MetricSeries, MetricValue, Percentiles, UnitAmount};

use super::labels::{Labels, joined, label};

/// Labels and a number.
pub(super) type Sample = (Labels, f64);

/// The numbers of a series, each with what tells it from the others: currencies and percentiles. None where there is none.
pub(super) fn numbers(series: &MetricSeries, percentiles: &[f64]) -> Vec<Sample> {
    let mut all = match &series.total {
        Measured::Ratio(ratio) => ratio.value.map(plain).into_iter().collect(),
        Measured::Value(value) => of_value(value, percentiles),
    };
    all.retain(|(_, number)| number.is_finite());
    all
}

fn of_value(value: &MetricValue, percentiles: &[f64]) -> Vec<Sample> {
    match value {
        MetricValue::Count(number) | MetricValue::Uniques { persons: number, .. } => {
            vec![plain(*number as f64)]
        }
        // The sum of nothing is 0, as rules judge it.
        MetricValue::Sum(all) if all.is_empty() => vec![plain(0.0)],
        MetricValue::Sum(all) | MetricValue::Average(all) | MetricValue::Min(all) | MetricValue::Max(all) => {
            all.iter().map(amount).collect()
        }
        MetricValue::Percentiles(all) => all.iter().flat_map(|one| of_unit(one, percentiles)).collect(),
    }
}

fn plain(number: f64) -> Sample {
    (Labels::new(), number)
}

fn amount(one: &UnitAmount) -> Sample {
    (currency(one.unit), one.amount.to_f64())
}

fn of_unit(one: &Percentiles, percentiles: &[f64]) -> Vec<Sample> {
    let unit = currency(one.unit);
    let pairs = percentiles.iter().zip(&one.values);
    pairs.map(|(percent, number)| (joined(&unit, vec![label("percentile", percent)]), *number)).collect()
}

fn currency(unit: Option<Currency>) -> Labels {
    unit.iter().map(|unit| label("currency", unit)).collect()
}

#[cfg(test)]
mod tests {
    use footpath_engine::metric::{Amount, Ratio};

    use super::*;

    fn shown(total: Measured) -> Vec<String> {
        let all = numbers(&MetricSeries { value: None, total, buckets: Vec::new() }, &[50.0, 99.9]);
        let text = |(labels, number): Sample| {
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {number}", labels.join(","))
        };
        all.into_iter().map(text).collect()
    }

    #[test]
    fn currencies_and_percentiles_are_told_apart() {
        let amount = |unit, amount| UnitAmount { unit, amount, samples: 1 };
        let decimal = Amount::Decimal("12.5".into());
        let sums = vec![amount(None, Amount::Double(1.0)), amount(Currency::new("EUR"), decimal)];
        assert_eq!(shown(Measured::Value(MetricValue::Sum(sums))), [" 1", "currency=EUR 12.5"]);
        let unit = Currency::new("USD");
        let one = Percentiles { unit, values: vec![3.0, 9.0], samples: 5, collapsed: false };
        let two = ["currency=USD,percentile=50 3", "currency=USD,percentile=99.9 9"];
        assert_eq!(shown(Measured::Value(MetricValue::Percentiles(vec![one]))), two);
    }

    #[test]
    fn what_has_no_number_has_no_series() {
        let none = Ratio { value: None, numerator_samples: 1, denominator_samples: 0 };
        assert!(shown(Measured::Ratio(none)).is_empty());
        assert!(shown(Measured::Value(MetricValue::Average(Vec::new()))).is_empty());
        let endless = UnitAmount { unit: None, amount: Amount::Decimal("9".repeat(400)), samples: 1 };
        assert!(shown(Measured::Value(MetricValue::Max(vec![endless]))).is_empty());
        assert_eq!(shown(Measured::Value(MetricValue::Sum(Vec::new()))), [" 0"]);
        assert_eq!(shown(Measured::Value(MetricValue::Count(0))), [" 0"]);
    }
}
