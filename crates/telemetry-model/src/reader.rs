//! Reads the members of a JSON object one by one and collects what is wrong with them.
//!
//! Nothing is built that is not asked for: a member stays text until its type is known, so neither
//! the depth nor the size of what a stranger sends can hurt.

mod number;
mod visit;

use std::collections::BTreeMap;

use serde::Deserializer;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    ValidationErrors,
    errors::{excerpt, printable, step},
    ranges, timestamp,
};
use visit::{Items, Members};

/// Said of a key that is repeated.
const TWICE: &str = "expected this key once, found it again";

/// The keys that an object may have.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What says so.
    pub(crate) source: &'static str,
    pub(crate) names: &'static [&'static str],
}

/// The members of an object whose keys are known in advance.
pub(crate) struct Reader<'j> {
    keys: &'static Keys,
    values: Vec<Option<&'j RawValue>>,
    pub(crate) errors: ValidationErrors,
}

impl<'j> Reader<'j> {
    /// Splits `json` into its members; fails if it is not an object.
    pub(crate) fn new(json: &'j [u8], keys: &'static Keys) -> Result<Self, ValidationErrors> {
        match json.trim_ascii_start().first() {
            Some(b'{') | None => {}
            Some(&first) => {
                return Err(ValidationErrors::of(
                    "",
                    format!("expected an object, found {}", kind(first)),
                ));
            }
        }
        let values = vec![None; keys.names.len()];
        let mut reader = Self { keys, values, errors: ValidationErrors::none() };
        let mut json = serde_json::Deserializer::from_slice(json);
        let read = json.deserialize_map(&mut reader).and_then(|()| json.end());
        match read {
            Ok(()) => Ok(reader),
            Err(error) => {
                Err(ValidationErrors::of("", format!("expected valid JSON, found: {error}")))
            }
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
            number::finite(value.get())
                .filter(|share| (0.0..=1.0).contains(share))
                .ok_or_else(|| ranges::share(shown(value)))
        });
        self.checked(key, share)
    }

    /// A finite number that is not negative.
    pub(crate) fn amount(&mut self, key: &str) -> f64 {
        let amount = self.required(key).and_then(amount);
        self.checked(key, amount)
    }

    /// The amounts of an object with any keys; none if it is something else.
    pub(crate) fn amounts(&mut self, key: &str) -> Option<BTreeMap<String, f64>> {
        let members = self.required(key).and_then(members).map(Some);
        let mut amounts = BTreeMap::new();
        for (name, value) in self.checked(key, members)? {
            let place = format!("{key}{}", step(&name));
            let amount = self.checked(&place, amount(value));
            if amounts.insert(name, amount).is_some() {
                self.errors.add(&format!("/{place}"), TWICE);
            }
        }
        Some(amounts)
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
        let text = self.nullable(key, |value| string(value, "a string or null"))?;
        ranges::check_text(&format!("/{key}"), &text, &mut self.errors);
        Some(text)
    }

    /// What `read` makes of a value that may be absent or null.
    pub(crate) fn nullable<T>(
        &mut self,
        key: &str,
        read: impl Fn(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.optional(key).filter(|value| value.get() != "null")?;
        let value = read(value).map(Some);
        self.checked(key, value)
    }

    pub(crate) fn texts(&mut self, key: &str) -> Vec<String> {
        let items = self.items(key, usize::MAX);
        let mut texts = Vec::with_capacity(items.len().min(16));
        for (index, item) in items.into_iter().enumerate() {
            let text = string(item, "a string");
            texts.push(self.checked_text(&format!("{key}/{index}"), text));
        }
        texts
    }

    /// The items of an array, at most `max` of them; more are an error.
    pub(crate) fn items(&mut self, key: &str, max: usize) -> Vec<&'j RawValue> {
        let items = self.required(key).and_then(|value| items(value, max));
        let (items, count) = self.checked(key, items);
        if count > max {
            self.errors
                .add(&format!("/{key}"), format!("expected at most {max} {key}, found {count}"));
        }
        items
    }

    /// The items of an array of objects, each read by `read`.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        max: usize,
        keys: &'static Keys,
        read: impl Fn(&mut Self) -> T,
    ) -> Vec<T> {
        let items = self.items(key, max).into_iter().enumerate();
        items
            .filter_map(|(index, item)| self.nested(&format!("/{key}/{index}"), item, keys, &read))
            .collect()
    }

    /// An object, read by `read`; none if it is something else.
    pub(crate) fn object<T>(
        &mut self,
        key: &str,
        keys: &'static Keys,
        read: impl Fn(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.required(key).map(Some);
        let value = self.checked(key, value)?;
        self.nested(&format!("/{key}"), value, keys, read)
    }

    /// What stands at `key`, if anything does.
    pub(crate) fn optional(&self, key: &str) -> Option<&'j RawValue> {
        let index = self.keys.names.iter().position(|known| *known == key)?;
        self.values[index]
    }

    fn nested<T>(
        &mut self,
        pointer: &str,
        value: &'j RawValue,
        keys: &'static Keys,
        read: impl Fn(&mut Self) -> T,
    ) -> Option<T> {
        let (object, errors) = match Reader::new(value.get().as_bytes(), keys) {
            Ok(mut reader) => (Some(read(&mut reader)), reader.errors),
            Err(errors) => (None, errors),
        };
        self.errors.extend(errors.below(pointer));
        object
    }

    fn required(&self, key: &str) -> Result<&'j RawValue, String> {
        self.optional(key).ok_or_else(|| "expected this key, found none".into())
    }

    fn checked<T: Default>(&mut self, key: &str, value: Result<T, String>) -> T {
        value.unwrap_or_else(|message| {
            self.errors.add(&format!("/{key}"), message);
            T::default()
        })
    }

    fn checked_text(&mut self, key: &str, text: Result<String, String>) -> String {
        match text {
            Ok(text) => {
                ranges::check_text(&format!("/{key}"), &text, &mut self.errors);
                text
            }
            Err(message) => self.checked(key, Err(message)),
        }
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

fn members(value: &RawValue) -> Result<Vec<(String, &RawValue)>, String> {
    if !value.get().starts_with('{') {
        return Err(format!("expected an object, found {}", shown(value)));
    }
    let mut json = serde_json::Deserializer::from_str(value.get());
    json.deserialize_map(Members).map_err(|error| format!("expected valid JSON, found: {error}"))
}

fn uuid(value: &RawValue) -> Result<Uuid, String> {
    const EXPECTED: &str = "a UUID such as \"a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d\"";
    let text = string(value, EXPECTED)?;
    // The other forms that the parser knows are not the wire's.
    let uuid = if text.len() == 36 { Uuid::parse_str(&text).ok() } else { None };
    uuid.ok_or_else(|| format!("expected {EXPECTED}, found {}", excerpt(&text)))
}

fn count(value: &RawValue) -> Result<u64, String> {
    number::count(value.get()).ok_or_else(|| ranges::count(shown(value)))
}

fn amount(value: &RawValue) -> Result<f64, String> {
    amount_or(value, "a number, 0 or above")
}

pub(crate) fn amount_or(value: &RawValue, expected: &str) -> Result<f64, String> {
    let amount = number::finite(value.get()).filter(|amount| *amount >= 0.0);
    amount.ok_or_else(|| format!("expected {expected}, found {}", shown(value)))
}

pub(crate) fn string(value: &RawValue, expected: &str) -> Result<String, String> {
    serde_json::from_str(value.get())
        .map_err(|_| format!("expected {expected}, found {}", shown(value)))
}

/// What stands there, for a message: short values as they are, others by their kind.
fn shown(value: &RawValue) -> String {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => kind(text.as_bytes()[0]).into(),
        _ if text.len() <= 40 => printable(text).into(),
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
