//! What a funnel says only because the server fills it in, and a file leaves out.

use footpath_proto::v1;

use super::Funnel;
use super::kind::Kind as _;

/// Options that a preset, or Footpath, sets by itself.
const OPTIONS: [fn(&mut v1::Funnel); 9] = [
    |funnel| funnel.window_from = 0,
    |funnel| funnel.entry = 0,
    |funnel| funnel.order = 0,
    |funnel| funnel.ties = 0,
    |funnel| funnel.counting = 0,
    |funnel| funnel.exclusion_effect = 0,
    |funnel| funnel.window_funnel = None,
    |funnel| funnel.breakdown.iter_mut().for_each(|breakdown| breakdown.attribution = 0),
    |funnel| funnel.range.iter_mut().for_each(|range| range.time_zone.clear()),
];

/// The funnel without what it means anyway; `zone` is the project's.
pub fn tidy(funnel: v1::Funnel, zone: &str) -> v1::Funnel {
    let Ok(meaning) = Funnel::meaning(&funnel, zone) else { return funnel };
    let without = |funnel: v1::Funnel, clear: &dyn Fn(&mut v1::Funnel)| {
        let mut less = funnel.clone();
        clear(&mut less);
        if Funnel::meaning(&less, zone).is_ok_and(|less| less == meaning) { less } else { funnel }
    };
    let (steps, exclusions) = (funnel.steps.len(), funnel.exclusions.len());
    let mut tidy = OPTIONS.iter().fold(funnel, |funnel, clear| without(funnel, clear));
    for i in 0..steps {
        tidy = without(tidy, &|funnel| funnel.steps[i].label.clear());
    }
    for i in 0..exclusions {
        tidy = without(tidy, &|funnel| funnel.exclusions[i].after_step = 0);
        tidy = without(tidy, &|funnel| funnel.exclusions[i].before_step = 0);
    }
    tidy
}
