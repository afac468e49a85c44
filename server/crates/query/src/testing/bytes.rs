//! Events as they lie in records.

use footpath_model::props::PROPERTY_FIELD;
use footpath_model::wire::{put_bytes, put_uint};

use super::Told;

fn entry(out: &mut Vec<u8>, field: u32, key: &str, value: &[u8]) {
    let mut entry = Vec::new();
    put_bytes(&mut entry, 1, key.as_bytes());
    put_bytes(&mut entry, 2, value);
    put_bytes(out, field, &entry);
}

fn text(text: &str) -> Vec<u8> {
    let mut value = Vec::new();
    put_bytes(&mut value, 1, text.as_bytes());
    value
}

fn whole(number: i64) -> Vec<u8> {
    let mut value = Vec::new();
    put_uint(&mut value, 2, number.cast_unsigned());
    value
}

fn euros(units: i64) -> Vec<u8> {
    let (mut money, mut value) = (Vec::new(), Vec::new());
    put_bytes(&mut money, 1, b"EUR");
    put_uint(&mut money, 2, units.cast_unsigned());
    put_uint(&mut money, 3, 0); // As chunks give it back.
    put_bytes(&mut value, 5, &money);
    value
}

/// `Event.properties`, in the order in which chunks give them back.
pub(crate) fn properties(told: &Told) -> Vec<u8> {
    let mut out = Vec::new();
    told.page.iter().for_each(|page| entry(&mut out, PROPERTY_FIELD, "page", &text(page)));
    told.amount.iter().for_each(|amount| entry(&mut out, PROPERTY_FIELD, "amount", &whole(*amount)));
    told.price.iter().for_each(|price| entry(&mut out, PROPERTY_FIELD, "price", &euros(*price)));
    out
}

/// `Event.person` and `Event.groups`.
pub(crate) fn changes(told: &Told) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(plan) = &told.plan {
        let mut person = Vec::new();
        entry(&mut person, 1, "plan", &text(plan));
        put_bytes(&mut out, 13, &person);
    }
    if let Some(company) = &told.company {
        let (mut group, mut set) = (Vec::new(), Vec::new());
        put_bytes(&mut group, 1, b"company");
        put_bytes(&mut group, 2, company.as_bytes());
        told.seats.iter().for_each(|seats| entry(&mut set, 1, "seats", &whole(*seats)));
        put_bytes(&mut group, 3, &set);
        put_bytes(&mut out, 14, &group);
    }
    out
}

/// A batch's context.
pub(crate) fn context(os: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if !os.is_empty() {
        put_bytes(&mut out, 3, os.as_bytes());
    }
    out
}
