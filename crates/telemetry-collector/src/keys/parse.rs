//! The format of the file of keys.

use std::{collections::HashMap, fmt, hash::Hash, num::NonZeroU32};

use parking_lot::Mutex;
use telemetry_model::time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
    value::{Datetime, Offset},
};
use uuid::Uuid;

use super::{Key, is_name};
use crate::limiter::Bucket;

/// Half of the characters of a key.
pub(super) const MAX_NAME_CHARS: usize = 32;

/// The form of a name, for messages.
pub(super) const NAME: &str = "1 to 32 characters, ASCII letters, digits, `.`, `-` and `_`,";

const FIELDS: &str = "name, sha256, instances, from, until, rate";

/// An error in the file. Displays as its line and a message without any value of the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    line: usize,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// Parses a file.
///
/// # Errors
///
/// All faults, in the order of their lines.
pub(super) fn keys(text: &str) -> Result<Vec<Key>, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut parser =
        Parser { text, faults: Vec::new(), sha256: HashMap::new(), names: HashMap::new() };
    for error in &errors {
        // The whole display would repeat the line of the file.
        let at = error.span().map_or(0, |span| span.start);
        parser.fault(at, format!("invalid TOML: {}", error.message()));
    }
    let broken: Vec<_> = parser.faults.iter().map(|fault| fault.line).collect();
    let keys = parser.file(table.get_ref());
    // A value that is no TOML was guessed.
    let (syntax, mut faults) = (parser.faults, Vec::new());
    for (index, fault) in syntax.into_iter().enumerate() {
        if index < broken.len() || !broken.contains(&fault.line) {
            faults.push(fault);
        }
    }
    faults.sort();
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}

struct Parser<'t> {
    text: &'t str,
    faults: Vec<Fault>,
    /// The lines of the values that have to be unique.
    sha256: HashMap<[u8; 32], usize>,
    names: HashMap<String, usize>,
}

impl Parser<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn fault(&mut self, at: usize, message: impl Into<String>) {
        self.faults.push(Fault { line: self.line(at), message: message.into() });
    }

    fn file(&mut self, table: &DeTable<'_>) -> Vec<Key> {
        let mut keys = Vec::new();
        for (name, value) in table {
            if name.get_ref() != "key" {
                self.fault(name.span().start, "unknown field; the file is a list of [[key]]");
                continue;
            }
            let entries = value.get_ref().as_array();
            let Some(entries) = entries.filter(|it| it.iter().all(|it| it.get_ref().is_table()))
            else {
                self.fault(name.span().start, "expected a list of [[key]]");
                continue;
            };
            for entry in entries.iter() {
                let fields = entry.get_ref().as_table();
                keys.extend(fields.and_then(|fields| self.entry(entry.span().start, fields)));
            }
        }
        keys
    }

    /// An entry that starts at this offset. `None` if it has faults.
    fn entry(&mut self, at: usize, fields: &DeTable<'_>) -> Option<Key> {
        let before = self.faults.len();
        let (mut name, mut sha256, mut instances) = (None, None, Vec::new());
        let (mut from, mut until, mut per_minute) = (None, None, None);
        for (field, value) in fields {
            match field.get_ref().as_ref() {
                "name" => name = self.read("name", NAME, value, parse_name),
                "sha256" => {
                    let expected = "the SHA-256 hash of the key, 64 hexadecimal characters,";
                    sha256 = self.read("sha256", expected, value, parse_sha256);
                }
                "instances" => instances = self.instances(value),
                "from" => from = self.read("from", MOMENT, value, parse_moment),
                "until" => until = self.read("until", MOMENT, value, parse_moment),
                "rate" => {
                    let expected = "requests a minute, a number from 1 to 4294967295,";
                    per_minute = self.read("rate", expected, value, parse_rate);
                }
                _ => self.fault(field.span().start, format!("unknown field; there are {FIELDS}")),
            }
        }
        for required in ["name", "sha256"] {
            if !fields.keys().any(|field| field.get_ref() == required) {
                self.fault(at, format!("{required}: missing"));
            }
        }
        if let (Some(start), Some(end)) = (from, until)
            && start >= end
        {
            self.fault(at, "until: expected a time after that of `from`");
        }
        let line = |field: &str| {
            let value = fields.iter().find(|(name, _)| name.get_ref() == field);
            value.map_or(at, |(_, value)| value.span().start)
        };
        if let Some(name) = &name {
            let line = line("name");
            self.unique("name", line, |parser| &mut parser.names, name.clone());
        }
        if let Some(sha256) = sha256 {
            let line = line("sha256");
            self.unique("sha256", line, |parser| &mut parser.sha256, sha256);
        }
        let key = Key {
            name: name?,
            sha256: sha256?,
            instances,
            from,
            until,
            per_minute,
            bucket: Mutex::new(Bucket::default()),
        };
        (self.faults.len() == before).then_some(key)
    }

    /// Parses a value; `None` and a fault if it is invalid.
    fn read<T>(
        &mut self,
        field: &str,
        expected: &str,
        value: &Spanned<DeValue<'_>>,
        parse: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(value.get_ref());
        if parsed.is_none() {
            self.fault(
                value.span().start,
                format!("{field}: expected {expected} found another value"),
            );
        }
        parsed
    }

    fn instances(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Uuid> {
        let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
            // An empty list that meant any instance would open a key when its last instance is removed.
            let expected = "expected a list of UUIDs; leave it out for any instance";
            self.fault(value.span().start, format!("instances: {expected}"));
            return Vec::new();
        };
        let parse = |value: &DeValue<'_>| value.as_str()?.parse().ok();
        list.iter().filter_map(|id| self.read("instances", "a UUID,", id, parse)).collect()
    }

    fn unique<T: Eq + Hash>(
        &mut self,
        field: &str,
        at: usize,
        lines: impl FnOnce(&mut Self) -> &mut HashMap<T, usize>,
        value: T,
    ) {
        let line = self.line(at);
        if let Some(first) = lines(self).insert(value, line) {
            self.fault(at, format!("{field}: the same as in line {first}"));
        }
    }
}

fn parse_name(value: &DeValue<'_>) -> Option<String> {
    value.as_str().filter(|name| is_name(name)).map(Into::into)
}

fn parse_sha256(value: &DeValue<'_>) -> Option<[u8; 32]> {
    let text = value.as_str().filter(|text| text.len() == 64)?.as_bytes();
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |index: usize| char::from(pair[index]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(hash)
}

fn parse_rate(value: &DeValue<'_>) -> Option<NonZeroU32> {
    let rate = value.as_integer()?;
    NonZeroU32::new(u32::from_str_radix(rate.as_str(), rate.radix()).ok()?)
}

const MOMENT: &str = "a date (its start in UTC), or a time with an offset as 2026-11-26T17:58:03Z,";

/// A date or a time with its offset, with quotes or without.
fn parse_moment(value: &DeValue<'_>) -> Option<OffsetDateTime> {
    let at: Datetime = match value {
        DeValue::Datetime(at) => *at,
        DeValue::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let date = at.date?;
    let month = Month::try_from(date.month).ok()?;
    let date = Date::from_calendar_date(date.year.into(), month, date.day).ok()?;
    let (time, offset) = match (at.time, at.offset) {
        (None, None) => (Time::MIDNIGHT, UtcOffset::UTC),
        (Some(time), Some(offset)) => {
            let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i32::from(minutes),
            };
            let time = Time::from_hms_nano(time.hour, time.minute, second, nanosecond).ok()?;
            (time, UtcOffset::from_whole_seconds(minutes * 60).ok()?)
        }
        _ => return None,
    };
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

#[cfg(test)]
mod tests;
