//! One rule and its series.

use std::collections::{BTreeMap, BTreeSet};

use footpath_model::alert::{CountedRule, Learned, Observed, Reading, Series};
use footpath_model::definition::{AlertCondition, AlertRule, Direction};

use super::Transition;
use super::bucket::{Around, Bucket, point, verdict};
use super::kind::{is_zero_when_empty, series_kind};
use super::series::SeriesFold;
use crate::anomaly::{self, Detector, SeriesKind, Settings};

/// Whether a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleState {
    /// Its past is being read.
    BackFilling,
    /// It judges each bucket.
    Judging,
    /// It was switched off.
    Disabled,
}

/// A rule as it stands.
#[derive(Debug, Clone)]
pub struct RuleFold {
    /// The rule.
    pub counted: CountedRule,
    /// Its series.
    pub series: BTreeMap<Series, SeriesFold>,
    /// The end of the last bucket that was judged or learned, microseconds since 1970; 0 before the first.
    pub last_us: i64,
    /// Its past was read.
    pub learned: bool,
    /// Nobody is told until then, microseconds since 1970.
    pub muted_until_us: i64,
    kind: SeriesKind,
    pub(super) zero_when_empty: bool,
}

impl RuleFold {
    /// A rule that knows nothing yet.
    pub fn new(counted: CountedRule) -> Self {
        let metric = &counted.metric.definition;
        Self {
            kind: series_kind(metric),
            zero_when_empty: is_zero_when_empty(metric),
            series: BTreeMap::new(),
            last_us: 0,
            learned: false,
            muted_until_us: 0,
            counted,
        }
    }

    /// The definition.
    pub fn rule(&self) -> &AlertRule {
        &self.counted.definition
    }

    /// Whether it judges.
    pub fn state(&self) -> RuleState {
        match (self.rule().disabled, self.learned) {
            (true, _) => RuleState::Disabled,
            (false, false) => RuleState::BackFilling,
            (false, true) => RuleState::Judging,
        }
    }

    /// How its numbers scatter.
    pub fn kind(&self) -> SeriesKind {
        self.kind
    }

    /// Takes what was observed of one bucket. A record of another version, or of a bucket that is over, says nothing.
    pub(super) fn observe(&mut self, around: Around, observed: &Observed) -> Vec<Transition> {
        if !self.is_next(observed) {
            return Vec::new();
        }
        self.last_us = observed.to_us;
        self.admit(observed.series.iter().map(|reading| &reading.series));
        let bucket = Bucket::new(self, around, observed);
        let muted = observed.to_us < self.muted_until_us;
        let mut transitions = Vec::new();
        for (name, fold) in &mut self.series {
            let judged = bucket.judge(name, fold.detector.as_deref_mut());
            transitions.extend(fold.take(around.project, &bucket.rule, name, judged));
        }
        transitions.iter_mut().for_each(|one| one.quiet |= muted);
        transitions
    }

    fn is_next(&self, observed: &Observed) -> bool {
        let is_next = observed.version == self.rule().version && observed.from_us >= self.last_us;
        is_next && self.state() == RuleState::Judging
    }

    /// What would happen with this record. Detectors are copied one after the other: copies that were kept for the record itself would save judging
    /// twice, and cost more than that in fresh memory.
    pub(super) fn look_ahead(&self, around: Around, observed: &Observed) -> Vec<Transition> {
        if !self.is_next(observed) {
            return Vec::new();
        }
        let new = SeriesFold { detector: self.detector(), ..SeriesFold::default() };
        let named = observed.series.iter().map(|reading| &reading.series);
        let names = self.new_series(named).into_iter().map(|name| (name, &new));
        let bucket = Bucket::new(self, around, observed);
        let step = |(name, fold): (&Series, &SeriesFold)| {
            let judged = bucket.judge(name, fold.detector.clone().as_deref_mut());
            fold.standing().step(around.project, &bucket.rule, name, &judged)
        };
        self.series.iter().chain(names).filter_map(step).collect()
    }

    /// Takes what stored events say of the time before the rule.
    pub(super) fn learn(&mut self, special: &dyn Fn(i64) -> bool, learned: &Learned) {
        if learned.version != self.rule().version || self.learned {
            return;
        }
        self.admit(learned.series.iter().map(|one| &one.series));
        for one in &learned.series {
            let Some(fold) = self.series.get_mut(&one.series) else { continue };
            for ((from_us, to_us, local_us), (value, volume)) in learned.buckets.iter().zip(&one.values) {
                let reading = Reading { value: *value, volume: *volume, ..Reading::of(one.series.clone()) };
                let point = point(*from_us, *local_us, &reading, special(*from_us));
                fold.detector.as_mut().and_then(|detector| verdict(detector, *from_us, point, None));
                if *volume > 0.0 {
                    fold.last_seen_us = *to_us;
                }
            }
        }
        self.last_us = learned.upto_us;
        self.learned = learned.last;
    }

    /// Whether `changed` counts the same, so that what is known of its series stays true.
    pub(super) fn goes_on(&self, changed: &CountedRule) -> bool {
        let anomaly = |rule: &CountedRule| matches!(rule.definition.when, AlertCondition::Anomaly { .. });
        let same = |rule: &CountedRule| {
            let mut watched = rule.watched();
            watched.definition.version = 0;
            watched.definition.name.clear();
            (watched, rule.definition.every, rule.zone.clone(), anomaly(rule))
        };
        same(&self.counted) == same(changed)
    }

    /// The same series under a changed rule.
    pub(super) fn with(self, counted: CountedRule) -> Self {
        let mut new = Self { counted, ..self };
        if let Some(settings) = new.settings() {
            for series in new.series.values_mut() {
                // One that cannot go on is not needed: the rule counts something else.
                series.detector.take_if(|detector| !detector.retune(&settings));
            }
        }
        new
    }

    /// Makes room for series that are new, as long as there is some.
    fn admit<'s>(&mut self, named: impl Iterator<Item = &'s Series>) {
        for name in self.new_series(named) {
            let fold = SeriesFold { detector: self.detector(), ..SeriesFold::default() };
            self.series.insert(name.clone(), fold);
        }
    }

    /// Those of these series that are new and that there is room for.
    fn new_series<'s>(&self, named: impl Iterator<Item = &'s Series>) -> BTreeSet<&'s Series> {
        let most = if self.counted.watched().definition.breakdown.is_some() { self.rule().top() } else { 1 };
        let room = most.saturating_sub(self.series.len());
        named.filter(|name| !self.series.contains_key(name)).take(room).collect()
    }

    pub(super) fn detector(&self) -> Option<Box<Detector>> {
        self.settings().map(|settings| Box::new(Detector::new(&settings)))
    }

    /// The detector's settings, of rules about anomalies.
    pub(super) fn settings(&self) -> Option<Settings> {
        let AlertCondition::Anomaly { direction, false_alerts } = self.rule().when else { return None };
        Some(Settings {
            kind: self.kind,
            bucket_us: self.rule().every.usual_us(),
            false_alerts_per_month: false_alerts,
            direction: match direction {
                Direction::Both => anomaly::Direction::Both,
                Direction::Up => anomaly::Direction::Up,
                Direction::Down => anomaly::Direction::Down,
            },
        })
    }

    /// Series that had something in them since a moment.
    pub(super) fn active_since(&self, since_us: i64) -> usize {
        self.series.values().filter(|fold| fold.last_seen_us > since_us).count()
    }
}
