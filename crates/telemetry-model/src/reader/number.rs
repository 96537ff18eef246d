//! Parsing of JSON numbers.

use crate::count::MAX_COUNT;

/// Parses a count, from 0 to [`MAX_COUNT`]. As in JSON Schema, `2.0`, `2e3` and `-0` are integers.
/// Exact for any number of digits.
pub(crate) fn count(json: &str) -> Option<u64> {
    let (is_negative, digits) = match json.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, json),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i64>().ok()),
        None => (digits, Some(0)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Decimal place of the last significant digit; negative if it follows the decimal point.
    let zeros = (digits.len() - significant.len()) as i64 - fraction.len() as i64;
    let place = u32::try_from(exponent?.checked_add(zeros)?).ok()?;
    let significant: u64 = significant.trim_start_matches('0').parse().ok()?;
    let count = significant.checked_mul(10_u64.checked_pow(place)?)?;
    (!is_negative && count <= MAX_COUNT).then_some(count)
}

/// Parses a number that is finite as an `f64`.
pub(crate) fn finite(json: &str) -> Option<f64> {
    // `parse` also accepts "inf" and "NaN", which are not JSON; it rejects quoted text.
    json.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_accepts_integers_in_any_notation() {
        let zeros = format!("2.{}", "0".repeat(5_000));
        for (expected, all) in [
            (Some(0), "0 -0 -0.0e5 0e99999999999999999999"),
            (Some(2), "2 2.0 0.002e3 2000e-3"),
            (Some(2), &zeros),
            (Some(2000), "2e3 2E+3 0.2e4 00.2000e4"),
            (Some(9_007_199_254_740_993), "9007199254740993 9007199254740993.0"),
            (Some(MAX_COUNT), "9223372036854775807 9223372036854775807.000"),
            (Some(MAX_COUNT), "0.9223372036854775807e19 922337203685477580.7e1"),
            (None, "-1 -1e0 2.5 25e-1 1e-400 9223372036854775808 9223372036854775807.1 1e19 1e300"),
            (None, "1e99999999999999999999 1e-99999999999999999999 \"2\" null [1] true"),
        ] {
            for json in all.split(' ') {
                assert_eq!(count(json), expected, "{json}");
            }
        }
    }

    #[test]
    fn finite_accepts_finite_numbers_only() {
        for (json, number) in [("0.25", 0.25), ("-1e2", -100.0), ("1e-400", 0.0)] {
            assert_eq!(finite(json), Some(number));
        }
        for json in ["1e400", "-1e400", "\"1\"", "null", "true", "[1]", "{}"] {
            assert_eq!(finite(json), None, "{json}");
        }
    }
}
