//! Text that people read on one line.

/// The longest value of a breakdown within a sentence, in characters; fields of their own hold all of it.
pub const VALUE: usize = 80;

/// At most so many characters on one line: control characters and line separators become spaces, marks of direction go, and what is cut ends with an ellipsis.
/// Never looks at more of the text than it needs.
pub fn one_line(text: &str, most: usize) -> String {
    let mut shown = text.trim_start().chars().filter(|c| !turns_direction(*c)).map(spaced);
    let mut line: String = shown.by_ref().take(most).collect();
    if shown.next().is_some() {
        line.pop();
        line.push('…');
    }
    line.truncate(line.trim_end().len());
    line
}

fn spaced(c: char) -> char {
    let breaks_line = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if breaks_line { ' ' } else { c }
}

/// The bidirectional formatting characters of UAX #9: with them a text can show what it does not say.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_text() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..80).prop_map(String::from_iter)
    }

    #[test]
    fn lines_do_not_break_and_direction_does_not_turn() {
        assert_eq!(one_line(" a\r\nb\u{2028}c\u{0}\u{202e}d ", 20), "a  b c d");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    proptest! {
        /// Of all characters: proptest's own strings have no control characters.
        #[test]
        fn one_line_is_one_line_and_short(text in any_text(), most in 1_usize..40) {
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(|c| c.is_control() || turns_direction(c)));
        }
    }
}
