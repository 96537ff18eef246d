//! Reads the members of a JSON object one by one and collects what is wrong with them.
//!
//! Nothing is built that is not asked for: a member stays text until its type is known, so neither
//! the depth nor the size of what a stranger sends can hurt.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, value::RawValue};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Faults,
    faults::{excerpt, step},
    ranges, timestamp,
};

/// The members of an object whose keys are known in advance.
pub(crate) struct Reader<'a, 'j> {
    keys: &'a [&'static str],
    values: Vec<Option<&'j RawValue>>,
    pub(crate) faults: Faults,
}

impl<'a, 'j> Reader<'a, 'j> {
    /// Splits `json` into its members; fails if it is not an object.
    pub(crate) fn new(json: &'j [u8], keys: &'a [&'static str]) -> Result<Self, Faults> {
        match json.trim_ascii_start().first() {
            Some(b'{') | None => {}
            Some(&first) => {
                return Err(Faults::of("", format!("expected an object, found {}", kind(first))));
            }
        }
        let mut reader = Self { keys, values: vec![None; keys.len()], faults: Faults::default() };
        let mut json = serde_json::Deserializer::from_slice(json);
        let read = json.deserialize_map(&mut reader).and_then(|()| json.end());
        match read {
            Ok(()) => Ok(reader),
            Err(error) => Err(Faults::of("", format!("expected valid JSON, found: {error}"))),
        }
    }

    pub(crate) fn uuid(&mut self, key: &str) -> Uuid {
        let uuid = self.required(key).and_then(uuid);
        self.checked(key, uuid)
    }

    pub(crate) fn timestamp(&mut self, key: &str) -> OffsetDateTime {
        const EXPECTED: &str = "a UTC date-time such as \"2026-02-15T05:29:05.123Z\"";
        let at = self.required(key).and_then(|value| {
            let text = string(value, EXPECTED)?;
            timestamp::parse_utc(&text)
                .ok_or_else(|| format!("expected {EXPECTED}, found {}", excerpt(&text)))
        });
        self.checked(key, at.map(Some)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    pub(crate) fn count(&mut self, key: &str) -> u64 {
        let count = self.required(key).and_then(count);
        self.checked(key, count)
    }

    pub(crate) fn count_or_zero(&mut self, key: &str) -> u64 {
        let count = self.optional(key).map_or(Ok(0), count);
        self.checked(key, count)
    }

    pub(crate) fn share(&mut self, key: &str) -> f64 {
        let share = self.required(key).and_then(|value| {
            let found = value.get();
            // Text in quotes is not a number to `parse`, and neither are "inf" and "NaN" in JSON.
            let share: Option<f64> = found.parse().ok();
            share
                .filter(|share| (0.0..=1.0).contains(share))
                .ok_or_else(|| ranges::share(shown(value)))
        });
        self.checked(key, share)
    }

    pub(crate) fn boolean(&mut self, key: &str) -> bool {
        let boolean = self.required(key).and_then(|value| match value.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("expected true or false, found {}", shown(value))),
        });
        self.checked(key, boolean)
    }

    pub(crate) fn text(&mut self, key: &str) -> String {
        let text = self.required(key).and_then(|value| string(value, "a string"));
        self.checked_text(key, text)
    }

    pub(crate) fn optional_text(&mut self, key: &str) -> Option<String> {
        let value = self.optional(key).filter(|value| value.get() != "null")?;
        Some(self.checked_text(key, string(value, "a string or null")))
    }

    pub(crate) fn texts(&mut self, key: &str) -> Vec<String> {
        let items = self.required(key).and_then(|value| items(value, usize::MAX));
        let (items, _) = self.checked(key, items);
        let mut texts = Vec::with_capacity(items.len().min(16));
        for (index, item) in items.into_iter().enumerate() {
            let text = string(item, "a string");
            texts.push(self.checked_text(&format!("{key}/{index}"), text));
        }
        texts
    }

    /// At most `max` items of an array, and how many it has.
    pub(crate) fn items(&mut self, key: &str, max: usize) -> (Vec<&'j RawValue>, usize) {
        let items = self.required(key).and_then(|value| items(value, max));
        self.checked(key, items)
    }

    fn optional(&self, key: &str) -> Option<&'j RawValue> {
        let index = self.keys.iter().position(|known| *known == key)?;
        self.values[index]
    }

    fn required(&self, key: &str) -> Result<&'j RawValue, String> {
        self.optional(key).ok_or_else(|| "expected this key, found none".into())
    }

    fn checked<T: Default>(&mut self, key: &str, value: Result<T, String>) -> T {
        value.unwrap_or_else(|message| {
            self.faults.add(&format!("/{key}"), message);
            T::default()
        })
    }

    fn checked_text(&mut self, key: &str, text: Result<String, String>) -> String {
        match text {
            Ok(text) => {
                ranges::check_text(&format!("/{key}"), &text, &mut self.faults);
                text
            }
            Err(message) => self.checked(key, Err(message)),
        }
    }
}

impl<'j> Visitor<'j> for &mut Reader<'_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(self.keys))? {
            match key {
                Ok(index) => {
                    if self.values[index].replace(map.next_value()?).is_some() {
                        self.faults
                            .add(&step(self.keys[index]), "expected this key once, found it again");
                    }
                }
                Err(unknown) => {
                    map.next_value::<IgnoredAny>()?;
                    self.faults.add(&unknown, "expected no such key in schema 1.0");
                }
            }
        }
        Ok(())
    }
}

/// The index of a known key, or the pointer to an unknown one.
struct Key<'a>(&'a [&'static str]);

impl<'j> DeserializeSeed<'j> for Key<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == key).ok_or_else(|| step(key)))
    }
}

/// At most `.0` items of an array; the rest is counted.
struct Items(usize);

impl<'j> Visitor<'j> for Items {
    type Value = (Vec<&'j RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.0 {
            let Some(item) = seq.next_element()? else {
                let count = items.len();
                return Ok((items, count));
            };
            items.push(item);
        }
        let mut count = items.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((items, count))
    }
}

fn items(value: &RawValue, max: usize) -> Result<(Vec<&RawValue>, usize), String> {
    let mut json = serde_json::Deserializer::from_str(value.get());
    if value.get().starts_with('[')
        && let Ok(items) = json.deserialize_seq(Items(max))
    {
        return Ok(items);
    }
    Err(format!("expected an array, found {}", shown(value)))
}

fn uuid(value: &RawValue) -> Result<Uuid, String> {
    const EXPECTED: &str = "a UUID such as \"a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d\"";
    let text = string(value, EXPECTED)?;
    // The other forms that the parser knows are not the wire's.
    let uuid = if text.len() == 36 { Uuid::parse_str(&text).ok() } else { None };
    uuid.ok_or_else(|| format!("expected {EXPECTED}, found {}", excerpt(&text)))
}

fn count(value: &RawValue) -> Result<u64, String> {
    let number: Option<Number> = serde_json::from_str(value.get()).ok();
    let count = number.and_then(|number| number.as_u64().or_else(|| whole(number.as_f64()?)));
    count
        .filter(|count| *count <= crate::TaskCompletionEvent::MAX_COUNT)
        .ok_or_else(|| ranges::count(shown(value)))
}

/// `2.0` and `2e3` are integers to JSON Schema, and to us as far as a float is exact.
fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and in the range in which the conversion is exact"
    )]
    ((0.0..=EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

fn string(value: &RawValue, expected: &str) -> Result<String, String> {
    serde_json::from_str(value.get())
        .map_err(|_| format!("expected {expected}, found {}", shown(value)))
}

/// What stands there: short values as they are, others by their kind.
fn shown(value: &RawValue) -> String {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => kind(text.as_bytes()[0]).into(),
        _ if text.len() <= 40 => text.into(),
        Some(&first) => kind(first).into(),
        None => "nothing".into(),
    }
}

fn kind(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        b'-' | b'0'..=b'9' => "a number",
        _ => "no JSON value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let read = |json: &str| count(&RawValue::from_string(json.into()).unwrap());
        assert_eq!(read("0"), Ok(0));
        assert_eq!(read("2.0"), Ok(2));
        assert_eq!(read("2e3"), Ok(2000));
        assert_eq!(read("9223372036854775807"), Ok(i64::MAX as u64));
        for bad in ["-1", "2.5", "9223372036854775808", "1e300", "\"2\"", "null", "[1]", "true"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
