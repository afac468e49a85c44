//! What a number is held against: what is usual, or what somebody allowed.

use footpath_model::alert::Bounds;

use crate::Notice;
use crate::text::{number, number_or_dash};

/// What is said of it in words, each with its name; nothing where there is nothing to say.
pub(super) fn expected(notice: &Notice) -> Vec<(&'static str, String)> {
    let unit = notice.unit.as_deref();
    let shown = |value| number_or_dash(value, unit);
    let is_learned = notice.p_value.is_some();
    if is_learned {
        let band = format!("{} ({} to {})", shown(notice.expected), shown(notice.low), shown(notice.high));
        return vec![("Expected", band)];
    }
    let bounds = Bounds::of(notice.low, notice.high, notice.expected);
    let compared = bounds.compared.map(|value| ("Compared with", number(value, unit)));
    let allowed = bounds.words(|bound| number(bound, unit)).map(|bound| ("Allowed", bound));
    compared.into_iter().chain(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    fn said(
        low: Option<f64>,
        high: Option<f64>,
        expected_number: Option<f64>,
        p_value: Option<f64>,
    ) -> String {
        let notice = conformance::notice("shop", "n", "i");
        let notice = Notice { low, high, expected: expected_number, p_value, unit: None, ..notice };
        let said = expected(&notice).into_iter().map(|(name, value)| format!("{name}: {value}"));
        said.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn only_what_was_learned_is_expected() {
        let (low, high, other) = (Some(1.0), Some(5.0), Some(3.0));
        assert_eq!(said(low, high, other, Some(0.01)), "Expected: 3 (1 to 5)");
        assert_eq!(said(None, high, high, None), "Allowed: at most 5");
        assert_eq!(said(low, None, low, None), "Allowed: at least 1");
        assert_eq!(said(low, high, low, None), "Allowed: 1 to 5");
        assert_eq!(said(None, high, other, None), "Compared with: 3, Allowed: less than 5");
        assert_eq!(said(low, None, other, None), "Compared with: 3, Allowed: more than 1");
        assert_eq!(said(low, high, other, None), "Compared with: 3, Allowed: between 1 and 5");
        assert_eq!(said(None, None, None, None), "");
    }
}
