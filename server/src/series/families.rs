//! What /series shows: families of gauges. docs/operations.md lists them; a test walks it.

use footpath_api::series::{Funnel, Metric, Page, Shown, Unit};
use footpath_engine::SliceValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::labels::{Labels, joined, label, label_of, value_of};
use super::samples::{Sample, numbers};

/// Most series of one definition: values of a breakdown times percentiles, currencies or steps.
const MAX_SERIES: usize = 1_000;

/// A family of gauges; the index into [`Families`] and [`FAMILIES`].
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Family {
    Metric = 0,
    MetricRatio = 1,
    MetricSeconds = 2,
    MetricEnd = 3,
    Entered = 4,
    Converted = 5,
    Step = 6,
    FunnelEnd = 7,
    Missing = 8,
    Answered = 9,
    Cut = 10,
    Unknown = 11,
}

/// Names and what they say, in the order of [`Family`], in which they are shown.
const FAMILIES: [(&str, &str); 12] = [
    (
        "footpath_metric",
        "A metric's number in its newest whole bucket: of events a minute, of sessions an hour that has been over for an hour",
    ),
    (
        "footpath_metric_ratio",
        "A metric that is a ratio, bounce rate or conversion: of events in the newest whole minute, else of the hour that ends at its bucket end",
    ),
    (
        "footpath_metric_seconds",
        "A metric of how long sessions last, of those that began in an hour that has been over for an hour",
    ),
    ("footpath_metric_bucket_end_timestamp_seconds", "End of the bucket that a metric's number is of"),
    (
        "footpath_funnel_entered",
        "Who entered a funnel in the newest hour that is over for as long as its window, at most an hour",
    ),
    ("footpath_funnel_converted", "Of those who entered: who has reached the last step by now"),
    ("footpath_funnel_step", "Of those who entered: who has reached a step by now; steps count from 1"),
    ("footpath_funnel_bucket_end_timestamp_seconds", "End of the hour in which they entered"),
    ("footpath_series_known_missing_events", "Numbered events of a project that are known to be missing"),
    ("footpath_series_answered", "1 if a definition was counted, 0 if that failed or took too long"),
    ("footpath_series_cut", "1 if named values of a breakdown are in __other__ or left out, else 0"),
    ("footpath_series_unknown", "1 if nothing has the name that was selected, else 0"),
];

/// The numbers of a page, by family.
#[derive(Debug, Default)]
pub(super) struct Families([Vec<Sample>; FAMILIES.len()]);

impl Families {
    /// What a page shows.
    pub fn of(page: &Page) -> Self {
        let mut all = Self::default();
        for (project, missing) in &page.missing {
            all.add(Family::Missing, vec![label("project", project)], *missing as f64);
        }
        for (selection, unknown) in &page.selected {
            all.add(Family::Unknown, vec![label("selected", selection)], flag(*unknown));
        }
        page.metrics.iter().for_each(|one| all.add_metric(one));
        page.funnels.iter().for_each(|one| all.add_funnel(one));
        all
    }

    fn add(&mut self, family: Family, labels: Labels, number: f64) {
        self.0[family as usize].push((labels, number));
    }

    fn add_metric(&mut self, shown: &Shown<Metric>) {
        let labels = labels("metric", shown);
        self.add(Family::Answered, labels.clone(), flag(shown.numbers.is_some()));
        let Some(metric) = &shown.numbers else { return };
        let family = match metric.unit {
            Unit::Own => Family::Metric,
            Unit::Ratio => Family::MetricRatio,
            Unit::Seconds => Family::MetricSeconds,
        };
        let mut samples: Vec<Sample> = Vec::new();
        for series in &metric.series {
            let own = with_value(&labels, shown, series.value.as_ref());
            samples.extend(
                numbers(series, &metric.percentiles)
                    .into_iter()
                    .map(|(more, number)| (joined(&own, more), number)),
            );
        }
        self.add(Family::MetricEnd, labels.clone(), seconds(metric.to_us));
        self.add(Family::Cut, labels, flag(metric.cut || samples.len() > MAX_SERIES));
        samples.truncate(MAX_SERIES);
        self.0[family as usize].append(&mut samples);
    }

    fn add_funnel(&mut self, shown: &Shown<Funnel>) {
        let labels = labels("funnel", shown);
        self.add(Family::Answered, labels.clone(), flag(shown.numbers.is_some()));
        let Some(funnel) = &shown.numbers else { return };
        let slices = funnel.slices.iter().map(|slice| (Some(&slice.value), &slice.reached));
        let rows: Vec<_> = match shown.breakdown {
            Some(_) => slices.collect(),
            None => vec![(None, &funnel.reached)],
        };
        let most = MAX_SERIES / (funnel.reached.len() + 2);
        self.add(Family::FunnelEnd, labels.clone(), seconds(funnel.to_us));
        self.add(Family::Cut, labels.clone(), flag(funnel.cut || rows.len() > most));
        for (value, reached) in rows.into_iter().take(most) {
            self.add_reached(&with_value(&labels, shown, value), reached);
        }
    }

    fn add_reached(&mut self, labels: &Labels, reached: &[u64]) {
        let ends = [(Family::Entered, reached.first()), (Family::Converted, reached.last())];
        for (family, number) in ends {
            number.into_iter().for_each(|number| self.add(family, labels.clone(), *number as f64));
        }
        for (i, number) in reached.iter().enumerate() {
            self.add(Family::Step, joined(labels, vec![label("step", &(i + 1))]), *number as f64);
        }
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for ((name, help), samples) in FAMILIES.iter().zip(&self.0).filter(|(_, samples)| !samples.is_empty())
        {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, number) in samples {
                family.encode_family(labels)?.encode_gauge(number)?;
            }
        }
        Ok(())
    }
}

fn labels<N>(kind: &str, shown: &Shown<N>) -> Labels {
    vec![label("project", &shown.project), label(kind, &shown.id), label("environment", &"prod")]
}

/// With the label of a breakdown's value.
fn with_value<N>(labels: &Labels, shown: &Shown<N>, value: Option<&SliceValue>) -> Labels {
    let pair = shown.breakdown.as_deref().zip(value);
    joined(labels, pair.map(|(key, value)| (label_of(key), value_of(value))).into_iter().collect())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(us: i64) -> f64 {
    us as f64 * 1e-6
}

#[cfg(test)]
mod tests {
    use footpath_api::series::Selection;
    use footpath_engine::metric::{Measured, MetricSeries, MetricValue};
    use prometheus_client::registry::Registry;

    use super::*;

    fn text(page: &Page) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Families::of(page)));
        crate::admin::open_metrics(&registry).unwrap()
    }

    fn metric(values: usize) -> Shown<Metric> {
        let series = |n: usize| MetricSeries {
            value: Some(SliceValue::Is(n.to_string())),
            total: Measured::Value(MetricValue::Count(n as u64)),
            buckets: Vec::new(),
        };
        let series = (0..values).map(series).collect();
        let (unit, percentiles) = (Unit::Own, Vec::new());
        Shown {
            project: "shop".into(),
            id: "m".into(),
            breakdown: Some("job".into()),
            numbers: Some(Metric { to_us: 60_000_000, unit, percentiles, series, cut: false }),
        }
    }

    #[test]
    fn a_page_is_as_the_specification_has_it() {
        let failed = Shown { project: "shop".into(), id: "f".into(), breakdown: None, numbers: None };
        let unknown: Selection = "shop/none".parse().unwrap();
        let page = Page {
            missing: vec![("shop".into(), 2)],
            selected: vec![(unknown, true)],
            metrics: vec![metric(1)],
            funnels: vec![failed],
        };
        let samples: Vec<_> =
            text(&page).lines().filter(|line| !line.starts_with("# ")).map(str::to_owned).collect();
        assert_eq!(
            samples,
            [
                r#"footpath_metric{project="shop",metric="m",environment="prod",property_job="0"} 0.0"#,
                r#"footpath_metric_bucket_end_timestamp_seconds{project="shop",metric="m",environment="prod"} 60.0"#,
                r#"footpath_series_known_missing_events{project="shop"} 2.0"#,
                r#"footpath_series_answered{project="shop",metric="m",environment="prod"} 1.0"#,
                r#"footpath_series_answered{project="shop",funnel="f",environment="prod"} 0.0"#,
                r#"footpath_series_cut{project="shop",metric="m",environment="prod"} 0.0"#,
                r#"footpath_series_unknown{selected="shop/none"} 1.0"#,
            ]
        );
    }

    #[test]
    fn a_definition_has_so_many_series_and_says_what_is_cut() {
        let page = |values| text(&Page { metrics: vec![metric(values)], ..Page::default() });
        let count = |text: &str| text.lines().filter(|line| line.starts_with("footpath_metric{")).count();
        let cut = r#"footpath_series_cut{project="shop",metric="m",environment="prod"}"#;
        let (full, over) = (page(MAX_SERIES), page(MAX_SERIES + 1));
        assert_eq!((count(&full), count(&over)), (MAX_SERIES, MAX_SERIES));
        assert!(full.contains(&format!("{cut} 0.0")) && over.contains(&format!("{cut} 1.0")));
    }

    #[test]
    fn a_funnel_shows_its_values_or_itself() {
        let reached = vec![3, 2];
        let slice = |value| footpath_api::series::FunnelValue { value, reached: vec![1, 1] };
        let slices = vec![slice(SliceValue::Is("a".into())), slice(SliceValue::Other)];
        let shown = |breakdown, slices| {
            let numbers = Some(Funnel { to_us: 0, reached: reached.clone(), slices, cut: true });
            let funnel = Shown { project: "shop".into(), id: "f".into(), breakdown, numbers };
            text(&Page { funnels: vec![funnel], ..Page::default() })
        };
        let plain = shown(None, Vec::new());
        let step = r#"footpath_funnel_step{project="shop",funnel="f",environment="prod",step="2"} 2.0"#;
        assert!(plain.contains(step) && plain.contains("footpath_funnel_entered{"), "{plain}");
        let by = shown(Some("plan".into()), slices);
        let other =
            r#"footpath_funnel_converted{project="shop",funnel="f",environment="prod",plan="__other__"} 1.0"#;
        assert!(by.contains(other) && !by.contains("} 3.0"), "{by}");
    }
}
