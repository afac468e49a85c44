//! Runs this program once for each figure, and lays the figures out.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::measure::{SHARES, median};
use crate::{Run, Who};

/// More than any run records, so that glean puts together no ping by itself.
const NO_PINGS: [&str; 2] = ["--max-events", "1000000"];
const SURVIVALS: usize = 5;

/// Prints everything as one table.
pub fn print(rounds: usize) -> Result<()> {
    println!("| | Footpath | glean | glean, no pings |");
    println!("|---|---|---|---|");
    latency(rounds)?;
    survival("5,000 events at once", &["--events", "5000"])?;
    survival("5,000 events at once, 1 s before", &["--events", "5000", "--later-ms", "1000"])?;
    // Not a multiple of 500: glean would be putting together a ping at that very moment.
    survival("1,200 events, 1 ms apart", &["--events", "1200", "--pause-us", "1000"])?;
    survival("1,000 events, 1 ms apart", &["--events", "1000", "--pause-us", "1000"])?;
    disk()?;
    wire()?;
    memory("at once", &[])?;
    memory("500 at a time", &["--portion", "500"])
}

/// A run for each column of the table.
fn each(measurement: &str, more: &[&str]) -> Result<[Value; 3]> {
    let mut without = more.to_vec();
    without.extend(NO_PINGS);
    Ok([
        figures(measurement, "footpath", more)?,
        figures(measurement, "glean", more)?,
        figures(measurement, "glean", &without)?,
    ])
}

fn latency(rounds: usize) -> Result<()> {
    // In turn, so that what else the machine does is spread over all of them.
    let runs = (0..rounds).map(|_| each("latency", &[])).collect::<Result<Vec<_>>>()?;
    let figure = |column: usize, name: &str| {
        median(runs.iter().filter_map(|run| run[column][name].as_f64()).collect())
    };
    for (name, _) in SHARES {
        let [ours, theirs, without] = [0, 1, 2].map(|column| micros(figure(column, name)));
        println!("| a call, {name}, µs | {ours} | {theirs} | {without} |");
    }
    let control = |name: &str| {
        let name = format!("control {name}");
        micros(median(runs.iter().flatten().filter_map(|figures| figures[&name].as_f64()).collect()))
    };
    let [p50, p99, most] = ["p50", "p99", "max"].map(control);
    eprintln!("the empty loop: p50 {p50}, p99 {p99}, max {most} µs");
    for round in &runs {
        eprintln!("{}", json!(round));
    }
    Ok(())
}

fn micros(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn survival(what: &str, more: &[&str]) -> Result<()> {
    let cells = each("survive", more)?.map(|figures| {
        let [median, least, most] = ["median", "least", "most"].map(|name| &figures[name]);
        if least == most { format!("{median}") } else { format!("{median} ({least} to {most})") }
    });
    println!("| there after `abort`, of {what} | {} |", cells.join(" | "));
    Ok(())
}

fn disk() -> Result<()> {
    let all = each("disk", &[])?;
    for (name, when) in [("full", "10,000 queued"), ("ended", "the same, after an end in order")] {
        let cells = all.each_ref().map(|figures| {
            let of_events = number(figures, name) - number(figures, "empty");
            format!("{:.0}", of_events / number(figures, "events"))
        });
        println!("| disk, bytes an event, {when} | {} |", cells.join(" | "));
    }
    let cells = all.each_ref().map(|figures| format!("{:.0}", number(figures, "empty") / 1024.0));
    println!("| disk before the first event, KiB | {} |", cells.join(" | "));
    Ok(())
}

fn wire() -> Result<()> {
    // Apart, because events of one millisecond would share glean's time and compress better than they do in life.
    let all = each("wire", &["--pause-us", "1000"])?;
    for (name, what) in [
        ("packed", "compressed as each does it"),
        ("packed usual", "gzip at level 6"),
        ("plain", "before compression"),
    ] {
        let cells = all.each_ref().map(|figures| {
            if number(figures, "events") < 10_000.0 {
                return "nothing sent".to_owned();
            }
            format!("{:.1}", number(figures, name) / number(figures, "events"))
        });
        println!("| wire, bytes an event, {what} | {} |", cells.join(" | "));
    }
    let cells = all.each_ref().map(|figures| figures["bodies"].to_string());
    println!("| bodies for 10,000 events | {} |", cells.join(" | "));
    Ok(())
}

fn memory(how: &str, more: &[&str]) -> Result<()> {
    let mut arguments = vec!["--events", "100000"];
    arguments.extend(more);
    let all = each("memory", &arguments)?;
    let mib = |kib: f64| format!("{:.1}", kib / 1024.0);
    let grown = all.each_ref().map(|figures| {
        let [before, after, most] = ["before", "after", "most"].map(|name| number(figures, name));
        format!("{}, most {}", mib(after - before), mib(most - before))
    });
    println!("| RSS of 100,000 queued, {how}, MiB | {} |", grown.join(" | "));
    let before = all.each_ref().map(|figures| mib(number(figures, "before")));
    println!("| RSS before them, MiB | {} |", before.join(" | "));
    eprintln!("calls that Footpath refused first: {}", all[0]["refused"]);
    Ok(())
}

fn number(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or(f64::NAN)
}

/// How many events a next run finds after an `abort`, five times.
pub fn survive(run: &Run) -> Result<Value> {
    let name = match run.who {
        Who::Footpath => "footpath",
        Who::Glean => "glean",
    };
    let mut there = Vec::new();
    for _ in 0..SURVIVALS {
        let folder = tempfile::tempdir()?;
        there.push(survived(run, name, folder.path())?);
    }
    let sorted = |at: fn(f64, f64) -> f64| there.iter().copied().reduce(at);
    Ok(json!({
        "of": run.events, "median": median(there.clone()) as u64,
        "least": sorted(f64::min).unwrap_or(f64::NAN) as u64, "most": sorted(f64::max).unwrap_or(f64::NAN) as u64,
    }))
}

fn survived(run: &Run, name: &str, folder: &Path) -> Result<f64> {
    let folder = folder.to_str().context("the folder's name is no text")?;
    let [events, pause, later, max] =
        [run.events, run.pause_us, run.later_ms, run.max_events as u64].map(|number| number.to_string());
    let recorded = Command::new(std::env::current_exe()?)
        .args(["record", name, "--folder", folder, "--events", &events])
        .args(["--pause-us", &pause, "--later-ms", &later, "--max-events", &max])
        .stderr(Stdio::piped())
        .output()?;
    let said = String::from_utf8_lossy(&recorded.stderr);
    ensure!(recorded.status.code().is_none(), "it did not abort: {said}");
    let counted = figures("count", name, &["--folder", folder, "--max-events", &max])?;
    Ok(number(&counted, "events"))
}

fn figures(measurement: &str, name: &str, more: &[&str]) -> Result<Value> {
    let output = Command::new(std::env::current_exe()?).arg(measurement).arg(name).args(more).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{measurement} {name} {more:?}: {said}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{measurement} {name}: no figures"))
}
