//! How a project cuts sessions.

use footpath_model::control::SessionLimits;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

/// Why sessions cannot be cut this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionRulesError {
    /// The gap is out of range.
    #[error("the gap between two sessions is 1 minute to 12 hours, not {0} us")]
    Gap(i64),
    /// The limit is out of range.
    #[error("a session lasts at most its gap to 7 days, not {0} us")]
    Max(i64),
}

/// What a project has set, and how much of a person is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    gap_us: i64,
    max_us: i64,
    kept: u8,
}

impl SessionRules {
    /// 30 minutes, as in Google Analytics, Mixpanel and PostHog.
    pub const DEFAULT_GAP_US: i64 = 30 * MINUTE_US;
    /// 24 hours, as in Mixpanel and PostHog.
    pub const DEFAULT_MAX_US: i64 = 24 * HOUR_US;
    /// How many of a person's last sessions are kept to place late events among, unless told otherwise. At the
    /// usual few sessions a day these reach back further than a phone that was offline for a day.
    pub const DEFAULT_KEPT: u8 = 8;

    /// A new session begins more than `gap_us` after an event, or more than `max_us` after the session's first one.
    ///
    /// # Errors
    /// If the gap is not within 1 minute to 12 hours, or the limit not within the gap to 7 days.
    pub fn new(gap_us: i64, max_us: i64) -> Result<Self, SessionRulesError> {
        if !(MINUTE_US..=12 * HOUR_US).contains(&gap_us) {
            return Err(SessionRulesError::Gap(gap_us));
        }
        if !(gap_us..=7 * 24 * HOUR_US).contains(&max_us) {
            return Err(SessionRulesError::Max(max_us));
        }
        Ok(Self { gap_us, max_us, kept: Self::DEFAULT_KEPT })
    }

    /// Keeps up to `sessions` sessions of a person, at least one. All but the last cost 64 bytes each and save
    /// refolds from stored events.
    #[must_use]
    pub fn with_kept(mut self, sessions: u8) -> Self {
        self.kept = sessions.max(1);
        self
    }

    /// The longest pause within a session, in microseconds, inclusive.
    pub fn gap_us(&self) -> i64 {
        self.gap_us
    }

    /// The longest a session lasts, in microseconds, inclusive.
    pub fn max_us(&self) -> i64 {
        self.max_us
    }

    /// How many of a person's sessions are kept.
    pub fn kept(&self) -> usize {
        usize::from(self.kept)
    }
}

impl TryFrom<SessionLimits> for SessionRules {
    type Error = SessionRulesError;

    fn try_from(limits: SessionLimits) -> Result<Self, SessionRulesError> {
        Self::new(limits.gap_us, limits.max_us)
    }
}

impl Default for SessionRules {
    fn default() -> Self {
        Self { gap_us: Self::DEFAULT_GAP_US, max_us: Self::DEFAULT_MAX_US, kept: Self::DEFAULT_KEPT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gap_and_limit_have_bounds() {
        let rules = |gap, max| SessionRules::new(gap, max).map(|rules| (rules.gap_us(), rules.max_us()));
        for (gap, max) in [(MINUTE_US, MINUTE_US), (12 * HOUR_US, 12 * HOUR_US), (MINUTE_US, 168 * HOUR_US)] {
            assert_eq!(rules(gap, max), Ok((gap, max)));
        }
        for gap in [i64::MIN, 0, MINUTE_US - 1, 12 * HOUR_US + 1, i64::MAX] {
            assert_eq!(rules(gap, 24 * HOUR_US), Err(SessionRulesError::Gap(gap)));
        }
        for max in [i64::MIN, HOUR_US - 1, 168 * HOUR_US + 1, i64::MAX] {
            assert_eq!(rules(HOUR_US, max), Err(SessionRulesError::Max(max)));
        }
    }

    #[test]
    fn the_default_is_what_new_accepts_and_one_session_is_always_kept() {
        let default = SessionRules::default();
        assert_eq!(SessionRules::new(default.gap_us(), default.max_us()), Ok(default));
        assert_eq!(default.with_kept(0).kept(), 1);
    }
}
