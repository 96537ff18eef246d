//! Behavior of the event's fields by type: default, range, reading and writing.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{
    ValidationErrors,
    count::{Count, MAX_COUNT},
    errors::{excerpt, expected},
    reader::{Reader, number, shown, string},
    timestamp::{self, Timestamp},
};

const SHARE: &str = "a number from 0.0 to 1.0";

/// A type of field. `text.rs` implements it for texts and enumerations.
pub(crate) trait Field: Sized {
    /// Deserializes the field leniently.
    type Lenient: DeserializeOwned + Into<Self>;

    /// The builder's value before any setter runs.
    fn initial() -> Self;

    /// Moves the value into its range.
    fn normalize(&mut self) {}

    /// Checks the range. Error pointers are relative to the value.
    fn check(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }

    /// Reads a JSON value and checks its type and range. Error pointers are relative to the value.
    fn parse(value: &RawValue) -> Result<Self, ValidationErrors>;

    /// Appends the value as JSON, byte for byte as `serde_json` does.
    fn write(&self, out: &mut Vec<u8>);

    /// The value in its serialized form.
    fn as_serde(&self) -> impl Serialize;

    /// Reads the member `key` with [`parse`](Self::parse). Records the error and returns `None` if it
    /// is invalid or missing.
    fn read(reader: &mut Reader<'_>, key: &str) -> Option<Self> {
        let value = reader.member(key)?;
        reader.errors.record(format_args!("/{key}"), Self::parse(value))
    }

    /// Same as [`read`](Self::read), with the initial value instead of `None`.
    fn read_or_initial(reader: &mut Reader<'_>, key: &str) -> Self {
        Self::read(reader, key).unwrap_or_else(Self::initial)
    }
}

/// Used by `#[serde(with = "field")]`.
pub(crate) fn serialize<T: Field, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_serde().serialize(serializer)
}

/// Used by `#[serde(with = "field")]`.
pub(crate) fn deserialize<'de, T: Field, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Lenient::deserialize(deserializer).map(Into::into)
}

impl Field for Uuid {
    type Lenient = Self;

    fn initial() -> Self {
        Self::nil()
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        const EXPECTED: &str = "a UUID such as \"a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d\"";
        let text = string(value, EXPECTED)?;
        // `parse_str` also accepts the simple, braced and URN forms; all have other lengths.
        let uuid =
            if text.len() == Hyphenated::LENGTH { Self::parse_str(&text).ok() } else { None };
        uuid.ok_or_else(|| expected(EXPECTED, excerpt(&text)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut quoted = [b'"'; Hyphenated::LENGTH + 2];
        self.hyphenated().encode_lower(&mut quoted[1..]);
        out.extend_from_slice(&quoted);
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

impl Field for OffsetDateTime {
    type Lenient = Timestamp;

    fn initial() -> Self {
        Self::UNIX_EPOCH
    }

    fn normalize(&mut self) {
        *self = timestamp::normalized(*self);
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        if *self == timestamp::clamped(*self) {
            return Ok(());
        }
        Err(ValidationErrors::new("expected a time in the years 0 to 9999, in UTC"))
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        const EXPECTED: &str = "a UTC date-time such as \"2026-02-15T05:29:05.123Z\"";
        let text = string(value, EXPECTED)?;
        timestamp::parse_utc(&text).ok_or_else(|| expected(EXPECTED, excerpt(&text)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(&timestamp::written(*self));
        out.push(b'"');
    }

    fn as_serde(&self) -> impl Serialize {
        Timestamp(*self)
    }
}

/// A count from 0 to [`MAX_COUNT`].
impl Field for u64 {
    type Lenient = Count;

    fn initial() -> Self {
        0
    }

    fn normalize(&mut self) {
        *self = (*self).min(MAX_COUNT);
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        if *self <= MAX_COUNT { Ok(()) } else { Err(expected(&count(), self)) }
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        number::count(value.get()).ok_or_else(|| expected(&count(), shown(value)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_by_serde(self, out);
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

/// A share from 0.0 to 1.0.
impl Field for f64 {
    type Lenient = Self;

    fn initial() -> Self {
        0.0
    }

    fn normalize(&mut self) {
        // `clamp` would keep NaN and -0.0.
        *self = if *self > 0.0 { self.min(1.0) } else { 0.0 };
    }

    fn check(&self) -> Result<(), ValidationErrors> {
        if (0.0..=1.0).contains(self) { Ok(()) } else { Err(expected(SHARE, self)) }
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        number::finite(value.get())
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| expected(SHARE, shown(value)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_by_serde(self, out);
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

impl Field for bool {
    type Lenient = Self;

    fn initial() -> Self {
        false
    }

    fn parse(value: &RawValue) -> Result<Self, ValidationErrors> {
        match value.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(expected("true or false", shown(value))),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn as_serde(&self) -> impl Serialize {
        self
    }
}

fn count() -> String {
    format!("an integer from 0 to {MAX_COUNT}")
}

/// Appends a text or number as JSON. `serde_json` cannot fail to write these to memory.
pub(crate) fn write_by_serde<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}
