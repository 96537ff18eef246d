//! Times on the command line.

use std::{str::FromStr, time::SystemTime};

use time::{
    Date, OffsetDateTime, PrimitiveDateTime, Time, format_description::well_known::Rfc3339,
    macros::format_description,
};

/// A time, or a time span before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Unix milliseconds.
    At(i64),
    /// Milliseconds.
    Ago(i64),
}

impl When {
    /// Unix milliseconds.
    pub(crate) const fn millis(self, now: i64) -> i64 {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.saturating_sub(span),
        }
    }
}

/// The time in unix milliseconds.
pub(crate) fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
    unix_millis(SystemTime::now())
}

pub(crate) fn unix_millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time in UTC as `2026-11-26 17:58`.
pub(crate) fn minute(millis: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1_000));
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(format_description!("[year]-[month]-[day] [hour]:[minute]")).unwrap_or_default()
}

/// A time in UTC as `2026-11-26T17:58:03.116Z`.
pub(crate) fn instant(millis: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default()
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = |at: OffsetDateTime| {
            Self::At(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default())
        };
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(millis(at));
        }
        if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
            return Ok(millis(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc()));
        }
        span(text).map(Self::Ago).ok_or_else(|| {
            "expected a span as 30d, 12h or 90m, a date as 2026-11-26 (UTC) or a time as \
             2026-11-26T17:58:03Z"
                .into()
        })
    }
}

fn span(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        _ => return None,
    };
    let count: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    i64::from(count).checked_mul(seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_a_span_a_date_or_an_instant() {
        for (text, expected) in [
            ("30d", Some(When::Ago(2_592_000_000))),
            ("12h", Some(When::Ago(43_200_000))),
            ("90m", Some(When::Ago(5_400_000))),
            ("1970-01-02", Some(When::At(86_400_000))),
            ("1970-01-01T02:00:00+01:00", Some(When::At(3_600_000))),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("9ä", None),
            ("2026-13-01", None),
            ("99999999999d", None),
        ] {
            assert_eq!(text.parse::<When>().ok(), expected, "{text:?}");
        }
    }
}
