//! Conversion of US dollars to integers.

/// Returns `usd * 10^decimals`, rounded half up from the shortest decimal notation of `usd`.
///
/// That is the number that a person wrote or reads: 1.005 is 1,005 thousandths, though the nearest `f64`
/// is a little less. Negative numbers and NaN become 0, and large ones saturate.
pub(crate) fn scaled(usd: f64, decimals: usize) -> u64 {
    if usd.is_nan() || usd <= 0.0 {
        return 0;
    }
    if usd.is_infinite() {
        return u64::MAX;
    }
    // `Display` of `f64` prints the shortest notation, without exponent.
    let text = usd.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0'));
    let kept = whole.bytes().chain(digits.by_ref().take(decimals));
    let value = kept.fold(0, |value: u64, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    let rounds_up = digits.next().is_some_and(|digit| digit >= b'5');
    value.saturating_add(rounds_up.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dollars_are_rounded_half_up_as_written() {
        for (usd, microdollars) in [
            (0.0, 0),
            (0.57, 570_000),
            (1.005, 1_005_000),
            (0.000_000_5, 1),
            (0.000_000_499_999, 0),
            // The nearest `f64` times a million is 1000000.4999999999.
            (1.000_000_5, 1_000_001),
            (2.000_000_4, 2_000_000),
            (1e-300, 0),
            (18_446_744_073_709.55, 18_446_744_073_709_550_000),
            (-1.0, 0),
            (-0.0, 0),
            (f64::NAN, 0),
            (1e14, u64::MAX),
            (f64::MAX, u64::MAX),
            (f64::INFINITY, u64::MAX),
            (f64::NEG_INFINITY, 0),
        ] {
            assert_eq!(scaled(usd, 6), microdollars, "{usd}");
        }
    }

    proptest! {
        #[test]
        fn six_decimals_are_exact(expected in 0..1_000_000_000_000_000u64) {
            let usd = format!("{}.{:06}", expected / 1_000_000, expected % 1_000_000);
            prop_assert_eq!(scaled(usd.parse().unwrap(), 6), expected);
        }
    }
}
