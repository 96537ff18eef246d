//! Text fields: free text and enumerations, from 1 to [`MAX_TEXT_CHARS`] characters.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    ValidationErrors,
    errors::{excerpt, expected},
    field::{Field, write_by_serde},
    reader::{items, string},
};

/// Maximum length of a text field, in Unicode scalar values (as JSON Schema's `maxLength`).
///
/// The protocol states no limit; this crate sets one to bound the size of an event.
pub const MAX_TEXT_CHARS: usize = 256;

/// Maximum number of items of a list, such as the quality gates.
///
/// The protocol states no limit; this one keeps the JSON of every event below
/// [`MAX_EVENT_BYTES`](crate::MAX_EVENT_BYTES).
pub const MAX_ITEMS: usize = 16;

/// Free text or an enumeration.
pub(crate) trait Text: AsRef<str> + Default + Serialize + DeserializeOwned {
    /// Converts text without recognizing other spellings of it.
    fn exact(text: String) -> Self;

    /// The only valid text, for enumerations with a single value.
    const ONLY: Option<&'static str> = None;

    /// The builder's value before any setter runs.
    fn initial() -> Self {
        Self::default()
    }

    /// Replacement for an empty or invalid text.
    fn fallback() -> Self {
        Self::default()
    }

    /// The JSON of a text that is known at compile time.
    fn literal(&self) -> Option<&'static str> {
        None
    }
}

impl Text for String {
    fn exact(text: String) -> Self {
        text
    }

    fn fallback() -> Self {
        "unknown".into()
    }
}

impl<T: Text> Field for T {
    type Lenient = Self;

    fn initial() -> Self {
        // Empty for a `String`, which most programs replace: `normalize` adds the fallback.
        <Self as Text>::initial()
    }

    fn normalize(&mut self) {
        if self.literal().is_some() {
            return; // Listed words are in range.
        }
        let text = self.as_ref();
        if text.is_empty() || Self::ONLY.is_some_and(|only| text != only) {
            *self = Self::fallback();
        } else if let Some(end) = excess(text) {
            *self = Self::exact(text[..end].to_owned());
        }
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        let text = self.as_ref();
        let length = || format!("1 to {MAX_TEXT_CHARS} characters");
        match Self::ONLY {
            Some(only) if text != only => Err(expected(&excerpt(only), excerpt(text))),
            _ if text.is_empty() => Err(expected(&length(), "none")),
            _ if excess(text).is_some() => Err(expected(&length(), text.chars().count())),
            _ => Ok(()),
        }
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        let text = Self::exact(string(value, "a string")?);
        text.check().map(|()| text)
    }

    fn write(&self, out: &mut Vec<u8>) {
        if let Some(literal) = self.literal() {
            return out.extend_from_slice(literal.as_bytes());
        }
        let text = self.as_ref();
        let is_escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        // `fold` without early return lets the compiler vectorize.
        if text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
            return write_by_serde(text, out);
        }
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

impl<T: Text> Field for Option<T> {
    type Lenient = Self;

    fn initial() -> Self {
        None
    }

    fn normalize(&mut self) {
        *self = self.take().filter(|text| !text.as_ref().is_empty());
        self.iter_mut().for_each(T::normalize);
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        self.as_ref().map_or(Ok(()), T::check)
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        if value.get() == "null" {
            return Ok(None);
        }
        let text = T::exact(string(value, "a string or null")?);
        text.check().map(|()| Some(text))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(text) => text.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

impl<T: Text> Field for Vec<T> {
    type Lenient = Self;

    fn initial() -> Self {
        Self::new()
    }

    fn normalize(&mut self) {
        self.retain(|text| !text.as_ref().is_empty());
        self.truncate(MAX_ITEMS);
        self.iter_mut().for_each(T::normalize);
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::none();
        check_count(self.len(), &mut errors);
        for (index, text) in self.iter().take(MAX_ITEMS).enumerate() {
            errors.record(format_args!("/{index}"), text.check());
        }
        errors.or(|| ())
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        let (items, count) = items(value, MAX_ITEMS)?;
        let mut errors = ValidationErrors::none();
        check_count(count, &mut errors);
        let mut texts = Self::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            texts.extend(errors.record(format_args!("/{index}"), T::parse(item)));
        }
        errors.or(|| texts)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, text) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text.write(out);
        }
        out.push(b']');
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

fn check_count(count: usize, errors: &mut ValidationErrors) {
    if count > MAX_ITEMS {
        errors.add("", format!("expected at most {MAX_ITEMS} items, found {count}"));
    }
}

/// Byte offset of the first character beyond [`MAX_TEXT_CHARS`].
fn excess(text: &str) -> Option<usize> {
    if text.len() <= MAX_TEXT_CHARS {
        return None;
    }
    text.char_indices().nth(MAX_TEXT_CHARS).map(|(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskType;

    fn normalized<T: Field>(mut value: T) -> T {
        value.normalize();
        value
    }

    #[test]
    fn long_text_is_truncated_at_a_character() {
        for (text, length) in [
            ("a".repeat(256), 256),
            ("a".repeat(257), 256),
            ("é".repeat(256), 512),
            ("é".repeat(257), 512),
            ("€".repeat(1000), 768),
        ] {
            assert_eq!(normalized(text.clone()), text[..length]);
            assert_eq!(normalized(TaskType::from(text.clone())).as_str(), &text[..length]);
            assert_eq!(normalized(vec![TaskType::from(text.clone())])[0].as_str(), &text[..length]);
        }
    }

    #[test]
    fn empty_text_is_replaced_or_removed() {
        assert_eq!(normalized(String::new()), "unknown");
        assert_eq!(normalized(TaskType::from("")), TaskType::Unknown);
        assert_eq!(normalized(TaskType::Debugging), TaskType::Debugging);
        assert_eq!(normalized(Some(TaskType::from(""))), None);
        assert_eq!(normalized(vec![TaskType::from(""), TaskType::Testing]), [TaskType::Testing]);
    }
}
