//! The only place of the generator that asks the machine for time and CPU use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the wall clock; 0 when it stands before that.
#[allow(clippy::disallowed_methods, reason = "a generator makes real time; nothing here is replayed")]
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// CPU seconds (user and system) that a process has used, `None` where `/proc` does not tell.
/// `pid` `None` means this process.
pub fn cpu_seconds(pid: Option<u32>) -> Option<f64> {
    let path = pid.map_or_else(|| "/proc/self/stat".to_owned(), |pid| format!("/proc/{pid}/stat"));
    parse_stat(&std::fs::read_to_string(path).ok()?)
}

/// Reads utime and stime (hundredths of a second) out of a `/proc/*/stat` line. The command's name may hold
/// spaces and parentheses, so the fields are counted from the last ')'.
fn parse_stat(line: &str) -> Option<f64> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_survives_an_odd_command_name() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(line), Some(2.0));
    }
}
