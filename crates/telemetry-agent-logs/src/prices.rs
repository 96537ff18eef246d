//! Prices of known models, from the list of the crate `genai-prices`.

use std::time::{Duration, SystemTime};

use telemetry_model::{Provider, prices};

use crate::Usage;

/// The cost of one request in microdollars, at the prices of its day (unix milliseconds); `None` if the list does not
/// have the model. A request above a threshold has higher prices for all of its tokens, if the list says so.
///
/// Readers append `-fast` or `-flex` to the model of a request at another speed, which has other prices. The list would
/// match most of these names as versions of the model.
#[must_use]
pub fn price_of(provider: &Provider, model: &str, at: i64, usage: &Usage) -> Option<u64> {
    let has_speed = ["-fast", "-flex"].iter().any(|speed| model.ends_with(speed));
    if has_speed && matches!(provider, Provider::Anthropic | Provider::Openai) {
        return None;
    }
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or_default());
    let priced = telemetry_model::Usage {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        output: usage.output,
        reasoning: usage.reasoning,
    };
    prices::cost_with_hour_writes(provider, model, at, &priced, usage.cache_write_1h)
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
    fn long_request_has_higher_prices_for_all_of_its_tokens() {
        // 2026-11-28.
        const LATER: i64 = 1_795_824_000_000;
        let of = |input, cache_read, cache_write_1h, output| Usage {
            input,
            cache_read,
            cache_write_1h,
            output,
            ..Usage::default()
        };
        let (openai, google) = (Provider::Openai, Provider::GOOGLE.into());
        for (provider, model, at, usage, expected) in [
            // Per million: 2.50, 0.25 and 15 USD up to 272,000 tokens of input, above 5, 0.50 and 22.50.
            (&openai, "gpt-5.4", AT, of(72_000, 200_000, 0, 1_000), 180_000 + 50_000 + 15_000),
            (&openai, "gpt-5.4", AT, of(72_001, 200_000, 0, 1_000), 360_005 + 100_000 + 22_500),
            // 1.25 and 10 USD up to 200,000 tokens, above 2.50 and 15.
            (&google, "gemini-2.5-pro", AT, of(200_000, 0, 0, 100), 250_000 + 1_000),
            (&google, "gemini-2.5-pro", AT, of(300_000, 0, 0, 100), 750_000 + 1_500),
            // Tokens written for an hour count once for the length, and cost 10 and 20 USD.
            (&Provider::Anthropic, "claude-opus-4-6", AT, of(0, 0, 150_000, 0), 1_500_000),
            (&Provider::Anthropic, "claude-opus-4-6", AT, of(0, 100_000, 150_000, 0), 3_100_000),
            // Since 2026-03-13, the model has one price for any length.
            (&Provider::Anthropic, "claude-opus-4-6", LATER, of(0, 100_000, 150_000, 0), 1_550_000),
        ] {
            assert_eq!(price_of(provider, model, at, &usage), Some(expected), "{model} {usage:?}");
        }
    }

    #[test]
    fn unknown_model_or_speed_has_no_price() {
        let usage = Usage { input: 5, ..Usage::default() };
        for (provider, model, expected) in [
            (Provider::Anthropic, "claude-unheard-of", None),
            (Provider::Anthropic, "claude-opus-4-6", Some(25)),
            (Provider::Anthropic, "claude-opus-4-6-fast", None),
            (Provider::Openai, "gpt-5", Some(6)),
            (Provider::Openai, "gpt-5-fast", None),
            (Provider::Openai, "gpt-5-flex", None),
            ("x-ai".into(), "grok-4-fast", Some(1)),
        ] {
            assert_eq!(price_of(&provider, model, AT, &usage), expected, "{model}");
        }
    }
}
