//! Ids that cannot stand for a person.

/// Why an id cannot stand for a person. Such ids come from code that sends a missing value as text, and would
/// merge strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoisonId {
    /// Nothing, or only white space.
    #[error("the id is empty")]
    Empty,
    /// A missing value written as text: null, undefined, none, nan, `[object Object]`.
    #[error("the id is a missing value written as text")]
    MissingValue,
    /// Only zeros, as in the nil UUID.
    #[error("the id is all zeros")]
    Zeros,
    /// A word for everybody who is not known: anonymous, guest, unknown.
    #[error("the id is a placeholder for everybody who is not known")]
    Placeholder,
}

/// Checks that an id can stand for one person. Case and surrounding white space do not matter.
///
/// # Errors
/// The reason why not.
pub fn check_id(id: &str) -> Result<(), PoisonId> {
    let id = id.trim();
    if id.is_empty() {
        return Err(PoisonId::Empty);
    }
    let is_one_of = |words: &[&str]| words.iter().any(|word| id.eq_ignore_ascii_case(word));
    if is_one_of(&["null", "undefined", "none", "nan", "[object object]"]) {
        return Err(PoisonId::MissingValue);
    }
    if is_one_of(&["anonymous", "guest", "unknown"]) {
        return Err(PoisonId::Placeholder);
    }
    let all_zeros = id.contains('0') && id.bytes().all(|c| matches!(c, b'0' | b'-' | b'{' | b'}'));
    if all_zeros { Err(PoisonId::Zeros) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_is_refused_with_a_reason() {
        use PoisonId::{Empty, MissingValue, Placeholder, Zeros};
        let cases = [
            ("", Empty),
            (" \t", Empty),
            ("null", MissingValue),
            ("NULL", MissingValue),
            ("undefined", MissingValue),
            ("None", MissingValue),
            ("NaN", MissingValue),
            ("[object Object]", MissingValue),
            ("0", Zeros),
            ("00000000-0000-0000-0000-000000000000", Zeros),
            ("{00000000-0000-0000-0000-000000000000}", Zeros),
            ("anonymous", Placeholder),
            ("Guest ", Placeholder),
            ("unknown", Placeholder),
        ];
        for (id, reason) in cases {
            assert_eq!(check_id(id), Err(reason), "{id:?}");
        }
        for id in ["-", "nullable", "guest-17", "10", "a0"] {
            assert_eq!(check_id(id), Ok(()), "{id:?}");
        }
    }
}
