//! Events as an application describes them.

use crate::value::{EventTime, PropertyValue, Text, put_entry};
use crate::wire::{put_bytes, put_fixed64, put_message, put_time};

/// One event, under construction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    name: Text,
    properties: Vec<(Text, PropertyValue)>,
    person: Changes,
    groups: Vec<(Text, Text, Changes)>,
    user: Option<Text>,
    anonymous: Option<Text>,
    session: Option<Text>,
    time: Option<EventTime>,
}

/// Changes to the properties of a person or a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    set: Vec<(Text, PropertyValue)>,
    set_once: Vec<(Text, PropertyValue)>,
    unset: Vec<Text>,
    add: Vec<(Text, f64)>,
    encoded: Vec<u8>,
}

impl Changes {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoded `footpath.v1.PropertyChanges`, as the bindings to other languages make it. It is checked when it is used.
    pub fn encoded(bytes: Vec<u8>) -> Self {
        Self { encoded: bytes, ..Self::default() }
    }

    /// Sets a property; the last value of a key stands.
    pub fn set(mut self, key: impl Into<Text>, value: impl Into<PropertyValue>) -> Self {
        put(&mut self.set, key.into(), value.into());
        self
    }

    /// Sets a property where no earlier event did.
    pub fn set_once(mut self, key: impl Into<Text>, value: impl Into<PropertyValue>) -> Self {
        put(&mut self.set_once, key.into(), value.into());
        self
    }

    /// Removes a property.
    pub fn unset(mut self, key: impl Into<Text>) -> Self {
        let key = key.into();
        if !self.unset.contains(&key) {
            self.unset.push(key);
        }
        self
    }

    /// Adds to a number.
    pub fn add(mut self, key: impl Into<Text>, amount: impl Into<f64>) -> Self {
        put(&mut self.add, key.into(), amount.into());
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        let fields = (&self.set, &self.set_once, &self.unset, &self.add, &self.encoded);
        fields.0.is_empty()
            && fields.1.is_empty()
            && fields.2.is_empty()
            && fields.3.is_empty()
            && fields.4.is_empty()
    }

    /// Appends the fields of a `footpath.v1.PropertyChanges`.
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoded);
        for (key, value) in &self.set {
            put_entry(out, 1, key, value);
        }
        for (key, value) in &self.set_once {
            put_entry(out, 2, key, value);
        }
        for key in &self.unset {
            put_bytes(out, 3, key.as_bytes());
        }
        for (key, amount) in &self.add {
            put_message(out, 4, |out| {
                put_bytes(out, 1, key.as_bytes());
                put_fixed64(out, 2, amount.to_bits());
            });
        }
    }
}

impl Track {
    /// An event named `name` (1 to 255 bytes; names that begin with "$" are reserved).
    pub fn new(name: impl Into<Text>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it another name.
    pub fn rename(mut self, name: impl Into<Text>) -> Self {
        self.name = name.into();
        self
    }

    /// The known user who did it, where that is not the client's own: a backend names a person for every event.
    pub fn user(mut self, id: impl Into<Text>) -> Self {
        self.user = Some(id.into());
        self
    }

    /// The device's own id for its user before a login, where that is not the client's own.
    pub fn anonymous(mut self, id: impl Into<Text>) -> Self {
        self.anonymous = Some(id.into());
        self
    }

    /// The visit it belongs to, where the application follows visits itself.
    pub fn session(mut self, id: impl Into<Text>) -> Self {
        self.session = Some(id.into());
        self
    }

    /// Sets a property of the event; the last value of a key stands.
    pub fn property(mut self, key: impl Into<Text>, value: impl Into<PropertyValue>) -> Self {
        put(&mut self.properties, key.into(), value.into());
        self
    }

    /// The properties, in the order they were set.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.properties.iter().map(|(key, value)| (&**key, value))
    }

    /// Takes a property away.
    pub fn without(mut self, key: &str) -> Self {
        self.properties.retain(|(known, _)| known != key);
        self
    }

    /// Sets a property of the person.
    pub fn person_set(mut self, key: impl Into<Text>, value: impl Into<PropertyValue>) -> Self {
        self.person = self.person.set(key, value);
        self
    }

    /// Sets a property of the person where no earlier event did.
    pub fn person_set_once(mut self, key: impl Into<Text>, value: impl Into<PropertyValue>) -> Self {
        self.person = self.person.set_once(key, value);
        self
    }

    /// Changes properties of the person.
    pub fn person(mut self, changes: Changes) -> Self {
        self.person = changes;
        self
    }

    /// Says that the person belongs to a group, and changes the group's properties; at most five groups.
    pub fn group(mut self, kind: impl Into<Text>, id: impl Into<Text>, changes: Changes) -> Self {
        self.groups.push((kind.into(), id.into(), changes));
        self
    }

    /// When it happened; left out, it is the moment of the `track` call.
    pub fn time(mut self, time: impl Into<EventTime>) -> Self {
        self.time = Some(time.into());
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Appends the fields of a `footpath.v1.Event` that are the application's.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, 3, self.name.as_bytes());
        if let Some(time) = self.time {
            put_time(out, 4, time.0);
        }
        for (field, id) in [(5, &self.anonymous), (6, &self.user), (7, &self.session)] {
            // An empty one names nobody.
            if let Some(id) = id.as_ref().filter(|id| !id.is_empty()) {
                put_bytes(out, field, id.as_bytes());
            }
        }
        for (key, value) in &self.properties {
            put_entry(out, 11, key, value);
        }
        if !self.person.is_empty() {
            put_message(out, 13, |out| self.person.put(out));
        }
        for (kind, id, changes) in &self.groups {
            put_message(out, 14, |out| {
                put_bytes(out, 1, kind.as_bytes());
                put_bytes(out, 2, id.as_bytes());
                put_message(out, 3, |out| changes.put(out));
            });
        }
    }
}

fn put<T>(entries: &mut Vec<(Text, T)>, key: Text, value: T) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footpath_proto::v1;
    use prost::Message as _;
    use v1::value::Kind;

    #[test]
    fn is_what_a_generated_client_reads() {
        let changes = Changes::new().set("plan", "pro").set_once("first", 1).unset("old").add("visits", 2);
        let track = Track::new("paid").user("u").anonymous("a").session("s").time(EventTime(1_500_000));
        let track = track.property("n", 1).property("n", 2).property("gone", true).without("gone");
        let track = track.person(changes.clone()).group("company", "acme", changes);
        let mut out = Vec::new();
        track.put(&mut out);
        let event = v1::Event::decode(&*out).unwrap();
        assert_eq!(
            (&*event.name, &*event.user_id, &*event.anonymous_id, &*event.session_id),
            ("paid", "u", "a", "s")
        );
        assert_eq!(event.time, Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }));
        assert_eq!(event.properties.len(), 1);
        assert_eq!(event.properties["n"].kind, Some(Kind::IntValue(2)));
        let person = event.person.unwrap();
        assert_eq!(event.groups[0].changes.as_ref(), Some(&person));
        assert_eq!((person.set.len(), person.set_once.len()), (1, 1));
        assert_eq!((person.unset, person.add["visits"]), (vec!["old".to_owned()], 2.0));
        assert_eq!((&*event.groups[0].r#type, &*event.groups[0].id), ("company", "acme"));
    }
}
