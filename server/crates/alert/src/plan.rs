//! Which buckets of a rule are over.

use footpath_engine::alert::{Judged, RuleFold, RuleState, window};
use footpath_model::alert::CountedRule;
use footpath_model::calendar::{self, buckets};

/// A bucket: from inclusive, to exclusive, and its beginning on the wall clock as if that were UTC; microseconds since 1970.
pub(crate) type Bucket = (i64, i64, i64);

/// Most buckets of one rule that are judged at a time, after the server was down.
pub(crate) const CATCH_UP: usize = 200;
/// Older buckets than this are not judged any more, microseconds: a day, or two buckets.
const TOO_OLD_US: i64 = 86_400_000_000;

/// The buckets of a rule that are to be judged now: everything that came before `processed_us` is counted.
pub(crate) fn due(fold: &RuleFold, processed_us: i64) -> Vec<Bucket> {
    if fold.state() != RuleState::Judging {
        return Vec::new();
    }
    let rule = &fold.counted;
    let width_us = rule.definition.every.usual_us();
    let upto_us = processed_us.saturating_sub(rule.definition.delay_us);
    // Cheap to say, and nearly always so.
    if upto_us < fold.last_us.saturating_add(width_us / 2) {
        return Vec::new();
    }
    let oldest_us = upto_us - TOO_OLD_US.max(2 * width_us);
    let from_us = if fold.last_us < oldest_us { start_of(rule, oldest_us) } else { fold.last_us };
    cut(rule, from_us, upto_us, CATCH_UP)
}

/// Most buckets that a question to stored events may have.
pub(crate) const MOST_BUCKETS: i64 = footpath_model::calendar::MAX_BUCKETS as i64 - 200;

/// The buckets between two moments that are over at the second, the first `most` of them.
pub(crate) fn cut(rule: &CountedRule, from_us: i64, upto_us: i64, most: usize) -> Vec<Bucket> {
    let unit = rule.definition.every;
    let horizon_us = upto_us.min(from_us.saturating_add(unit.usual_us().saturating_mul(2 * most as i64)));
    // One moment more, so that the last one is cut only if it is not over.
    let Ok(spans) = buckets(from_us, horizon_us.saturating_add(1), unit, &rule.zone) else {
        return Vec::new();
    };
    let over = spans.into_iter().filter(|span| span.1 <= upto_us && is_whole(rule, *span));
    over.take(most).map(|(from_us, to_us)| (from_us, to_us, local_us(rule, from_us))).collect()
}

fn local_us(rule: &CountedRule, us: i64) -> i64 {
    calendar::wall_clock_us(us, &rule.zone).unwrap_or(us)
}

/// Whether a bucket ends where buckets end, and was not cut by the edge of what was asked for.
fn is_whole(rule: &CountedRule, (_, to_us): (i64, i64)) -> bool {
    start_of(rule, to_us) == to_us
}

/// The time that a problem is made of which is found in a bucket: it, those before it that had to be problems too, and the window of the channel that speaks.
pub(crate) fn explained(rule: &CountedRule, judged: &Judged) -> (i64, i64) {
    let before = rule.definition.for_buckets() + window(judged.channel) - 2;
    (judged.from_us - i64::from(before) * rule.definition.every.usual_us(), judged.to_us)
}

/// The beginning of the bucket that a moment lies in.
pub(crate) fn start_of(rule: &CountedRule, us: i64) -> i64 {
    calendar::start_of(us, rule.definition.every, &rule.zone).unwrap_or(us)
}

/// The bucket that one is compared with: the one before, or the same so many days earlier.
pub(crate) fn earlier(rule: &CountedRule, (from_us, to_us, _): Bucket, days: Option<i32>) -> (i64, i64) {
    let Some(days) = days else { return (start_of(rule, from_us - 1), from_us) };
    let back = |us| {
        let usual_us = us - i64::from(days) * 86_400_000_000;
        calendar::days_before(us, days, &rule.zone).unwrap_or(usual_us)
    };
    (back(from_us), back(to_us))
}
