//! Numbers, as the API shows them.

use footpath_engine::SliceValue;
use footpath_engine::metric::{Amount, MetricValue, Sketch, UnitAmount};
use footpath_proto::v1;
use footpath_query::{ConversionTime, Measured, MetricSeries, Span};
use v1::slice_value::Kind;

use super::{duration, timestamp};

/// A value of a breakdown.
pub fn slice_value(value: &SliceValue) -> v1::SliceValue {
    let kind = match value {
        SliceValue::Is(text) => Kind::Value(text.clone()),
        SliceValue::NotSet => Kind::NotSet(true),
        SliceValue::Other => Kind::Other(true),
        SliceValue::NotReached => Kind::NotReached(true),
    };
    v1::SliceValue { kind: Some(kind) }
}

/// A value of a breakdown from the API; `None` if none is named.
pub fn slice_value_of(value: &v1::SliceValue) -> Option<SliceValue> {
    Some(match value.kind.as_ref()? {
        Kind::Value(text) => SliceValue::Is(text.clone()),
        Kind::NotSet(_) => SliceValue::NotSet,
        Kind::Other(_) => SliceValue::Other,
        Kind::NotReached(_) => SliceValue::NotReached,
    })
}

/// How long it took; nothing if it took nobody any time.
pub fn conversion_time(time: &ConversionTime) -> Option<v1::ConversionTime> {
    let bins = time.histogram.iter().map(|bin| v1::TimeBin {
        from: Some(duration(bin.from_us)),
        to: Some(duration(bin.to_us)),
        count: bin.count,
    });
    (time.count > 0).then(|| v1::ConversionTime {
        count: time.count,
        median: time.median_us.map(duration),
        p90: time.p90_us.map(duration),
        histogram: bins.collect(),
    })
}

/// How long it took, of a sketch of microseconds.
pub fn took(sketch: &Sketch) -> Option<v1::ConversionTime> {
    conversion_time(&ConversionTime::of(sketch))
}

/// A span of time; one that reaches to now ends at `now_us`.
pub fn span(span: Span, now_us: i64) -> v1::TimeSpan {
    v1::TimeSpan { from: Some(timestamp(span.from_us)), to: Some(timestamp(span.to_us.unwrap_or(now_us))) }
}

/// A series of a metric; `percentiles` are those that were asked for.
pub fn metric_series(series: &MetricSeries, percentiles: &[f64]) -> v1::MetricSeries {
    let bucket = |(start_us, value): &(i64, Measured)| v1::MetricBucket {
        start: Some(timestamp(*start_us)),
        value: Some(measured(value, percentiles)),
    };
    v1::MetricSeries {
        value: series.value.as_ref().map(slice_value),
        total: Some(measured(&series.total, percentiles)),
        buckets: series.buckets.iter().map(bucket).collect(),
    }
}

fn measured(measured: &Measured, percentiles: &[f64]) -> v1::MetricValue {
    match measured {
        Measured::Ratio(ratio) => v1::MetricValue {
            samples: ratio.denominator_samples,
            number: ratio.value,
            ..v1::MetricValue::default()
        },
        Measured::Value(value) => metric_value(value, percentiles),
    }
}

fn metric_value(value: &MetricValue, percentiles: &[f64]) -> v1::MetricValue {
    let message = v1::MetricValue { samples: value.samples(), ..v1::MetricValue::default() };
    match value {
        MetricValue::Count(events) => v1::MetricValue { number: Some(*events as f64), ..message },
        MetricValue::Uniques { persons, standard_error } => v1::MetricValue {
            number: Some(*persons as f64),
            approximate: standard_error.is_some(),
            error: standard_error.unwrap_or_default(),
            ..message
        },
        MetricValue::Sum(all) | MetricValue::Average(all) | MetricValue::Min(all) | MetricValue::Max(all) => {
            amounts(all, message)
        }
        MetricValue::Percentiles(all) => {
            let values = all.first().map(|one| one.values.as_slice()).unwrap_or_default();
            let pairs = percentiles.iter().zip(values);
            let pair = |(percentile, value): (&f64, &f64)| v1::PercentileValue {
                percentile: *percentile,
                value: *value,
            };
            v1::MetricValue { percentiles: pairs.map(pair).collect(), ..message }
        }
    }
}

/// Plain numbers as they are, amounts of money by currency.
fn amounts(all: &[UnitAmount], mut message: v1::MetricValue) -> v1::MetricValue {
    for UnitAmount { unit, amount, .. } in all {
        match unit {
            None => {
                message.number = Some(amount.to_f64()).filter(|number| number.is_finite());
                if let Amount::Decimal(text) = amount {
                    message.exact.clone_from(text);
                }
            }
            Some(currency) => {
                let (units, nanos) = units_and_nanos(amount);
                message.money.push(v1::Money { currency: currency.as_str().to_owned(), units, nanos });
            }
        }
    }
    message
}

/// An amount of money; what is below a billionth of a unit is cut.
fn units_and_nanos(amount: &Amount) -> (i64, i32) {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i32 = digits.parse().unwrap_or_default();
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let limit = if sign < 0 { i64::MIN } else { i64::MAX };
    (whole.parse().unwrap_or(if whole == "-" || whole.is_empty() { 0 } else { limit }), sign * nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_keeps_its_sign_below_one() {
        let money = |text: &str| units_and_nanos(&Amount::Decimal(text.into()));
        assert_eq!(money("12.5"), (12, 500_000_000));
        assert_eq!(money("-0.05"), (0, -50_000_000));
        assert_eq!(money("-3.000000001"), (-3, -1));
        assert_eq!(money("7"), (7, 0));
        assert_eq!(money("99999999999999999999"), (i64::MAX, 0));
    }
}
