//! Groups hold every file once, and joined heads what their files hold.

use super::*;
use crate::testing::Rng;

fn file(day: i32, rows: u64) -> Arc<ChunkFile> {
    let json = serde_json::json!({
        "path": "", "project": 1, "day": day, "from": 0, "to": 1, "append_us": 0, "rows": rows, "min_time_us": 0, "max_time_us": 0,
        "min_actor": 0, "max_actor": 0, "identifies": 0, "bytes": 1, "crc32c": 0,
    });
    Arc::new(serde_json::from_value(json).unwrap())
}

#[test]
fn a_day_has_few_groups_and_a_new_file_changes_the_last_ones() {
    let files: Vec<_> = (0..23).map(|_| file(0, 1)).collect();
    let sizes =
        |count: usize| groups(files[..count].iter()).iter().map(|group| group.len()).collect::<Vec<_>>();
    assert_eq!((sizes(23), sizes(22), sizes(16)), (vec![16, 4, 2, 1], vec![16, 4, 2], vec![16]));
}

#[test]
fn every_file_is_in_a_group_of_its_day_that_is_not_too_large() {
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let files: Vec<_> =
            (0..rng.below(60)).map(|_| file(rng.below(3) as i32, 1 + rng.below(MOST_ROWS / 4 * 5))).collect();
        let groups = groups(files.iter());
        for day in 0..3 {
            let own = |file: &&Arc<ChunkFile>| file.day == day;
            let grouped = groups.iter().flat_map(|group| group.iter()).filter(own).map(Arc::as_ptr);
            assert!(grouped.eq(files.iter().filter(own).map(Arc::as_ptr)), "seed {seed}");
        }
        for group in &groups {
            assert!(group.iter().all(|file| file.day == group[0].day));
            assert!(group.len() == 1 || group.iter().map(|file| file.rows).sum::<u64>() <= MOST_ROWS);
        }
    }
}

/// An event of a file: actor, time, file, and which of the file's events it is.
type Event = (Place, i64, Origin, u32);

fn events(heads: &Heads) -> Vec<Event> {
    let rows = heads.file_rows();
    let of_run = |run: crate::heads::Run<'_>| {
        let rows: Vec<_> = (run.first as usize..).zip(run.times_us.iter().copied()).collect();
        rows.into_iter().map(move |(row, time_us)| (run.place, time_us, row))
    };
    let all = heads.runs().flat_map(of_run);
    all.map(|(place, time_us, row)| (place, time_us, heads.origin(row), rows[row])).collect()
}

#[test]
fn joined_heads_are_those_of_all_files_in_order() {
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let (mut expected, mut pieces) = (Vec::new(), Vec::new());
        for origin in 0..1 + rng.below(9) as Origin {
            let mut own: Vec<_> =
                (0..rng.below(12)).map(|_| (Place(rng.below(5)), rng.below(6) as i64)).collect();
            own.sort_unstable();
            let mut heads = Heads::default();
            own.iter().for_each(|(place, time_us)| heads.push(*place, *time_us));
            heads.finish();
            pieces.push((origin, Arc::new(heads)));
            expected.extend((0..).zip(own).map(|(row, (place, time_us))| (place, time_us, origin, row)));
        }
        expected.sort_unstable();
        let all = join(&pieces);
        assert_eq!(events(&all), expected, "seed {seed}");
        // Whatever was joined before.
        let from = rng.below(pieces.len() as u64) as usize;
        let to = from + rng.below((pieces.len() - from) as u64 + 1) as usize;
        let some: Vec<_> =
            pieces[from..to].iter().map(|(origin, heads)| (origin - from as Origin, heads.clone())).collect();
        if !some.is_empty() {
            pieces.splice(from..to, [(from as Origin, join(&some))]);
        }
        assert_eq!(events(&join(&pieces)), expected, "seed {seed}");
        assert!(pieces.len() > 1 || Arc::ptr_eq(&join(&pieces), &pieces[0].1));
    }
}
