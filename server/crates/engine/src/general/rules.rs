//! The rules of a general funnel: what its options are, and which of them go together.

use crate::funnel::{MAX_STEPS, MAX_TIME_US, Rules};

/// Most exclusions a funnel may have.
pub const MAX_EXCLUSIONS: usize = 10;

/// From where the window is counted. It is inclusive either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Every step lies within the window of the chain's first event.
    FromFirst,
    /// Every step lies within the window of the step before it.
    BetweenSteps,
}

/// Which step-1 event a chain begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The one that gets deepest, of these the latest (ClickHouse, PostHog).
    Latest,
    /// The first one in the range, whatever comes after it (Mixpanel).
    First,
}

/// In what order steps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order given; anything may happen between them.
    Ordered,
    /// In the order given, and no other event of the person between two of them.
    Strict,
    /// In any order. Depth counts different steps.
    Any {
        /// The chain's first event must be a step-1 event (Amplitude); else it may be any step (PostHog).
        anchored: bool,
    },
}

/// What equal timestamps mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// They count as in order, whichever way round they are needed.
    InOrder,
    /// As [`Ties::InOrder`], and so do events that follow each other within `us` microseconds (inclusive): all of them
    /// happen at the moment of the first.
    Tolerance {
        /// Microseconds between neighbouring events of a moment.
        us: i64,
    },
    /// The times of a chain's steps strictly increase.
    Increasing,
}

/// An event that must not happen between two steps; bit `i` of [`crate::FunnelEvent::exclusions`] is the `i`-th of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusion {
    /// The step after which it counts, from 0.
    pub after_step: usize,
    /// The step before which it counts, from 0; more than `after_step`.
    pub before_step: usize,
}

/// What an excluded event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExclusion {
    /// The chain ends with what it reached.
    BreakAttempt,
    /// The person leaves the funnel altogether (PostHog).
    DropPerson,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Each person once, with the deepest chain.
    Persons,
    /// Every attempt (Mixpanel's totals).
    Conversions,
}

/// Which event of a chain gives the breakdown value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// The chain's first event.
    FirstTouch,
    /// The event of the deepest step reached.
    LastTouch,
    /// The event of this step, from 0; with [`Order::Any`] the one that was done as the so-manieth.
    Step(usize),
}

/// Whether a person's events are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// They are not; [`crate::FunnelEvent::part`] is not looked at.
    Whole,
    /// A chain keeps to one part and the person has the best of them (hold constant). [`Counting::Conversions`] counts the
    /// attempts of all parts.
    BestOf,
}

/// The modes of ClickHouse's `windowFunnel`, by their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowFunnelModes {
    /// A step that was reached already ends everything when it comes again.
    pub strict_deduplication: bool,
    /// An event that matches nothing ends everything after the first step; so does a step that comes too early.
    pub strict_order: bool,
    /// Times of neighbouring steps strictly increase.
    pub strict_increase: bool,
    /// An event serves one step of a chain only.
    pub strict_once: bool,
    /// With `strict_order`: a step that comes too early is passed over.
    pub allow_reentry: bool,
}

/// The options of a funnel, before they are checked. Begin with [`Options::new`] and change what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many steps, 1 to 20.
    pub steps: usize,
    /// Bit `i`: step `i` may be skipped. Never the first or the last.
    pub optional: u32,
    /// The window in microseconds, inclusive.
    pub window_us: i64,
    /// From where it is counted.
    pub window: Window,
    /// Which step-1 event a chain begins with.
    pub entry: Entry,
    /// In what order steps count.
    pub order: Order,
    /// What equal timestamps mean.
    pub ties: Ties,
    /// Events that must not happen between two steps, up to [`MAX_EXCLUSIONS`].
    pub exclusions: Vec<Exclusion>,
    /// What such an event does.
    pub on_exclusion: OnExclusion,
    /// What is counted.
    pub counting: Counting,
    /// Which event of a chain gives the breakdown value.
    pub attribution: Attribution,
    /// Whether a person's events are divided.
    pub parts: Parts,
    /// Entries lie at this time or later. Of a moving range: where it begins at first, or [`i64::MIN`].
    pub from_us: i64,
    /// Entries lie before this time; a chain may finish later. [`i64::MAX`] if there is no end.
    pub to_us: i64,
    /// The range's beginning moves: the caller says where it is whenever it asks.
    pub moving: bool,
    /// ClickHouse's `windowFunnel`, exactly; goes with the defaults only (and with parts, attribution, range).
    pub window_funnel: Option<WindowFunnelModes>,
}

impl Options {
    /// The defaults: those of [`Rules`], without a range.
    pub fn new(steps: usize, window_us: i64) -> Self {
        Self {
            steps,
            optional: 0,
            window_us,
            window: Window::FromFirst,
            entry: Entry::Latest,
            order: Order::Ordered,
            ties: Ties::InOrder,
            exclusions: Vec::new(),
            on_exclusion: OnExclusion::BreakAttempt,
            counting: Counting::Persons,
            attribution: Attribution::FirstTouch,
            parts: Parts::Whole,
            from_us: i64::MIN,
            to_us: i64::MAX,
            moving: false,
            window_funnel: None,
        }
    }
}

/// Why options do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeneralRulesError {
    /// The number of steps is out of range.
    #[error("a funnel has 1 to {MAX_STEPS} steps, not {0}")]
    Steps(usize),
    /// The window is negative.
    #[error("a funnel's window cannot be negative ({0} us)")]
    Window(i64),
    /// The tolerance is negative.
    #[error("a tolerance cannot be negative ({0} us)")]
    Tolerance(i64),
    /// The first or last step is optional, or a step that is not there.
    #[error("only steps between the first and the last can be optional")]
    OptionalStep,
    /// Optional steps in another order.
    #[error("optional steps need the order `ordered`")]
    OptionalOrder,
    /// Optional steps with a window between steps.
    #[error("optional steps need the window to be counted from the first step")]
    OptionalWindow,
    /// A window between steps that come in any order.
    #[error("in any order the window is counted from the first event, not between steps")]
    AnyWindow,
    /// Too many exclusions.
    #[error("a funnel has at most {MAX_EXCLUSIONS} exclusions, not {0}")]
    Exclusions(usize),
    /// An exclusion that does not lie between two steps.
    #[error(
        "an exclusion lies after a step and before a later one, not after {after_step} and before {before_step} (counted from 0)"
    )]
    Exclusion {
        /// As given.
        after_step: usize,
        /// As given.
        before_step: usize,
    },
    /// An exclusion between two steps that come in any order.
    #[error("in any order an exclusion reaches from the first step to the last")]
    AnyExclusion,
    /// A breakdown by a step that is not there.
    #[error("there is no step {0} (counted from 0) to break down by")]
    Attribution(usize),
    /// The range is empty.
    #[error("the range ends at {to_us} us, before it begins at {from_us} us")]
    Range {
        /// Where it begins.
        from_us: i64,
        /// Where it ends.
        to_us: i64,
    },
    /// The preset with anything else.
    #[error("the ClickHouse preset goes with no other rule than window, parts, breakdown and range")]
    Preset,
    /// `allow_reentry` alone; ClickHouse refuses it too.
    #[error("`allow_reentry` needs `strict_order`")]
    Reentry,
}

/// Checked options, and how much a [`crate::GeneralPerson`] keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralRules {
    pub(super) options: Options,
    all_steps: u32,
    all_exclusions: u16,
    tail_limit: usize,
    kept_limit: usize,
}

impl GeneralRules {
    /// How many events a person keeps to place late ones among, unless told otherwise.
    pub const DEFAULT_TAIL: usize = 16;
    /// How many events a person keeps whose answer cannot be read off a state when the range moves.
    pub const DEFAULT_KEPT: usize = 512;

    /// Checks options.
    ///
    /// # Errors
    /// [`GeneralRulesError`] says which of them do not go together.
    pub fn new(options: Options) -> Result<Self, GeneralRulesError> {
        check_numbers(&options)?;
        check_optional(&options)?;
        check_exclusions(&options)?;
        check_preset(&options)?;
        if matches!(options.order, Order::Any { .. }) && options.window == Window::BetweenSteps {
            return Err(GeneralRulesError::AnyWindow);
        }
        let options = Options { window_us: options.window_us.min(MAX_TIME_US), ..options };
        Ok(Self {
            all_steps: low_bits(options.steps),
            all_exclusions: low_bits(options.exclusions.len()) as u16,
            options,
            tail_limit: Self::DEFAULT_TAIL,
            kept_limit: Self::DEFAULT_KEPT,
        })
    }

    /// Keeps up to `tail` events per person to place late ones among, and up to `kept` where the range moves and its answer
    /// cannot be read off a state.
    #[must_use]
    pub fn with_limits(mut self, tail: usize, kept: usize) -> Self {
        (self.tail_limit, self.kept_limit) = (tail, kept);
        self
    }

    /// The options as given.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The rules of the fast kernel, if they say the same. It knows no breakdown values and no times.
    pub fn fast(&self) -> Option<Rules> {
        let o = &self.options;
        let like = Options {
            attribution: o.attribution,
            from_us: o.from_us,
            to_us: o.to_us,
            moving: o.moving,
            ..Options::new(o.steps, o.window_us)
        };
        if *o != like {
            return None;
        }
        let to_us = (o.to_us != i64::MAX).then_some(o.to_us);
        Rules::new(o.steps, o.window_us).ok().map(|rules| rules.with_entry_before(to_us))
    }

    /// Whether an event with these bits can change anything, by itself or by standing between others.
    pub fn concerns(&self, steps: u32, exclusions: u16) -> bool {
        self.usable_steps(steps) != 0 || self.usable_exclusions(exclusions) != 0 || self.sees_all()
    }

    /// Whether events that match nothing must be given to the kernel as well.
    pub fn sees_all(&self) -> bool {
        self.is_strict() || self.options.window_funnel.is_some_and(|modes| modes.strict_order)
    }

    pub(super) fn steps(&self) -> usize {
        self.options.steps
    }

    pub(super) fn last_step(&self) -> usize {
        self.options.steps - 1
    }

    pub(super) fn usable_steps(&self, steps: u32) -> u32 {
        steps & self.all_steps
    }

    pub(super) fn usable_exclusions(&self, exclusions: u16) -> u16 {
        exclusions & self.all_exclusions
    }

    pub(super) fn is_strict(&self) -> bool {
        self.options.order == Order::Strict
    }

    pub(super) fn is_anchored(&self) -> bool {
        !matches!(self.options.order, Order::Any { anchored: false })
    }

    pub(super) fn drops_persons(&self) -> bool {
        self.options.on_exclusion == OnExclusion::DropPerson
    }

    pub(super) fn counts_persons(&self) -> bool {
        self.options.counting == Counting::Persons
    }

    /// The furthest that two neighbouring events of one moment lie apart.
    pub(super) fn tolerance_us(&self) -> i64 {
        match self.options.ties {
            Ties::Tolerance { us } => us,
            Ties::InOrder | Ties::Increasing => 0,
        }
    }

    /// Whether an answer for any beginning of the range can be read off one state.
    pub(super) fn reads_by_entry(&self) -> bool {
        let o = &self.options;
        self.counts_persons() && o.entry == Entry::Latest && o.window_funnel.is_none()
    }

    /// Whether a person keeps events because the range moves and its answer cannot be read off a state.
    pub(super) fn keeps_events(&self) -> bool {
        self.options.moving && !self.reads_by_entry()
    }

    /// How many events lie in a person's tail at most.
    pub(super) fn tail_limit(&self) -> usize {
        if self.keeps_events() { self.kept_limit } else { self.tail_limit }
    }

    /// How many required steps there are up to `step`, inclusive.
    pub(super) fn required_up_to(&self, step: usize) -> u32 {
        (low_bits(step + 1) & !self.options.optional).count_ones()
    }

    /// Whether a chain that waits behind `step` is ended by one of the excluded events unless it gets to `end` in this moment.
    pub(super) fn is_blocked(&self, exclusions: u16, step: usize, end: usize) -> bool {
        let between = |e: &Exclusion| (e.after_step..e.before_step).contains(&step) && end < e.before_step;
        exclusions != 0 && self.hit_by(exclusions).any(between)
    }

    /// The exclusions among these bits.
    pub(super) fn hit_by(&self, exclusions: u16) -> impl Iterator<Item = &Exclusion> {
        let is_hit = move |i: usize| exclusions & (1 << i) != 0;
        self.options.exclusions.iter().enumerate().filter(move |(i, _)| is_hit(*i)).map(|(_, e)| e)
    }
}

/// The lowest `count` bits.
pub(super) fn low_bits(count: usize) -> u32 {
    (1_u32 << count) - 1
}

fn check_numbers(o: &Options) -> Result<(), GeneralRulesError> {
    if !(1..=MAX_STEPS).contains(&o.steps) {
        return Err(GeneralRulesError::Steps(o.steps));
    }
    if o.window_us < 0 {
        return Err(GeneralRulesError::Window(o.window_us));
    }
    if let Ties::Tolerance { us } = o.ties
        && us < 0
    {
        return Err(GeneralRulesError::Tolerance(us));
    }
    if let Attribution::Step(step) = o.attribution
        && step >= o.steps
    {
        return Err(GeneralRulesError::Attribution(step));
    }
    if o.to_us < o.from_us {
        return Err(GeneralRulesError::Range { from_us: o.from_us, to_us: o.to_us });
    }
    Ok(())
}

fn check_optional(o: &Options) -> Result<(), GeneralRulesError> {
    if o.optional == 0 {
        return Ok(());
    }
    let between = low_bits(o.steps - 1) & !1;
    if o.optional & !between != 0 {
        return Err(GeneralRulesError::OptionalStep);
    }
    if o.order != Order::Ordered {
        return Err(GeneralRulesError::OptionalOrder);
    }
    if o.window == Window::BetweenSteps {
        return Err(GeneralRulesError::OptionalWindow);
    }
    Ok(())
}

fn check_exclusions(o: &Options) -> Result<(), GeneralRulesError> {
    if o.exclusions.len() > MAX_EXCLUSIONS {
        return Err(GeneralRulesError::Exclusions(o.exclusions.len()));
    }
    for &Exclusion { after_step, before_step } in &o.exclusions {
        if after_step >= before_step || before_step >= o.steps {
            return Err(GeneralRulesError::Exclusion { after_step, before_step });
        }
        let whole = after_step == 0 && before_step == o.steps - 1;
        if matches!(o.order, Order::Any { .. }) && !whole {
            return Err(GeneralRulesError::AnyExclusion);
        }
    }
    Ok(())
}

fn check_preset(o: &Options) -> Result<(), GeneralRulesError> {
    let Some(modes) = o.window_funnel else { return Ok(()) };
    if modes.allow_reentry && !modes.strict_order {
        return Err(GeneralRulesError::Reentry);
    }
    let alone = Options {
        attribution: o.attribution,
        parts: o.parts,
        from_us: o.from_us,
        to_us: o.to_us,
        moving: o.moving,
        window_funnel: o.window_funnel,
        ..Options::new(o.steps, o.window_us)
    };
    if *o == alone { Ok(()) } else { Err(GeneralRulesError::Preset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut Options)) -> Option<GeneralRulesError> {
        let mut options = Options::new(3, 10);
        change(&mut options);
        GeneralRules::new(options).err()
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let all = Exclusion { after_step: 0, before_step: 2 };
        let any = Order::Any { anchored: true };
        assert_eq!(error(|_| {}), None);
        assert_eq!(error(|o| o.steps = 0), Some(GeneralRulesError::Steps(0)));
        assert_eq!(error(|o| o.window_us = -1), Some(GeneralRulesError::Window(-1)));
        assert_eq!(error(|o| o.ties = Ties::Tolerance { us: -1 }), Some(GeneralRulesError::Tolerance(-1)));
        assert_eq!(error(|o| o.optional = 0b010), None);
        assert_eq!(error(|o| o.optional = 0b100), Some(GeneralRulesError::OptionalStep));
        assert_eq!(error(|o| o.optional = 0b001), Some(GeneralRulesError::OptionalStep));
        let optional = |order| error(|o| (o.optional, o.order) = (0b010, order));
        assert_eq!(optional(Order::Strict), Some(GeneralRulesError::OptionalOrder));
        let window = error(|o| (o.optional, o.window) = (0b010, Window::BetweenSteps));
        assert_eq!(window, Some(GeneralRulesError::OptionalWindow));
        let window = error(|o| (o.order, o.window) = (any, Window::BetweenSteps));
        assert_eq!(window, Some(GeneralRulesError::AnyWindow));
        assert_eq!(error(|o| o.exclusions = vec![all; 11]), Some(GeneralRulesError::Exclusions(11)));
        let back = Exclusion { after_step: 1, before_step: 1 };
        let refused = GeneralRulesError::Exclusion { after_step: 1, before_step: 1 };
        assert_eq!(error(|o| o.exclusions = vec![back]), Some(refused));
        assert_eq!(error(|o| (o.order, o.exclusions) = (any, vec![all])), None);
        let part = Exclusion { after_step: 0, before_step: 1 };
        let refused = error(|o| (o.order, o.exclusions) = (any, vec![part]));
        assert_eq!(refused, Some(GeneralRulesError::AnyExclusion));
        let refused = error(|o| o.attribution = Attribution::Step(3));
        assert_eq!(refused, Some(GeneralRulesError::Attribution(3)));
        let refused = error(|o| (o.from_us, o.to_us) = (5, 4));
        assert_eq!(refused, Some(GeneralRulesError::Range { from_us: 5, to_us: 4 }));
        let preset = WindowFunnelModes::default();
        assert_eq!(error(|o| o.window_funnel = Some(preset)), None);
        let refused = error(|o| (o.window_funnel, o.entry) = (Some(preset), Entry::First));
        assert_eq!(refused, Some(GeneralRulesError::Preset));
        let reentry = WindowFunnelModes { allow_reentry: true, ..preset };
        assert_eq!(error(|o| o.window_funnel = Some(reentry)), Some(GeneralRulesError::Reentry));
    }

    #[test]
    fn the_fast_kernel_takes_its_own_mode_only() {
        let fast = |change: fn(&mut Options)| {
            let mut options = Options::new(3, 10);
            change(&mut options);
            GeneralRules::new(options).unwrap().fast().is_some()
        };
        assert!(fast(|_| {}));
        assert!(fast(|o| (o.from_us, o.to_us) = (3, 9)));
        assert!(!fast(|o| o.entry = Entry::First));
        assert!(!fast(|o| o.parts = Parts::BestOf));
        assert!(!fast(|o| o.ties = Ties::Increasing));
    }
}
