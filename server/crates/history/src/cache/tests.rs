use super::*;

fn file(path: &str) -> Arc<ChunkFile> {
    let json = serde_json::json!({
        "path": path, "project": 1, "day": 0, "from": 0, "to": 1, "append_us": 0, "rows": 1, "min_time_us": 0, "max_time_us": 0,
        "min_actor": 0, "max_actor": 0, "identifies": 0, "bytes": 1, "crc32c": 0,
    });
    Arc::new(serde_json::from_value(json).unwrap())
}

/// A column of 1,000 bytes and which is which.
fn column(number: u128) -> Column {
    let mut ids = vec![number; (1000 - ENTRY_BYTES) / 16];
    ids.shrink_to_fit();
    Column::Ids(Arc::new(ids))
}

fn kept(cache: &ColumnCache, question: u64, file: &Arc<ChunkFile>) -> Option<u128> {
    match cache.get(question, std::slice::from_ref(file), &None, Kind::Ids)?.1 {
        Column::Ids(ids) => ids.first().copied(),
        Column::Heads(_) => None,
    }
}

fn put(cache: &ColumnCache, question: u64, file: &Arc<ChunkFile>, number: u128) {
    cache.put(question, std::slice::from_ref(file), &None, Kind::Ids, &column(number));
}

#[test]
fn what_was_used_least_recently_goes() {
    let cache = ColumnCache::new(3000);
    let files = ["a", "b", "c", "d"].map(file);
    for (number, file) in (0..).zip(&files[..3]) {
        put(&cache, cache.question(), file, number);
    }
    assert_eq!(kept(&cache, cache.question(), &files[0]), Some(0));
    put(&cache, cache.question(), &files[3], 3);
    let all = files.each_ref().map(|file| kept(&cache, 0, file));
    assert_eq!(all, [Some(0), None, Some(2), Some(3)]);
    assert_eq!(cache.bytes(), 3000);
}

#[test]
fn a_question_pushes_out_nothing_of_its_own() {
    let cache = ColumnCache::new(3000);
    let files: Vec<_> = (0..9).map(|i| file(&i.to_string())).collect();
    for _ in 0..2 {
        let question = cache.question();
        for (number, file) in (0..).zip(&files) {
            if kept(&cache, question, file).is_none() {
                put(&cache, question, file, number);
            }
        }
        let all: Vec<_> = files.iter().filter_map(|file| kept(&cache, 0, file)).collect();
        assert_eq!(all, [0, 1, 2], "what came first is found the next time");
    }
}

#[test]
fn a_file_under_an_old_path_is_another_one() {
    let cache = ColumnCache::new(3000);
    let (old, new) = (file("a"), file("a"));
    put(&cache, cache.question(), &old, 1);
    assert_eq!(kept(&cache, 0, &new), None);
    put(&cache, cache.question(), &new, 2);
    assert_eq!((kept(&cache, 0, &old), kept(&cache, 0, &new)), (Some(1), Some(2)));
}

#[test]
fn files_that_are_gone_go_first() {
    let cache = ColumnCache::new(3000);
    let (gone, old) = (file("gone"), file("old"));
    put(&cache, cache.question(), &old, 1);
    put(&cache, cache.question(), &gone, 2);
    drop(gone);
    let more = ["c", "d"].map(file);
    more.iter().for_each(|file| put(&cache, cache.question(), file, 3));
    assert_eq!(kept(&cache, 0, &old), Some(1));
    assert_eq!(cache.bytes(), 3000);
}

#[test]
fn the_same_twice_counts_once_and_what_is_too_large_is_not_kept() {
    let cache = ColumnCache::new(2000);
    let one = file("a");
    put(&cache, cache.question(), &one, 1);
    put(&cache, cache.question(), &one, 2);
    assert_eq!((cache.bytes(), kept(&cache, 0, &one)), (1000, Some(2)));
    put(&ColumnCache::new(999), 1, &one, 1);
    let none = ColumnCache::new(0);
    put(&none, none.question(), &one, 1);
    assert_eq!((none.bytes(), kept(&none, 0, &one)), (0, None));
}

#[test]
fn a_group_takes_the_place_of_its_parts() {
    let cache = ColumnCache::new(3000);
    let mut files: Vec<_> = (0..4).map(|i| file(&i.to_string())).collect();
    let get = |files: &[Arc<ChunkFile>]| cache.get(1, files, &None, Kind::Ids).map(|(count, _)| count);
    put(&cache, 1, &files[0], 1);
    put(&cache, 1, &files[1], 2);
    assert_eq!(get(&files), Some(1), "the first file alone");
    cache.put(1, &files[..3], &None, Kind::Ids, &column(3));
    assert_eq!((get(&files), get(&files[..3]), get(&files[1..])), (Some(3), Some(3), None));
    assert_eq!(get(&files[..2]), None, "it has more files than these");
    assert_eq!(get(&[files[0].clone(), files[1].clone(), file("2")]), None, "another file under an old path");
    put(&cache, 1, &files[0], 4);
    assert_eq!((get(&files), cache.bytes()), (Some(3), 1000), "the larger one stays");
    drop(files.split_off(2));
    put(&cache, 1, &files[0], 4);
    assert_eq!((get(&files), cache.bytes()), (Some(1), 1000), "as long as it can be asked for");
}
