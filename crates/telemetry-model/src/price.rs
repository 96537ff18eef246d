//! Cost of tokens.

use serde::{Deserialize, Serialize};

use crate::TaskCompletionEvent;

const MILLION: u128 = 1_000_000;

/// Price of a model per million tokens, in microdollars (1 USD = 1,000,000).
///
/// ```
/// use telemetry_model::Price;
///
/// let price = Price::usd_per_million(3.0, 15.0);
/// assert_eq!(price.cost(150, 300), 4_950); // 150 x 3 + 300 x 15 microdollars
/// ```
///
/// All input has the same price: add differently billed input, such as cached tokens, yourself.
/// Deserialization requires both keys, in whole microdollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Price of a million input tokens.
    pub input_micros_per_million: u64,
    /// Price of a million output tokens.
    pub output_micros_per_million: u64,
}

impl Price {
    /// Creates a price from US dollars per million tokens.
    ///
    /// Rounds to the nearest microdollar: prices with up to six decimals, below a billion dollars, are
    /// exact. Negative numbers and NaN become 0.
    #[must_use]
    pub fn usd_per_million(input: f64, output: f64) -> Self {
        let micros = |usd: f64| (usd * 1e6).round() as u64;
        Self { input_micros_per_million: micros(input), output_micros_per_million: micros(output) }
    }

    /// Returns the cost in microdollars, rounded half up once, after the exact sum. Saturates at
    /// [`TaskCompletionEvent::MAX_COUNT`].
    #[must_use]
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let input = u128::from(input_tokens) * u128::from(self.input_micros_per_million);
        let output = u128::from(output_tokens) * u128::from(self.output_micros_per_million);
        // Sums that saturate `u128` are far above the maximum anyway.
        let cost = input.saturating_add(output).saturating_add(MILLION / 2) / MILLION;
        let max = TaskCompletionEvent::MAX_COUNT;
        u64::try_from(cost).map_or(max, |cost| cost.min(max))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = TaskCompletionEvent::MAX_COUNT;

    const fn micros(input_micros_per_million: u64, output_micros_per_million: u64) -> Price {
        Price { input_micros_per_million, output_micros_per_million }
    }

    #[test]
    fn dollars_are_rounded_to_microdollars() {
        for (input, output, expected) in [
            (3.0, 15.0, micros(3_000_000, 15_000_000)),
            (0.075, 0.300_001, micros(75_000, 300_001)),
            (4.35, 1.1, micros(4_350_000, 1_100_000)),
            (0.000_000_4, 0.000_000_6, micros(0, 1)),
            (-3.0, f64::NAN, Price::default()),
            (f64::INFINITY, 0.0, micros(u64::MAX, 0)),
        ] {
            assert_eq!(Price::usd_per_million(input, output), expected);
        }
    }

    #[test]
    fn cost_is_exact_then_rounded_half_up_once() {
        for (price, input, output, cost) in [
            (micros(499_999, 0), 1, 0, 0),
            (micros(500_000, 0), 1, 0, 1),
            (micros(2_500_000, 0), 1, 0, 3),
            // Rounding input and output apart would give 2 or 0.
            (micros(500_000, 500_000), 1, 1, 1),
            (micros(400_000, 400_000), 1, 1, 1),
            // The first integer that an `f64` cannot hold.
            (micros(1_000_000, 0), 9_007_199_254_740_993, 0, 9_007_199_254_740_993),
            (micros(0, 1_000_000), 0, MAX - 1, MAX - 1),
            (micros(1_000_000, 0), MAX + 1, 0, MAX),
            (micros(u64::MAX, u64::MAX), u64::MAX, u64::MAX, MAX),
            // The sum is 2^128 + 1.
            (micros(u64::MAX, 4), u64::MAX, 1 << 63, MAX),
            (Price::default(), u64::MAX, u64::MAX, 0),
        ] {
            assert_eq!(price.cost(input, output), cost, "{price:?}, {input}, {output}");
        }
    }

    #[test]
    fn deserialization_requires_both_keys() {
        let json = r#"{"input_micros_per_million":3000000,"output_micros_per_million":15000000}"#;
        assert_eq!(serde_json::from_str::<Price>(json).unwrap(), micros(3_000_000, 15_000_000));
        for json in [r#"{"input_micros_per_million":1}"#, r#"{"output_micros_per_million":1}"#] {
            assert!(serde_json::from_str::<Price>(json).is_err());
        }
    }

    proptest! {
        #[test]
        fn six_decimals_are_exact(expected in 0..1_000_000_000_000_000u64) {
            let usd = format!("{}.{:06}", expected / 1_000_000, expected % 1_000_000);
            let price = Price::usd_per_million(usd.parse().unwrap(), 0.0);
            prop_assert_eq!(price, micros(expected, 0));
        }
    }
}
