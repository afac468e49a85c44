use footpath_engine::lens::PropertyRead;
use footpath_model::wire::{put_bytes, put_fixed64};

use super::*;

const NOW: Progress = Progress { position: 7, processed_us: 0 };
const PERSON: ActorKey = ActorKey(1);

fn read(key: &str) -> PropertyRead {
    PropertyRead { owner: Owner::Person, key: key.into(), current: false }
}

/// `Event.person` that adds 1.
fn add(key: &str) -> Vec<u8> {
    let (mut entry, mut changes, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut entry, 1, key.as_bytes());
    put_fixed64(&mut entry, 2, 1.0_f64.to_bits());
    put_bytes(&mut changes, 4, &entry);
    put_bytes(&mut out, 13, &changes);
    out
}

/// Takes additions at these times.
fn take(book: &mut Book, key: &str, times: &[i64]) -> Vec<Corrected> {
    let identity = IdentityGraph::new();
    times.iter().flat_map(|time| book.take(PERSON, (*time, 0), &add(key), &identity, NOW)).collect()
}

fn current(book: &Book, key: &str) -> Option<PropertyValue> {
    let known = book.known().read();
    known.current(PERSON.0, known.key(&Owner::Person, key)?).map(Cow::into_owned)
}

#[test]
fn what_changed_is_told_with_the_time_from_which_on_it_did() {
    let mut book = Book::new("shop");
    book.want(&[read("visits")]);
    let [first, late] = &take(&mut book, "visits", &[10, 5])[..] else { panic!("two changes") };
    assert_eq!((first.from_us, first.current, first.since), (10, true, NOW));
    assert_eq!((late.from_us, late.current, late.of.as_slice()), (5, true, &[PERSON.0][..]));
    assert!(take(&mut book, "nobody reads it", &[10]).is_empty());
}

#[test]
fn readings_are_of_no_use_once_keys_have_other_numbers() {
    let mut book = Book::new("shop");
    book.want(&[read("visits")]);
    take(&mut book, "visits", &[10, 20, 30, 40, 5]);
    assert_eq!(book.complete(Progress { position: 9, processed_us: 0 }), NOW);
    let (identity, known) = (IdentityGraph::new(), Arc::clone(book.known()));
    let context = Context { project: 1, identity: &identity, known: &known };
    assert!(book.begin_reading(1, NOW, &context).is_some());
    let mut rebuilt = known.read().emptied(OPERATIONS);
    let id = rebuilt.keys().next().unwrap().0;
    rebuilt.apply(PERSON.0, id, Moment::new(5, 0), PropertyOperation::Add(5.0));
    let brought =
        |book: &PropertyBook| Box::new(vec![(vec![Entity::Person(PERSON.0)], book.clone())]) as Brought;
    book.keep(&[]);
    book.want(&[read("plan")]);
    assert_eq!(known.read().key(&Owner::Person, "plan"), Some(id), "it has the other's number");
    assert!(book.read(1, brought(&rebuilt), &identity).is_empty());
    assert_eq!(current(&book, "plan"), None);
    // The next one is.
    assert!(book.begin_reading(2, NOW, &context).is_some());
    assert_eq!(book.read(2, brought(&rebuilt), &identity).len(), 1);
    assert_eq!(current(&book, "plan"), Some(PropertyValue::Int(5)));
    assert!(book.all_stale().iter().all(Vec::is_empty));
}
