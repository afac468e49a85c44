//! What to do, and when: keys for people, `--play` for pipes.

use std::str::FromStr;
use std::time::Duration;

/// Something the demo can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Payments fail.
    Outage,
    /// Payments succeed again.
    Fix,
    /// Kills the server (SIGKILL), starts it again, checks the books.
    Kill,
    /// Brings the phones back online now.
    Return,
    /// Makes a new link to the page.
    Link,
    /// Ends the demo.
    Quit,
}

/// An action at a moment, written `outage@40`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cue {
    /// What.
    pub action: Action,
    /// When, after the start.
    pub at: Duration,
}

impl FromStr for Cue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || {
            format!(
                "{text:?}: write an action and seconds, for example outage@40, fix@60, kill@70 or return@20"
            )
        };
        let (name, seconds) = text.split_once('@').ok_or_else(help)?;
        let action = match name {
            "outage" => Action::Outage,
            "fix" => Action::Fix,
            "kill" => Action::Kill,
            "return" => Action::Return,
            "quit" => Action::Quit,
            _ => return Err(help()),
        };
        Ok(Self { action, at: Duration::from_secs(seconds.parse().map_err(|_| help())?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cue_is_an_action_at_a_second() {
        assert_eq!("kill@70".parse(), Ok(Cue { action: Action::Kill, at: Duration::from_secs(70) }));
        for wrong in ["kill", "kill@", "kill@x", "dance@3", "@3", ""] {
            assert!(wrong.parse::<Cue>().unwrap_err().contains("outage@40"), "{wrong}");
        }
    }
}
