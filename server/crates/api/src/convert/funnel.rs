//! Funnels, from the API's messages and to them.

use footpath_model::control::CountedFunnel;
use footpath_model::definition::{
    Attribution, Counting, Entry, Exclusion, FunnelBreakdown, FunnelDefinition, OnExclusion, Order, Preset,
    PropertyRef, Step, Ties, WindowFrom, WindowFunnel,
};
use footpath_proto::v1;
use tonic::Status;

use super::filter::{conditions_message, filters, filters_message, property, property_message};
use super::range::{range, range_message};
use super::{checked, duration, duration_us, known, wrong};

/// A funnel from the API, checked. `zone` is the project's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn funnel(funnel: &v1::Funnel, version: u64, zone: &str) -> Result<CountedFunnel, Status> {
    let preset = preset(known("preset", funnel.preset)?);
    let (entry, on_exclusion) = rules_of(preset);
    let (attribution, window_funnel) = (Attribution::FirstTouch, window_funnel(preset, funnel)?);
    let definition = FunnelDefinition {
        id: funnel.id.clone(),
        name: funnel.title.clone(),
        version,
        preset,
        steps: funnel.steps.iter().enumerate().map(step).collect::<Result<_, _>>()?,
        window_us: funnel.window.as_ref().map_or(0, duration_us),
        window_from: match known("window_from", funnel.window_from)? {
            v1::FunnelWindowFrom::PreviousStep => WindowFrom::PreviousStep,
            v1::FunnelWindowFrom::Unspecified | v1::FunnelWindowFrom::FirstStep => WindowFrom::FirstStep,
        },
        entry: match known("entry", funnel.entry)? {
            v1::FunnelEntry::Unspecified => entry,
            v1::FunnelEntry::Latest => Entry::Latest,
            v1::FunnelEntry::First => Entry::First,
        },
        order: match known("order", funnel.order)? {
            v1::FunnelOrder::Unspecified | v1::FunnelOrder::Ordered => Order::Ordered,
            v1::FunnelOrder::Strict => Order::Strict,
            v1::FunnelOrder::Any => Order::Any,
            v1::FunnelOrder::AnyAfterFirst => Order::AnyAfterFirst,
        },
        ties: ties(funnel)?,
        counting: counting(funnel)?,
        exclusions: exclusions(funnel)?,
        on_exclusion: match known("exclusion_effect", funnel.exclusion_effect)? {
            v1::ExclusionEffect::Unspecified => on_exclusion,
            v1::ExclusionEffect::BreakAttempt => OnExclusion::BreakAttempt,
            v1::ExclusionEffect::DropPerson => OnExclusion::DropPerson,
        },
        hold: held(funnel)?,
        breakdown: funnel.breakdown.as_ref().map(|by| breakdown(by, attribution)).transpose()?,
        window_funnel,
        include_internal: funnel.include_internal,
    };
    let conditions: Vec<_> = funnel.steps.iter().map(|step| step.conditions.len()).collect();
    checked(definition.validate(), |field| named(&conditions, field))?;
    let (range, zone) = range(funnel.range.as_ref(), zone)?;
    Ok(CountedFunnel::new(definition, range, zone))
}

/// A step's filter stands behind its conditions in one list; the API has a field of its own for it.
fn named(conditions: &[usize], field: &str) -> String {
    let mut named = field.replace(".filters[0]", ".filter");
    for (i, count) in conditions.iter().enumerate() {
        named = named.replace(&format!("steps[{i}].conditions[{count}]"), &format!("steps[{i}].filter"));
    }
    named
}

fn preset(preset: v1::FunnelPreset) -> Option<Preset> {
    match preset {
        v1::FunnelPreset::Unspecified => None,
        v1::FunnelPreset::Clickhouse => Some(Preset::Clickhouse),
        v1::FunnelPreset::Posthog => Some(Preset::Posthog),
        v1::FunnelPreset::Mixpanel => Some(Preset::Mixpanel),
        v1::FunnelPreset::Amplitude => Some(Preset::Amplitude),
    }
}

/// Where a product's rules differ from ours (docs/semantics.md has its words for it).
fn rules_of(preset: Option<Preset>) -> (Entry, OnExclusion) {
    match preset {
        Some(Preset::Posthog) => (Entry::Latest, OnExclusion::DropPerson),
        Some(Preset::Mixpanel) => (Entry::First, OnExclusion::BreakAttempt),
        Some(Preset::Clickhouse | Preset::Amplitude) | None => (Entry::Latest, OnExclusion::BreakAttempt),
    }
}

fn window_funnel(preset: Option<Preset>, funnel: &v1::Funnel) -> Result<Option<WindowFunnel>, Status> {
    let modes = funnel.window_funnel.as_ref();
    match preset {
        Some(Preset::Clickhouse) => {
            Ok(Some(modes.map_or_else(WindowFunnel::default, |modes| WindowFunnel {
                strict_deduplication: modes.strict_deduplication,
                strict_order: modes.strict_order,
                strict_increase: modes.strict_increase,
                strict_once: modes.strict_once,
                allow_reentry: modes.allow_reentry,
            })))
        }
        _ if modes.is_some() => Err(wrong("window_funnel", "only with the preset clickhouse")),
        _ => Ok(None),
    }
}

fn ties(funnel: &v1::Funnel) -> Result<Ties, Status> {
    match (known("ties", funnel.ties)?, &funnel.tie_tolerance) {
        (v1::FunnelTies::Increasing, None) => Ok(Ties::Increasing),
        (v1::FunnelTies::Increasing, Some(_)) => Err(wrong("tie_tolerance", "only with ties in order")),
        (_, Some(tolerance)) => Ok(Ties::Tolerance(duration_us(tolerance))),
        (_, None) => Ok(Ties::InOrder),
    }
}

fn counting(funnel: &v1::Funnel) -> Result<Counting, Status> {
    let counting = match known("counting", funnel.counting)? {
        v1::FunnelCounting::Unspecified | v1::FunnelCounting::Persons => Counting::Persons,
        v1::FunnelCounting::Conversions => Counting::Conversions,
        v1::FunnelCounting::Sessions => Counting::Sessions,
        v1::FunnelCounting::Groups => return Ok(Counting::Groups(funnel.group_type.clone())),
    };
    if !funnel.group_type.is_empty() {
        return Err(wrong("group_type", "only where groups are counted"));
    }
    Ok(counting)
}

fn held(funnel: &v1::Funnel) -> Result<Vec<PropertyRef>, Status> {
    let held = funnel.hold_constant.iter().enumerate();
    held.map(|(i, one)| property(&format!("hold_constant[{i}]"), one)).collect()
}

fn exclusions(funnel: &v1::Funnel) -> Result<Vec<Exclusion>, Status> {
    let last = funnel.steps.len() as u32;
    let one = |(i, exclusion): (usize, &v1::FunnelExclusion)| {
        let or = |step: u32, default: u32| if step == 0 { default } else { step };
        Ok(Exclusion {
            events: exclusion.events.clone(),
            filters: filters(&format!("exclusions[{i}]"), &[], exclusion.filter.as_ref())?,
            after_step: or(exclusion.after_step, 1),
            before_step: or(exclusion.before_step, last),
        })
    };
    funnel.exclusions.iter().enumerate().map(one).collect()
}

fn breakdown(by: &v1::FunnelBreakdown, unspecified: Attribution) -> Result<FunnelBreakdown, Status> {
    let attribution = match known("breakdown.attribution", by.attribution)? {
        v1::BreakdownAttribution::Unspecified => unspecified,
        v1::BreakdownAttribution::FirstTouch => Attribution::FirstTouch,
        v1::BreakdownAttribution::LastTouch => Attribution::LastTouch,
        v1::BreakdownAttribution::AllSteps => Attribution::AllSteps,
        v1::BreakdownAttribution::Step => Attribution::Step(by.attribution_step),
    };
    if by.attribution_step != 0 && !matches!(attribution, Attribution::Step(_)) {
        return Err(wrong("breakdown.attribution_step", "only with attribution to a step"));
    }
    let of = by.property.clone().unwrap_or_default();
    Ok(FunnelBreakdown { by: property("breakdown.property", &of)?, attribution })
}

fn step((i, step): (usize, &v1::FunnelStep)) -> Result<Step, Status> {
    // What is shown for no label says nothing new.
    let plain = step.events.first() == Some(&step.label);
    Ok(Step {
        name: if plain { String::new() } else { step.label.clone() },
        events: step.events.clone(),
        filters: filters(&format!("steps[{i}]"), &step.conditions, step.filter.as_ref())?,
        optional: step.optional,
    })
}

/// A funnel as the API shows it: every option says what counts.
pub fn funnel_message(funnel: &CountedFunnel) -> v1::Funnel {
    let definition = &funnel.definition;
    let (counting, group_type) = counting_message(&definition.counting);
    let plain = definition.window_funnel.is_none();
    let ties = match definition.ties {
        Ties::Increasing => v1::FunnelTies::Increasing,
        Ties::InOrder | Ties::Tolerance(_) => v1::FunnelTies::InOrder,
    };
    let mut message = v1::Funnel {
        id: definition.id.clone(),
        title: definition.name.clone(),
        steps: definition.steps.iter().map(step_message).collect(),
        window: Some(duration(definition.window_us)),
        range: Some(range_message(&funnel.range, &funnel.zone)),
        version: definition.version,
        etag: definition.version.to_string(),
        preset: preset_message(definition.preset).into(),
        breakdown: definition.breakdown.as_ref().map(breakdown_message),
        window_funnel: definition.window_funnel.as_ref().map(modes_message),
        include_internal: definition.include_internal,
        ..v1::Funnel::default()
    };
    if plain {
        message.window_from = match definition.window_from {
            WindowFrom::FirstStep => v1::FunnelWindowFrom::FirstStep.into(),
            WindowFrom::PreviousStep => v1::FunnelWindowFrom::PreviousStep.into(),
        };
        message.entry = match definition.entry {
            Entry::Latest => v1::FunnelEntry::Latest.into(),
            Entry::First => v1::FunnelEntry::First.into(),
        };
        message.order = match definition.order {
            Order::Ordered => v1::FunnelOrder::Ordered.into(),
            Order::Strict => v1::FunnelOrder::Strict.into(),
            Order::Any => v1::FunnelOrder::Any.into(),
            Order::AnyAfterFirst => v1::FunnelOrder::AnyAfterFirst.into(),
        };
        message.ties = ties.into();
        if let Ties::Tolerance(us) = definition.ties {
            message.tie_tolerance = Some(duration(us));
        }
        message.counting = counting.into();
        message.group_type = group_type;
        message.exclusions = definition.exclusions.iter().map(exclusion_message).collect();
        message.exclusion_effect = match definition.on_exclusion {
            OnExclusion::BreakAttempt => v1::ExclusionEffect::BreakAttempt.into(),
            OnExclusion::DropPerson => v1::ExclusionEffect::DropPerson.into(),
        };
        message.hold_constant = definition.hold.iter().map(property_message).collect();
    }
    message
}

fn preset_message(preset: Option<Preset>) -> v1::FunnelPreset {
    match preset {
        None => v1::FunnelPreset::Unspecified,
        Some(Preset::Clickhouse) => v1::FunnelPreset::Clickhouse,
        Some(Preset::Posthog) => v1::FunnelPreset::Posthog,
        Some(Preset::Mixpanel) => v1::FunnelPreset::Mixpanel,
        Some(Preset::Amplitude) => v1::FunnelPreset::Amplitude,
    }
}

fn modes_message(modes: &WindowFunnel) -> v1::WindowFunnelModes {
    v1::WindowFunnelModes {
        strict_deduplication: modes.strict_deduplication,
        strict_order: modes.strict_order,
        strict_increase: modes.strict_increase,
        strict_once: modes.strict_once,
        allow_reentry: modes.allow_reentry,
    }
}

fn counting_message(counting: &Counting) -> (v1::FunnelCounting, String) {
    match counting {
        Counting::Persons => (v1::FunnelCounting::Persons, String::new()),
        Counting::Conversions => (v1::FunnelCounting::Conversions, String::new()),
        Counting::Sessions => (v1::FunnelCounting::Sessions, String::new()),
        Counting::Groups(kind) => (v1::FunnelCounting::Groups, kind.clone()),
    }
}

fn exclusion_message(exclusion: &Exclusion) -> v1::FunnelExclusion {
    v1::FunnelExclusion {
        events: exclusion.events.clone(),
        filter: filters_message(&exclusion.filters),
        after_step: exclusion.after_step,
        before_step: exclusion.before_step,
    }
}

fn breakdown_message(breakdown: &FunnelBreakdown) -> v1::FunnelBreakdown {
    let (attribution, attribution_step) = match breakdown.attribution {
        Attribution::FirstTouch => (v1::BreakdownAttribution::FirstTouch, 0),
        Attribution::LastTouch => (v1::BreakdownAttribution::LastTouch, 0),
        Attribution::AllSteps => (v1::BreakdownAttribution::AllSteps, 0),
        Attribution::Step(step) => (v1::BreakdownAttribution::Step, step),
    };
    v1::FunnelBreakdown {
        property: Some(property_message(&breakdown.by)),
        attribution: attribution.into(),
        attribution_step,
    }
}

fn step_message(step: &Step) -> v1::FunnelStep {
    let (conditions, filter) = conditions_message(&step.filters);
    v1::FunnelStep {
        label: step.label().to_owned(),
        events: step.events.clone(),
        conditions,
        filter,
        optional: step.optional,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(event: &str) -> v1::FunnelStep {
        v1::FunnelStep { events: vec![event.into()], ..v1::FunnelStep::default() }
    }

    fn plain() -> v1::Funnel {
        v1::Funnel {
            id: "f".into(),
            steps: vec![step("a"), step("b"), step("c")],
            window: Some(duration(60_000_000)),
            ..v1::Funnel::default()
        }
    }

    fn read(message: &v1::Funnel) -> FunnelDefinition {
        funnel(message, 1, "UTC").unwrap().definition
    }

    #[test]
    fn what_is_shown_reads_as_it_was() {
        let presets = [
            v1::FunnelPreset::Unspecified,
            v1::FunnelPreset::Clickhouse,
            v1::FunnelPreset::Posthog,
            v1::FunnelPreset::Mixpanel,
            v1::FunnelPreset::Amplitude,
        ];
        for preset in presets {
            let asked = v1::Funnel { preset: preset.into(), ..plain() };
            let counted = funnel(&asked, 1, "Europe/Berlin").unwrap();
            assert_eq!(counted.zone, "Europe/Berlin");
            assert_eq!(funnel(&funnel_message(&counted), 1, "UTC").unwrap(), counted, "{preset:?}");
        }
    }

    #[test]
    fn a_preset_gives_way_to_what_is_said() {
        let mixpanel = v1::Funnel { preset: v1::FunnelPreset::Mixpanel.into(), ..plain() };
        assert_eq!(read(&mixpanel).entry, Entry::First);
        let latest = v1::Funnel { entry: v1::FunnelEntry::Latest.into(), ..mixpanel };
        assert_eq!(read(&latest).entry, Entry::Latest);
        let posthog = v1::Funnel { preset: v1::FunnelPreset::Posthog.into(), ..plain() };
        assert_eq!(read(&posthog).on_exclusion, OnExclusion::DropPerson);
    }

    #[test]
    fn an_exclusion_reaches_from_the_first_step_to_the_last() {
        let exclusion = v1::FunnelExclusion { events: vec!["x".into()], ..v1::FunnelExclusion::default() };
        let definition = read(&v1::Funnel { exclusions: vec![exclusion], ..plain() });
        assert_eq!((definition.exclusions[0].after_step, definition.exclusions[0].before_step), (1, 3));
    }

    #[test]
    fn mistakes_are_named_as_in_the_api() {
        let why = |message: v1::Funnel| funnel(&message, 1, "UTC").unwrap_err().message().to_owned();
        let is_set = v1::PropertyCondition {
            operator: v1::ConditionOperator::IsSet.into(),
            ..v1::PropertyCondition::default()
        };
        let not = v1::filter::Kind::Not(Box::new(v1::Filter {
            kind: Some(v1::filter::Kind::Condition(is_set.clone())),
        }));
        let filter = Some(v1::Filter { kind: Some(not) });
        let mut wrong = plain();
        wrong.steps[1] = v1::FunnelStep { filter: filter.clone(), ..wrong.steps[1].clone() };
        assert!(why(wrong.clone()).contains("steps[1].filter.not.property"), "{}", why(wrong));
        let mut wrong = plain();
        wrong.steps[0].filter = Some(v1::Filter::default());
        assert!(why(wrong).contains("steps[0].filter: "));
        let exclusion = v1::FunnelExclusion { events: vec!["x".into()], filter, ..Default::default() };
        assert!(
            why(v1::Funnel { exclusions: vec![exclusion], ..plain() }).contains("exclusions[0].filter.not")
        );
        let modes = Some(v1::WindowFunnelModes::default());
        assert!(why(v1::Funnel { window_funnel: modes, ..plain() }).contains("preset clickhouse"));
        let group_type = "company".to_owned();
        assert!(why(v1::Funnel { group_type, ..plain() }).contains("group_type: "));
    }
}
