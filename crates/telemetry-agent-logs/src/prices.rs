//! Prices of known models, from the list of the crate `genai-prices`.

use std::time::{Duration, SystemTime};

use telemetry_model::{Provider, prices};

use crate::Usage;

/// The cost of one request in microdollars, at the prices of its day (unix milliseconds); `None` if the list does not
/// have the model.
///
/// Tokens that are written to a cache for an hour cost twice as much as input, as Anthropic charges them: the list has
/// no price for them.
#[must_use]
pub fn price_of(provider: &Provider, model: &str, at: i64, usage: &Usage) -> Option<u64> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or_default());
    let cost = |usage: &telemetry_model::Usage| prices::cost_of(provider, model, at, usage);
    let priced = telemetry_model::Usage {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
    };
    if usage.cache_write_1h == 0 {
        return cost(&priced);
    }
    let hour = telemetry_model::Usage {
        input: usage.cache_write_1h.saturating_mul(2),
        ..telemetry_model::Usage::default()
    };
    Some(cost(&priced)?.saturating_add(cost(&hour)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-15.
    const AT: i64 = 1_771_133_345_000;

    #[test]
    fn cache_write_for_an_hour_costs_twice_as_much_as_input() {
        let usage = Usage {
            input: 5,
            cache_read: 1_000,
            cache_write: 100,
            cache_write_1h: 400,
            output: 30,
            reasoning: 0,
        };
        // Per million: input 3 USD, read 0.30, write 3.75 and 6, output 15.
        let expected = 15.0 + 300.0 + 375.0 + 2_400.0 + 450.0;
        let cost = price_of(&Provider::Anthropic, "claude-sonnet-4-5-20250929", AT, &usage);
        assert_eq!(cost, Some(expected as u64));
    }

    #[test]
    fn unknown_model_has_no_price() {
        let usage = Usage { input: 5, ..Usage::default() };
        assert_eq!(price_of(&Provider::Anthropic, "claude-unheard-of", AT, &usage), None);
    }
}
