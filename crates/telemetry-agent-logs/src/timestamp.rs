//! Timestamps of logs.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Unix milliseconds of a timestamp as `2026-11-26T17:58:03.116Z`; `None` for other text.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_is_an_instant_whatever_its_zone() {
        let expected = Some(1_795_715_883_116);
        for text in ["2026-11-26T17:58:03.116Z", "2026-11-26T19:58:03.116+02:00"] {
            assert_eq!(millis(text), expected, "{text}");
        }
        for text in ["", "[trimmed for fixture]", "2026-11-26", "1795715883"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
