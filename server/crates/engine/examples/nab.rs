//! Runs the anomaly detector over the Numenta Anomaly Benchmark and writes what its scorer reads.
//!
//! `cargo run --release -p footpath-engine --example nab -- DATA RESULTS [HALF]`: DATA holds `<category>/<name>.csv` with timestamp and value.
//! HALF, 0 or 1, takes only the files whose names hash to it (FNV-1a, bit 7).
//!
//! One configuration for all files, and nothing of a file is known before it is read but its first rows: the width of its
//! buckets is the median step of the first 20. All are series of values, as the benchmark does not say what its numbers are.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use footpath_engine::anomaly::{Detector, Direction, Point, SeriesKind, Settings};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const STEPS: usize = 20;
const THREADS: usize = 2;

type Failure = Box<dyn Error + Send + Sync>;

/// A row: its time as it stands in the file, the same in microseconds, its value.
type Row<'a> = (&'a str, i64, f64);

fn rows(csv: &str) -> Result<Vec<Row<'_>>, Failure> {
    let row = |line| {
        let (time, value) = str::split_once(line, ',').ok_or("a row has a timestamp and a value")?;
        let at = TimeZone::UTC.to_timestamp(time.parse::<DateTime>()?)?;
        Ok((time, at.as_microsecond(), value.trim().parse()?))
    };
    csv.lines().skip(1).filter(|line| !line.is_empty()).map(row).collect()
}

fn width_us(rows: &[Row<'_>]) -> i64 {
    let steps = rows.windows(2).take(STEPS).map(|pair| pair[1].1 - pair[0].1);
    let mut steps: Vec<_> = steps.filter(|step| *step > 0).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(1)
}

fn run(file: &Path, data: &Path, results: &Path) -> Result<(), Failure> {
    let csv = fs::read_to_string(file)?;
    let rows = rows(&csv)?;
    let settings = Settings {
        kind: SeriesKind::Value,
        bucket_us: width_us(&rows),
        false_alerts_per_month: 1.0,
        direction: Direction::Both,
    };
    let mut detector = Detector::new(&settings);
    let target = results.join(file.strip_prefix(data)?);
    fs::create_dir_all(target.parent().ok_or("a file is in a folder")?)?;
    let mut out = std::io::BufWriter::new(fs::File::create(target)?);
    writeln!(out, "timestamp,value,anomaly_score")?;
    let mut last_us = i64::MIN;
    for (time, at_us, value) in rows {
        let verdict =
            detector.step(&Point { start_us: at_us, local_us: at_us, value, weight: 1.0, annotated: false });
        // Of a time that comes again the detector takes the first row; the second one has no news.
        let score = if at_us > last_us { verdict.score } else { 0.0 };
        last_us = last_us.max(at_us);
        writeln!(out, "{time},{value},{score}")?;
    }
    Ok(out.flush()?)
}

fn half_of(file: &Path) -> u32 {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let hash =
        name.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash >> 7 & 1
}

fn files(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for category in fs::read_dir(data)? {
        let category = category?.path();
        if !category.is_dir() {
            continue;
        }
        for file in fs::read_dir(category)? {
            files.push(file?.path());
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    Ok(files)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [data, results, half @ ..] = arguments.as_slice() else {
        return Err("nab DATA RESULTS [HALF]".into());
    };
    let (data, results) = (Path::new(data), Path::new(results));
    let mut files = files(data)?;
    if let [half] = half {
        let half: u32 = half.parse()?;
        files.retain(|file| half_of(file) == half);
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), Failure> {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            run(file, data, results).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}
