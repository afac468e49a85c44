//! Until when nobody is told anything.

use footpath_model::definition::MAX_COOLDOWN_DAYS;
use tonic::Status;

use crate::convert::{micros, timestamp};
use crate::status::invalid;

const HOUR_US: i64 = 3_600_000_000;
/// A mute is as long as a cooldown at most: what is to be quiet for longer is switched off, which the list of rules shows.
const LONGEST_US: i64 = MAX_COOLDOWN_DAYS * 24 * HOUR_US;
/// The clock of whoever counted from "now" may be ahead.
const LEEWAY_US: i64 = HOUR_US;

/// The end of a mute in microseconds since 1970; 0, which ends one, for none and for the past.
///
/// # Errors
/// INVALID_ARGUMENT if it is too far away.
pub fn until_us(now_us: i64, until: Option<&prost_types::Timestamp>) -> Result<i64, Status> {
    let until_us = until.map_or(0, micros);
    if until_us > now_us.saturating_add(LONGEST_US + LEEWAY_US) {
        let what = format!("a mute lasts {MAX_COOLDOWN_DAYS} days at most; switch the rule off for longer");
        return Err(invalid("mute_too_long", &what));
    }
    Ok(if until_us > now_us { until_us } else { 0 })
}

/// The end of a mute as long as it lasts.
pub fn shown(now_us: i64, until_us: i64) -> Option<prost_types::Timestamp> {
    (until_us > now_us).then(|| timestamp(until_us))
}

/// Whether a mute up to a moment, 0 for its end, changes anything where `known_us` was its end: what is not muted cannot be unmuted.
pub fn changes(now_us: i64, known_us: i64, until_us: i64) -> bool {
    until_us > 0 || known_us > now_us
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_muted_is_unmuted() {
        assert_eq!((shown(5, 0), shown(5, 5), shown(5, 6)), (None, None, Some(timestamp(6))));
        assert!(!changes(5, 0, 0) && !changes(5, 5, 0));
        assert!(changes(5, 6, 0) && changes(5, 0, 6) && changes(5, 6, 6));
    }

    #[test]
    fn a_mute_ends_within_31_days() {
        const NOW_US: i64 = 1_700_000_000_000_000;
        let asked = |after_us: i64| until_us(NOW_US, Some(&timestamp(NOW_US + after_us)));
        assert_eq!(until_us(NOW_US, None).unwrap(), 0);
        assert_eq!(asked(-1).unwrap(), 0);
        assert_eq!(asked(HOUR_US).unwrap(), NOW_US + HOUR_US);
        assert_eq!(asked(31 * 24 * HOUR_US).unwrap(), NOW_US + 31 * 24 * HOUR_US);
        let refused = asked(32 * 24 * HOUR_US).unwrap_err();
        assert!(refused.message().contains("31 days"), "{refused:?}");
        let never = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert!(until_us(NOW_US, Some(&never)).is_err());
    }
}
