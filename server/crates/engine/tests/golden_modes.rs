//! Golden vectors of the general kernel: what the peers' documents say about their funnels. They are contracts: if one turns
//! red, a published number changes its meaning.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use footpath_engine::SessionRules;
use footpath_engine::by_session::{BySession, BySessionRules, fold_by_session};
use footpath_engine::general::{
    Attempt, Change, Counting, Entry, Exclusion, FunnelEvent, GeneralPerson, GeneralRules, OnExclusion,
    Options, Order, Parts, Ties, Window, WindowFunnelModes, fold_general,
};

const MINUTE: i64 = 60_000_000;
const A: u32 = 0b0001;
const B: u32 = 0b0010;
const C: u32 = 0b0100;
const D: u32 = 0b1000;
/// Matches the first exclusion and no step.
const X: u32 = 1 << 31;
/// Matches nothing.
const OTHER: u32 = 0;

const NOBODY: [usize; 0] = [];

/// Events at minutes, with ids in the order given.
fn events(at: &[(i64, u32)]) -> Vec<FunnelEvent> {
    let event = |(id, &(minute, steps)): (usize, &(i64, u32))| FunnelEvent {
        time_us: minute * MINUTE,
        id: id as u128,
        steps: steps & !X,
        exclusions: u16::from(steps & X != 0),
        part: 1,
        value: 0,
    };
    at.iter().enumerate().map(event).collect()
}

fn hour(hour: i64, minute: i64) -> i64 {
    hour * 60 + minute
}

/// Rules with a window of one hour.
fn rules(steps: usize, change: impl FnOnce(&mut Options)) -> GeneralRules {
    let mut options = Options::new(steps, 60 * MINUTE);
    change(&mut options);
    GeneralRules::new(options).unwrap()
}

/// The attempts, after checking that the batch fold and live states agree, in order and backwards.
fn attempts(rules: &GeneralRules, events: &[FunnelEvent]) -> Vec<Attempt> {
    let from_us = rules.options().from_us;
    let batch = fold_general(rules, from_us, events.iter().copied());
    let mut backwards = GeneralPerson::new(rules, from_us);
    for event in events.iter().rev() {
        assert_ne!(backwards.apply(rules, *event), Change::NeedsRefold);
    }
    assert_eq!(backwards.attempts(rules, from_us), batch);
    let mut person = GeneralPerson::rebuild(rules, from_us, events.iter().copied());
    assert_eq!(person.attempts(rules, from_us), batch);
    batch
}

/// The steps reached by each attempt.
fn depths(rules: &GeneralRules, at: &[(i64, u32)]) -> Vec<usize> {
    attempts(rules, &events(at)).iter().map(|attempt| attempt.depth(rules)).collect()
}

fn first(options: &mut Options) {
    options.entry = Entry::First;
}

fn totals(options: &mut Options) {
    (options.entry, options.counting) = (Entry::First, Counting::Conversions);
}

fn excluding(options: &mut Options) {
    options.exclusions = vec![Exclusion { after_step: 0, before_step: 1 }];
}

fn preset(steps: usize, modes: WindowFunnelModes) -> GeneralRules {
    rules(steps, |options| options.window_funnel = Some(modes))
}

/// <https://docs.mixpanel.com/docs/reports/funnels/funnels-advanced>, conversion window: the window begins with the first A, and a
/// later one does not move it.
#[test]
fn mixpanel_counts_from_the_first_entry() {
    let vector = [(hour(13, 0), A), (hour(13, 30), A), (hour(13, 45), B), (hour(14, 15), C)];
    assert_eq!(depths(&rules(3, first), &vector), [2]);
    assert_eq!(depths(&rules(3, |_| {}), &vector), [3]);
}

/// The same page, optimized re-entry: an entry after the first one's window, or within it, may convert; the most recent one before
/// step 2 is the one that counts.
#[test]
fn mixpanel_optimized_re_entry_is_the_latest_entry() {
    let latest = rules(2, |_| {});
    for vector in [[(0, A), (61, A), (70, B)], [(0, A), (30, A), (61, B)]] {
        assert_eq!(depths(&latest, &vector), [2]);
        assert_eq!(depths(&rules(2, first), &vector), [1]);
    }
    let three = attempts(&latest, &events(&[(0, A), (10, A), (20, A), (30, B)]));
    assert_eq!((three[0].entry_us, three[0].reached_us(1)), (20 * MINUTE, Some(30 * MINUTE)));
    assert_eq!(depths(&latest, &[(0, A), (10, B), (20, A), (30, B)]), [2]);
}

/// <https://help.mixpanel.com/hc/en-us/articles/360029190092-Conversion-Details-in-Funnels>, totals: one enters again after the window
/// ran out, after a conversion, or after an exclusion.
#[test]
fn mixpanel_totals_count_every_entry() {
    let totals = rules(2, totals);
    assert_eq!(depths(&totals, &[(0, A), (10, B), (20, A), (30, B)]), [2, 2]);
    assert_eq!(depths(&totals, &[(0, A), (10, A), (61, A), (70, B)]), [1, 2]);
    let with_exclusion = rules(2, |options| {
        self::totals(options);
        excluding(options);
    });
    assert_eq!(depths(&with_exclusion, &[(0, A), (10, X), (20, A), (30, B)]), [1, 2]);
    // What excludes may be a step 1 itself: it ends one attempt and begins the next.
    assert_eq!(depths(&with_exclusion, &[(0, A), (10, A | X), (30, B)]), [1, 2]);
}

/// <https://github.com/PostHog/posthog/pull/4890>, step order: sequential lets anything happen between steps, strict nothing, any
/// order does not look at it.
#[test]
fn posthog_step_orders() {
    let strict = rules(2, |options| options.order = Order::Strict);
    let any = rules(2, |options| options.order = Order::Any { anchored: false });
    let between = [(0, A), (10, OTHER), (20, B)];
    assert_eq!(depths(&rules(2, |_| {}), &between), [2]);
    assert_eq!(depths(&strict, &between), [1]);
    assert_eq!(depths(&strict, &[(0, OTHER), (5, A), (20, B), (30, OTHER)]), [2]);
    assert_eq!(depths(&any, &[(0, B), (10, OTHER), (20, A)]), [2]);
    assert_eq!(depths(&any, &[(0, B), (61, A)]), [1]);
    assert_eq!(depths(&any, &[(0, B), (10, B)]), [1]);
}

/// <https://github.com/PostHog/posthog/issues/5553>: who did the excluded event between the steps is removed from the whole funnel;
/// elsewhere the same page's funnels only break the attempt.
#[test]
fn posthog_exclusions_drop_the_person() {
    let drops = rules(2, |options| {
        excluding(options);
        options.on_exclusion = OnExclusion::DropPerson;
    });
    let breaks = rules(2, excluding);
    assert_eq!(depths(&drops, &[(0, A), (10, X), (20, B)]), NOBODY);
    assert_eq!(depths(&breaks, &[(0, A), (10, X), (20, B)]), [1]);
    // Neither before step 1, nor after step 2, nor once the window is over.
    for vector in [[(0, X), (10, A), (20, B)], [(0, A), (10, B), (20, X)]] {
        assert_eq!((depths(&drops, &vector), depths(&breaks, &vector)), (vec![2], vec![2]));
    }
    assert_eq!(depths(&drops, &[(0, A), (61, X)]), [1]);
    assert_eq!(depths(&drops, &[(0, A), (10, X), (20, A), (30, B)]), NOBODY);
    assert_eq!(depths(&breaks, &[(0, A), (10, X), (20, A), (30, B)]), [2]);
}

/// <https://github.com/PostHog/posthog/issues/5074>: two searches and a movie are no conversion if a search between the
/// steps excludes.
#[test]
fn posthog_a_step_can_exclude_itself() {
    let drops = rules(2, |options| {
        excluding(options);
        options.on_exclusion = OnExclusion::DropPerson;
    });
    assert_eq!(depths(&drops, &[(0, A | X), (10, B), (15, A | X)]), [2]);
    assert_eq!(depths(&drops, &[(0, A | X), (10, A | X), (20, B)]), NOBODY);
}

/// <https://amplitude.com/docs/analytics/charts/funnel-analysis/funnel-analysis-how-amplitude-computes>: this order, exact order, any order;
/// four searches and one add to cart are one conversion.
#[test]
fn amplitude_orders() {
    let conversions = rules(2, |options| options.counting = Counting::Conversions);
    assert_eq!(depths(&conversions, &[(0, A), (1, A), (2, A), (3, A), (4, B)]), [2]);
    assert_eq!(depths(&conversions, &[(0, A), (1, OTHER), (4, B)]), [2]);
    let exact = rules(2, |options| options.order = Order::Strict);
    assert_eq!(depths(&exact, &[(0, A), (1, OTHER), (4, B)]), [1]);
    // In any order who does not do the first event is not in the funnel.
    let any = rules(3, |options| options.order = Order::Any { anchored: true });
    assert_eq!(depths(&any, &[(0, C), (1, B)]), NOBODY);
    assert_eq!(depths(&any, &[(0, A), (1, C), (2, B)]), [3]);
    assert_eq!(depths(&any, &[(0, C), (1, A), (2, B)]), [2]);
}

/// <https://clickhouse.com/docs/sql-reference/aggregate-functions/parametric-functions#windowfunnel>: the example, and what each mode says.
#[test]
fn clickhouse_window_funnel() {
    let none = WindowFunnelModes::default();
    assert_eq!(depths(&preset(4, none), &[(0, A), (10, B), (20, C), (30, D)]), [4]);
    let order = WindowFunnelModes { strict_order: true, ..none };
    assert_eq!(depths(&preset(3, order), &[(0, A), (1, B), (2, OTHER), (3, C)]), [2]);
    assert_eq!(depths(&preset(3, none), &[(0, A), (1, B), (2, OTHER), (3, C)]), [3]);
    let unique = WindowFunnelModes { strict_deduplication: true, ..none };
    assert_eq!(depths(&preset(4, unique), &[(0, A), (1, B), (2, C), (3, B), (4, D)]), [3]);
    let increase = WindowFunnelModes { strict_increase: true, ..none };
    assert_eq!(depths(&preset(2, increase), &[(0, A), (0, B)]), [1]);
    assert_eq!(depths(&preset(2, none), &[(0, B), (0, A)]), [2]);
    let once = WindowFunnelModes { strict_once: true, ..none };
    assert_eq!(depths(&preset(2, none), &[(0, A | B)]), [2]);
    assert_eq!(depths(&preset(2, once), &[(0, A | B)]), [1]);
    let reentry = WindowFunnelModes { allow_reentry: true, ..order };
    assert_eq!(depths(&preset(3, order), &[(0, A), (1, C), (2, B), (3, C)]), [1]);
    assert_eq!(depths(&preset(3, reentry), &[(0, A), (1, C), (2, B), (3, C)]), [3]);
}

#[test]
fn a_window_between_steps_begins_again_with_each() {
    let between = rules(3, |options| options.window = Window::BetweenSteps);
    assert_eq!(depths(&between, &[(0, A), (60, B), (120, C)]), [3]);
    assert_eq!(depths(&between, &[(0, A), (60, B), (121, C)]), [2]);
}

#[test]
fn ties_with_a_tolerance_and_strictly_increasing() {
    let tolerant = rules(2, |options| options.ties = Ties::Tolerance { us: MINUTE });
    assert_eq!(depths(&tolerant, &[(5, B), (6, A)]), [2]);
    assert_eq!(depths(&tolerant, &[(5, B), (7, A)]), [1]);
    let increasing = rules(2, |options| options.ties = Ties::Increasing);
    assert_eq!(depths(&increasing, &[(5, A), (5, B)]), [1]);
    assert_eq!(depths(&increasing, &[(5, A), (6, B)]), [2]);
}

#[test]
fn optional_steps_count_where_they_were_done() {
    let optional = rules(3, |options| options.optional = B);
    let steps = |at: &[(i64, u32)]| attempts(&optional, &events(at))[0].steps;
    assert_eq!(steps(&[(0, A), (1, C)]), A | C);
    assert_eq!(steps(&[(0, A), (1, B), (2, C)]), A | B | C);
    assert_eq!(steps(&[(0, A), (1, C), (2, B)]), A | C);
    assert_eq!(steps(&[(0, A), (1, B)]), A | B);
}

#[test]
fn parts_are_not_mixed() {
    let mut vector = events(&[(0, A), (1, B), (2, A), (3, B)]);
    (vector[1].part, vector[3].part) = (2, 2);
    assert_eq!(attempts(&rules(2, |_| {}), &vector)[0].steps, A | B);
    let held = rules(2, |options| options.parts = Parts::BestOf);
    assert_eq!(attempts(&held, &vector)[0].steps, A);
    vector[2].part = 2;
    assert_eq!(attempts(&held, &vector)[0].steps, A | B);
}

#[test]
fn sessions_count_each_on_its_own() {
    let funnel = rules(2, |options| options.window_us = 24 * 60 * MINUTE);
    let rules = BySessionRules { funnel: &funnel, sessions: &SessionRules::default() };
    // Half an hour and a second behind the one before it.
    let mut visits = events(&[(0, A), (20, B), (50, A)]);
    visits[2].time_us += 1_000_000;
    let depths = |attempts: &[Attempt]| attempts.iter().map(|one| one.depth(&funnel)).collect::<Vec<_>>();
    assert_eq!(depths(&fold_by_session(rules, 0, &visits)), [2, 1]);
    // The same as one session, backwards.
    let mut person = BySession::new(0);
    visits[2].time_us -= 1_000_000;
    for event in visits.iter().rev() {
        assert_ne!(person.apply(rules, *event), Change::NeedsRefold);
    }
    let reached = person.tallies(rules).as_slice().iter().map(|tally| tally.steps).collect::<Vec<_>>();
    assert_eq!(reached, [A | B]);
}
