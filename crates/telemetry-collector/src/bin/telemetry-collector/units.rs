//! Durations and sizes with their units.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// The units of durations, in seconds.
const DURATIONS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3_600), ("d", DAY), ("w", 7 * DAY)];

/// The units of sizes, in bytes.
const SIZES: [(&str, u64); 4] =
    [("MB", 1_000_000), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("GiB", 1 << 30)];

/// The least size of a store, in bytes.
const MIN_SIZE: u64 = 16 << 20;

/// Parses a duration such as `90d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match scaled(text, &DURATIONS) {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected a time such as 90d; units are s, m, h, d and w".into()),
    }
}

/// Parses a size such as `2GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    match scaled(text, &SIZES) {
        Some(size) if size >= MIN_SIZE => Ok(size),
        Some(_) => Err("expected at least 16MiB".into()),
        None => Err("expected a size such as 2GB; units are MB, MiB, GB and GiB".into()),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_a_whole_number_and_a_unit() {
        for (text, seconds) in [("90d", 7_776_000), ("1s", 1), ("5m", 300), ("2h", 7_200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "d", "90", "90 d", "0d", "-1d", "1.5d", "90D", "18446744073709551615w"] {
            assert!(duration(text).is_err_and(|error| error.contains("such as 90d")), "{text}");
        }
        for (text, bytes) in [("2GB", 2_000_000_000), ("16MiB", MIN_SIZE), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "GB", "2", "2 GB", "2gb", "2G", "99999999999GiB"] {
            assert!(size(text).is_err_and(|error| error.contains("such as 2GB")), "{text}");
        }
        assert!(size("16MB").is_err_and(|error| error.contains("at least 16MiB")));
    }
}
