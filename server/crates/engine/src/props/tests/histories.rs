//! Histories of two actors, in any order of arrival, then joined.

use super::naive::{Done, in_order, moment, moments, operation, value_at};
use super::*;

/// What a history must say. Where it has forgotten, so much came later.
fn check(found: &History, done: &[Done], limit: usize) {
    for moment in moments() {
        match found.value_at(moment) {
            Ok(value) => assert_eq!(value.map(Cow::into_owned), value_at(done, moment), "at {moment:?}"),
            Err(Forgotten) => {
                let later = in_order(done).iter().filter(|done| done.0 > moment).count();
                assert!(later + 2 >= limit, "{later} operations came later and {limit} are kept");
            }
        }
    }
    assert_eq!(found.current().map(Cow::into_owned), value_at(done, Moment::LAST));
}

fn rebuilt(limit: usize, done: &[Done]) -> History {
    History::rebuild(limit, done.iter().cloned())
}

fn through_bytes(history: &History) -> History {
    let mut bytes = Vec::new();
    history.encode(&mut bytes);
    let whole = bytes.clone();
    bytes.push(7);
    let mut rest = bytes.as_slice();
    let again = History::decode(&mut rest).unwrap();
    assert_eq!((&again, rest), (history, &[7][..]));
    assert_eq!(History::decode(&mut &whole[..whole.len() - 1]), Err(BadProperties));
    again
}

/// Applies one operation, and checks what the history says of it.
fn apply(history: &mut History, done: &mut Vec<Done>, limit: usize, one: &Done) {
    let before: Vec<_> = moments().map(|moment| value_at(done, moment)).collect();
    done.push(one.clone());
    let mut differs = moments().filter(|moment| {
        let at = moments().position(|other| other == *moment).unwrap();
        before[at] != value_at(done, *moment)
    });
    match history.apply(limit, one.0, one.1.clone()) {
        HistoryChange::Changed { from } => assert_eq!(differs.next(), Some(from)),
        HistoryChange::Unchanged => assert_eq!(differs.next(), None),
        HistoryChange::Duplicate => assert_eq!(in_order(done).len(), in_order(&done[..done.len() - 1]).len()),
        HistoryChange::NeedsRefold => *history = rebuilt(limit, done),
    }
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_values_of_the_definition(
        arrivals in prop::collection::vec((any::<bool>(), moment(), operation(), 0_u8..8), 0..24),
        limit in 1_usize..28,
    ) {
        // An event is one actor's.
        let mut done: [Vec<Done>; 2] = Default::default();
        let mut histories: [History; 2] = Default::default();
        for (_, moment, operation, image) in arrivals {
            let actor = usize::from(moment.time_us % 2 == 0);
            apply(&mut histories[actor], &mut done[actor], limit, &(moment, operation));
            if image == 0 {
                histories[actor] = through_bytes(&histories[actor]);
            }
            check(&histories[actor], &done[actor], limit);
        }
        let both = done.concat();
        let merged = History::merge(limit, &histories[0], &histories[1]);
        if limit >= both.len() {
            prop_assert!(merged.is_ok());
        }
        check(&merged.unwrap_or_else(|Forgotten| rebuilt(limit, &both)), &both, limit);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, done in (moment(), operation())) {
        if let Ok(mut history) = History::decode(&mut bytes.as_slice()) {
            history.apply(3, done.0, done.1);
        }
        let mut versioned = vec![FORMAT];
        versioned.extend(bytes.iter().map(|byte| byte % 8));
        for bytes in [&bytes, &versioned] {
            if let Ok(book) = PropertyBook::decode(&mut bytes.as_slice()) {
                book.encode(&mut Vec::new());
            }
        }
    }
}
