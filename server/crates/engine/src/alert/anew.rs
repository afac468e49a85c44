//! A project whose image cannot be read: what is left of it, and what is known from elsewhere.

use footpath_model::alert::{Annotation, CountedRule, Series};

use super::PIPELINE;
use super::fold::AlertFold;
use super::series::{Open, Phase, SeriesFold};

impl AlertFold {
    /// Begins with the annotations of an image that cannot be read otherwise, and rules as they are defined. They read their past
    /// again before they judge.
    pub fn anew(project: u32, image: &[u8], rules: impl IntoIterator<Item = CountedRule>) -> Self {
        let mut fold = Self::new(project);
        fold.annotations = annotations(image).into_iter().map(|one| (one.id.clone(), one)).collect();
        rules.into_iter().for_each(|rule| drop(fold.put(0, rule)));
        fold
    }

    /// Goes on with an incident that is known to be open; `stopped` are the series of the pipeline's. Nothing happens where its rule
    /// is not there.
    pub fn go_on(&mut self, open: Open, stopped: impl IntoIterator<Item = (String, Series)>) {
        if open.name.rule == PIPELINE {
            self.silence.open = Some(Box::new(open));
            self.silence.stopped.extend(stopped);
            return;
        }
        let Some(rule) = self.rules.get_mut(&open.name.rule) else { return };
        let detector = rule.detector();
        let series = rule.series.entry(open.name.series.clone());
        let series = series.or_insert_with(|| SeriesFold { detector, ..SeriesFold::default() });
        series.phase = Phase::Open(Box::new(open));
    }
}

/// They are nowhere else, so that every version of an image has them in this place: behind its number.
fn annotations(image: &[u8]) -> Vec<Annotation> {
    postcard::take_from_bytes::<(u8, Vec<Annotation>)>(image).map(|((_, all), _)| all).unwrap_or_default()
}
