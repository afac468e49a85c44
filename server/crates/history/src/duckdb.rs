//! DuckDB reads the files as they lie there.

use std::process::Command;
use std::sync::Arc;

use footpath_log::{Log, MemoryLog};
use footpath_model::id::EventId;
use footpath_proto::v1 as pb;
use pb::value::Kind;

use crate::schema::{self, Promoted};
use crate::testing::{self, DAY_US, Event, NOW_US};
use crate::tree::TreeDisk;

const SKIP: &str = "FOOTPATH_SKIP_DUCKDB";
const QUERY: &str = "
import duckdb, sys
row = duckdb.connect().execute(f'''
  select count(*), epoch_us(min(event_time)), epoch_us(max(event_time)), count(distinct day),
    max(props_string['page']), sum(props_money['total'].units), sum(p_quantity_int),
    max(props_json['tags']), max(context->>'app'), max(hex(event_id)), count(user_id), count(distinct actor_hash),
    count(*) filter (coalesce(context->>'environment', 'prod') = 'prod')
  from read_parquet('{sys.argv[1]}/1/*/*.parquet', hive_partitioning = true)''').fetchall()[0]
print('|'.join(str(value) for value in row))
";

fn event(i: u64) -> Event {
    let list =
        pb::ListValue { values: vec![value(Kind::StringValue("a".into())), value(Kind::DoubleValue(1.0))] };
    let money = pb::Money { currency: "EUR".into(), units: i as i64, nanos: 5 };
    let properties = [
        ("page", Kind::StringValue(format!("/{i:03}"))),
        ("total", Kind::MoneyValue(money)),
        ("quantity", Kind::IntValue(2)),
        ("tags", Kind::ListValue(list)),
    ];
    let properties = properties.into_iter().map(|(key, kind)| (key.to_owned(), value(kind)));
    Event {
        name: "buy".into(),
        user_id: format!("u{}", i % 7),
        time_us: NOW_US + (i % 3) as i64 * DAY_US + i as i64,
        message: pb::Event { properties: properties.collect(), ..pb::Event::default() },
        ..Event::default()
    }
}

fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn python(arguments: &[&str]) -> Option<String> {
    let output = Command::new("python3").args(arguments).output().ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || told.contains("ModuleNotFoundError"), "{told}");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn duckdb_reads_the_files_as_they_lie_there() {
    if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
        println!("skipped: DuckDB does not read the chunks ({SKIP}=1)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(TreeDisk::open(folder.path()).unwrap());
    for batch in 1..=3 {
        let events: Vec<_> = (0..30).map(|i| event((batch - 1) * 30 + i)).collect();
        testing::append(&log, testing::frame(1, batch, &events));
    }
    testing::append(&log, testing::frame(2, 4, &[event(0)]));
    let promoted = [Promoted { key: "quantity".into(), kind: schema::Kind::Int }];
    testing::flush(&mut testing::builder(&log, &chunks, &promoted), &log);
    assert_eq!(log.durable_end(), 4);
    let folder = folder.path().to_string_lossy();
    let answer = python(&["-c", QUERY, &folder]).unwrap_or_else(|| {
        panic!("this test needs DuckDB for Python: run `python3 -m pip install duckdb`, or set {SKIP}=1 to skip it")
    });
    let (first, last) = (NOW_US, NOW_US + 2 * DAY_US + 89);
    let units: u64 = (0..90).sum();
    let ids = (1..=3_u64).map(|batch| EventId::derived(&batch.to_le_bytes(), 58));
    let greatest = ids.max().unwrap().to_string().replace('-', "").to_uppercase();
    let wanted = format!("90|{first}|{last}|3|/089|{units}|180|[\"a\",1.0]|shop|{greatest}|90|7|30");
    assert_eq!(answer, wanted);
}
