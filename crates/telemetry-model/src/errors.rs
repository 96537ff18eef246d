//! Errors of the strict validation.

use std::{borrow::Cow, error::Error, fmt};

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// Maximum number of listed errors; further ones are counted.
const MAX_LISTED: usize = 100;

/// Maximum number of characters that a message quotes from a document.
const MAX_EXCERPT: usize = 40;

/// One violation of the schema. Serializes as `{"pointer": …, "message": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValidationError {
    /// JSON pointer (RFC 6901) to the value; empty for the whole document.
    ///
    /// Keys of more than 40 characters are truncated and end in `…`.
    pub pointer: String,
    /// Description of the expected and the found value.
    pub message: String,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{}: {}", printable(pointer), self.message),
        }
    }
}

/// The violations found in a document or value: one or more.
///
/// Lists up to 100 errors and counts further ones. Messages quote only short excerpts of the document.
/// Displays one error per line with control characters escaped, and serializes as the sequence of the
/// listed errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationErrors {
    listed: Vec<ValidationError>,
    unlisted: usize,
    event_id: Option<Uuid>,
}

impl ValidationErrors {
    /// Creates a collection without errors. Crate-private: public values have at least one.
    pub(crate) const fn none() -> Self {
        Self { listed: Vec::new(), unlisted: 0, event_id: None }
    }

    /// Returns the ID of the invalid event, if it could be read.
    #[must_use]
    pub const fn event_id(&self) -> Option<Uuid> {
        self.event_id
    }

    /// Returns the listed errors in a deterministic order: unknown and repeated keys first, then
    /// values in the order of the schema.
    pub fn iter(&self) -> std::slice::Iter<'_, ValidationError> {
        self.listed.iter()
    }

    /// Returns the number of all errors, listed or not.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub const fn len(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Creates an error of the document or value as a whole.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let mut errors = Self::none();
        errors.add("", message);
        errors
    }

    pub(crate) fn add(&mut self, pointer: &str, message: impl Into<String>) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(ValidationError { pointer: pointer.into(), message: message.into() });
        } else {
            self.unlisted += 1;
        }
    }

    pub(crate) const fn set_event_id(&mut self, event_id: Option<Uuid>) {
        self.event_id = event_id;
    }

    /// Returns `value` if there is no error.
    pub(crate) fn or<T>(self, value: impl FnOnce() -> T) -> Result<T, Self> {
        if self.listed.is_empty() { Ok(value()) } else { Err(self) }
    }

    /// Returns the value of a part of the document, or adds its errors below `pointer`.
    pub(crate) fn record<T>(
        &mut self,
        pointer: fmt::Arguments<'_>,
        part: Result<T, Self>,
    ) -> Option<T> {
        // Most parts are valid: format the pointer on error only.
        part.map_err(|errors| self.extend(errors.below(&pointer.to_string()))).ok()
    }

    pub(crate) fn extend(&mut self, errors: Self) {
        for error in errors.listed {
            self.add(&error.pointer, error.message);
        }
        self.unlisted += errors.unlisted;
    }

    /// Prepends `prefix` to the pointers.
    pub(crate) fn below(mut self, prefix: &str) -> Self {
        for error in &mut self.listed {
            error.pointer.insert_str(0, prefix);
        }
        self
    }
}

impl<'a> IntoIterator for &'a ValidationErrors {
    type Item = &'a ValidationError;
    type IntoIter = std::slice::Iter<'a, ValidationError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.listed.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        match self.unlisted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Error for ValidationErrors {}

impl Serialize for ValidationErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.listed)
    }
}

/// Creates the error `expected {what}, found {found}`.
pub(crate) fn expected(what: &str, found: impl fmt::Display) -> ValidationErrors {
    ValidationErrors::new(format!("expected {what}, found {found}"))
}

/// Returns `text` quoted and truncated for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Escapes control characters, so that `text` stays on one line.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.into()
}

/// Returns `key` as a JSON pointer token, truncated if it is long.
pub(crate) fn step(key: &str) -> String {
    // Truncate before escaping, which keeps escapes whole.
    let (key, cut) = match key.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => (&key[..end], "…"),
        None => (key, ""),
    };
    format!("/{}{cut}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_key_is_truncated_between_characters_and_escapes() {
        assert_eq!(step("a/b~c"), "/a~1b~0c");
        assert_eq!(step(&"~".repeat(40)), format!("/{}", "~0".repeat(40)));
        for (key, escaped) in [("/", "~1"), ("~", "~0"), ("\u{1f600}", "\u{1f600}")] {
            assert_eq!(step(&key.repeat(41)), format!("/{}…", escaped.repeat(40)));
        }
    }

    #[test]
    fn errors_beyond_the_maximum_are_counted_not_listed() {
        let mut errors = ValidationErrors::none();
        errors.add(&step("a\nb\u{9b}"), "one");
        let listed = json!([{"pointer": "/a\nb\u{9b}", "message": "one"}]);
        assert_eq!(json!(errors), listed);
        assert_eq!(errors.to_string(), "/a\\nb\\u{9b}: one");
        for _ in 0..MAX_LISTED {
            errors.extend(ValidationErrors::new("more"));
        }
        assert_eq!((errors.iter().count(), errors.len()), (MAX_LISTED, MAX_LISTED + 1));
        let mut all = ValidationErrors::none();
        all.extend(errors.below("/events/1"));
        assert_eq!((all.iter().count(), all.len()), (MAX_LISTED, MAX_LISTED + 1));
        assert!(all.to_string().ends_with("\n/events/1: more\nand 1 more"));
    }
}
