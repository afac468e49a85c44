use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60 * SECOND_US;
const HOUR: i64 = 60 * MINUTE;
const BERLIN: &str = "Europe/Berlin";

fn us(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

/// Where buckets begin, as text, and the end of the last.
fn edges(from: &str, to: &str, unit: CalendarUnit, zone: &str) -> Vec<String> {
    let all = buckets(us(from), us(to), unit, zone).unwrap();
    let text = |us: i64| Timestamp::from_microsecond(us).unwrap().to_string();
    all.iter().map(|(from, _)| text(*from)).chain(all.last().map(|(_, to)| text(*to))).collect()
}

fn lengths(from: &str, to: &str, unit: CalendarUnit, zone: &str) -> Vec<i64> {
    let all = buckets(us(from), us(to), unit, zone).unwrap();
    all.iter().map(|(from, to)| (to - from) / MINUTE).collect()
}

#[test]
fn days_of_23_and_25_hours() {
    let spring = lengths("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", CalendarUnit::Day, BERLIN);
    assert_eq!(spring, [24 * 60, 23 * 60, 24 * 60]);
    let autumn = lengths("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", CalendarUnit::Day, BERLIN);
    assert_eq!(autumn, [24 * 60, 25 * 60, 24 * 60]);
}

#[test]
fn the_hour_that_comes_twice_is_two_buckets() {
    let (from, to) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    assert_eq!(lengths(from, to, CalendarUnit::Hour, BERLIN), [60; 25]);
    assert_eq!(lengths(from, to, CalendarUnit::Quarter, BERLIN), [15; 100]);
    assert_eq!(lengths(from, to, CalendarUnit::Minute, BERLIN), [1; 1500]);
}

#[test]
fn clocks_that_go_back_by_half_an_hour() {
    // Lord Howe: 02:00 becomes 01:30 again at 15:00 UTC.
    let hours =
        lengths("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z", CalendarUnit::Hour, "Australia/Lord_Howe");
    assert_eq!(hours, [60, 30, 60]);
}

#[test]
fn zones_off_by_30_and_45_minutes() {
    let kolkata = edges("2026-11-24T18:30:00Z", "2026-11-25T00:00:00Z", CalendarUnit::Hour, "Asia/Kolkata");
    assert_eq!(kolkata[1], "2026-11-24T19:30:00Z");
    let kathmandu =
        edges("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z", CalendarUnit::Day, "Asia/Kathmandu");
    assert_eq!(kathmandu, ["2026-11-24T00:00:00Z", "2026-11-24T18:15:00Z", "2026-11-25T00:00:00Z"]);
}

#[test]
fn a_day_that_begins_at_one() {
    let beirut = edges("2026-03-27T22:00:00Z", "2026-03-29T21:00:00Z", CalendarUnit::Day, "Asia/Beirut");
    assert_eq!(beirut, ["2026-03-27T22:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]);
}

#[test]
fn a_skipped_day_has_no_bucket() {
    let apia = edges("2011-12-29T10:00:00Z", "2012-01-01T10:00:00Z", CalendarUnit::Day, "Pacific/Apia");
    let expected =
        ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z"];
    assert_eq!(apia, expected);
}

#[test]
fn clocks_that_go_back_over_midnight() {
    // St. John's, 2006-10-29: 00:01 becomes 23:01 of the day before; both belong to the new day.
    let days = edges("2006-10-28T02:30:00Z", "2006-10-31T03:30:00Z", CalendarUnit::Day, "America/St_Johns");
    let expected =
        ["2006-10-28T02:30:00Z", "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z", "2006-10-31T03:30:00Z"];
    assert_eq!(days, expected);
    let hours =
        lengths("2006-10-29T02:00:00Z", "2006-10-29T04:00:00Z", CalendarUnit::Hour, "America/St_Johns");
    assert_eq!(hours, [30, 1, 59, 30]);
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    let weeks = edges("2026-10-19T22:00:00Z", "2026-11-02T12:00:00Z", CalendarUnit::Week, BERLIN);
    assert_eq!(
        weeks,
        ["2026-10-19T22:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z", "2026-11-02T12:00:00Z"]
    );
    let months = edges("2026-01-31T23:00:00Z", "2026-04-01T00:00:00Z", CalendarUnit::Month, BERLIN);
    assert_eq!(
        months,
        ["2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "2026-04-01T00:00:00Z"]
    );
}

#[test]
fn what_cannot_be_answered_is_said() {
    let minutes = |to_us| buckets(0, to_us, CalendarUnit::Minute, "");
    assert_eq!(minutes(10_000 * MINUTE).unwrap().len(), MAX_BUCKETS);
    assert_eq!(minutes(10_000 * MINUTE + 1), Err(CalendarError::TooMany(CalendarUnit::Minute)));
    assert_eq!(minutes(0), Err(RangeError::Empty { from_us: 0, to_us: 0 }.into()));
    assert!(matches!(buckets(i64::MIN, i64::MAX, CalendarUnit::Month, ""), Err(CalendarError::Time(_))));
    assert!(matches!(buckets(i64::MIN, i64::MAX, CalendarUnit::Hour, ""), Err(CalendarError::Time(_))));
    let nowhere = buckets(0, 1, CalendarUnit::Day, "Europe/Atlantis");
    assert_eq!(nowhere, Err(RangeError::TimeZone("Europe/Atlantis".into()).into()));
}

#[test]
fn every_offset_since_1980_is_a_multiple_of_a_quarter() {
    // The last other ones were Monrovia (-0:44:30, until 1972) and Kiritimati (-10:40, until 1979).
    let (start, end) = ("1980-01-01T00:00:00Z".parse::<Timestamp>().unwrap(), us("2112-01-01T00:00:00Z"));
    let mut zones = 0;
    for name in jiff::tz::db().available() {
        let zone = jiff::tz::db().get(name.as_str()).unwrap();
        zones += 1;
        assert_eq!(zone.to_offset(start).seconds() % 900, 0, "{name}");
        let later = zone.following(start).take_while(|at| at.timestamp().as_microsecond() < end);
        for transition in later {
            assert_eq!(transition.offset().seconds() % 900, 0, "{name} {}", transition.timestamp());
        }
    }
    assert!(zones > 400);
}

/// What a wall clock shows in this minute, cut to the unit; equal for neighbours in one bucket.
fn label(unit: CalendarUnit, zone: &TimeZone, time_us: i64) -> (i64, i32) {
    let time = Timestamp::from_microsecond(time_us).unwrap();
    let civil = zone.to_datetime(time);
    let date = civil.date();
    let days = |date: Date| i64::from(date.since(Date::ZERO).unwrap().get_days());
    let minutes = i64::from(civil.hour()) * 60 + i64::from(civil.minute());
    let short = |width: i64| (days(date) * 1440 + minutes / width * width, zone.to_offset(time).seconds());
    match unit {
        CalendarUnit::Minute => short(1),
        CalendarUnit::Quarter => short(15),
        CalendarUnit::Hour => short(60),
        CalendarUnit::Day => (days(date), 0),
        CalendarUnit::Week => (days(date) - i64::from(date.weekday().to_monday_zero_offset()), 0),
        CalendarUnit::Month => (days(date.first_of_month()), 0),
    }
}

/// Walks minute by minute. Dates never go back: what comes twice belongs to the later one.
fn walk(from_us: i64, to_us: i64, unit: CalendarUnit, zone: &TimeZone) -> Vec<(i64, i64)> {
    let dates = matches!(unit, CalendarUnit::Day | CalendarUnit::Week | CalendarUnit::Month);
    let mut edges = vec![from_us];
    // The newest date from a day before on: the walk may begin in what comes twice.
    let mut current = label(unit, zone, from_us);
    for back in 0..24 * 60 {
        let before = label(unit, zone, from_us - back * MINUTE);
        current = if dates { current.max(before) } else { current };
    }
    for time_us in (from_us..to_us).step_by(MINUTE as usize) {
        let next = label(unit, zone, time_us);
        let begins = if dates { next > current } else { next != current };
        if begins {
            current = next;
            edges.push(time_us);
        }
    }
    edges.push(to_us);
    edges.windows(2).map(|edge| (edge[0], edge[1])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn buckets_are_those_of_a_walk_minute_by_minute(
        zone in prop::sample::select(vec![
            "UTC", BERLIN, "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Asia/Beirut",
            "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kolkata",
        ]),
        near in 0_usize..200,
        before in 0_i64..60,
        hours in 1_i64..150,
        unit in prop::sample::select(vec![
            CalendarUnit::Minute, CalendarUnit::Quarter, CalendarUnit::Hour,
            CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month,
        ]),
    ) {
        let tz = zone_of(zone);
        let start = "1972-01-08T00:00:00Z".parse::<Timestamp>().unwrap();
        let transition = tz.following(start).nth(near).map_or(start, |at| at.timestamp());
        let from_us = (transition.as_microsecond() - before * HOUR).div_euclid(MINUTE) * MINUTE;
        let to_us = from_us + hours * HOUR;
        prop_assert_eq!(buckets(from_us, to_us, unit, zone).unwrap(), walk(from_us, to_us, unit, &tz));
    }
}

fn zone_of(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}
