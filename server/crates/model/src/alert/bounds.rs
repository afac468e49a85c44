//! Bounds that somebody set for a number, in the words that everybody who tells of them uses.

/// What a number is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
    /// The number that the bounds follow from, of conditions about changes.
    pub compared: Option<f64>,
}

impl Bounds {
    /// The bounds of a judged bucket. What was `expected` of it is the number it was compared with, or the bound that was crossed, which
    /// is said once. What is not finite is none.
    pub fn of(low: Option<f64>, high: Option<f64>, expected: Option<f64>) -> Self {
        let [low, high, expected] = [low, high, expected].map(|one| one.filter(|one| one.is_finite()));
        let compared = expected.filter(|one| ![low, high].contains(&Some(*one)));
        Self { low, high, compared }
    }

    /// In words, with numbers as `number` writes them: "at most 5"; nothing without a bound. One that follows from another number is
    /// crossed as soon as it is reached: "less than 5".
    pub fn words(&self, number: impl Fn(f64) -> String) -> Option<String> {
        let [low, high] = [self.low, self.high].map(|bound| bound.map(&number));
        Some(match (low, high, self.compared.is_some()) {
            (Some(low), Some(high), false) => format!("{low} to {high}"),
            (Some(low), None, false) => format!("at least {low}"),
            (None, Some(high), false) => format!("at most {high}"),
            (Some(low), Some(high), true) => format!("between {low} and {high}"),
            (Some(low), None, true) => format!("more than {low}"),
            (None, Some(high), true) => format!("less than {high}"),
            (None, None, _) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_follows_from_a_number_is_crossed_when_it_is_reached() {
        let (low, high, other) = (Some(1.0), Some(2.5), Some(2.0));
        for (low, high, expected, words) in [
            (None, high, high, Some("at most 2.5")),
            (low, None, low, Some("at least 1")),
            (low, high, high, Some("1 to 2.5")),
            (None, high, other, Some("less than 2.5")),
            (low, None, other, Some("more than 1")),
            (low, high, other, Some("between 1 and 2.5")),
            (low, Some(f64::INFINITY), low, Some("at least 1")),
            (None, None, other, None),
        ] {
            assert_eq!(Bounds::of(low, high, expected).words(|one| one.to_string()).as_deref(), words);
        }
    }
}
