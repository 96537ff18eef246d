//! The key, which must not turn up.

use crate::KEY;

/// What stands for the key in an input, which can then be read and changed.
const PLACE: &str = "{key}";

/// The same, in capitals.
const CAPITALS: &str = "{KEY}";

/// The shortest run of hexadecimal digits that could be a part of the key worth having.
const RUN: usize = 32;

/// The text with the key in its places.
pub(super) fn planted(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    text.replace(PLACE, KEY).replace(CAPITALS, &KEY.to_ascii_uppercase())
}

/// Panics if `text` could be telling the key.
pub(super) fn check(text: &str) {
    assert!(longest_run(text) < RUN, "it may be the key: {text}");
}

/// How many hexadecimal digits follow each other in `text`.
pub(super) fn longest_run(text: &str) -> usize {
    let is_other = |c: char| !c.is_ascii_hexdigit();
    text.split(is_other).map(str::len).max().unwrap_or_default()
}
