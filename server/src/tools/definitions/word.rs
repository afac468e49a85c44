//! The API's enumerations as words: `CONDITION_OPERATOR_NOT_EQUALS` is `not_equals` in a file and wherever tools print it.

use std::fmt;

use footpath_proto::v1;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enumeration of the API, 0 being what is left unspecified.
pub trait Words: Copy + Default + PartialEq + TryFrom<i32> + Into<i32> {
    /// Its name in the API.
    fn name(self) -> &'static str;
}

macro_rules! words {
    ($($type:ident),* $(,)?) => {$(
        impl Words for v1::$type {
            fn name(self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

words!(
    AlertBaseline,
    AlertDirection,
    AlertKind,
    AlertSeverity,
    BreakdownAttribution,
    ConditionOperator,
    DeliveryState,
    DriverKind,
    ExclusionEffect,
    FunnelCounting,
    FunnelEntry,
    FunnelOrder,
    FunnelPreset,
    FunnelTies,
    FunnelWindowFrom,
    IncidentState,
    MetricAggregate,
    MetricBucketUnit,
    PropertyMoment,
    PropertyScope,
    SessionAggregate,
);

/// A word of an enumeration; left out of a file where it is unspecified.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Word<E>(pub E);

impl<E: Words> Word<E> {
    /// The word for a number of the API.
    pub fn of(number: i32) -> Self {
        Self(E::try_from(number).unwrap_or_default())
    }

    /// The number in the API.
    pub fn number(self) -> i32 {
        self.0.into()
    }

    fn text(self) -> String {
        let prefix = E::default().name().trim_end_matches("UNSPECIFIED");
        self.0.name().trim_start_matches(prefix).to_ascii_lowercase()
    }

    /// The word of a name, as in a file.
    ///
    /// # Errors
    /// In words, with those that are allowed.
    pub fn named(text: &str) -> Result<Self, String> {
        let allowed = || Self::all().map(|word| format!("{:?}", word.text())).collect::<Vec<_>>().join(", ");
        let found = Self::all().find(|word| word.text() == text);
        found.ok_or_else(|| format!("{text:?} is not known here; allowed are {}", allowed()))
    }

    fn all() -> impl Iterator<Item = Self> {
        (1..).map_while(|number| E::try_from(number).ok()).map(Self)
    }
}

impl<E: Words> fmt::Display for Word<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl<E: Words> Serialize for Word<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de, E: Words> Deserialize<'de> for Word<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Whether a field says nothing and is left out of a file.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_apis_names_in_lower_case() {
        let operators: Vec<_> = Word::<v1::ConditionOperator>::all().map(Word::text).collect();
        assert_eq!((operators.len(), operators[1].as_str()), (11, "not_equals"));
        for word in Word::<v1::FunnelOrder>::all() {
            assert_eq!(Word::of(word.number()), word);
        }
        assert_eq!(Word(v1::FunnelEntry::First).text(), "first");
        assert_eq!(format!("{:10}|", Word(v1::IncidentState::Open)), "open      |");
    }
}
