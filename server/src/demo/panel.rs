//! The terminal: a redrawn panel and keys, and a terminal that is sane again whatever happens.

use std::io::Write as _;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc::UnboundedSender;

use super::script::Action;

/// How long the keyboard is waited for before it is asked whether anybody still listens.
const POLL: Duration = Duration::from_millis(100);

/// The terminal while the panel is on it. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Panel(());

impl Panel {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If it is no terminal.
    pub fn open() -> std::io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back(); // The message must be readable.
            before(info);
        }));
        enable_raw_mode()?;
        let panel = Self(()); // From here on dropping it undoes what was done.
        execute!(std::io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(panel)
    }

    /// Draws the lines; those that begin with "# " are bold.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn draw(&self, lines: &[String]) -> std::io::Result<()> {
        let (columns, rows) = size()?;
        let mut out = std::io::stdout().lock();
        for (row, line) in (0..rows).zip(lines) {
            let (bold, text) = line.strip_prefix("# ").map_or((false, line.as_str()), |text| (true, text));
            let text: String = text.chars().take(usize::from(columns)).collect();
            queue!(out, MoveTo(0, row))?;
            if bold {
                queue!(out, SetAttribute(Attribute::Bold))?;
            }
            queue!(out, Print(text), SetAttribute(Attribute::Reset), Clear(ClearType::UntilNewLine))?;
        }
        let below = u16::try_from(lines.len()).unwrap_or(rows);
        if below < rows {
            queue!(out, MoveTo(0, below), Clear(ClearType::FromCursorDown))?;
        }
        out.flush()
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Best effort: the terminal may be gone.
    let _ = execute!(std::io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// Reads keys on a thread of its own until nobody listens.
pub fn read_keys(actions: UnboundedSender<Action>) {
    std::thread::spawn(move || {
        while !actions.is_closed() {
            match poll(POLL) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return, // The terminal is gone.
            }
            if let Ok(Event::Key(key)) = read()
                && let Some(action) = action(key)
                && actions.send(action).is_err()
            {
                return;
            }
        }
    });
}

fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Action::Quit),
        KeyCode::Char('i') => Some(Action::Outage),
        KeyCode::Char('f') => Some(Action::Fix),
        KeyCode::Char('k') => Some(Action::Kill),
        KeyCode::Char('r') => Some(Action::Return),
        KeyCode::Char('l') => Some(Action::Link),
        KeyCode::Char('q') => Some(Action::Quit),
        _ => None,
    }
}
