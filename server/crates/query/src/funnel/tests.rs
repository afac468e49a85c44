//! A funnel over chunks and log equals what is reckoned by hand over the events as they were sent. The kernel itself is compared
//! with a search over all chains in `engine`, and with another program of its own in `tests/real_sets.rs`.

use std::collections::{BTreeMap, HashMap};

use footpath_engine::general::NO_VALUE;
use footpath_engine::lens::part_of;
use footpath_engine::{Attempt, FunnelEvent, Plan, SessionRules, fold_general};
use footpath_model::definition::{
    Attribution, Counting, Entry, Exclusion, Filter, FunnelBreakdown, FunnelDefinition, OnExclusion, Order,
    Step, Ties, WindowFrom, WindowFunnel,
};
use footpath_model::id::group_key;
use footpath_model::range::Range;

use super::*;
use crate::testing::{Facet, HOUR_US, MINUTE_US, NOW_US, Rng, SHOP, Told, World, facets, source, stored};

/// A funnel, with its conditions as they are reckoned by hand.
pub(crate) struct Asked {
    pub(crate) counted: CountedFunnel,
    steps: Vec<Option<(Facet, bool)>>,
    exclusion: Option<(Facet, bool)>,
    internal: Option<Facet>,
    hold: Vec<Facet>,
    breakdown: Option<Facet>,
}

fn conditions(condition: &Option<(Facet, bool)>) -> Vec<Filter> {
    condition.iter().map(|(facet, not)| facet.filter(*not)).collect()
}

impl Asked {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let some = |rng: &mut Rng, one_in| rng.chance(one_in).then(|| (rng.one(&facets()), rng.chance(2)));
        let steps: Vec<_> = (0..3).map(|_| some(rng, 6)).collect();
        let exclusion = some(rng, 3);
        let names = [vec!["open"], vec!["view", "open"], vec!["pay"]];
        let step = |(names, condition): (&Vec<&str>, &Option<(Facet, bool)>)| Step {
            name: String::new(),
            events: names.iter().map(|name| (*name).to_owned()).collect(),
            filters: conditions(condition),
            optional: false,
        };
        let exclusions = vec![Exclusion {
            events: vec!["cancel".into()],
            filters: conditions(&exclusion),
            after_step: 1,
            before_step: 3,
        }];
        let mut definition = FunnelDefinition {
            id: "f".into(),
            steps: names.iter().zip(&steps).map(step).collect(),
            window_us: rng.one(&[HOUR_US, 5 * HOUR_US, 20 * HOUR_US, 40 * HOUR_US]),
            counting: rng.one(&[
                Counting::Persons,
                Counting::Persons,
                Counting::Conversions,
                Counting::Sessions,
                Counting::Groups("company".into()),
            ]),
            include_internal: rng.chance(2),
            ..FunnelDefinition::default()
        };
        let plain = rng.chance(4);
        let clickhouse = plain && rng.chance(3);
        if !plain {
            definition.order = rng.one(&[Order::Ordered, Order::Strict, Order::Any, Order::AnyAfterFirst]);
            definition.entry = rng.one(&[Entry::Latest, Entry::First]);
            definition.ties = rng.one(&[Ties::InOrder, Ties::Tolerance(MINUTE_US), Ties::Increasing]);
            definition.on_exclusion = rng.one(&[OnExclusion::BreakAttempt, OnExclusion::DropPerson]);
            definition.exclusions = if rng.chance(2) { exclusions } else { Vec::new() };
            if definition.order == Order::Ordered {
                definition.steps[1].optional = rng.chance(3);
                let between = rng.chance(2) && !definition.steps[1].optional;
                definition.window_from =
                    if between { WindowFrom::PreviousStep } else { WindowFrom::FirstStep };
            }
        }
        if clickhouse {
            definition.counting = Counting::Persons;
            let strict_order = rng.chance(2);
            definition.window_funnel = Some(WindowFunnel {
                strict_deduplication: rng.chance(2),
                strict_order,
                strict_increase: rng.chance(2),
                strict_once: rng.chance(2),
                allow_reentry: strict_order && rng.chance(2),
            });
        }
        let hold: Vec<_> = (0..rng.below(2)).map(|_| rng.one(&facets())).filter(|_| !plain).collect();
        let breakdown = rng.chance(2).then(|| rng.one(&facets()));
        definition.hold = hold.iter().map(|facet| facet.property.clone()).collect();
        definition.breakdown = breakdown.as_ref().map(|facet| FunnelBreakdown {
            by: facet.property.clone(),
            attribution: if clickhouse {
                Attribution::FirstTouch
            } else {
                rng.one(&[
                    Attribution::FirstTouch,
                    Attribution::LastTouch,
                    Attribution::AllSteps,
                    Attribution::Step(2),
                ])
            },
        });
        definition.validate().unwrap();
        let internal = rng.chance(4).then(|| rng.one(&facets()));
        let from_us = NOW_US + rng.below(25) as i64 * HOUR_US;
        let to_us = from_us + (1 + rng.below(20) as i64) * HOUR_US;
        let counted = CountedFunnel {
            definition,
            range: Range::Fixed { from_us, to_us },
            zone: "UTC".into(),
            internal: internal.as_ref().map(|facet| facet.filter(false)),
            sessions: None,
        };
        Self { counted, steps, exclusion, internal, hold, breakdown }
    }

    fn held(&self) -> Vec<&Facet> {
        let all_steps =
            self.counted.definition.breakdown.as_ref().map(|b| b.attribution) == Some(Attribution::AllSteps);
        self.hold.iter().chain(self.breakdown.iter().filter(|_| all_steps)).collect()
    }

    fn left_out(&self, world: &World, told: &Told) -> bool {
        let internal = self.internal.iter().filter(|_| !self.counted.definition.include_internal);
        internal.into_iter().any(|facet| facet.holds(false, world, told))
    }

    fn holds(&self, condition: &Option<(Facet, bool)>, world: &World, told: &Told) -> bool {
        condition.as_ref().is_none_or(|(facet, not)| facet.holds(*not, world, told))
    }

    pub(crate) fn mask(&self, world: &World, told: &Told) -> u32 {
        if self.left_out(world, told) {
            return 0;
        }
        let definition = &self.counted.definition;
        let matches = |(step, condition): (&Step, &Option<(Facet, bool)>)| {
            step.events.contains(&told.name) && self.holds(condition, world, told)
        };
        let steps = definition.steps.iter().zip(&self.steps).map(matches).enumerate();
        steps.fold(0, |mask, (i, matches)| mask | u32::from(matches) << i)
    }

    fn is_excluded(&self, world: &World, told: &Told) -> bool {
        !self.counted.definition.exclusions.is_empty()
            && told.name == "cancel"
            && !self.left_out(world, told)
            && self.holds(&self.exclusion, world, told)
    }

    /// Every unit's events, in order.
    pub(crate) fn units<'w>(&self, world: &'w World) -> BTreeMap<u64, Vec<&'w Told>> {
        match &self.counted.definition.counting {
            Counting::Groups(kind) => {
                world.by(|told| Some(group_key(SHOP.id, kind, told.company.as_deref()?)))
            }
            _ => world.persons(),
        }
    }

    /// The attempts of each unit over a span, each with its value.
    pub(crate) fn naive(
        &self,
        world: &World,
        span: (i64, Option<i64>),
    ) -> Vec<(u64, Vec<(Attempt, SliceValue)>)> {
        let plan = Plan::new(&self.counted.definition, span, false, &SessionRules::default()).unwrap();
        self.units(world)
            .into_iter()
            .map(|(unit, own)| (unit, self.of_unit(world, &plan, span.0, &own)))
            .collect()
    }

    fn of_unit(&self, world: &World, plan: &Plan, from_us: i64, own: &[&Told]) -> Vec<(Attempt, SliceValue)> {
        // Internal traffic is not there: it interrupts nothing and is in no session.
        let own: Vec<&Told> = own.iter().copied().filter(|told| !self.left_out(world, told)).collect();
        let read = |told: &Told| self.breakdown.as_ref().and_then(|facet| (facet.read)(world, told));
        let mut values: Vec<Option<String>> = own.iter().map(|told| read(told)).collect();
        values.sort();
        values.dedup();
        let held = |told: &Told| -> Option<Vec<String>> {
            self.held().into_iter().map(|facet| (facet.read)(world, told)).collect()
        };
        let event = |told: &Told| FunnelEvent {
            time_us: told.time_us,
            id: told.id,
            steps: self.mask(world, told),
            exclusions: u16::from(self.is_excluded(world, told)),
            part: held(told).map_or(0, part_of),
            value: values.iter().position(|value| *value == read(told)).unwrap() as u32,
        };
        let fold = |own: &Vec<&Told>| fold_general(plan.rules(), from_us, own.iter().map(|told| event(told)));
        let attempts: Vec<Attempt> = match self.counted.definition.counting {
            Counting::Sessions => naive_sessions(&own).iter().flat_map(fold).collect(),
            _ => fold(&own),
        };
        let value = |attempt: &Attempt| match values.get(attempt.value as usize) {
            None if attempt.value == NO_VALUE => SliceValue::NotReached,
            None => panic!("no such value"),
            Some(text) => text.clone().map_or(SliceValue::NotSet, SliceValue::Is),
        };
        attempts.into_iter().map(|attempt| (attempt, value(&attempt))).collect()
    }
}

/// Half an hour's pause, or a day, ends a session.
pub(crate) fn naive_sessions<'t>(own: &[&'t Told]) -> Vec<Vec<&'t Told>> {
    let mut sessions: Vec<Vec<&Told>> = Vec::new();
    for told in own {
        match sessions.last_mut() {
            Some(session)
                if told.time_us - session[session.len() - 1].time_us <= 30 * MINUTE_US
                    && told.time_us - session[0].time_us <= 24 * HOUR_US =>
            {
                session.push(told);
            }
            _ => sessions.push(vec![told]),
        }
    }
    sessions
}

/// Who reached each of so many steps.
pub(crate) fn reached<'a>(steps: usize, attempts: impl Iterator<Item = &'a Attempt>) -> Vec<u64> {
    let mut reached = vec![0; steps];
    for attempt in attempts {
        (0..steps).filter(|step| attempt.steps & (1 << step) != 0).for_each(|step| reached[step] += 1);
    }
    reached
}

type Slices = Vec<(SliceValue, Vec<u64>)>;

fn naive_slices(all: &[(Attempt, SliceValue)], top: usize) -> Slices {
    let mut by_value: HashMap<&SliceValue, Vec<&Attempt>> = HashMap::new();
    all.iter().for_each(|(attempt, value)| by_value.entry(value).or_default().push(attempt));
    let counted = |attempts: &[&Attempt]| reached(3, attempts.iter().copied());
    let is_text = |value: &&SliceValue| matches!(value, SliceValue::Is(_));
    let mut texts: Vec<_> = by_value.keys().copied().filter(is_text).collect();
    texts.sort_by_key(|value| (std::cmp::Reverse(counted(&by_value[value])[0]), (*value).clone()));
    let mut found: Slices =
        texts.iter().take(top).map(|value| ((*value).clone(), counted(&by_value[*value]))).collect();
    let others: Vec<_> = texts.iter().skip(top).flat_map(|value| by_value[*value].clone()).collect();
    if texts.len() > top {
        found.push((SliceValue::Other, counted(&others)));
    }
    for rest in [SliceValue::NotSet, SliceValue::NotReached] {
        by_value.get(&rest).into_iter().for_each(|own| found.push((rest.clone(), counted(own))));
    }
    found
}

fn within_one_per_cent(found: Option<i64>, exact: &[i64], q: f64) {
    let Some(found) = found else { return assert!(exact.is_empty()) };
    let mut sorted = exact.to_vec();
    sorted.sort_unstable();
    let expected = sorted[(q * (sorted.len() - 1) as f64) as usize];
    assert!((found - expected).abs() <= expected / 90 + 1, "{found} is not {expected}");
}

#[test]
fn a_funnel_over_chunks_and_log_equals_one_reckoned_by_hand() {
    let (mut converted, mut sliced, mut fast, mut before) = (0, 0, 0, 0);
    for seed in 0..80 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        for _ in 0..4 {
            let asked = Asked::random(&mut rng);
            let pinned = both.chunked.pin();
            let pinned =
                if rng.chance(3) { pinned } else { pinned.upto(rng.below(both.told.len() as u64 + 1)) };
            let world = both.world(pinned.position());
            let (source, top) = (source(&pinned), 1 + rng.below(3) as usize);
            let query = FunnelQuery {
                compare_previous: true,
                step_times: rng.chance(2),
                top,
                ..FunnelQuery::new(&asked.counted)
            };
            let answer = funnel(&source, &query).unwrap();
            let Range::Fixed { from_us, to_us } = asked.counted.range else { panic!("a fixed range") };
            let all: Vec<_> =
                asked.naive(&world, (from_us, Some(to_us))).into_iter().flat_map(|(_, own)| own).collect();
            let definition = &asked.counted.definition;
            assert_eq!(answer.reached, reached(3, all.iter().map(|(a, _)| a)), "seed {seed} {definition:?}");
            let took: Vec<i64> =
                all.iter().filter_map(|(a, _)| Some(a.reached_us(2)? - a.entry_us)).collect();
            assert_eq!(answer.conversion_time.count, took.len() as u64);
            within_one_per_cent(answer.conversion_time.median_us, &took, 0.5);
            within_one_per_cent(answer.conversion_time.p90_us, &took, 0.9);
            for (step, times) in answer.step_times.iter().enumerate() {
                let exact: Vec<i64> = all
                    .iter()
                    .filter_map(|(a, _)| Some(a.reached_us(step + 1)? - a.reached_us(step)?))
                    .collect();
                assert_eq!(times.count, exact.len() as u64);
                within_one_per_cent(times.median_us, &exact, 0.5);
            }
            assert_eq!(answer.step_times.len(), if query.step_times { 2 } else { 0 });
            let slices: Slices = answer.slices.iter().map(|s| (s.value.clone(), s.reached.clone())).collect();
            let expected = if asked.breakdown.is_some() { naive_slices(&all, top) } else { Vec::new() };
            assert_eq!(slices, expected, "seed {seed} {definition:?}");
            let back = from_us - (to_us - from_us);
            let elapsed = (source.now_us - from_us).clamp(0, to_us - from_us);
            let span = (back, Some(back + elapsed));
            let previous: Vec<_> = asked.naive(&world, span).into_iter().flat_map(|(_, own)| own).collect();
            assert_eq!(answer.previous.unwrap().reached, reached(3, previous.iter().map(|(a, _)| a)));
            let log_only = both.log_only.pin().upto(pinned.position());
            let same = funnel(&Source { pinned: &log_only, ..source }, &query).unwrap();
            assert_eq!((same.reached, same.slices.len()), (answer.reached.clone(), answer.slices.len()));
            converted += answer.reached[2];
            sliced += slices.len();
            fast += u64::from(
                Plan::new(definition, span, false, &SessionRules::default()).unwrap().fast().is_some(),
            );
            before += previous.len();
        }
    }
    assert!(
        converted > 80 && sliced > 150 && fast > 5 && before > 300,
        "{converted} {sliced} {fast} {before}"
    );
}

#[test]
fn an_earlier_epoch_shows_who_was_who() {
    let mut differ = 0;
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let asked = Asked::random(&mut rng);
        let pinned = both.chunked.pin();
        let world = both.world(u64::MAX);
        let newest = funnel(&source(&pinned), &FunnelQuery::new(&asked.counted)).unwrap();
        assert_eq!(newest.identity_epoch, world.graph.epoch());
        let epoch = rng.below(world.graph.epoch() + 1);
        let query = FunnelQuery { identity_epoch: Some(epoch), ..FunnelQuery::new(&asked.counted) };
        let then = funnel(&source(&pinned), &query).unwrap();
        let world = World { graph: world.graph.as_of(epoch), ..world };
        let span = asked.counted.resolve(NOW_US).unwrap();
        let all: Vec<_> = asked.naive(&world, span).into_iter().flat_map(|(_, own)| own).collect();
        assert_eq!(then.reached, reached(3, all.iter().map(|(a, _)| a)), "seed {seed}");
        differ += u32::from(then.reached != newest.reached);
        let later = FunnelQuery { identity_epoch: Some(newest.identity_epoch + 1), ..query };
        assert!(matches!(funnel(&source(&pinned), &later), Err(QueryError::Epoch { .. })));
    }
    assert!(differ > 2, "{differ}");
}

/// All pages of a list.
pub(crate) fn all_persons(source: &Source<'_>, query: &FunnelPersonsQuery<'_>) -> Vec<FunnelPerson> {
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let page = funnel_persons(source, &query).unwrap();
        assert!(page.persons.len() <= query.limit);
        let full = page.persons.len() == query.limit;
        found.extend(page.persons);
        let Some(next) = page.next else { return found };
        assert!(full, "only the last page may be short");
        query.after = Some(next);
    }
}

#[test]
fn who_reached_a_step_is_named_once_on_some_page() {
    let mut named = 0;
    for seed in 0..80 {
        let mut rng = Rng(1000 + seed);
        let both = stored(&mut rng);
        let asked = Asked::random(&mut rng);
        let pinned = both.chunked.pin();
        let (world, source) = (both.world(u64::MAX), source(&pinned));
        let span = asked.counted.resolve(source.now_us).unwrap();
        let naive = asked.naive(&world, span);
        let values: Vec<_> = naive.iter().flat_map(|(_, own)| own).map(|(_, value)| value.clone()).collect();
        let value = asked.breakdown.as_ref().filter(|_| !values.is_empty() && rng.chance(2));
        let query = FunnelPersonsQuery {
            counted: &asked.counted,
            identity_epoch: None,
            step: 1 + rng.below(3) as u32,
            dropped: rng.chance(2),
            value: value.map(|_| rng.one(&values)),
            after: None,
            limit: 1 + rng.below(3) as usize,
        };
        let step = query.step as usize - 1;
        let fits = |(attempt, value): &&(Attempt, SliceValue)| {
            attempt.steps & (1 << step) != 0
                && (!query.dropped || attempt.steps >> (step + 1) == 0)
                && query.value.as_ref().is_none_or(|wanted| wanted == value)
        };
        let mut expected: Vec<_> = naive
            .iter()
            .filter_map(|(unit, own)| {
                let (attempt, value) = own.iter().filter(fits).max_by_key(|(attempt, _)| attempt.entry_us)?;
                let value = asked.breakdown.is_some().then(|| value.clone());
                Some(FunnelPerson {
                    key: *unit,
                    id: name(&asked, &world, *unit),
                    steps: step_times(attempt),
                    value,
                })
            })
            .collect();
        let mut found = all_persons(&source, &query);
        let places: Vec<_> = found.iter().map(|person| person.id.clone()).collect();
        let key = |person: &FunnelPerson| (person.id.clone(), person.steps.clone());
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert_eq!(found, expected, "seed {seed} {:?}", asked.counted.definition);
        let again = all_persons(&source, &FunnelPersonsQuery { limit: 100, ..query });
        assert_eq!(
            again.iter().map(|person| person.id.clone()).collect::<Vec<_>>(),
            places,
            "a stable order"
        );
        named += found.len();
    }
    assert!(named > 40, "{named}");
}

/// The id of a unit, by hand.
fn name(asked: &Asked, world: &World, unit: u64) -> String {
    if let Counting::Groups(kind) = &asked.counted.definition.counting {
        let companies = ["acme", "ajax"].into_iter();
        return companies.into_iter().find(|id| group_key(SHOP.id, kind, id) == unit).unwrap().to_owned();
    }
    let ids = (0..6).map(|i| format!("a{i}")).chain((0..3).map(|i| format!("u{i}")));
    ids.into_iter()
        .find(|id| {
            world.graph.canonical(crate::testing::key(id)).0 == unit && crate::testing::key(id).0 == unit
        })
        .unwrap()
}

#[test]
fn a_step_that_is_not_there_is_refused() {
    let mut rng = Rng(1);
    let (both, asked) = (stored(&mut rng), Asked::random(&mut rng));
    let pinned = both.chunked.pin();
    for step in [0, 4] {
        let query = FunnelPersonsQuery {
            counted: &asked.counted,
            identity_epoch: None,
            step,
            dropped: false,
            value: None,
            after: None,
            limit: 1,
        };
        assert!(matches!(funnel_persons(&source(&pinned), &query), Err(QueryError::Step { .. })));
    }
}

/// The funnel without whatever needs more than names.
fn by_names(mut asked: CountedFunnel, rng: &mut Rng) -> CountedFunnel {
    let definition = &mut asked.definition;
    definition.steps.iter_mut().for_each(|step| step.filters.clear());
    definition.exclusions.iter_mut().for_each(|exclusion| exclusion.filters.clear());
    (definition.breakdown, definition.hold) = (None, Vec::new());
    definition.counting = rng.one(&[Counting::Persons, Counting::Conversions]);
    if definition.window_funnel.is_some() {
        definition.counting = Counting::Persons;
    }
    asked.internal = None;
    asked
}

/// All that a funnel counts, and for each unit its attempts.
type Counted = (Sums, u64, BTreeMap<u64, Vec<Attempt>>);

fn count(prepared: &Prepared<'_>, span: Span) -> Counted {
    let (sums, events) = prepared.count(span, true).unwrap();
    let folds = Folds::new(prepared, span).unwrap();
    let mut attempts = BTreeMap::new();
    let looked_at = prepared.each_unit(&folds, &mut |unit, own| {
        assert!(attempts.insert(unit, own).is_none(), "a unit comes once");
    });
    assert_eq!(looked_at.unwrap(), events);
    attempts.retain(|_, own| !own.is_empty());
    (sums, events, attempts)
}

/// Heads and the fast kernel say what rows and the general kernel say, to the last bit of every sketch.
#[test]
fn heads_equal_rows_and_the_fast_kernel_the_general_one() {
    let (mut fast, mut general, mut found) = (0, 0, 0);
    for seed in 0..90 {
        let mut rng = Rng(seed);
        let both = stored(&mut rng);
        let pinned = both.chunked.pin();
        let pinned = if rng.chance(2) { pinned } else { pinned.upto(rng.below(both.told.len() as u64 + 1)) };
        let source = source(&pinned);
        for _ in 0..3 {
            let counted = by_names(Asked::random(&mut rng).counted, &mut rng);
            let span = Span::of(counted.resolve(source.now_us).unwrap());
            let mut prepared = Prepared::new(&source, &counted, None).unwrap();
            let heads = prepared.by_name.is_some();
            let by_heads = count(&prepared, span);
            prepared.by_name = None;
            let by_rows = count(&prepared, span);
            assert_eq!(by_heads.0.totals, by_rows.0.totals, "seed {seed} {:?}", counted.definition);
            assert_eq!(by_heads.0.steps, by_rows.0.steps, "seed {seed} {:?}", counted.definition);
            assert_eq!(by_heads.1, by_rows.1, "events looked at");
            assert_eq!(by_heads.2, by_rows.2, "seed {seed} {:?}", counted.definition);
            let is_fast = prepared.plan(span).unwrap().fast().is_some();
            fast += u64::from(heads && is_fast);
            general += u64::from(heads && !is_fast);
            found += by_heads.2.len();
        }
    }
    assert!(fast > 15 && general > 15 && found > 300, "too little: {fast} {general} {found}");
}
