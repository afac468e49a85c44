//! What definitions use of each other and of the project, put into each of them when it is written: a record in the log means
//! the same for ever, whatever becomes of the rest.

use footpath_model::alert::CountedRule;
use footpath_model::control::{CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::{
    Aggregate, Exclusion, Filter, InSegment, Measure, Scope, SegmentDefinition, Step, Term,
};
use tonic::Status;

use super::kinds::Kind;
use super::known::Known;
use super::names::{Name, events, of_filter, of_filters, of_step, property};
use crate::status::invalid;

/// What a definition uses.
pub trait Uses {
    /// Shows every filter.
    fn filters(&mut self, see: &mut dyn FnMut(&mut Filter));
    /// Takes what the project's settings say.
    fn set(&mut self, settings: &ProjectSettings);
    /// The id of the funnel whose conversion it is, and where that funnel is put.
    fn funnel(&mut self) -> Option<(String, &mut Option<Box<CountedFunnel>>)>;
    /// The id of the metric that it watches, and where that metric is put.
    fn metric(&mut self) -> Option<(String, &mut CountedMetric)> {
        None
    }
    /// Whether the metric that it watches can be watched that way.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names the field.
    fn metric_fits(&self) -> Result<(), Status> {
        Ok(())
    }
    /// The ids of the destinations that it names.
    fn destinations(&self) -> &[String] {
        &[]
    }
    /// Checks that the funnel whose conversion it is has the step it asks for.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with how many there are.
    fn step_is_there(&self) -> Result<(), Status> {
        Ok(())
    }
    /// The events and properties it names beside those of its filters, each with the path of its field.
    fn names(&self) -> Vec<(String, Name)>;
}

impl Uses for CountedFunnel {
    fn filters(&mut self, see: &mut dyn FnMut(&mut Filter)) {
        let of_steps = self.definition.steps.iter_mut().flat_map(|step| &mut step.filters);
        of_steps.for_each(&mut *see);
        let of_exclusions = self.definition.exclusions.iter_mut().flat_map(|one| &mut one.filters);
        of_exclusions.for_each(see);
    }

    fn set(&mut self, settings: &ProjectSettings) {
        Self::set(self, settings);
    }

    fn funnel(&mut self) -> Option<(String, &mut Option<Box<Self>>)> {
        None
    }

    fn names(&self) -> Vec<(String, Name)> {
        let named_by = |(i, step): (usize, &Step)| {
            let path = format!("steps[{i}]");
            let mut names: Vec<_> = events(&path, &step.events).collect();
            names.extend(of_step(&path, &step.filters));
            names
        };
        let of_exclusion = |(i, exclusion): (usize, &Exclusion)| {
            let path = format!("exclusions[{i}]");
            let mut names: Vec<_> = events(&path, &exclusion.events).collect();
            names.extend(of_filters(&path, &exclusion.filters));
            names
        };
        let steps = self.definition.steps.iter().enumerate().flat_map(named_by);
        let exclusions = self.definition.exclusions.iter().enumerate().flat_map(of_exclusion);
        let held =
            self.definition.hold.iter().enumerate().map(|(i, p)| property(&format!("hold_constant[{i}]"), p));
        let by = self.definition.breakdown.iter().map(|b| property("breakdown.property", &b.by));
        steps.chain(exclusions).chain(held).chain(by).collect()
    }
}

impl Uses for CountedMetric {
    fn filters(&mut self, see: &mut dyn FnMut(&mut Filter)) {
        let terms = self.definition.measure.terms_mut().into_iter();
        terms.flat_map(|term| &mut term.filters).for_each(see);
    }

    fn set(&mut self, settings: &ProjectSettings) {
        self.internal.clone_from(&settings.internal);
        self.funnel.iter_mut().for_each(|funnel| funnel.set(settings));
    }

    fn funnel(&mut self) -> Option<(String, &mut Option<Box<CountedFunnel>>)> {
        match &self.definition.measure {
            Measure::Conversion { funnel, .. } => Some((funnel.clone(), &mut self.funnel)),
            _ => None,
        }
    }

    fn step_is_there(&self) -> Result<(), Status> {
        let (Measure::Conversion { step, .. }, Some(funnel)) = (&self.definition.measure, &self.funnel)
        else {
            return Ok(());
        };
        let steps = funnel.definition.steps.len();
        if *step as usize <= steps {
            return Ok(());
        }
        let what = format!(
            "conversion.step: the funnel {:?} has {steps} steps, there is no step {step}",
            funnel.id()
        );
        Err(invalid("definition_invalid", &what))
    }

    fn names(&self) -> Vec<(String, Name)> {
        let of_term = |path: &str, term: &Term| {
            let mut names: Vec<_> = events(path, &term.events).collect();
            names.extend(of_filters(path, &term.filters));
            let own = Aggregate::property(&term.aggregate);
            let own =
                own.map(|own| (format!("{path}.property"), Name::Property(Scope::Event, own.to_owned())));
            names.extend(own);
            names
        };
        let mut names = match &self.definition.measure {
            Measure::Events(term) => of_term("events", term),
            Measure::Ratio { numerator, denominator } => {
                let mut names = of_term("ratio.numerator", numerator);
                names.extend(of_term("ratio.denominator", denominator));
                names
            }
            Measure::Sessions(_) | Measure::Conversion { .. } => return Vec::new(),
        };
        names.extend(self.definition.breakdown.iter().map(|by| property("breakdown", by)));
        names
    }
}

impl Uses for CountedRule {
    fn filters(&mut self, see: &mut dyn FnMut(&mut Filter)) {
        self.definition.filter.iter_mut().for_each(see);
    }

    fn set(&mut self, _settings: &ProjectSettings) {
        // Its metric has taken them.
    }

    fn funnel(&mut self) -> Option<(String, &mut Option<Box<CountedFunnel>>)> {
        None
    }

    fn metric(&mut self) -> Option<(String, &mut CountedMetric)> {
        Some((self.definition.metric.clone(), &mut self.metric))
    }

    fn metric_fits(&self) -> Result<(), Status> {
        let fits = footpath_model::definition::fits(&self.definition, &self.metric.definition);
        fits.map_err(|error| invalid("definition_invalid", &error.to_string()))
    }

    fn destinations(&self) -> &[String] {
        &self.definition.destinations
    }

    fn names(&self) -> Vec<(String, Name)> {
        let filter = self.definition.filter.iter().flat_map(|filter| of_filter("filter", filter));
        let by = self.definition.breakdown.iter().map(|by| property("breakdown", by));
        filter.chain(by).collect()
    }
}

impl Uses for SegmentDefinition {
    fn filters(&mut self, _see: &mut dyn FnMut(&mut Filter)) {}

    fn set(&mut self, _settings: &ProjectSettings) {}

    fn funnel(&mut self) -> Option<(String, &mut Option<Box<CountedFunnel>>)> {
        None
    }

    fn names(&self) -> Vec<(String, Name)> {
        of_filter("filter", &self.filter)
    }
}

/// Whether a definition uses a segment.
pub fn uses_segment<K: Kind>(definition: &K, id: &str) -> bool {
    let mut used = false;
    let mut copy = definition.clone();
    copy.filters(&mut |filter| filter.each_segment(&mut |one| used |= one.segment == id));
    used
}

/// Puts in what segments, the project's settings and funnels say now.
///
/// # Errors
/// INVALID_ARGUMENT where something that is named does not exist.
pub fn resolve<K: Kind>(known: &Known<'_>, mut definition: K) -> Result<K, Status> {
    resolve_segments(known, &mut definition)?;
    definition.set(&known.settings()?);
    if let Some((id, place)) = definition.funnel() {
        let funnel = known.find::<CountedFunnel>(&id)?;
        let missing = || known.missing::<CountedFunnel>("conversion.funnel_id: ", &id, "ListFunnels");
        *place = Some(Box::new(funnel.ok_or_else(missing)?));
        definition.step_is_there()?;
    }
    if let Some((id, place)) = definition.metric() {
        let metric = known.find::<CountedMetric>(&id)?;
        let missing = || known.missing::<CountedMetric>("metric_id: ", &id, "ListMetrics");
        *place = metric.ok_or_else(missing)?;
        definition.metric_fits()?;
    }
    for (i, id) in definition.destinations().iter().enumerate() {
        if !known.has_destination(id)? {
            let what =
                format!("destinations[{i}]: there is no destination {id:?}; ListDestinations names them");
            return Err(invalid("definition_invalid", &what));
        }
    }
    Ok(definition)
}

fn resolve_segments<K: Kind>(known: &Known<'_>, definition: &mut K) -> Result<(), Status> {
    let mut wrong = None;
    definition.filters(&mut |filter| {
        filter.each_segment(
            &mut |named: &mut InSegment| match known.find::<SegmentDefinition>(&named.segment) {
                Ok(Some(segment)) => named.means = Some(Box::new(segment.filter)),
                Ok(None) => {
                    wrong = Some(known.missing::<SegmentDefinition>("", &named.segment, "ListSegments"));
                }
                Err(status) => wrong = Some(status),
            },
        );
    });
    wrong.map_or(Ok(()), Err)
}
