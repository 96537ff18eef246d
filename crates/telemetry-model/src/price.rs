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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = TaskCompletionEvent::MAX_COUNT;

    const fn micros(input_micros_per_million: u64, output_micros_per_million: u64) -> Price {
        Price { input_micros_per_million, output_micros_per_million }
    }

    #[test]
    fn dollars_are_rounded_to_microdollars() {
        assert_eq!(Price::usd_per_million(3.0, 15.0), micros(3_000_000, 15_000_000));
        assert_eq!(Price::usd_per_million(0.075, 0.300001), micros(75_000, 300_001));
        assert_eq!(Price::usd_per_million(4.35, 1.1), micros(4_350_000, 1_100_000));
        assert_eq!(Price::usd_per_million(0.000_000_4, 0.000_000_6), micros(0, 1));
        assert_eq!(Price::usd_per_million(-3.0, f64::NAN), Price::default());
        assert_eq!(Price::usd_per_million(f64::INFINITY, 0.0), micros(u64::MAX, 0));
    }

    #[test]
    fn prices_are_deserialized_from_both_keys() {
        let list =
            r#"{"m":{"input_micros_per_million":3000000,"output_micros_per_million":15000000}}"#;
        let prices: BTreeMap<String, Price> = serde_json::from_str(list).unwrap();
        assert_eq!(prices["m"], Price::usd_per_million(3.0, 15.0));
        assert_eq!(serde_json::to_string(&prices).unwrap(), list);
        for half in [r#"{"input_micros_per_million":1}"#, r#"{"output_micros_per_million":1}"#] {
            assert!(serde_json::from_str::<Price>(half).is_err(), "both keys are required");
        }
    }

    #[test]
    fn sum_is_rounded_once_half_up() {
        // Two halves: rounding each would give 2 or 0.
        assert_eq!(micros(500_000, 500_000).cost(1, 1), 1);
        // 0.4 + 0.4: rounding each would give 0.
        assert_eq!(micros(400_000, 400_000).cost(1, 1), 1);
        assert_eq!(micros(499_999, 0).cost(1, 1), 0);
        assert_eq!(micros(500_000, 0).cost(1, 1), 1);
        assert_eq!(micros(2_500_000, 0).cost(1, 1), 3);
        // 9007199254740993 is the first integer that an f64 cannot hold.
        assert_eq!(micros(1_000_000, 0).cost(9_007_199_254_740_993, 0), 9_007_199_254_740_993);
    }

    #[test]
    fn cost_saturates_at_the_maximum_count() {
        assert_eq!(micros(u64::MAX, u64::MAX).cost(u64::MAX, u64::MAX), MAX);
        assert_eq!(micros(u64::MAX, 0).cost(u64::MAX, 0), MAX);
        // The sum is 2^128 + 1.
        assert_eq!(micros(u64::MAX, 4).cost(u64::MAX, 1 << 63), MAX);
        assert_eq!(micros(1_000_000, 0).cost(MAX, 0), MAX);
        assert_eq!(micros(1_000_000, 0).cost(MAX - 1, 0), MAX - 1);
        assert_eq!(Price::default().cost(u64::MAX, u64::MAX), 0);
    }

    /// Cost in whole microdollars and millionths, by long multiplication in base 10^6.
    fn exact(price: Price, input: u64, output: u64) -> (u128, u128) {
        let product = |tokens: u64, price: u64| {
            let (tokens, price) = (u128::from(tokens), u128::from(price));
            let rest = tokens % MILLION * (price % MILLION);
            let whole = tokens / MILLION * price + tokens % MILLION * (price / MILLION);
            (whole + rest / MILLION, rest % MILLION)
        };
        let (one, other) = (
            product(input, price.input_micros_per_million),
            product(output, price.output_micros_per_million),
        );
        let millionths = one.1 + other.1;
        (one.0 + other.0 + millionths / MILLION, millionths % MILLION)
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..100_000_000_000u64, 0..100u64, 499_990..500_010u64]
    }

    proptest! {
        #[test]
        fn cost_is_the_exact_cost_rounded(
            prices in (number(), number()),
            tokens in (number(), number()),
        ) {
            let price = micros(prices.0, prices.1);
            let (whole, millionths) = exact(price, tokens.0, tokens.1);
            let rounded = whole + u128::from(millionths >= MILLION / 2);
            prop_assert_eq!(u128::from(price.cost(tokens.0, tokens.1)), rounded.min(MAX.into()));
        }

        #[test]
        fn six_decimals_are_exact(
            input in 0..1_000_000_000_000_000u64,
            output in 0..1_000_000_000u64,
        ) {
            let usd = |micros: u64| -> f64 {
                format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).parse().unwrap()
            };
            let price = Price::usd_per_million(usd(input), usd(output));
            prop_assert_eq!(price, micros(input, output));
        }
    }
}
