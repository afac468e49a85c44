//! What the anomaly detector would alert on in a series of one's own.
//!
//! `cargo run --release -p footpath-engine --example incidents -- KIND RATE FILE...`: KIND is `count`, `ratio`, `rate` or `value`, RATE how many
//! false alerts a month are fine; a FILE has a header and rows of timestamp, value and, of rates, what they are made of. Printed are the runs of anomalous
//! buckets, each with its worst one, and how many months were judged.

use std::error::Error;
use std::fs;

use footpath_engine::alert::channel_name;
use footpath_engine::anomaly::{Detector, Direction, Point, SeriesKind, Settings, State, Verdict};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MONTH_US: i64 = 30 * 86_400_000_000;

type Failure = Box<dyn Error>;

struct Row {
    at_us: i64,
    value: f64,
    weight: f64,
}

fn row(line: &str) -> Result<Row, Failure> {
    let mut fields = line.split(',');
    let mut field = || fields.next().map(str::trim).ok_or("a row has a timestamp and a value");
    let at = TimeZone::UTC.to_timestamp(field()?.parse::<DateTime>()?)?;
    let value = field()?.parse()?;
    let weight = field().map_or(Ok(1.0), str::parse)?;
    Ok(Row { at_us: at.as_microsecond(), value, weight })
}

fn kind(name: &str) -> Result<SeriesKind, Failure> {
    match name {
        "count" => Ok(SeriesKind::Count),
        "ratio" => Ok(SeriesKind::Ratio),
        "rate" => Ok(SeriesKind::Rate),
        "value" => Ok(SeriesKind::Value),
        other => Err(format!("the kind is count, ratio, rate or value, not {other:?}").into()),
    }
}

/// A run of anomalous buckets: its beginning, how many there are, and the worst.
struct Run {
    from_us: i64,
    buckets: u32,
    worst: (f64, Verdict),
}

impl Run {
    fn print(&self) {
        let (value, verdict) = &self.worst;
        let at = jiff::Timestamp::from_microsecond(self.from_us).map(|at| at.to_string()).unwrap_or_default();
        let channel = verdict.channel.map_or("none", channel_name);
        let Verdict { low, high, p_value, .. } = verdict;
        println!(
            "{at} {:3} buckets, {value:.5} beside {low:.5} to {high:.5}, {channel}, p {p_value:.0e}",
            self.buckets
        );
    }
}

fn run(file: &str, kind: SeriesKind, rate: f64) -> Result<(), Failure> {
    let csv = fs::read_to_string(file)?;
    let rows: Vec<Row> =
        csv.lines().skip(1).filter(|line| !line.is_empty()).map(row).collect::<Result<_, _>>()?;
    let mut steps: Vec<_> =
        rows.windows(2).map(|pair| pair[1].at_us - pair[0].at_us).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let bucket_us = steps.get(steps.len() / 2).copied().ok_or("there are no two rows")?;
    let settings = Settings { kind, bucket_us, false_alerts_per_month: rate, direction: Direction::Both };
    let (mut detector, mut open, mut runs, mut judged) = (Detector::new(&settings), None::<Run>, 0, 0_i64);
    for Row { at_us, value, weight } in rows {
        let verdict =
            detector.step(&Point { start_us: at_us, local_us: at_us, value, weight, annotated: false });
        judged += i64::from(!matches!(verdict.state, State::Learning { .. }));
        if verdict.state != State::Anomalous {
            runs += u32::from(open.take().inspect(Run::print).is_some());
            continue;
        }
        let run = open.get_or_insert(Run { from_us: at_us, buckets: 0, worst: (value, verdict) });
        run.buckets += 1;
        if verdict.p_value < run.worst.1.p_value {
            run.worst = (value, verdict);
        }
    }
    runs += u32::from(open.take().inspect(Run::print).is_some());
    let months = (judged * bucket_us) as f64 / MONTH_US as f64;
    println!("{file}: {runs} in {months:.1} judged months");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, rate, files @ ..] = arguments.as_slice() else {
        return Err("incidents KIND RATE FILE...".into());
    };
    files.iter().try_for_each(|file| run(file, kind(name)?, rate.parse()?))
}
