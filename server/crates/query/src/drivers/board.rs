//! What was counted, by dimension, value and side.

use std::collections::HashMap;

use footpath_engine::ActorKey;
use footpath_engine::attribution::{Amount, Numbers, Slice};
use footpath_engine::metric::{Ordinals, Uniques};

use super::Side;
use crate::SliceValue;

/// Values of a dimension that are kept apart. Whoever explains a change has to have a tenth of it: with more values than that
/// each is small, and who is large comes early.
const MOST_VALUES: usize = if cfg!(test) { 8 } else { 1_000 };

/// Above or below the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Line {
    Above,
    Below,
}

/// Where a number goes: the value's number in each of the dimensions.
pub(super) type Places = [u32];

/// The sheet of what has no currency and no other unit: it belongs to each of the others.
pub(super) const COMMON: usize = 0;

/// Numbers by dimension and value, on sheets that are not mixed: one for each currency.
#[derive(Debug)]
pub(super) struct Board {
    dimensions: Vec<Dimension>,
    sheets: Vec<Sheet>,
    /// Distinct persons of the span that is being counted, by line, dimension and value.
    persons: HashMap<(Line, usize, u32), Uniques>,
    ordinals: Ordinals,
}

/// The values of a dimension, numbered.
#[derive(Debug, Default)]
struct Dimension {
    numbers: HashMap<Option<String>, u32>,
    names: Vec<SliceValue>,
    other: Option<u32>,
}

/// Numbers by dimension and value.
type Sheet = Vec<Vec<[Numbers; 2]>>;

impl Board {
    pub(super) fn new(dimensions: usize) -> Self {
        let mut board = Self {
            dimensions: std::iter::repeat_with(Dimension::default).take(dimensions).collect(),
            sheets: Vec::new(),
            persons: HashMap::new(),
            ordinals: Ordinals::default(),
        };
        board.add_sheet(); // The common one.
        board
    }

    /// Another sheet; says which it is.
    pub(super) fn add_sheet(&mut self) -> usize {
        self.sheets.push(vec![Vec::new(); self.dimensions.len()]);
        self.sheets.len() - 1
    }

    /// The numbers of values, one for each dimension.
    pub(super) fn places(&mut self, texts: impl Iterator<Item = Option<String>>) -> Vec<u32> {
        self.dimensions.iter_mut().zip(texts).map(|(own, text)| own.number(text)).collect()
    }

    /// The numbers of what is not kept apart.
    pub(super) fn others(&mut self) -> Vec<u32> {
        self.dimensions.iter_mut().map(Dimension::other).collect()
    }

    /// Counts a number under values.
    pub(super) fn add(&mut self, sheet: usize, places: &Places, (side, line): (Side, Line), number: f64) {
        for (own, place) in self.sheets[sheet].iter_mut().zip(places) {
            amount(own, *place, side, line).add(number);
        }
    }

    /// Counts a person under values, once in a span: [`Board::end_span`] adds them up.
    pub(super) fn add_person(&mut self, places: &Places, line: Line, person: u64) {
        let ordinal = self.ordinals.ordinal(ActorKey(person));
        for (dimension, place) in places.iter().enumerate() {
            let set = self.persons.entry((line, dimension, *place)).or_default();
            set.add(ordinal, &self.ordinals);
        }
    }

    /// Adds up the distinct persons of a span, and forgets who they were.
    pub(super) fn end_span(&mut self, side: Side) {
        for ((line, dimension, place), persons) in self.persons.drain() {
            let own = &mut self.sheets[COMMON][dimension];
            *amount(own, place, side, line) += Amount::count(persons.count());
        }
        self.ordinals = Ordinals::default();
    }

    /// The values of each dimension with the numbers of a sheet, and what is common.
    pub(super) fn into_slices(self, sheet: usize) -> Vec<Vec<Slice>> {
        let Self { dimensions, sheets, .. } = self;
        let of = |at: usize, dimension: usize, place: usize, side: usize| {
            sheets[at][dimension].get(place).map_or_else(Numbers::default, |sides| sides[side])
        };
        let numbers = |dimension: usize, place: usize, side: usize| {
            let mut sum = of(COMMON, dimension, place, side);
            if sheet != COMMON {
                let more = of(sheet, dimension, place, side);
                sum.above += more.above;
                sum.below += more.below;
            }
            sum
        };
        let slice = |dimension: usize, (place, value): (usize, SliceValue)| Slice {
            value,
            before: numbers(dimension, place, 0),
            after: numbers(dimension, place, 1),
        };
        let all = dimensions.into_iter().enumerate();
        all.map(|(at, own)| own.names.into_iter().enumerate().map(|named| slice(at, named)).collect())
            .collect()
    }
}

impl Dimension {
    fn number(&mut self, text: Option<String>) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        if self.numbers.len() >= MOST_VALUES && text.is_some() {
            return self.other();
        }
        let number = push(&mut self.names, text.clone().map_or(SliceValue::NotSet, SliceValue::Is));
        self.numbers.insert(text, number);
        number
    }

    fn other(&mut self) -> u32 {
        *self.other.get_or_insert_with(|| push(&mut self.names, SliceValue::Other))
    }
}

fn push(names: &mut Vec<SliceValue>, value: SliceValue) -> u32 {
    names.push(value);
    names.len() as u32 - 1
}

fn amount(own: &mut Vec<[Numbers; 2]>, place: u32, side: Side, line: Line) -> &mut Amount {
    let place = place as usize;
    if own.len() <= place {
        own.resize(place + 1, Default::default());
    }
    let Numbers { above, below } = &mut own[place][usize::from(side == Side::After)];
    if line == Line::Above { above } else { below }
}
