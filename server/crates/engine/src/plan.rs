//! A funnel's definition as the rules of a kernel, and one unit's state in the kernel that these take.

use footpath_model::definition as model;

use crate::by_session::{BySession, BySessionRules, fold_by_session};
use crate::funnel::{Rules, SlimEvent};
use crate::general::{
    Attempt, Attribution, Counting, Entry, Exclusion, FunnelEvent, GeneralPerson, GeneralRules,
    GeneralRulesError, OnExclusion, Options, Order, Parts, Ties, Window, WindowFunnelModes, fold_general,
};
use crate::image::BadImage;
use crate::person::{Change, NeedsRefold, PersonFunnel};
use crate::session::SessionRules;
use crate::tally::{Tallies, Tally};

/// How the units of a funnel are folded.
#[derive(Debug, Clone)]
pub struct Plan {
    rules: GeneralRules,
    fast: Option<Rules>,
    /// Where sessions are counted: how they are cut.
    sessions: Option<SessionRules>,
}

impl Plan {
    /// The plan for a definition over a range: entries lie in `from_us..to_us`. Where the range `moves`, its beginning is
    /// given again whenever somebody counts. `sessions` are cut so, if it counts them.
    ///
    /// # Errors
    /// If options do not go together; never for a definition that `validate` accepted.
    pub fn new(
        definition: &model::FunnelDefinition,
        (from_us, to_us): (i64, Option<i64>),
        moves: bool,
        sessions: &SessionRules,
    ) -> Result<Self, GeneralRulesError> {
        // The beginning of a range that moves can also go back: a clock that was ahead is set right.
        let from_us = if moves { i64::MIN } else { from_us };
        let options =
            Options { from_us, to_us: to_us.unwrap_or(i64::MAX), moving: moves, ..options(definition) };
        let rules = GeneralRules::new(options)?;
        let sessions = (definition.counting == model::Counting::Sessions).then_some(*sessions);
        let plain = definition.breakdown.is_none() && sessions.is_none();
        let fast = rules.fast().filter(|_| plain);
        Ok(Self { rules, fast, sessions })
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.rules.options().steps
    }

    /// The rules of the general kernel: for all of a unit's events, or for those of one session where these are counted.
    pub fn rules(&self) -> &GeneralRules {
        &self.rules
    }

    /// Those of the fast one, if it suffices.
    pub fn fast(&self) -> Option<&Rules> {
        self.fast.as_ref()
    }

    /// How sessions are cut, if these are counted.
    pub fn sessions(&self) -> Option<&SessionRules> {
        self.sessions.as_ref()
    }

    /// Whether a unit's other events matter too: those that match nothing.
    pub fn sees_all(&self) -> bool {
        self.sessions.is_some() || self.rules.sees_all()
    }

    /// The attempts in one unit's events, sorted by (time, id), for a range that begins at `from_us`.
    pub fn attempts(&self, from_us: i64, sorted: &[FunnelEvent]) -> Vec<Attempt> {
        match self.by_session() {
            Some(rules) => fold_by_session(rules, from_us, sorted),
            None => fold_general(&self.rules, from_us, sorted.iter().copied()),
        }
    }

    fn by_session(&self) -> Option<BySessionRules<'_>> {
        self.sessions.as_ref().map(|sessions| BySessionRules { funnel: &self.rules, sessions })
    }
}

fn options(definition: &model::FunnelDefinition) -> Options {
    let optional = definition.steps.iter().enumerate().filter(|(_, step)| step.optional);
    let all_steps =
        definition.breakdown.as_ref().map(|b| b.attribution) == Some(model::Attribution::AllSteps);
    Options {
        optional: optional.fold(0, |mask, (i, _)| mask | 1 << i),
        window: match definition.window_from {
            model::WindowFrom::FirstStep => Window::FromFirst,
            model::WindowFrom::PreviousStep => Window::BetweenSteps,
        },
        entry: match definition.entry {
            model::Entry::Latest => Entry::Latest,
            model::Entry::First => Entry::First,
        },
        order: match definition.order {
            model::Order::Ordered => Order::Ordered,
            model::Order::Strict => Order::Strict,
            model::Order::Any => Order::Any { anchored: false },
            model::Order::AnyAfterFirst => Order::Any { anchored: true },
        },
        ties: match definition.ties {
            model::Ties::InOrder => Ties::InOrder,
            model::Ties::Tolerance(us) => Ties::Tolerance { us },
            model::Ties::Increasing => Ties::Increasing,
        },
        exclusions: definition.exclusions.iter().map(exclusion).collect(),
        on_exclusion: match definition.on_exclusion {
            model::OnExclusion::BreakAttempt => OnExclusion::BreakAttempt,
            model::OnExclusion::DropPerson => OnExclusion::DropPerson,
        },
        counting: match definition.counting {
            model::Counting::Conversions => Counting::Conversions,
            model::Counting::Persons | model::Counting::Sessions | model::Counting::Groups(_) => {
                Counting::Persons
            }
        },
        attribution: definition
            .breakdown
            .as_ref()
            .map_or(Attribution::FirstTouch, |b| attribution(b.attribution)),
        parts: match definition.counting {
            _ if all_steps || !definition.hold.is_empty() => Parts::BestOf,
            _ => Parts::Whole,
        },
        window_funnel: definition.window_funnel.map(modes),
        ..Options::new(definition.steps.len(), definition.window_us)
    }
}

fn exclusion(exclusion: &model::Exclusion) -> Exclusion {
    Exclusion {
        after_step: exclusion.after_step.saturating_sub(1) as usize,
        before_step: exclusion.before_step.saturating_sub(1) as usize,
    }
}

fn attribution(attribution: model::Attribution) -> Attribution {
    match attribution {
        // With the same value at all steps every event of a chain gives it.
        model::Attribution::FirstTouch | model::Attribution::AllSteps => Attribution::FirstTouch,
        model::Attribution::LastTouch => Attribution::LastTouch,
        model::Attribution::Step(step) => Attribution::Step(step.saturating_sub(1) as usize),
    }
}

fn modes(modes: model::WindowFunnel) -> WindowFunnelModes {
    WindowFunnelModes {
        strict_deduplication: modes.strict_deduplication,
        strict_order: modes.strict_order,
        strict_increase: modes.strict_increase,
        strict_once: modes.strict_once,
        allow_reentry: modes.allow_reentry,
    }
}

/// One unit's open funnel, while events arrive in any order. Every call must pass the [`Plan`] it was made with.
#[derive(Debug, Clone, PartialEq)]
pub enum UnitFunnel {
    /// In the fast kernel.
    Fast(PersonFunnel),
    /// In the general one.
    General(Box<GeneralPerson>),
    /// In the general one, session by session.
    BySession(Box<BySession>),
}

impl UnitFunnel {
    /// A unit without events; `from_us` is the range's beginning.
    #[inline]
    pub fn new(plan: &Plan, from_us: i64) -> Self {
        match (&plan.fast, &plan.sessions) {
            (Some(rules), _) => Self::Fast(PersonFunnel::new(rules)),
            (None, None) => Self::General(Box::new(GeneralPerson::new(&plan.rules, from_us))),
            (None, Some(_)) => Self::BySession(Box::new(BySession::new(from_us))),
        }
    }

    /// Takes an event, in whatever order it arrives.
    #[inline]
    pub fn apply(&mut self, plan: &Plan, event: FunnelEvent) -> Change {
        match (self, &plan.fast, plan.by_session()) {
            (Self::Fast(person), Some(rules), _) => person.apply(rules, slim(&event)),
            (Self::General(person), ..) => person.apply(&plan.rules, event),
            (Self::BySession(person), _, Some(rules)) => person.apply(rules, event),
            (Self::Fast(_) | Self::BySession(_), ..) => Change::NeedsRefold, // Of another plan: never.
        }
    }

    /// Joins the states of two actors that are one person.
    ///
    /// # Errors
    /// [`NeedsRefold`] if stored events have to be read for it.
    pub fn merge(plan: &Plan, a: &Self, b: &Self) -> Result<Self, NeedsRefold> {
        match (a, b, &plan.fast) {
            (Self::Fast(a), Self::Fast(b), Some(rules)) => PersonFunnel::merge(rules, a, b).map(Self::Fast),
            (Self::General(a), Self::General(b), _) => {
                GeneralPerson::merge(&plan.rules, a, b).map(|joined| Self::General(Box::new(joined)))
            }
            (Self::BySession(a), Self::BySession(b), _) => {
                let rules = plan.by_session().ok_or(NeedsRefold)?;
                BySession::merge(rules, a, b).map(|joined| Self::BySession(Box::new(joined)))
            }
            _ => Err(NeedsRefold),
        }
    }

    /// The range begins at `from_us` now.
    ///
    /// # Errors
    /// [`NeedsRefold`] if stored events have to be read to know what counts from there on.
    pub fn advance(&mut self, plan: &Plan, from_us: i64) -> Result<(), NeedsRefold> {
        match (self, plan.by_session()) {
            (Self::General(person), _) => person.advance(&plan.rules, from_us),
            (Self::BySession(person), Some(rules)) => person.advance(rules, from_us),
            (Self::Fast(_) | Self::BySession(_), _) => Ok(()),
        }
    }

    /// What it counts for in a range that begins at `from_us`.
    #[inline]
    pub fn tallies(&mut self, plan: &Plan, from_us: i64) -> Tallies {
        match self {
            Self::Fast(person) => fast_tally(person, plan.steps(), from_us),
            Self::General(person) => Tallies::of(&person.attempts(&plan.rules, from_us), plan.steps()),
            Self::BySession(person) => plan.by_session().map_or(Tallies::None, |rules| person.tallies(rules)),
        }
    }

    /// The range's beginning behind which it counts for something else, without any event.
    #[inline]
    pub fn falls_after(&mut self, plan: &Plan, from_us: i64) -> Option<i64> {
        match self {
            Self::Fast(person) => person.falls_after(from_us),
            Self::General(person) => person.falls_after(&plan.rules, from_us),
            Self::BySession(person) => person.falls_after(plan.by_session()?),
        }
    }

    /// Whether [`UnitFunnel::tallies`] looks at more than so many parts, sessions or attempts. Then it is better not asked for after
    /// every event.
    #[inline]
    pub fn is_heavy(&self, many: usize) -> bool {
        match self {
            Self::Fast(_) => false,
            Self::General(person) => person.is_heavy(many),
            Self::BySession(person) => person.is_heavy(many),
        }
    }

    /// Whether no event so far can matter any more to a range that begins at `from_us` or later, whatever comes.
    pub fn is_over(&self, plan: &Plan, from_us: i64) -> bool {
        match self {
            Self::Fast(person) => person.newest_us() < from_us,
            Self::General(person) => person.is_over(&plan.rules, from_us),
            // A late event, before the range, can begin a session that reaches into it: where it ends hangs on all before.
            Self::BySession(_) => false,
        }
    }

    /// Something of each of its cache lines.
    #[inline]
    pub fn warm(&self) -> i64 {
        match self {
            Self::Fast(person) => person.warm(),
            Self::General(_) | Self::BySession(_) => 0,
        }
    }

    /// Appends the state, for images.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Fast(person) => person.encode(out),
            Self::General(person) => person.encode(out),
            Self::BySession(person) => person.encode(out),
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadImage`] if it is not of this plan, or damaged.
    pub fn decode(plan: &Plan, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        match (&plan.fast, plan.by_session()) {
            (Some(rules), _) => PersonFunnel::decode(rules, bytes).map(Self::Fast),
            (None, None) => {
                GeneralPerson::decode(&plan.rules, bytes).map(|person| Self::General(Box::new(person)))
            }
            (None, Some(rules)) => {
                BySession::decode(rules, bytes).map(|person| Self::BySession(Box::new(person)))
            }
        }
    }
}

#[inline]
fn slim(event: &FunnelEvent) -> SlimEvent {
    SlimEvent { time_us: event.time_us, id: event.id, mask: event.steps }
}

#[inline]
fn fast_tally(person: &PersonFunnel, steps: usize, from_us: i64) -> Tallies {
    match person.depth(from_us) {
        0 => Tallies::None,
        depth => {
            let took_us = (depth == steps).then(|| person.took_us());
            Tallies::One(Tally::new((1 << depth) - 1, 0, took_us))
        }
    }
}
