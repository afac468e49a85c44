//! Columns of properties: a map per kind of value, and columns of single properties.

use footpath_model::props::Value;
use parquet::schema::types::ColumnDescPtr;

use crate::error::HistoryError;
use crate::json;
use crate::pages::{Column, Leaf, Packer, RowGroup, Shape, Values, put_equal_levels, put_levels};
use crate::schema::{Kind, Promoted};
use crate::values::{Bits, Dictionary, Doubles, Entries, Numbers, Texts};

/// The next leaf column of the file.
pub(crate) type NextLeaf<'n> = &'n mut dyn FnMut() -> Result<ColumnDescPtr, HistoryError>;

/// A column that may have no value in a row.
pub(crate) struct Optional<V> {
    leaf: Leaf<V>,
    set: Vec<u8>,
    levels: Vec<u8>,
}

impl<V: Values> Optional<V> {
    pub(crate) fn new(column: ColumnDescPtr, values: V) -> Self {
        Self { leaf: Leaf::new(column, values), set: Vec::new(), levels: Vec::new() }
    }

    /// Appends a row without a value, or where the value of the row is to be pushed.
    #[inline]
    pub(crate) fn row(&mut self, set: bool) -> Option<&mut V> {
        self.set.push(set.into());
        set.then_some(&mut self.leaf.values)
    }
}

impl Optional<Dictionary> {
    /// The number of a value in the dictionary.
    pub(crate) fn number(&mut self, value: &[u8]) -> u32 {
        self.leaf.values.number(value)
    }

    /// Appends a row with the value of this number, or without one.
    #[inline]
    pub(crate) fn push_number(&mut self, number: Option<u32>) {
        if let (Some(number), Some(values)) = (number, self.row(number.is_some())) {
            values.push_number(number);
        }
    }
}

impl<V: Values> Column for Optional<V> {
    fn end_page(&mut self, rows: usize, packer: &mut Packer) -> Result<(), HistoryError> {
        self.levels.clear();
        put_levels(&mut self.levels, &self.set);
        self.set.clear();
        self.leaf.end_page(Shape { rows, values: rows, levels: &self.levels }, packer)
    }

    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        self.leaf.end_group(packer, group)
    }
}

/// The leaf columns of values of one kind.
enum OfKind {
    Text(Leaf<Texts>),
    Json(Leaf<Texts>, String),
    Int(Leaf<Numbers>),
    Double(Leaf<Doubles>),
    Money { currency: Box<Leaf<Dictionary>>, units: Leaf<Numbers>, nanos: Leaf<Numbers> },
    Bool(Leaf<Bits>),
}

impl OfKind {
    fn new(kind: Kind, next: NextLeaf<'_>) -> Result<Self, HistoryError> {
        Ok(match kind {
            Kind::String | Kind::Decimal => Self::Text(Leaf::new(next()?, Texts::default())),
            Kind::Json => Self::Json(Leaf::new(next()?, Texts::default()), String::new()),
            Kind::Int | Kind::Time => Self::Int(Leaf::new(next()?, Numbers::default())),
            Kind::Double => Self::Double(Leaf::new(next()?, Doubles::default())),
            Kind::Money => Self::Money {
                currency: Box::new(Leaf::new(next()?, Dictionary::new(Entries::Text))),
                units: Leaf::new(next()?, Numbers::default()),
                nanos: Leaf::new(next()?, Numbers::default()),
            },
            Kind::Bool => Self::Bool(Leaf::new(next()?, Bits::default())),
        })
    }

    /// Appends a value, which is of this kind: the caller picks the column by it.
    #[inline]
    fn push(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(leaf), Value::String(text) | Value::Decimal(text)) => {
                leaf.values.push(text.as_bytes())
            }
            (Self::Int(leaf), Value::Int(number) | Value::Time(number)) => leaf.values.push(*number),
            (Self::Double(leaf), Value::Double(number)) => leaf.values.push(*number),
            (Self::Bool(leaf), Value::Bool(truth)) => leaf.values.push(*truth),
            (Self::Money { currency, units, nanos }, Value::Money { currency: c, units: u, nanos: n }) => {
                currency.values.push(c.as_bytes());
                units.values.push(*u);
                nanos.values.push((*n).into());
            }
            (Self::Json(leaf, scratch), value) => {
                scratch.clear();
                json::write(scratch, value);
                leaf.values.push(scratch.as_bytes());
            }
            (_, _) => {}
        }
    }

    fn end_page(&mut self, shape: Shape<'_>, packer: &mut Packer) -> Result<(), HistoryError> {
        match self {
            Self::Text(leaf) | Self::Json(leaf, _) => leaf.end_page(shape, packer),
            Self::Int(leaf) => leaf.end_page(shape, packer),
            Self::Double(leaf) => leaf.end_page(shape, packer),
            Self::Bool(leaf) => leaf.end_page(shape, packer),
            Self::Money { currency, units, nanos } => {
                currency.end_page(shape, packer)?;
                units.end_page(shape, packer)?;
                nanos.end_page(shape, packer)
            }
        }
    }

    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        match self {
            Self::Text(leaf) | Self::Json(leaf, _) => leaf.end_group(packer, group),
            Self::Int(leaf) => leaf.end_group(packer, group),
            Self::Double(leaf) => leaf.end_group(packer, group),
            Self::Bool(leaf) => leaf.end_group(packer, group),
            Self::Money { currency, units, nanos } => {
                currency.end_group(packer, group)?;
                units.end_group(packer, group)?;
                nanos.end_group(packer, group)
            }
        }
    }
}

/// A map per row from keys to values of one kind; empty where a row has none.
pub(crate) struct MapColumn {
    keys: Leaf<Dictionary>,
    values: OfKind,
    /// Per entry or empty map, 0 if it begins a row.
    repetition: Vec<u8>,
    /// Per entry or empty map, 1 if it is an entry.
    definition: Vec<u8>,
    /// Rows of the page that have their levels. A map that is hardly used costs rows without an entry nothing.
    rows: usize,
    levels: Vec<u8>,
}

impl MapColumn {
    pub(crate) fn new(kind: Kind, next: NextLeaf<'_>) -> Result<Self, HistoryError> {
        Ok(Self {
            keys: Leaf::new(next()?, Dictionary::new(Entries::Text)),
            values: OfKind::new(kind, next)?,
            repetition: Vec::new(),
            definition: Vec::new(),
            rows: 0,
            levels: Vec::new(),
        })
    }

    /// Appends an entry to the page's row `row`; rows come in order.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, key: &[u8], value: &Value<'_>) {
        self.push_key(row, key);
        self.values.push(value);
    }

    /// Appends an entry of a map of texts.
    #[inline]
    pub(crate) fn push_text(&mut self, row: usize, key: &[u8], text: &[u8]) {
        if let OfKind::Text(leaf) = &mut self.values {
            leaf.values.push(text);
            self.push_key(row, key);
        }
    }

    #[inline]
    fn push_key(&mut self, row: usize, key: &[u8]) {
        let first = self.rows <= row;
        if first {
            self.fill(row);
            self.rows = row + 1;
        }
        self.repetition.push((!first).into());
        self.definition.push(1);
        self.keys.values.push(key);
    }

    /// Gives rows up to `row` without levels those of an empty map.
    #[inline]
    fn fill(&mut self, row: usize) {
        let empty = row - self.rows;
        self.repetition.resize(self.repetition.len() + empty, 0);
        self.definition.resize(self.definition.len() + empty, 0);
    }
}

impl Column for MapColumn {
    fn end_page(&mut self, rows: usize, packer: &mut Packer) -> Result<(), HistoryError> {
        self.levels.clear();
        let values = if self.rows == 0 {
            put_equal_levels(&mut self.levels, 0, rows);
            put_equal_levels(&mut self.levels, 0, rows);
            rows
        } else {
            self.fill(rows);
            put_levels(&mut self.levels, &self.repetition);
            put_levels(&mut self.levels, &self.definition);
            self.definition.len()
        };
        let shape = Shape { rows, values, levels: &self.levels };
        self.keys.end_page(shape, packer)?;
        self.values.end_page(shape, packer)?;
        self.repetition.clear();
        self.definition.clear();
        self.rows = 0;
        Ok(())
    }

    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        self.keys.end_group(packer, group)?;
        self.values.end_group(packer, group)
    }
}

/// The column of one property; null where a row has none of this kind.
pub(crate) struct PromotedColumn {
    property: Promoted,
    values: OfKind,
    set: Vec<u8>,
    levels: Vec<u8>,
}

impl PromotedColumn {
    pub(crate) fn new(property: Promoted, next: NextLeaf<'_>) -> Result<Self, HistoryError> {
        let values = OfKind::new(property.kind, next)?;
        Ok(Self { property, values, set: Vec::new(), levels: Vec::new() })
    }

    /// Takes the property for the page's row `row`, if it is this one and the row has none yet.
    #[inline]
    pub(crate) fn take(&mut self, row: usize, key: &[u8], value: &Value<'_>) -> bool {
        let mine = self.property.kind == Kind::of(value) && self.property.key.as_bytes() == key;
        if !mine || self.set.len() > row {
            return false;
        }
        self.set.resize(row, 0);
        self.set.push(1);
        self.values.push(value);
        true
    }
}

impl Column for PromotedColumn {
    fn end_page(&mut self, rows: usize, packer: &mut Packer) -> Result<(), HistoryError> {
        self.set.resize(rows, 0);
        self.levels.clear();
        put_levels(&mut self.levels, &self.set);
        self.set.clear();
        self.values.end_page(Shape { rows, values: rows, levels: &self.levels }, packer)
    }

    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        self.values.end_group(packer, group)
    }
}
