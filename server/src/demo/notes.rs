//! What the demo tells: dated lines, shown in the panel or printed as they come.

use std::collections::VecDeque;
use std::io::Write as _;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines kept for the panel.
const KEPT: usize = 7;

/// The lines.
#[derive(Debug)]
pub struct Notes {
    start: Instant,
    print: bool,
    lines: Mutex<VecDeque<String>>,
}

impl Notes {
    /// No lines yet. With `print`, each is printed as well.
    pub fn new(print: bool) -> Self {
        Self { start: Instant::now(), print, lines: Mutex::default() }
    }

    /// Seconds since the demo began.
    pub fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// Adds a line.
    pub fn say(&self, text: impl AsRef<str>) {
        let line = format!("{:>4} s  {}", self.seconds(), text.as_ref());
        if self.print {
            print(&line);
        }
        let mut lines = self.lines.lock();
        lines.push_back(line);
        if lines.len() > KEPT {
            lines.pop_front();
        }
    }

    /// The newest lines, oldest first.
    pub fn last(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }
}

/// Prints a line. Whether somebody still reads.
pub fn print(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}
