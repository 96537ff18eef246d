//! Timestamps on the wire: RFC 3339, UTC, whole milliseconds.

use std::{borrow::Cow, str, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// 0000-01-01T00:00:00.000Z, the earliest time in RFC 3339.
const EARLIEST: OffsetDateTime = at(-62_167_219_200_000);
/// 9999-12-31T23:59:59.999Z, the latest time in RFC 3339.
const LATEST: OffsetDateTime = at(253_402_300_799_999);

const fn at(unix_milliseconds: i128) -> OffsetDateTime {
    match OffsetDateTime::from_unix_timestamp_nanos(unix_milliseconds * 1_000_000) {
        Ok(at) => at,
        Err(_) => OffsetDateTime::UNIX_EPOCH,
    }
}

/// Converts to UTC and whole milliseconds, clamped to the years 0 to 9999.
pub(crate) fn normalized(at: OffsetDateTime) -> OffsetDateTime {
    let at = clamped(at);
    let utc = at.checked_to_offset(UtcOffset::UTC).unwrap_or(at);
    utc.replace_millisecond(utc.millisecond()).unwrap_or(utc)
}

/// Clamps to the years 0 to 9999.
pub(crate) fn clamped(at: OffsetDateTime) -> OffsetDateTime {
    at.clamp(EARLIEST, LATEST)
}

/// Parses an RFC 3339 time strictly: UTC, without leap seconds.
pub(crate) fn parse_utc(text: &str) -> Option<OffsetDateTime> {
    let utc = ["Z", "+00:00", "-00:00"].iter().any(|offset| text.ends_with(offset));
    let bytes = text.as_bytes();
    if !utc || bytes.get(10) != Some(&b'T') || bytes.get(17..19) == Some(b"60") {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(normalized)
}

/// A time, converted from a [`SystemTime`] or an [`OffsetDateTime`] of the crate `time`. Conversion is
/// infallible: times that an `OffsetDateTime` cannot hold saturate.
///
/// The types of other crates convert to `SystemTime`:
///
/// ```
/// use std::time::SystemTime;
/// use telemetry_model::EventBuilder;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let with_chrono = chrono::DateTime::parse_from_rfc3339("2026-02-15T06:29:05.123+01:00")?;
/// let with_jiff: jiff::Timestamp = "2026-02-15T05:29:05.123Z".parse()?;
/// for time in [SystemTime::from(with_chrono), SystemTime::try_from(with_jiff)?] {
///     let event = EventBuilder::new(uuid::Uuid::nil()).timestamp(time).build();
///     assert_eq!(event.timestamp.unix_timestamp(), 1_771_133_345);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Serialized in UTC and whole milliseconds. Deserialization converts any offset to UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub(crate) OffsetDateTime);

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(at)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        // Not `OffsetDateTime::from`, which panics outside its range.
        let nanos = |duration: std::time::Duration| duration.as_nanos().cast_signed();
        let since_epoch = match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        };
        let [earliest, latest] = [EARLIEST, LATEST].map(OffsetDateTime::unix_timestamp_nanos);
        let at = OffsetDateTime::from_unix_timestamp_nanos(since_epoch.clamp(earliest, latest));
        Self(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(Timestamp(at): Timestamp) -> Self {
        at
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = written(self.0);
        serializer.serialize_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339)
            .map(|at| Self(normalized(at)))
            .map_err(|_| D::Error::custom("expected an RFC 3339 date-time"))
    }
}

/// Formats as `2026-02-15T05:29:05.123Z`.
pub(crate) fn written(at: OffsetDateTime) -> [u8; 24] {
    // By hand: `time`'s formatting is slower, and every event of every batch has a timestamp.
    let at = normalized(at);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |from: usize, digits: usize, mut value: u32| {
        for place in text[from..from + digits].iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    put(0, 4, at.year().unsigned_abs());
    put(5, 2, u8::from(at.month()).into());
    put(8, 2, at.day().into());
    put(11, 2, at.hour().into());
    put(14, 2, at.minute().into());
    put(17, 2, at.second().into());
    put(20, 3, at.millisecond().into());
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(at: OffsetDateTime) -> String {
        String::from_utf8(written(at).to_vec()).unwrap()
    }

    #[test]
    fn times_are_written_in_utc_milliseconds_and_clamped() {
        for (at, expected) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("2026-02-15T07:29:05.1239+02:00", "2026-02-15T05:29:05.123Z"),
            ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00+14:00", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(text(OffsetDateTime::parse(at, &Rfc3339).unwrap()), expected);
        }
        let earliest = time::Date::MIN.midnight().assume_utc();
        assert_eq!(text(earliest), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn strict_parsing_accepts_utc_only() {
        for valid in ["2026-02-15T05:29:05Z", "2026-02-15T05:29:05.5+00:00"] {
            assert!(parse_utc(valid).is_some(), "{valid}");
        }
        let invalid = "|Z|2026-02-15|2026-02-15T05:29:05|2026-02-15 05:29:05Z|2026-02-30T05:29:05Z|\
            2026-02-15T05:29:05+02:00|2026-02-15T25:29:05Z|2016-12-31T23:59:60Z";
        for invalid in invalid.split('|') {
            assert!(parse_utc(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn system_times_are_converted_and_saturate() {
        use std::time::Duration;

        for (since_epoch, is_after, expected) in [
            (Duration::from_micros(1_771_133_345_123_999), true, "2026-02-15T05:29:05.123Z"),
            (Duration::from_millis(1), false, "1969-12-31T23:59:59.999Z"),
            (Duration::from_secs(300_000_000_000), true, "9999-12-31T23:59:59.999Z"),
            (Duration::from_secs(100_000_000_000), false, "0000-01-01T00:00:00.000Z"),
        ] {
            let epoch = SystemTime::UNIX_EPOCH;
            let at = if is_after { epoch + since_epoch } else { epoch - since_epoch };
            assert_eq!(text(Timestamp::from(at).0), expected);
        }
    }

    proptest! {
        #[test]
        fn written_times_are_parsed(
            seconds in -377_705_116_800i64..=253_402_300_799,
            nanos in 0..1_000_000_000i64,
        ) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap()
                + time::Duration::nanoseconds(nanos);
            prop_assert_eq!(parse_utc(&text(at)), Some(normalized(at)));
        }
    }
}
