//! ClickHouse's own `windowFunnel`, embedded as chdb, counts thousands of random cases in every combination of its modes, and
//! so does our preset.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use std::fmt::Write as _;
use std::process::Command;

use footpath_engine::general::{FunnelEvent, GeneralRules, Options, WindowFunnelModes, fold_general};

const SKIP: &str = "FOOTPATH_SKIP_CHDB";
const CASES: u64 = 2_000;
const STEPS: std::ops::RangeInclusive<usize> = 1..=6;
const WINDOWS: [i64; 4] = [0, 3, 8, 30];

/// Prints, for every number of steps and window and case, the level in every combination of modes.
const QUERY: &str = "
import chdb, sys
names = ['strict_deduplication', 'strict_order', 'strict_increase', 'strict_once', 'allow_reentry']
combinations = [[name for i, name in enumerate(names) if bits >> i & 1] for bits in range(32)]
combinations = [modes for modes in combinations if 'allow_reentry' not in modes or 'strict_order' in modes]
print(chdb.query('select version()', 'TSV').bytes().decode().strip().strip(chr(34)))
for steps in range(1, 7):
    conditions = ', '.join(f'bitTest(mask, {step})' for step in range(steps))
    for window in sys.argv[2].split(','):
        call = lambda modes: 'windowFunnel(' + ', '.join([window] + [repr(m) for m in modes]) + f')(time, {conditions})'
        columns = ', '.join(map(call, combinations))
        print(chdb.query(f'''select {columns} from file('{sys.argv[1]}', TSV, 'case UInt32, time UInt64, mask UInt32')
            group by case order by case settings max_threads = 1''', 'TSV').bytes().decode(), end='')
";

/// A small generator of numbers, so that every run is the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }
}

/// 1 to 14 events, in no order: many at equal times, many that match several conditions, some that match none.
fn case(numbers: &mut Numbers) -> Vec<FunnelEvent> {
    let spread = [3, 8, 20][numbers.below(3) as usize];
    let in_order = numbers.below(2) == 0;
    let most = numbers.below(14);
    let event = |id: u64| {
        let steps = match numbers.below(8) {
            0 => 0,
            1..=5 => 1 << if in_order { (id / 2).min(5) } else { numbers.below(6) },
            _ => numbers.below(64) as u32,
        };
        let time_us = if in_order {
            (id + numbers.below(3)).cast_signed()
        } else {
            numbers.below(spread).cast_signed()
        };
        FunnelEvent { time_us, id: id.into(), steps, exclusions: 0, part: 0, value: 0 }
    };
    (0..=most).map(event).collect()
}

/// The combinations that ClickHouse accepts, in the order of the query.
fn combinations() -> Vec<WindowFunnelModes> {
    let modes = |bits: u32| WindowFunnelModes {
        strict_deduplication: bits & 1 != 0,
        strict_order: bits & 2 != 0,
        strict_increase: bits & 4 != 0,
        strict_once: bits & 8 != 0,
        allow_reentry: bits & 16 != 0,
    };
    (0..32).map(modes).filter(|modes| modes.strict_order || !modes.allow_reentry).collect()
}

fn python(arguments: &[&str]) -> Option<String> {
    let output = Command::new("python3").args(arguments).output().ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || told.contains("ModuleNotFoundError"), "{told}");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn clickhouse_counts_the_same() {
    if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
        println!("skipped: ClickHouse does not count along ({SKIP}=1)");
        return;
    }
    let mut numbers = Numbers(1);
    let cases: Vec<_> = (0..CASES).map(|_| case(&mut numbers)).collect();
    let mut rows = String::new();
    for (i, event) in
        cases.iter().enumerate().flat_map(|(i, events)| events.iter().map(move |event| (i, event)))
    {
        writeln!(rows, "{i}\t{}\t{}", event.time_us, event.steps).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.tsv");
    std::fs::write(&file, rows).unwrap();
    let windows = WINDOWS.map(|window| window.to_string()).join(",");
    let answer = python(&["-c", QUERY, &file.to_string_lossy(), &windows]).unwrap_or_else(|| {
        panic!("this test needs ClickHouse for Python: run `python3 -m pip install chdb`, or set {SKIP}=1 to skip it")
    });
    let mut lines = answer.lines();
    let version = lines.next().unwrap();
    let mut compared = 0;
    for (steps, window_us) in STEPS.flat_map(|steps| WINDOWS.map(|window| (steps, window))) {
        for events in &cases {
            let mut sorted = events.clone();
            sorted.sort_by_key(FunnelEvent::order);
            let wanted = lines.next().unwrap().split('\t').map(|level| level.parse::<u32>().unwrap());
            for (modes, wanted) in combinations().into_iter().zip(wanted) {
                let options = Options { window_funnel: Some(modes), ..Options::new(steps, window_us) };
                let rules = GeneralRules::new(options).unwrap();
                let attempts = fold_general(&rules, i64::MIN, sorted.iter().copied());
                let level: u32 = attempts.first().map_or(0, |attempt| attempt.steps.count_ones());
                let case: Vec<_> =
                    sorted.iter().map(|event| (event.time_us, event.id, event.steps)).collect();
                assert_eq!(
                    level, wanted,
                    "{version}: {steps} steps, window {window_us}, {modes:?}, {case:?}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(lines.next(), None);
    assert_eq!(compared, CASES as usize * 24 * 24);
}
