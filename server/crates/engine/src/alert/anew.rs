//! A project whose image cannot be read: what is left of it.

use footpath_model::alert::{Annotation, CountedRule};

use super::fold::AlertFold;

impl AlertFold {
    /// Begins with the annotations of an image that cannot be read otherwise, and rules as they are defined. They read their past
    /// again before they judge.
    pub fn anew(project: u32, image: &[u8], rules: impl IntoIterator<Item = CountedRule>) -> Self {
        let mut fold = Self::new(project);
        fold.annotations = annotations(image).into_iter().map(|one| (one.id.clone(), one)).collect();
        rules.into_iter().for_each(|rule| drop(fold.put(0, rule)));
        fold
    }
}

/// They are nowhere else, so that every version of an image has them in this place: behind its number.
fn annotations(image: &[u8]) -> Vec<Annotation> {
    postcard::take_from_bytes::<(u8, Vec<Annotation>)>(image).map(|((_, all), _)| all).unwrap_or_default()
}
