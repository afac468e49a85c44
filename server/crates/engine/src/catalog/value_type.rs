//! Types of values.

use footpath_model::wire::Fields;

/// The type of a value; its number is that of its field in `footpath.v1.Value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// Text.
    String = 1,
    /// A whole number.
    Int,
    /// A finite number.
    Double,
    /// A decimal number as written.
    Decimal,
    /// An amount of money.
    Money,
    /// True or false.
    Bool,
    /// A moment.
    Time,
    /// Several values.
    List,
    /// Values by key.
    Map,
}

impl ValueType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::String,
        Self::Int,
        Self::Double,
        Self::Decimal,
        Self::Money,
        Self::Bool,
        Self::Time,
        Self::List,
        Self::Map,
    ];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Money => "money",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::List => "list",
            Self::Map => "map",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type of an encoded `footpath.v1.Value`; `None` if no kind is set. Of several fields the last one counts.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let number = Fields::new(value).last()?.ok()?.number as usize;
        Self::ALL.get(number.checked_sub(1)?).copied()
    }

    /// Where it stands in [`Self::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize - 1
    }
}
