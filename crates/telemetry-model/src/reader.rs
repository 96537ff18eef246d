//! Strict reader of JSON objects: reads member by member and collects all errors.
//!
//! A member stays raw text until its type is known, so that untrusted input can neither cause deep
//! recursion nor use more memory than its own size.

pub(crate) mod number;
mod visit;

use std::collections::BTreeMap;

use serde::Deserializer;
use serde_json::value::RawValue;

use crate::{
    ValidationErrors,
    errors::{expected, printable, step},
};
use visit::{Items, Members};

const MISSING: &str = "expected this key, found none";
const TWICE: &str = "expected this key once, found it again";

/// The keys that an object may have.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Specification of the keys, for messages.
    pub(crate) source: &'static str,
    pub(crate) names: &'static [&'static str],
    /// Subset of `names` that may be absent.
    pub(crate) optional: &'static [&'static str],
}

impl Keys {
    pub(crate) fn is_optional(&self, key: &str) -> bool {
        self.optional.contains(&key)
    }
}

/// The members of an object with known keys.
pub(crate) struct Reader<'j> {
    keys: &'static Keys,
    values: Vec<Option<&'j RawValue>>,
    pub(crate) errors: ValidationErrors,
}

impl<'j> Reader<'j> {
    /// Splits `json` into its members. Fails unless it is a JSON object.
    pub(crate) fn new(json: &'j [u8], keys: &'static Keys) -> Result<Self, ValidationErrors> {
        match json.trim_ascii_start().first() {
            Some(b'{') | None => {}
            Some(&first) => {
                return Err(expected("an object", kind(first)));
            }
        }
        let values = vec![None; keys.names.len()];
        let mut reader = Self { keys, values, errors: ValidationErrors::none() };
        let mut json = serde_json::Deserializer::from_slice(json);
        json.deserialize_map(&mut reader).and_then(|()| json.end()).map_err(invalid_json)?;
        Ok(reader)
    }

    /// Reads a finite, non-negative number; 0.0 on error.
    pub(crate) fn amount(&mut self, key: &str) -> f64 {
        let value = self.member(key);
        value
            .and_then(|value| self.errors.record(format_args!("/{key}"), amount(value)))
            .unwrap_or(0.0)
    }

    /// Reads an object that maps arbitrary keys to amounts; `None` if it is not an object.
    pub(crate) fn amounts(&mut self, key: &str) -> Option<BTreeMap<String, f64>> {
        let value = self.member(key)?;
        let members = self.errors.record(format_args!("/{key}"), members(value))?;
        let mut amounts = BTreeMap::new();
        for (name, value) in members {
            let pointer = format!("/{key}{}", step(&name));
            let amount =
                self.errors.record(format_args!("{pointer}"), amount(value)).unwrap_or(0.0);
            if amounts.insert(name, amount).is_some() {
                self.errors.add(&pointer, TWICE);
            }
        }
        Some(amounts)
    }

    /// Reads a nullable value with `read`.
    pub(crate) fn nullable<T>(
        &mut self,
        key: &str,
        read: impl Fn(&RawValue) -> Result<T, ValidationErrors>,
    ) -> Option<T> {
        let value = self.member(key).filter(|value| value.get() != "null")?;
        self.errors.record(format_args!("/{key}"), read(value))
    }

    /// Reads the first `max` items of an array; more items are an error.
    pub(crate) fn items(&mut self, key: &str, max: usize) -> Vec<&'j RawValue> {
        let Some(value) = self.member(key) else { return Vec::new() };
        let Some((items, count)) = self.errors.record(format_args!("/{key}"), items(value, max))
        else {
            return Vec::new();
        };
        if count > max {
            self.errors
                .add(&format!("/{key}"), format!("expected at most {max} {key}, found {count}"));
        }
        items
    }

    /// Reads an array of objects, each with `read`.
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

    /// Reads an object with `read`; `None` if it is not an object.
    pub(crate) fn object<T>(
        &mut self,
        key: &str,
        keys: &'static Keys,
        read: impl Fn(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.member(key)?;
        self.nested(&format!("/{key}"), value, keys, read)
    }

    /// Returns the value at `key`; a missing key is an error unless it is optional.
    pub(crate) fn member(&mut self, key: &str) -> Option<&'j RawValue> {
        let value = self.peek(key);
        if value.is_none() && !self.keys.is_optional(key) {
            self.errors.add(&format!("/{key}"), MISSING);
        }
        value
    }

    /// Returns the value at `key`; a missing key is no error.
    pub(crate) fn peek(&self, key: &str) -> Option<&'j RawValue> {
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
        let mut reader = self
            .errors
            .record(format_args!("{pointer}"), Reader::new(value.get().as_bytes(), keys))?;
        let object = read(&mut reader);
        self.errors.extend(reader.errors.below(pointer));
        Some(object)
    }
}

/// Returns the first `max` items of an array and the number of all items.
pub(crate) fn items(
    value: &RawValue,
    max: usize,
) -> Result<(Vec<&RawValue>, usize), ValidationErrors> {
    let mut json = serde_json::Deserializer::from_str(value.get());
    if value.get().starts_with('[')
        && let Ok(items) = json.deserialize_seq(Items(max))
    {
        return Ok(items);
    }
    Err(expected("an array", shown(value)))
}

fn members(value: &RawValue) -> Result<Vec<(String, &RawValue)>, ValidationErrors> {
    if !value.get().starts_with('{') {
        return Err(expected("an object", shown(value)));
    }
    let mut json = serde_json::Deserializer::from_str(value.get());
    json.deserialize_map(Members).map_err(invalid_json)
}

fn amount(value: &RawValue) -> Result<f64, ValidationErrors> {
    amount_or(value, "a number, 0 or above")
}

pub(crate) fn amount_or(value: &RawValue, what: &str) -> Result<f64, ValidationErrors> {
    let amount = number::finite(value.get()).filter(|amount| *amount >= 0.0);
    amount.ok_or_else(|| expected(what, shown(value)))
}

pub(crate) fn string(value: &RawValue, what: &str) -> Result<String, ValidationErrors> {
    serde_json::from_str(value.get()).map_err(|_| expected(what, shown(value)))
}

fn invalid_json(error: serde_json::Error) -> ValidationErrors {
    ValidationErrors::new(format!("expected valid JSON, found: {error}"))
}

/// Describes a value for a message: scalars of up to 40 bytes verbatim, other values by type.
pub(crate) fn shown(value: &RawValue) -> String {
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
        _ => "invalid JSON",
    }
}
