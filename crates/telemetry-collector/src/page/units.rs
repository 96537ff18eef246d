//! Figures in the units that people read, and their exact forms.

use telemetry_model::time::OffsetDateTime;

const SECOND: u128 = 1_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
const DAY: u128 = 24 * HOUR;

/// Shown for a figure that does not exist, such as a share of no tasks.
pub(super) const NONE: &str = "–";

/// A count with three significant digits from 10,000 on: `9,812`, `12.3 k`, `1.23 M`.
pub(super) fn count(count: u128) -> String {
    if count < 10_000 { exact(count) } else { scaled(count as f64) }
}

/// A count with all digits, in groups of three: `1,234,567`.
pub(super) fn exact(count: u128) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Microdollars as `$0.0034`, `$3.40`, `$1,234`, `$12.3 k`.
pub(super) fn money(micros: u128) -> String {
    let usd = micros as f64 / 1e6;
    match micros {
        0 => "$0".into(),
        1..100 => "<$0.0001".into(),
        100..10_000 => format!("${usd:.4}"),
        10_000..999_995_000 => format!("${usd:.2}"),
        999_995_000..10_000_000_000 => format!("${}", exact((micros + 500_000) / 1_000_000)),
        _ => format!("${}", scaled(usd)),
    }
}

/// Microdollars with all digits: `$3.400000`.
pub(super) fn exact_money(micros: u128) -> String {
    format!("${}.{:06}", exact(micros / 1_000_000), micros % 1_000_000)
}

/// Milliseconds as `850 ms`, `4.2 s`, `4 min 10 s`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn duration(ms: u128) -> String {
    let pair = |large: u128, large_unit, small: u128, small_unit| {
        let total = (ms + small / 2) / small;
        let (whole, rest) = (total * small / large, total % (large / small));
        match rest {
            0 => format!("{} {large_unit}", exact(whole)),
            _ => format!("{} {large_unit} {rest} {small_unit}", exact(whole)),
        }
    };
    match ms {
        0..SECOND => format!("{ms} ms"),
        // Rounding must not give 60.0 s.
        SECOND..59_950 => format!("{:.1} s", ms as f64 / 1e3),
        59_950..3_599_500 => pair(MINUTE, "min", SECOND, "s"),
        3_599_500..86_370_000 => pair(HOUR, "h", MINUTE, "min"),
        _ => pair(DAY, "d", HOUR, "h"),
    }
}

/// Milliseconds with all digits: `250,123 ms`.
pub(super) fn exact_duration(ms: u128) -> String {
    format!("{} ms", exact(ms))
}

/// A part of a whole, in percent; 0 % and 100 % are exact.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.into();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    match part {
        0 => "0 %".into(),
        _ if part == whole => "100 %".into(),
        _ => format!("{:.1} %", percent.clamp(0.1, 99.9)),
    }
}

/// `actual / estimated` as `1.25×`. `None` without estimates.
pub(super) fn factor(actual: u128, estimated: u128) -> Option<String> {
    let factor = ratio(actual, estimated)?;
    Some(match factor {
        ..0.01 => "<0.01×".into(),
        ..9.995 => format!("{factor:.2}×"),
        ..999.5 => format!("{factor:.0}×"),
        _ => format!("{}×", scaled(factor)),
    })
}

pub(super) fn ratio(actual: u128, estimated: u128) -> Option<f64> {
    (estimated > 0).then(|| actual as f64 / estimated as f64)
}

/// Three significant digits with a unit, or a power of ten beyond trillions.
fn scaled(value: f64) -> String {
    let units = [("", 1.0), (" k", 1e3), (" M", 1e6), (" B", 1e9), (" T", 1e12)];
    // 999.5 would be rounded to 1000.
    let fits = |(_, unit): &&(&str, f64)| value / unit < 999.5;
    match units.iter().find(fits) {
        Some((name, unit)) => {
            let value = value / unit;
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            format!("{value:.decimals$}{name}")
        }
        None => format!("{value:.2e}"),
    }
}

/// The instant of an hour, for [`date`] and the others. Hours outside the calendar give its epoch.
pub(super) fn at_hour(hour: i64) -> OffsetDateTime {
    at_millis(hour.saturating_mul(3_600_000))
}

pub(super) fn at_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `2026-11-28`
pub(super) fn date(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

/// `28 Nov`
pub(super) fn day_and_month(at: OffsetDateTime) -> String {
    let month = at.month().to_string();
    format!("{} {}", at.day(), month.get(..3).unwrap_or_default())
}

/// `2026-11-28T06:00`, the value of an input of the type `datetime-local`.
pub(super) fn local(at: OffsetDateTime) -> String {
    format!("{}T{:02}:{:02}", date(at), at.hour(), at.minute())
}

/// `2026-11-28 06:53:16`
pub(super) fn date_time(at: OffsetDateTime) -> String {
    format!("{} {:02}:{:02}:{:02}", date(at), at.hour(), at.minute(), at.second())
}

/// `2026-11-28T06:53:16.123Z`
pub(super) fn rfc3339(at: OffsetDateTime) -> String {
    let (date, millis) = (date(at), at.millisecond());
    format!("{date}T{:02}:{:02}:{:02}.{millis:03}Z", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short_and_exact_ones_grouped() {
        for (value, short, long) in [
            (0, "0", "0"),
            (9_999, "9,999", "9,999"),
            (10_000, "10.0 k", "10,000"),
            (999_499, "999 k", "999,499"),
            (999_500, "1.00 M", "999,500"),
            (1_234_567, "1.23 M", "1,234,567"),
            (45_600_000_000, "45.6 B", "45,600,000,000"),
            (u128::from(u64::MAX), "1.84e19", "18,446,744,073,709,551,615"),
        ] {
            assert_eq!((count(value).as_str(), exact(value).as_str()), (short, long));
        }
    }

    #[test]
    fn money_has_as_many_decimals_as_it_needs() {
        for (micros, expected) in [
            (0, "$0"),
            (99, "<$0.0001"),
            (3_400, "$0.0034"),
            (3_400_000, "$3.40"),
            (999_994_999, "$999.99"),
            (999_995_000, "$1,000"),
            (1_234_567_890, "$1,235"),
            (12_345_678_900, "$12.3 k"),
        ] {
            assert_eq!(money(micros), expected);
        }
        assert_eq!(exact_money(1_234_567_890_123), "$1,234,567.890123");
    }

    #[test]
    fn durations_have_two_units() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (4_210, "4.2 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (250_123, "4 min 10 s"),
            (3_599_499, "59 min 59 s"),
            (3_599_500, "1 h"),
            (12_000_000, "3 h 20 min"),
            (86_370_000, "1 d"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(duration(ms), expected, "{ms}");
        }
    }

    #[test]
    fn shares_and_factors_are_not_rounded_to_none_or_all() {
        for (part, whole, expected) in [
            (0, 0, NONE),
            (0, 9, "0 %"),
            (9, 9, "100 %"),
            (1, 9_999, "0.1 %"),
            (9_998, 9_999, "99.9 %"),
        ] {
            assert_eq!(share(part, whole), expected);
        }
        for (actual, estimated, expected) in [
            (5, 0, None),
            (0, 5, Some("<0.01×")),
            (5, 4, Some("1.25×")),
            (50, 4, Some("12×")),
            (5_000_000, 4, Some("1.25 M×")),
        ] {
            assert_eq!(factor(actual, estimated).as_deref(), expected);
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        let at = at_millis(1_795_848_796_123);
        assert_eq!(rfc3339(at), "2026-11-28T06:53:16.123Z");
        assert_eq!(
            (local(at).as_str(), date_time(at).as_str()),
            ("2026-11-28T06:53", "2026-11-28 06:53:16")
        );
        assert_eq!(day_and_month(at), "28 Nov");
        assert_eq!(date(at_hour(-1)), "1969-12-31");
        assert_eq!(date(at_hour(i64::MAX)), "1970-01-01");
    }
}
