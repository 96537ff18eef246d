//! Prices of known models, from the price list of the crate
//! [`genai-prices`](https://docs.rs/genai-prices).
//!
//! The list is a part of that crate, so that prices are as recent as its version in the build. It knows
//! prices over time, and prices that depend on the length of the request.

use std::time::SystemTime;

use genai_prices::{Calculator, PriceRequest, UsageKey};

use crate::{Cost, Provider, Usage};

/// Returns the cost of one request in microdollars, at the prices of the day `at`; `None` if the list does
/// not have the model at that provider.
///
/// Never a guess: the cost with a provider that is unlisted or `unknown`, of a deployment with a name of its
/// own and of a local model is `None`. Names match by the rules of the list; some models also have any
/// suffix, such as a date. If a model has no price for cached or reasoning tokens, they cost as much as
/// other input or output. Batches and service tiers are not considered.
///
/// Pass the usage of a single request, since long requests can have higher prices, and add up the costs.
/// The first call parses the list, which takes tens of milliseconds: make one at the start if that
/// matters.
///
/// ```
/// use std::time::SystemTime;
/// use telemetry_model::{Provider, Usage, prices};
///
/// let usage = Usage::anthropic(5, 128_955, 1_253, 500);
/// let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_771_133_345);
/// let cost = prices::cost_of(&Provider::Anthropic, "claude-sonnet-4-5-20250929", at, &usage);
/// assert_eq!(cost, Some(50_900));
/// assert_eq!(prices::cost_of(&Provider::Anthropic, "claude-unheard-of", at, &usage), None);
/// ```
#[must_use]
pub fn cost_of(provider: &Provider, model: &str, at: SystemTime, usage: &Usage) -> Option<u64> {
    cost_with_hour_writes(provider, model, at, usage, 0)
}

/// As [`cost_of`], for a request that writes `cache_write_1h` more tokens to a cache with a lifetime of an hour, for
/// which some providers have a separate price. They are not in `usage`, and count for the length of the request.
#[must_use]
pub fn cost_with_hour_writes(
    provider: &Provider,
    model: &str,
    at: SystemTime,
    usage: &Usage,
    cache_write_1h: u64,
) -> Option<u64> {
    if matches!(provider, Provider::Unknown) || provider.as_str().is_empty() {
        return None;
    }
    let (input, cache_write) = (usage.total_input(), usage.cache_write);
    let usage = genai_prices::Usage::from([
        (UsageKey::INPUT_TOKENS, input.saturating_add(cache_write_1h) as f64),
        (UsageKey::CACHE_READ_TOKENS, usage.cache_read as f64),
        (UsageKey::CACHE_WRITE_TOKENS, cache_write.saturating_add(cache_write_1h) as f64),
        (UsageKey::CACHE_WRITE_1H_TOKENS, cache_write_1h as f64),
        (UsageKey::OUTPUT_TOKENS, usage.total_output() as f64),
        (UsageKey::OUTPUT_REASONING_TOKENS, usage.reasoning as f64),
        // Many models have a price for these. The calculation with a price takes longer if its number is not given.
        (UsageKey::STORAGE_SEARCHES, 0.0),
        (UsageKey::WEB_SEARCHES, 0.0),
    ]);
    let request =
        PriceRequest::new(model, &usage).with_provider_id(provider.as_str()).with_timestamp(at);
    let price = Calculator::bundled().calculate(&request).ok()?;
    Some(Cost::from_usd(price.total_price).actual)
}
