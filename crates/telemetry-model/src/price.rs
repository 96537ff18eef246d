//! Cost of tokens.

use serde::{Deserialize, Serialize};

use crate::{TaskCompletionEvent, Usage, usd};

/// Nanodollars per million tokens that cost a microdollar a token.
const UNIT: u128 = 1_000_000_000;

/// Digits after the point of a price in US dollars.
const DECIMALS: usize = 9;

/// Price of a model per million tokens.
///
/// ```
/// use telemetry_model::{Price, Usage};
///
/// let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
/// let usage = Usage { input: 150, cache_read: 10_000, output: 300, ..Usage::default() };
/// assert_eq!(price.cost_of(&usage), 7_950); // microdollars (1 USD = 1,000,000)
/// ```
///
/// Prices are in US dollars, exact to nine decimals and rounded half up beyond; negative numbers and NaN
/// become 0. Reasoning costs as much as other output. Prices that depend on the length of a request, the
/// service tier or the lifetime of the cache are several `Price`s.
///
/// Serialized as `{"input":3.0,"output":15.0,"cache_read":0.3,"cache_write":3.75}`, for price lists in
/// files. Deserialization requires the first two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Dollars", into = "Dollars")]
pub struct Price {
    // Nanodollars per million tokens.
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

impl Price {
    /// Creates a price from US dollars per million tokens. Cached input costs as much as other input
    /// unless [`cache_read`](Self::cache_read) and [`cache_write`](Self::cache_write) are set.
    #[must_use]
    pub fn usd_per_million(input: f64, output: f64) -> Self {
        let input = usd::scaled(input, DECIMALS);
        let output = usd::scaled(output, DECIMALS);
        Self { input, output, cache_read: input, cache_write: input }
    }

    /// Sets the price of input read from a cache, in US dollars per million tokens.
    #[must_use]
    pub fn cache_read(mut self, usd_per_million: f64) -> Self {
        self.cache_read = usd::scaled(usd_per_million, DECIMALS);
        self
    }

    /// Sets the price of input written to a cache, in US dollars per million tokens.
    #[must_use]
    pub fn cache_write(mut self, usd_per_million: f64) -> Self {
        self.cache_write = usd::scaled(usd_per_million, DECIMALS);
        self
    }

    /// Returns the cost in microdollars, rounded half up once, after the exact sum. Saturates at
    /// [`TaskCompletionEvent::MAX_COUNT`].
    #[must_use]
    pub fn cost_of(&self, usage: &Usage) -> u64 {
        let parts = [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
            (usage.reasoning, self.output),
        ];
        // Sums that saturate `u128` are far above the maximum anyway.
        let sum = parts.into_iter().fold(0, |sum: u128, (tokens, price)| {
            sum.saturating_add(u128::from(tokens) * u128::from(price))
        });
        let cost = sum.saturating_add(UNIT / 2) / UNIT;
        let max = TaskCompletionEvent::MAX_COUNT;
        u64::try_from(cost).map_or(max, |cost| cost.min(max))
    }
}

/// The serialized form, in US dollars per million tokens.
#[derive(Serialize, Deserialize)]
struct Dollars {
    input: f64,
    output: f64,
    #[serde(default)]
    cache_read: Option<f64>,
    #[serde(default)]
    cache_write: Option<f64>,
}

impl From<Dollars> for Price {
    fn from(dollars: Dollars) -> Self {
        let price = Self::usd_per_million(dollars.input, dollars.output);
        let price = dollars.cache_read.map_or(price, |usd| price.cache_read(usd));
        dollars.cache_write.map_or(price, |usd| price.cache_write(usd))
    }
}

impl From<Price> for Dollars {
    fn from(price: Price) -> Self {
        let usd = |nanodollars: u64| nanodollars as f64 / 1e9;
        Self {
            input: usd(price.input),
            output: usd(price.output),
            cache_read: Some(usd(price.cache_read)),
            cache_write: Some(usd(price.cache_write)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = TaskCompletionEvent::MAX_COUNT;

    const fn usage(input: u64, output: u64) -> Usage {
        Usage { input, cache_read: 0, cache_write: 0, output, reasoning: 0 }
    }

    #[test]
    fn cost_is_exact_then_rounded_half_up_once() {
        for (input_usd, output_usd, usage, cost) in [
            (3.0, 15.0, usage(150, 300), 4_950),
            (0.499_999, 0.0, usage(1, 0), 0),
            (0.5, 0.0, usage(1, 0), 1),
            (2.5, 0.0, usage(1, 0), 3),
            // Rounding input and output apart would give 2 or 0.
            (0.5, 0.5, usage(1, 1), 1),
            (0.4, 0.4, usage(1, 1), 1),
            // Nine decimals.
            (0.141_953_125, 0.0, usage(1_000_000_000, 0), 141_953_125),
            // The first integer that an `f64` cannot hold.
            (1.0, 0.0, usage(9_007_199_254_740_993, 0), 9_007_199_254_740_993),
            (0.0, 1.0, usage(0, MAX - 1), MAX - 1),
            (1.0, 0.0, usage(MAX + 1, 0), MAX),
            (f64::INFINITY, f64::MAX, usage(u64::MAX, u64::MAX), MAX),
            (-3.0, f64::NAN, usage(u64::MAX, u64::MAX), 0),
        ] {
            let price = Price::usd_per_million(input_usd, output_usd);
            assert_eq!(price.cost_of(&usage), cost, "{price:?}, {usage:?}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let input = Price::usd_per_million(1.0, 10.0);
        let all = input.cache_read(100.0).cache_write(1_000.0);
        let usage = Usage { input: 1, cache_read: 2, cache_write: 3, output: 4, reasoning: 5 };
        assert_eq!(input.cost_of(&usage), 6 + 90, "cached input costs as much as other input");
        assert_eq!(all.cost_of(&usage), 1 + 200 + 3_000 + 90);
    }

    #[test]
    fn serialized_prices_are_in_dollars() {
        let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
        let json = r#"{"input":3.0,"output":15.0,"cache_read":0.3,"cache_write":3.75}"#;
        assert_eq!(serde_json::to_string(&price).unwrap(), json);
        for (json, expected) in [
            (json, Some(price)),
            (r#"{"input":3,"output":15}"#, Some(Price::usd_per_million(3.0, 15.0))),
            (r#"{"input":3}"#, None),
            (r#"{"output":15}"#, None),
        ] {
            assert_eq!(serde_json::from_str(json).ok(), expected, "{json}");
        }
    }
}
