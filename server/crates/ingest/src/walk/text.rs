//! UTF-8 checks.

/// Whether the bytes are UTF-8. Most strings are short and ASCII, which is the cheaper question.
#[inline]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || simdutf8::basic::from_utf8(bytes).is_ok()
}
