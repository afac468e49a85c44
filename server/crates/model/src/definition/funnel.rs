//! Funnels: steps that persons take one after another, and how they are counted.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::condition::{Filter, PropertyRef, is_default};
use super::{
    InvalidDefinition, MAX_EXCLUSIONS, MAX_HELD, MAX_STEPS, MAX_TOLERANCE_US, MAX_WINDOW_US, MIN_WINDOW_US,
};

/// A funnel: steps that persons take one after another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelDefinition {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// For people; may be empty.
    #[serde(default)]
    pub name: String,
    /// The server's version, 1 with the first; 0 for one that was only asked for.
    #[serde(default)]
    pub version: u64,
    /// The product whose rules were taken over where nothing else was said; for people, the options below are what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// 1 to 20 steps.
    pub steps: Vec<Step>,
    /// A conversion finishes within this many microseconds, inclusive. 1 s to 366 d.
    pub window_us: i64,
    /// What the window is counted from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window_from: WindowFrom,
    /// Which of several entries counts.
    #[serde(default)]
    pub entry: Entry,
    /// Whether and how other events may come in between.
    #[serde(default)]
    pub order: Order,
    /// What becomes of events at the same time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ties: Ties,
    /// What is counted.
    #[serde(default)]
    pub counting: Counting,
    /// Events that must not happen on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<Exclusion>,
    /// What they do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_exclusion: OnExclusion,
    /// Properties that must have the same value at all steps; at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hold: Vec<PropertyRef>,
    /// Numbers for each value of a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakdown: Option<FunnelBreakdown>,
    /// Exactly what ClickHouse's `windowFunnel` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_funnel: Option<WindowFunnel>,
    /// Counts what the project's filter for internal traffic and bots leaves out elsewhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
}

/// One step: an event with one of the names, all conditions true.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For people; empty means the first event's name.
    #[serde(default)]
    pub name: String,
    /// Event names, any of them.
    pub events: Vec<String>,
    /// What the event has to fulfil, all of it.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// May be skipped: later steps do not need it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
}

impl Step {
    /// What to call the step: its name, or its first event's.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.events.first().map_or("", String::as_str) } else { &self.name }
    }
}

/// Products whose rules a funnel can take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// ClickHouse's `windowFunnel`.
    Clickhouse,
    /// PostHog.
    Posthog,
    /// Mixpanel.
    Mixpanel,
    /// Amplitude.
    Amplitude,
}

/// What a window is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowFrom {
    /// From the first step to the last.
    #[default]
    FirstStep,
    /// From each step to the next.
    PreviousStep,
}

/// Which of several entries counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A newer step-1 event restarts an unfinished chain if that gets deeper.
    #[default]
    Latest,
    /// The first step-1 event in the range.
    First,
}

/// Whether and how other events may come in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Steps in order; anything may happen in between.
    #[default]
    Ordered,
    /// Steps in order, and no other event of the person in between.
    Strict,
    /// Steps in any order.
    Any,
    /// The first step first, the others in any order.
    AnyAfterFirst,
}

/// What becomes of events at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// They count as in order, whichever way round.
    #[default]
    InOrder,
    /// So do events that follow each other within this many microseconds.
    Tolerance(i64),
    /// Each step has to be later than the one before it.
    Increasing,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Unique persons: each counts once, with the deepest chain.
    #[default]
    Persons,
    /// Every attempt; a person enters again after one ended.
    Conversions,
    /// Sessions: a chain lies within one, and each counts once.
    Sessions,
    /// Groups of this type: events of all their members make the chain.
    Groups(String),
}

/// Events that must not happen between two steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Event names, any of them.
    pub events: Vec<String>,
    /// What the event has to fulfil, all of it.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// After this step, counted from 1.
    pub after_step: u32,
    /// And before this one.
    pub before_step: u32,
}

/// What an excluded event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExclusion {
    /// It ends the attempt, which counts up to the step it had reached.
    #[default]
    BreakAttempt,
    /// Who had it does not count at all.
    DropPerson,
}

/// Numbers for each value of a property. A chain is never cut by the value: it decides under which value the chain counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelBreakdown {
    /// The property.
    pub by: PropertyRef,
    /// Which of a chain's events gives the value.
    #[serde(default)]
    pub attribution: Attribution,
}

/// Which of a chain's events gives the value of a breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// The first.
    #[default]
    FirstTouch,
    /// The last.
    LastTouch,
    /// All of them: chains have the same value at all steps.
    AllSteps,
    /// The one of this step, counted from 1; who did not reach it counts under no value.
    Step(u32),
}

/// The modes of ClickHouse's `windowFunnel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowFunnel {
    /// A step that is repeated ends the search.
    pub strict_deduplication: bool,
    /// Any other event ends the search.
    pub strict_order: bool,
    /// Times have to increase.
    pub strict_increase: bool,
    /// An event serves one step of a chain.
    pub strict_once: bool,
    /// With `strict_order`: steps that come too early are passed over.
    pub allow_reentry: bool,
}

impl FunnelDefinition {
    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.identity(&self.id, &self.name);
        check.count("steps", self.steps.len(), 1, MAX_STEPS);
        for (i, step) in self.steps.iter().take(MAX_STEPS).enumerate() {
            check.step(&format!("steps[{i}]"), step);
        }
        self.check_optional(&mut check);
        check.that((MIN_WINDOW_US..=MAX_WINDOW_US).contains(&self.window_us), "window", || {
            format!("from 1 s to 366 d, not {} s", self.window_us as f64 / 1e6)
        });
        self.check_exclusions(&mut check);
        self.check_breakdown(&mut check);
        self.check_together(&mut check);
        check.finish()
    }

    fn check_optional(&self, check: &mut Checker) {
        for (i, _) in self.steps.iter().enumerate().filter(|(_, step)| step.optional) {
            let path = format!("steps[{i}].optional");
            check.that(i != 0 && i + 1 != self.steps.len(), &path, || {
                "the first and the last step cannot be skipped".into()
            });
            check.that(self.order == Order::Ordered, &path, || "only where `order` is ordered".into());
        }
    }

    fn check_exclusions(&self, check: &mut Checker) {
        check.count("exclusions", self.exclusions.len(), 0, MAX_EXCLUSIONS);
        let any = matches!(self.order, Order::Any | Order::AnyAfterFirst);
        let last = self.steps.len() as u32;
        for (i, exclusion) in self.exclusions.iter().take(MAX_EXCLUSIONS).enumerate() {
            let path = format!("exclusions[{i}]");
            check.events(&path, &exclusion.events);
            check.filters(&format!("{path}.filters"), &exclusion.filters, false);
            let between = (exclusion.after_step, exclusion.before_step);
            check.that(1 <= between.0 && between.0 < between.1 && between.1 <= last, &path, || {
                format!("after_step and before_step name two steps, the earlier first, of 1 to {last}")
            });
            check.that(!any || between == (1, last), &path, || {
                format!("where steps come in any order: from 1 to {last}")
            });
        }
    }

    fn check_breakdown(&self, check: &mut Checker) {
        check.count("hold_constant", self.hold.len(), 0, MAX_HELD);
        for (i, held) in self.hold.iter().take(MAX_HELD).enumerate() {
            let path = format!("hold_constant[{i}]");
            check.property(&path, held);
            check.that(!self.hold[..i].contains(held), &path, || "is held already".into());
        }
        let Some(FunnelBreakdown { by, attribution }) = &self.breakdown else { return };
        check.property("breakdown.property", by);
        if let Attribution::Step(step) = attribution {
            let steps = self.steps.len();
            check.that((1..=steps as u32).contains(step), "breakdown.attribution_step", || {
                format!("a step of 1 to {steps}, not {step}")
            });
        }
        let held = self.hold.len() + usize::from(*attribution == Attribution::AllSteps);
        check.that(held <= MAX_HELD, "breakdown.attribution", || {
            "all_steps holds one property more constant; three at most".into()
        });
    }

    /// What cannot stand together.
    fn check_together(&self, check: &mut Checker) {
        let any = matches!(self.order, Order::Any | Order::AnyAfterFirst);
        check.that(!(any && self.window_from == WindowFrom::PreviousStep), "window_from", || {
            "a window from step to step needs steps in order".into()
        });
        if let Ties::Tolerance(us) = self.ties {
            check.that((1..=MAX_TOLERANCE_US).contains(&us), "tie_tolerance", || {
                format!("from 1 us to {} s", MAX_TOLERANCE_US / 1_000_000)
            });
        }
        if let Counting::Groups(kind) = &self.counting {
            check.name("group_type", kind);
        }
        let alone = self.window_funnel.is_some_and(|modes| modes.allow_reentry && !modes.strict_order);
        check.that(!alone, "window_funnel.allow_reentry", || "only with strict_order".into());
        let plain = Self {
            preset: None,
            window_funnel: None,
            breakdown: None,
            steps: Vec::new(),
            id: String::new(),
            name: String::new(),
            version: 0,
            window_us: 0,
            include_internal: false,
            ..self.clone()
        };
        check.that(self.window_funnel.is_none() || plain == Self::default(), "window_funnel", || {
            "stands for itself: no other option beside breakdown and include_internal".into()
        });
        let first = self.breakdown.as_ref().is_none_or(|b| b.attribution == Attribution::FirstTouch);
        check.that(self.window_funnel.is_none() || first, "breakdown.attribution", || {
            "window_funnel knows only the first touch".into()
        });
    }
}
