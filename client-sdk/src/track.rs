//! Events as an application describes them.

use std::time::{SystemTime, UNIX_EPOCH};

use footpath_proto::v1;
use v1::value::Kind;

use crate::error::TrackError;

/// The server's default limits; checked here so that a bad event is known where it is made.
const MAX_NAME_BYTES: usize = 255;
const MAX_PROPERTIES: usize = 256;
pub(crate) const MAX_EVENT_BYTES: usize = 32 * 1024;

/// One event, under construction.
#[derive(Debug, Clone, Default)]
pub struct Track {
    pub(crate) event: v1::Event,
    pub(crate) time_us: Option<i64>,
}

impl Track {
    /// An event named `name` (1 to 255 bytes; names that begin with "$" are reserved).
    pub fn new(name: impl Into<String>) -> Self {
        Self { event: v1::Event { name: name.into(), ..Default::default() }, time_us: None }
    }

    pub(crate) fn identify(anonymous: &str, user: &str) -> Self {
        Self::new("$identify").anonymous(anonymous).user(user)
    }

    /// The known user who did it.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.event.user_id = id.into();
        self
    }

    /// The device's own id for its user before a login.
    pub fn anonymous(mut self, id: impl Into<String>) -> Self {
        self.event.anonymous_id = id.into();
        self
    }

    /// The visit it belongs to, when the application follows visits itself.
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.event.session_id = id.into();
        self
    }

    /// Sets a property of the event; the last value of a key stands.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<PropertyValue>) -> Self {
        self.event.properties.insert(key.into(), value.into().0);
        self
    }

    /// Sets a property of the person.
    pub fn person_set(mut self, key: impl Into<String>, value: impl Into<PropertyValue>) -> Self {
        let changes = self.event.person.get_or_insert_default();
        changes.set.insert(key.into(), value.into().0);
        self
    }

    /// Sets a property of the person where no earlier event did.
    pub fn person_set_once(mut self, key: impl Into<String>, value: impl Into<PropertyValue>) -> Self {
        let changes = self.event.person.get_or_insert_default();
        changes.set_once.insert(key.into(), value.into().0);
        self
    }

    /// When it happened; left out, it is the moment of the `track` call.
    pub fn time(mut self, time: impl Into<EventTime>) -> Self {
        self.time_us = Some(time.into().0);
        self
    }

    /// The id that decides the lane: the user if known, else the anonymous id.
    pub(crate) fn actor(&self) -> &str {
        if self.event.user_id.is_empty() { &self.event.anonymous_id } else { &self.event.user_id }
    }

    pub(crate) fn check(&self, system_event: bool) -> Result<(), TrackError> {
        let event = &self.event;
        let invalid = |what: &str| Err(TrackError::Invalid(what.to_owned()));
        if event.name.is_empty() || event.name.len() > MAX_NAME_BYTES {
            return invalid("a name has 1 to 255 bytes");
        }
        if event.name.starts_with('$') && !system_event {
            return invalid("names that begin with \"$\" are reserved");
        }
        if self.actor().is_empty() {
            return invalid("a user id or an anonymous id is needed");
        }
        if system_event && event.anonymous_id.is_empty() {
            return invalid("identify needs both ids");
        }
        if event.properties.len() > MAX_PROPERTIES {
            return invalid("an event has at most 256 properties");
        }
        let person =
            event.person.iter().flat_map(|changes| changes.set.values().chain(changes.set_once.values()));
        if !event.properties.values().chain(person).all(is_finite) {
            return invalid("numbers must be finite");
        }
        Ok(())
    }
}

fn is_finite(value: &v1::Value) -> bool {
    !matches!(value.kind, Some(Kind::DoubleValue(number)) if !number.is_finite())
}

/// A moment, in microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime(pub i64);

impl From<SystemTime> for EventTime {
    fn from(time: SystemTime) -> Self {
        let us = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
        };
        Self(us)
    }
}

impl From<jiff::Timestamp> for EventTime {
    fn from(time: jiff::Timestamp) -> Self {
        Self(time.as_microsecond())
    }
}

/// A property's value.
#[derive(Debug, Clone, PartialEq)]
pub struct PropertyValue(v1::Value);

impl PropertyValue {
    /// A decimal number as text, for example "12.340"; kept as written.
    pub fn decimal(text: impl Into<String>) -> Self {
        Kind::DecimalValue(text.into()).into()
    }

    /// An amount: `units` + `nanos` / 10^9 of an ISO 4217 currency, both of the same sign.
    pub fn money(currency: impl Into<String>, units: i64, nanos: i32) -> Self {
        Kind::MoneyValue(v1::Money { currency: currency.into(), units, nanos }).into()
    }

    /// A moment.
    pub fn time(time: impl Into<EventTime>) -> Self {
        Kind::TimeValue(timestamp(time.into().0)).into()
    }
}

impl From<Kind> for PropertyValue {
    fn from(kind: Kind) -> Self {
        Self(v1::Value { kind: Some(kind) })
    }
}

/// Any value of the API, for lists and maps.
impl From<v1::Value> for PropertyValue {
    fn from(value: v1::Value) -> Self {
        Self(value)
    }
}

macro_rules! from_plain {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl From<$type> for PropertyValue {
            fn from(value: $type) -> Self {
                Kind::$kind(value.into()).into()
            }
        }
    )*};
}

from_plain! {
    &str => StringValue, String => StringValue, bool => BoolValue,
    i32 => IntValue, i64 => IntValue, u32 => IntValue, f32 => DoubleValue, f64 => DoubleValue,
}

/// Microseconds since 1970 as the wire writes them.
pub(crate) fn timestamp(us: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(us.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: us.div_euclid(1_000_000), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_server_would_refuse() {
        assert!(Track::new("a").user("u").check(false).is_ok());
        assert!(Track::new("").user("u").check(false).is_err());
        assert!(Track::new("x".repeat(256)).user("u").check(false).is_err());
        assert!(Track::new("$a").user("u").check(false).is_err());
        assert!(Track::new("a").check(false).is_err());
        assert!(Track::new("a").user("u").property("n", f64::NAN).check(false).is_err());
        assert!(Track::identify("", "u").check(true).is_err());
    }

    #[test]
    fn writes_times_before_1970_with_positive_nanos() {
        assert_eq!(timestamp(-1), prost_types::Timestamp { seconds: -1, nanos: 999_999_000 });
        assert_eq!(timestamp(1_500_000), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
    }
}
