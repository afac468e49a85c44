//! Until when nobody is told anything.

use footpath_model::definition::MAX_COOLDOWN_DAYS;
use tonic::Status;

use crate::convert::micros;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::timestamp;

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
