//! Moments as tools print them: in the project's time zone, with its offset.

use footpath_api::convert::micros;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::definitions::time_zone;
use super::remote::{Project, SignedChannel};

/// A project's time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// Asks the server for it; `role` is what the caller's command needs.
    ///
    /// # Errors
    /// If the server does not answer, or the token does not open the project.
    pub async fn of(channel: SignedChannel, project: &Project, role: &str) -> anyhow::Result<Self> {
        Ok(Self::named(&time_zone(channel, project, role).await?))
    }

    /// The zone of an IANA name; UTC where this machine does not know it, which the printed offset says.
    pub fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    /// A moment, to the second: `2026-01-31T13:00:00+01:00`; a dash where there is none.
    pub fn show(&self, moment: Option<&prost_types::Timestamp>) -> String {
        let Some(us) = moment.map(micros) else { return "-".into() };
        // What no calendar has, as a mute for ever, is its first or last moment.
        let far = if us < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let moment = Timestamp::from_microsecond(us).unwrap_or(far).to_zoned_datetime(self.0.clone());
        moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, seconds: i64) -> String {
        Zone::named(zone).show(Some(&prost_types::Timestamp { seconds, nanos: 999_999_999 }))
    }

    #[test]
    fn moments_are_of_the_projects_zone() {
        assert_eq!(shown("UTC", 0), "1970-01-01T00:00:00+00:00");
        assert_eq!(shown("Europe/Zurich", 1_769_857_200), "2026-01-31T12:00:00+01:00");
        assert_eq!(shown("Europe/Zurich", 1_785_495_600), "2026-07-31T13:00:00+02:00");
        assert_eq!(shown("Mars/Olympus", 0), "1970-01-01T00:00:00+00:00");
        assert_eq!(Zone::named("UTC").show(None), "-");
    }

    #[test]
    fn moments_beyond_the_calendar_are_shown_all_the_same() {
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            for seconds in [i64::MIN, i64::MAX] {
                assert!(shown(zone, seconds).contains("9999-"), "{zone} {seconds}");
            }
        }
    }
}
