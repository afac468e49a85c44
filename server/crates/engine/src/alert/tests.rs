use footpath_model::alert::{
    Annotation, Completeness, CountedRule, IncidentAct, IncidentChange, Learned, LearnedSeries, Observed,
    Reading, Series,
};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::{Control, CountedMetric};
use footpath_model::definition::{
    Against, Aggregate, AlertCondition, AlertRule, Direction, Filter, Measure, MetricDefinition, Severity,
    Term,
};

use super::*;

mod ahead;
mod anew;

const MINUTE: i64 = 60_000_000;

fn count() -> CountedMetric {
    let term = Term { events: vec!["paid".into()], filters: Vec::new(), aggregate: Aggregate::Count };
    let measure = Measure::Events(term);
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure,
        breakdown: None,
        include_internal: false,
    };
    CountedMetric { definition, funnel: None, internal: None }
}

fn rule(id: &str, when: AlertCondition) -> CountedRule {
    let definition = AlertRule {
        id: id.into(),
        name: String::new(),
        version: 1,
        metric: "m".into(),
        filter: None,
        breakdown: None,
        top: 0,
        environments: Vec::new(),
        include_internal: false,
        every: CalendarUnit::Minute,
        delay_us: 0,
        when,
        min_volume: 0,
        min_effect: 0.0,
        min_effect_percent: 0.0,
        for_buckets: 1,
        cooldown_us: 0,
        severity: Severity::Warning,
        owner: String::new(),
        runbook: String::new(),
        destinations: Vec::new(),
        disabled: false,
    };
    CountedRule { definition, metric: count(), zone: "UTC".into() }
}

fn above(bound: f64) -> AlertCondition {
    AlertCondition::Threshold { above: Some(bound), below: None }
}

fn below(bound: f64) -> AlertCondition {
    AlertCondition::Threshold { above: None, below: Some(bound) }
}

/// A project whose rules are fed minute by minute.
struct World {
    fold: AlertFold,
    minute: i64,
    complete: Completeness,
}

impl World {
    fn new(rules: impl IntoIterator<Item = CountedRule>) -> Self {
        let mut fold = AlertFold::new(7);
        for rule in rules {
            let learned = learned(&rule);
            fold.apply(0, &Control::PutRule(Box::new(rule)));
            fold.apply(0, &learned);
        }
        Self { fold, minute: 0, complete: Completeness { events: 100, ..Completeness::default() } }
    }

    fn observed(&self, rule: &str, series: Vec<Reading>) -> Observed {
        let from_us = self.minute * MINUTE;
        Observed {
            rule: rule.into(),
            version: self.fold.rule(rule).map_or(1, |rule| rule.rule().version),
            from_us,
            to_us: from_us + MINUTE,
            local_us: from_us,
            complete: self.complete,
            series,
            drivers: Vec::new(),
        }
    }

    /// One minute of rules and their series.
    fn minute(&mut self, rules: Vec<(&str, Vec<Reading>)>) -> Vec<Transition> {
        let rules: Vec<_> = rules.into_iter().map(|(rule, series)| self.observed(rule, series)).collect();
        self.minute += 1;
        let at_us = self.minute * MINUTE;
        let record = Control::Observed { rules };
        // What is kept goes through its image and through JSON, as it does after a restart.
        self.fold = AlertFold::decode(7, &self.fold.encode()).unwrap();
        let record: Control = serde_json::from_slice(&serde_json::to_vec(&record).unwrap()).unwrap();
        self.fold.apply(at_us, &record)
    }

    /// One minute of one rule with one series.
    fn value(&mut self, rule: &str, value: f64) -> Vec<TransitionKind> {
        let kinds = self.minute(vec![(rule, vec![reading(Series::Whole, value)])]);
        kinds.into_iter().map(|one| one.kind).collect()
    }

    fn values(&mut self, rule: &str, values: &[f64]) -> Vec<(usize, TransitionKind)> {
        let step = |(i, value): (usize, &f64)| {
            self.value(rule, *value).into_iter().map(move |kind| (i, kind)).collect::<Vec<_>>()
        };
        values.iter().enumerate().flat_map(step).collect()
    }

    fn act(&mut self, what: IncidentAct) -> Vec<Transition> {
        let change = act(self.fold.open()[0], what);
        self.fold.apply(self.minute * MINUTE, &change)
    }
}

/// Somebody does something about an incident.
fn act(open: &Open, act: IncidentAct) -> Control {
    let IncidentName { id, rule, series, from_us, severity } = open.name.clone();
    let by = "ann".into();
    Control::Incident(Box::new(IncidentChange { incident: id, rule, series, from_us, severity, by, act }))
}

fn words(transition: &Transition) -> Option<String> {
    transition.detail.as_ref().and_then(Detail::words)
}

fn learned(rule: &CountedRule) -> Control {
    let (id, version) = (rule.definition.id.clone(), rule.definition.version);
    let learned = footpath_model::alert::Learned {
        rule: id,
        version,
        buckets: Vec::new(),
        series: Vec::new(),
        upto_us: 0,
        last: true,
    };
    Control::Learned(Box::new(learned))
}

fn reading(series: Series, value: f64) -> Reading {
    Reading { value: Some(value), volume: value.max(0.0), ..Reading::of(series) }
}

use TransitionKind::{Acknowledged, Escalated, Opened, Reopened, Resolved};

#[test]
fn a_problem_is_one_incident_until_it_is_over() {
    let mut world = World::new([rule("r", above(10.0))]);
    let told = world.values("r", &[5.0, 11.0, 12.0, 11.0, 9.0, 8.0, 20.0]);
    assert_eq!(told, [(1, Opened), (4, Resolved), (6, Opened)]);
}

#[test]
fn a_problem_has_to_last_and_so_has_its_end() {
    let mut lasting = rule("r", above(10.0));
    lasting.definition.for_buckets = 3;
    let mut world = World::new([lasting]);
    let told = world.values("r", &[11.0, 11.0, 9.0, 11.0, 11.0, 11.0, 9.0, 9.0, 11.0, 9.0, 9.0, 9.0]);
    assert_eq!(told, [(5, Opened), (11, Resolved)]);
}

#[test]
fn only_what_is_clearly_worse_is_told_again() {
    let mut world = World::new([rule("r", above(10.0))]);
    // 12 is 2 too many; 13.9 not twice that; 14 is, and so is 18 of 4.
    let told = world.values("r", &[12.0, 13.0, 13.9, 15.5, 15.0, 18.0, 22.0]);
    assert_eq!(told, [(0, Opened), (3, Escalated), (6, Escalated)]);
}

#[test]
fn after_an_incident_nobody_is_told_for_a_while() {
    let mut calm = rule("r", above(10.0));
    calm.definition.cooldown_us = 3 * MINUTE;
    let mut world = World::new([calm]);
    let told = world.values("r", &[11.0, 9.0, 11.0, 9.0, 11.0, 11.0]);
    assert_eq!(told, [(0, Opened), (1, Resolved), (4, Opened)], "the cooldown begins when it is over");
}

#[test]
fn small_differences_and_small_volumes_are_no_problem() {
    let mut large = rule("r", above(10.0));
    large.definition.min_effect_percent = 50.0;
    let mut world = World::new([large]);
    assert_eq!(world.values("r", &[12.0, 14.9, 15.1]), [(2, Opened)]);
    let mut busy = rule("r", below(10.0));
    busy.definition.min_volume = 5;
    let mut world = World::new([busy]);
    // Of a count it is enough that much is expected, and ten are.
    assert_eq!(world.values("r", &[4.0]), [(0, Opened)]);
    let mut ratio = rule("r", above(0.5));
    ratio.definition.min_volume = 5;
    ratio.metric.definition.measure = Measure::Ratio {
        numerator: Term { events: vec!["bad".into()], filters: Vec::new(), aggregate: Aggregate::Count },
        denominator: Term { events: Vec::new(), filters: Vec::new(), aggregate: Aggregate::Count },
    };
    let mut world = World::new([ratio]);
    let of = |volume| Reading { value: Some(0.9), volume, ..Reading::of(Series::Whole) };
    assert_eq!(world.minute(vec![("r", vec![of(4.0)])]), []);
    assert_eq!(world.minute(vec![("r", vec![of(5.0)])]).len(), 1);
}

#[test]
fn a_change_is_told_against_the_number_before() {
    let when =
        AlertCondition::Change { against: Against::Day, up_percent: Some(50.0), down_percent: Some(20.0) };
    let mut world = World::new([rule("r", when)]);
    let mut against = |value, base| {
        let reading = Reading { base, ..reading(Series::Whole, value) };
        world.minute(vec![("r", vec![reading])]).into_iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    assert_eq!(against(149.0, Some(100.0)), []);
    assert_eq!(against(81.0, Some(100.0)), []);
    assert_eq!(against(80.0, Some(100.0)), [Opened]);
    assert_eq!(against(80.0, None), [], "nothing to compare with changes nothing");
    assert_eq!(against(100.0, Some(100.0)), [Resolved]);
    assert_eq!(against(150.0, Some(100.0)), [Opened]);
}

#[test]
fn zero_late_missing_and_down_are_told_apart() {
    let mut world = World::new([rule("r", below(10.0))]);
    let finding = |world: &World| {
        let series = world.fold.rule("r").unwrap().series.values().next().unwrap();
        series.recent.back().unwrap().finding
    };
    assert_eq!(world.value("r", 20.0), []);
    world.complete.missing = 50;
    assert_eq!(world.value("r", 0.0), []);
    assert_eq!(finding(&world), Finding::Late);
    world.complete = Completeness { events: 0, ..Completeness::default() };
    assert_eq!(world.value("r", 0.0), []);
    assert_eq!(finding(&world), Finding::Missing);
    world.complete = Completeness { events: 100, down: true, ..Completeness::default() };
    assert_eq!(world.value("r", 0.0), []);
    assert_eq!(finding(&world), Finding::Down);
    world.complete = Completeness { events: 100, ..Completeness::default() };
    let nothing = world.minute(vec![("r", Vec::new())]);
    assert_eq!(nothing[0].kind, Opened, "nothing of it, but of others: a true zero");
    assert_eq!(nothing[0].judged.as_ref().unwrap().value, Some(0.0));
}

#[test]
fn events_that_never_come_do_not_hide_problems_for_ever() {
    let mut world = World::new([rule("r", below(10.0))]);
    world.value("r", 20.0);
    world.complete.missing = 50;
    let told: Vec<_> = (0..300).flat_map(|_| world.value("r", 0.0)).collect();
    assert_eq!(told, [Opened]);
}

#[test]
fn what_is_late_can_still_be_too_much() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 5.0);
    world.complete.missing = 50;
    assert_eq!(world.value("r", 11.0), [Opened]);
}

#[test]
fn no_data_is_a_problem_of_its_own() {
    let mut silent = rule("r", AlertCondition::NoData {});
    silent.definition.for_buckets = 2;
    let mut world = World::new([silent]);
    let told = world.values("r", &[5.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    assert_eq!(told, [(2, Opened), (5, Resolved)]);
}

fn value(name: &str) -> Series {
    Series::Value(name.into())
}

fn by_platform(id: &str, when: AlertCondition) -> CountedRule {
    let mut rule = rule(id, when);
    rule.definition.breakdown =
        Some(footpath_model::definition::PropertyRef { property: "os".into(), ..Default::default() });
    rule
}

#[test]
fn each_value_of_a_breakdown_has_incidents_of_its_own() {
    let mut world = World::new([by_platform("r", above(10.0))]);
    let both =
        |ios, android| vec![("r", vec![reading(value("ios"), ios), reading(value("android"), android)])];
    assert_eq!(world.minute(both(5.0, 5.0)), []);
    let told = world.minute(both(5.0, 20.0));
    assert_eq!((told.len(), told[0].incident.series.clone()), (1, value("android")));
    let told = world.minute(both(20.0, 20.0));
    assert_eq!((told.len(), told[0].incident.series.clone()), (1, value("ios")));
    assert_ne!(world.fold.open()[0].name.id, world.fold.open()[1].name.id);
}

#[test]
fn many_series_that_stop_at_once_are_one_incident_of_the_pipeline() {
    let mut world = World::new([by_platform("r", AlertCondition::NoData {}), rule("s", below(10.0))]);
    let platforms = ["ios", "android", "web", "tv"];
    let all = |count: f64| -> Vec<_> { platforms.map(|os| reading(value(os), count)).into() };
    assert_eq!(world.minute(vec![("r", all(5.0)), ("s", vec![reading(Series::Whole, 50.0)])]), []);
    let told = world.minute(vec![("r", all(0.0)), ("s", vec![reading(Series::Whole, 0.0)])]);
    assert_eq!(
        told.iter().map(|one| (one.kind, one.incident.rule.as_str())).collect::<Vec<_>>(),
        [(Opened, PIPELINE)]
    );
    assert_eq!(words(&told[0]).as_deref(), Some("5 series stopped at once"));
    assert_eq!(world.fold.stopped().count(), 5);
    assert_eq!(world.minute(vec![("r", all(0.0)), ("s", vec![reading(Series::Whole, 0.0)])]), []);
    // Half of them are back: it is over, and what is still silent is a problem of its own.
    let half = vec![reading(value("ios"), 5.0), reading(value("android"), 5.0), reading(value("web"), 1.0)];
    let told = world.minute(vec![("r", half), ("s", vec![reading(Series::Whole, 50.0)])]);
    let told: Vec<_> =
        told.iter().map(|one| (one.kind, one.incident.rule.as_str(), one.incident.series.clone())).collect();
    assert_eq!(told, [(Resolved, PIPELINE, Series::Whole), (Opened, "r", value("tv"))]);
}

#[test]
fn a_pipelines_incident_that_was_resolved_comes_back_as_another() {
    let mut world = World::new([by_platform("r", AlertCondition::NoData {})]);
    let all = |count: f64| -> Vec<_> { ["ios", "web", "tv"].map(|os| reading(value(os), count)).into() };
    world.minute(vec![("r", all(5.0))]);
    let first = world.minute(vec![("r", all(0.0))]);
    assert_eq!(world.act(IncidentAct::Resolve {})[0].kind, Resolved);
    let second = world.minute(vec![("r", all(0.0))]);
    assert_eq!((second[0].kind, second[0].incident.rule.as_str()), (Opened, PIPELINE));
    assert_ne!(second[0].incident.id, first[0].incident.id);
    assert_eq!(world.fold.stopped().count(), 3);
}

#[test]
fn a_pipelines_incident_ends_with_the_last_rule_that_it_is_of() {
    let mut world = World::new([by_platform("r", AlertCondition::NoData {}), rule("s", above(10.0))]);
    let all = |count: f64| -> Vec<_> { ["ios", "web", "tv"].map(|os| reading(value(os), count)).into() };
    world.minute(vec![("r", all(5.0))]);
    world.minute(vec![("r", all(0.0))]);
    assert_eq!(world.fold.apply(0, &Control::DeleteRule { id: "s".into() }), []);
    let told = world.fold.apply(0, &Control::DeleteRule { id: "r".into() });
    assert_eq!((told.len(), told[0].incident.rule.as_str(), told[0].kind), (1, PIPELINE, Resolved));
    assert_eq!(words(&told[0]).as_deref(), Some("the rule was deleted"));
    assert!(world.fold.open().is_empty());
}

#[test]
fn one_series_that_stops_is_its_own_problem() {
    let mut world = World::new([by_platform("r", AlertCondition::NoData {})]);
    let platforms = ["ios", "android", "web", "tv", "car"];
    let all: Vec<_> = platforms.map(|os| reading(value(os), 5.0)).into();
    world.minute(vec![("r", all.clone())]);
    let told = world.minute(vec![("r", all[1..].to_vec())]);
    assert_eq!((told.len(), told[0].incident.series.clone()), (1, value("ios")));
}

#[test]
fn people_acknowledge_mute_and_resolve() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let told = world.act(IncidentAct::Acknowledge {});
    assert_eq!((told[0].kind, told[0].by.as_deref()), (Acknowledged, Some("ann")));
    assert_eq!(world.act(IncidentAct::Acknowledge {}), [], "once is enough");
    world.act(IncidentAct::Mute { until_us: i64::MAX });
    let told = world.minute(vec![("r", vec![reading(Series::Whole, 100.0)])]);
    assert_eq!((told[0].kind, told[0].quiet), (Escalated, true));
    assert_eq!(world.act(IncidentAct::Resolve {})[0].kind, Resolved);
    assert!(world.fold.open().is_empty());
}

#[test]
fn a_muted_rule_tells_nobody() {
    let mut world = World::new([rule("r", above(10.0))]);
    let mute = Control::MuteRule { id: "r".into(), until_us: 2 * MINUTE, by: "ann".into() };
    world.fold.apply(0, &mute);
    let told = world.minute(vec![("r", vec![reading(Series::Whole, 11.0)])]);
    assert_eq!((told[0].kind, told[0].quiet), (Opened, true));
    world.value("r", 0.0);
    let told = world.minute(vec![("r", vec![reading(Series::Whole, 11.0)])]);
    assert_eq!((told[0].kind, told[0].quiet), (Opened, false));
}

#[test]
fn a_number_that_falls_back_after_an_action_opens_the_same_incident() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let first = world.fold.open()[0].name.id.clone();
    world.act(IncidentAct::Action { text: "rolled back".into(), at_us: MINUTE });
    assert_eq!(world.value("r", 5.0), [Resolved]);
    let told = world.minute(vec![("r", vec![reading(Series::Whole, 11.0)])]);
    assert_eq!((told[0].kind, told[0].incident.id.clone()), (Reopened, first));
}

#[test]
fn a_changed_rule_keeps_what_it_knows_where_it_counts_the_same() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let mut milder = rule("r", above(10.5));
    milder.definition.version = 2;
    assert_eq!(world.fold.apply(0, &Control::PutRule(Box::new(milder.clone()))), []);
    assert_eq!(world.value("r", 11.0), [], "the incident goes on");
    let mut other = milder;
    other.definition.version = 3;
    other.definition.filter = Some(Filter::all(Vec::new()));
    let told = world.fold.apply(0, &Control::PutRule(Box::new(other)));
    assert_eq!(told[0].kind, Resolved);
    assert_eq!(world.fold.rule("r").unwrap().state(), RuleState::BackFilling);
}

#[test]
fn a_deleted_rule_ends_its_incidents() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let told = world.fold.apply(0, &Control::DeleteRule { id: "r".into() });
    assert_eq!((told[0].kind, words(&told[0]).as_deref()), (Resolved, Some("the rule was deleted")));
    assert!(world.fold.rule("r").is_none());
}

#[test]
fn records_of_other_versions_and_of_buckets_that_are_over_say_nothing() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 5.0);
    let mut old = world.observed("r", vec![reading(Series::Whole, 99.0)]);
    old.version = 9;
    assert_eq!(world.fold.apply(0, &Control::Observed { rules: vec![old.clone()] }), []);
    (old.version, old.from_us, old.to_us) = (1, 0, MINUTE);
    assert_eq!(world.fold.apply(0, &Control::Observed { rules: vec![old] }), []);
}

#[test]
fn what_will_open_is_known_before() {
    let mut lasting = rule("r", above(10.0));
    lasting.definition.for_buckets = 2;
    let mut world = World::new([lasting]);
    let look_ahead = |world: &mut World| {
        let bad = world.observed("r", vec![reading(Series::Whole, 11.0)]);
        world.fold.look_ahead(&[bad])
    };
    world.value("r", 5.0);
    assert_eq!(look_ahead(&mut world), []);
    world.value("r", 11.0);
    let begins = look_ahead(&mut world);
    assert_eq!(
        (begins.len(), begins[0].incident.rule.as_str(), &begins[0].incident.series),
        (1, "r", &Series::Whole)
    );
    assert_eq!(begins[0].judged.as_ref().unwrap().value, Some(11.0));
    world.value("r", 11.0);
    assert_eq!(look_ahead(&mut world), [], "it is open");
}

#[test]
fn what_an_action_changed_is_told_by_itself_with_its_uncertainty() {
    let mut world = World::new([rule("r", above(50.0))]);
    for minute in 0..20 {
        world.value("r", 100.0 + f64::from(minute % 5));
    }
    world.act(IncidentAct::Action { text: "rolled back".into(), at_us: 20 * MINUTE });
    let mut told = Vec::new();
    for minute in 0..40 {
        told.extend(world.minute(vec![("r", vec![reading(Series::Whole, 20.0 + f64::from(minute % 3))])]));
    }
    let kinds: Vec<_> = told.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Resolved, TransitionKind::Compared]);
    let text = words(&told[1]).unwrap();
    assert!(text.starts_with("better: -80 % (-82 to -76 %)") && text.contains("95 % confidence"), "{text}");
    assert!(text.ends_with("10 buckets after against 20 before"), "{text}");
}

#[test]
fn an_action_that_changed_nothing_is_told_so() {
    let mut world = World::new([rule("r", above(50.0))]);
    let number = |minute: i32| 100.0 + f64::from(minute * 7 % 11);
    for minute in 0..20 {
        world.value("r", number(minute));
    }
    world.act(IncidentAct::Action { text: "restarted".into(), at_us: 20 * MINUTE });
    let told: Vec<_> = (20..60)
        .flat_map(|minute| world.minute(vec![("r", vec![reading(Series::Whole, number(minute))])]))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let text = words(&told[0]).unwrap();
    assert!(text.starts_with("no clear change") && text.contains("30 buckets after"), "{text}");
}

#[test]
fn a_day_that_somebody_marked_is_compared_with_marked_days() {
    const DAY: i64 = 1440 * MINUTE;
    let sales = |day: &i64| day % 10 == 9;
    let number = |day: i64| 100.0 + (day * 7 % 11) as f64 + if sales(&day) { 200.0 } else { 0.0 };
    let expected = |marked: bool| {
        let anomaly = AlertCondition::Anomaly { direction: Direction::Both, false_alerts: 0.5 };
        let mut rule = rule("r", anomaly);
        rule.definition.every = CalendarUnit::Day;
        let mut fold = AlertFold::new(7);
        for day in (0..130).filter(sales).filter(|_| marked) {
            let (from_us, to_us) = (day * DAY, (day + 1) * DAY - 1);
            let id = format!("sale-{day}");
            let (text, kind, by) = ("sale".into(), String::new(), "ann".into());
            let note = Annotation { id, text, kind, from_us, to_us, by, special: true };
            fold.apply(0, &Control::Annotate(Box::new(note)));
        }
        fold.apply(0, &Control::PutRule(Box::new(rule)));
        let bucket = |day: i64| (day * DAY, (day + 1) * DAY, day * DAY);
        let values = (0..120).map(|day| (Some(number(day)), number(day))).collect();
        fold.apply(
            0,
            &Control::Learned(Box::new(Learned {
                rule: "r".into(),
                version: 1,
                buckets: (0..120).map(bucket).collect(),
                series: vec![LearnedSeries { series: Series::Whole, values }],
                upto_us: 120 * DAY,
                last: true,
            })),
        );
        for day in 120..130 {
            let (from_us, to_us, local_us) = bucket(day);
            let complete = Completeness { events: 100, ..Completeness::default() };
            let series = vec![reading(Series::Whole, number(day))];
            let (rule, version, drivers) = ("r".into(), 1, Vec::new());
            let rules = vec![Observed { rule, version, from_us, to_us, local_us, complete, series, drivers }];
            fold.apply(to_us, &Control::Observed { rules });
        }
        fold.rule("r").unwrap().series[&Series::Whole].recent.back().unwrap().expected.unwrap()
    };
    let (marked, unmarked) = (expected(true), expected(false));
    assert!((marked / number(129) - 1.0).abs() < 0.25 && unmarked < 0.6 * number(129), "{marked} {unmarked}");
}

#[test]
fn a_rule_that_is_switched_off_has_no_incident() {
    let mut world = World::new([rule("r", above(10.0))]);
    assert_eq!(world.value("r", 11.0), [TransitionKind::Opened]);
    let mut off = rule("r", above(10.0));
    (off.definition.disabled, off.definition.version) = (true, 2);
    let told = world.fold.apply(0, &Control::PutRule(Box::new(off)));
    assert_eq!((told.len(), told[0].kind), (1, TransitionKind::Resolved));
    assert!(words(&told[0]).unwrap().contains("switched off") && world.fold.open().is_empty());
}

#[test]
fn what_is_late_and_too_high_already_is_an_anomaly() {
    let anomaly = AlertCondition::Anomaly { direction: Direction::Both, false_alerts: 1.0 };
    let mut world = World::new([rule("r", anomaly)]);
    for i in 0..8 * 1440 + 10_i64 {
        world.minute += 1;
        let number = 100.0 + (i * 7 % 11) as f64;
        let observed = world.observed("r", vec![reading(Series::Whole, number)]);
        world.fold.apply(observed.to_us, &Control::Observed { rules: vec![observed] });
    }
    world.complete.missing = 50;
    assert_eq!(world.value("r", 20.0), []);
    assert_eq!(world.value("r", 900.0), [TransitionKind::Opened]);
    let expected =
        |fold: &AlertFold| fold.rule("r").unwrap().series[&Series::Whole].recent.back().unwrap().expected;
    let told = expected(&world.fold).unwrap();
    assert!((told - 105.0).abs() < 15.0, "{told}");
}
