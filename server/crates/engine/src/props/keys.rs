//! The property keys that somebody needs, numbered.

use hashbrown::HashMap;

/// Whose property it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A person's.
    Person,
    /// A group's of this kind.
    Group(String),
}

/// The number of a key that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) u32);

/// Keys of one kind of owner.
pub(super) type Own = HashMap<String, KeyId>;

/// Keys by number, and numbers by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    /// `None` where a key was given up; its number is given out again.
    names: Vec<Option<(Owner, String)>>,
    persons: Own,
    groups: HashMap<String, Own>,
}

impl Keys {
    /// The keys of persons.
    pub(super) fn persons(&self) -> &Own {
        &self.persons
    }

    /// The keys of a kind of group.
    pub(super) fn groups(&self, kind: &str) -> Option<&Own> {
        self.groups.get(kind)
    }

    pub(super) fn find(&self, owner: &Owner, key: &str) -> Option<KeyId> {
        let own = match owner {
            Owner::Person => &self.persons,
            Owner::Group(kind) => self.groups(kind)?,
        };
        own.get(key).copied()
    }

    pub(super) fn intern(&mut self, owner: &Owner, key: &str) -> KeyId {
        if let Some(id) = self.find(owner, key) {
            return id;
        }
        let free = self.names.iter().position(Option::is_none);
        let at = free.unwrap_or(self.names.len());
        self.names.resize(self.names.len().max(at + 1), None);
        self.put(at, owner.clone(), key.to_owned());
        KeyId(at as u32)
    }

    fn put(&mut self, at: usize, owner: Owner, key: String) {
        let own = match &owner {
            Owner::Person => &mut self.persons,
            Owner::Group(kind) => self.groups.entry_ref(kind.as_str()).or_default(),
        };
        own.insert(key.clone(), KeyId(at as u32));
        self.names[at] = Some((owner, key));
    }

    /// Gives a key up; false if it was not there.
    pub(super) fn forget(&mut self, id: KeyId) -> bool {
        let Some((owner, key)) = self.names.get_mut(id.0 as usize).and_then(Option::take) else {
            return false;
        };
        let own = match owner {
            Owner::Person => Some(&mut self.persons),
            Owner::Group(kind) => self.groups.get_mut(&kind),
        };
        own.and_then(|own| own.remove(&key));
        true
    }

    pub(super) fn name(&self, id: KeyId) -> Option<(&Owner, &str)> {
        let (owner, key) = self.names.get(id.0 as usize)?.as_ref()?;
        Some((owner, key))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (KeyId, &Owner, &str)> {
        let named = self.names.iter().enumerate().filter_map(|(at, name)| Some((at, name.as_ref()?)));
        named.map(|(at, (owner, key))| (KeyId(at as u32), owner, key.as_str()))
    }

    /// By number, with the numbers that are free.
    pub(super) fn names(&self) -> &[Option<(Owner, String)>] {
        &self.names
    }

    /// From [`Keys::names`]. `None` if a key stands twice.
    pub(super) fn from_names(names: Vec<Option<(Owner, String)>>) -> Option<Self> {
        let mut keys = Self { names: vec![None; names.len()], ..Self::default() };
        for (at, name) in names.into_iter().enumerate() {
            let Some((owner, key)) = name else { continue };
            if keys.find(&owner, &key).is_some() {
                return None;
            }
            keys.put(at, owner, key);
        }
        Some(keys)
    }
}
