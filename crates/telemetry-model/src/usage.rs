//! Tokens as the providers of models count them.

mod response;

use std::{
    iter::Sum,
    ops::{Add, AddAssign},
};

use serde::{Deserialize, Serialize};

/// Tokens of one or several requests to a model; 0 by default.
///
/// Each token counts in exactly one field. Providers count differently: OpenAI's `prompt_tokens` and
/// Gemini's `promptTokenCount` include the cached tokens, Anthropic's `input_tokens` does not. So read it
/// [from the response](Self::from_response), or use the constructor of the provider. Sums saturate.
///
/// ```
/// use telemetry_model::{Price, Usage};
///
/// let mut usage = Usage::anthropic(5, 128_955, 1_253, 500);
/// assert_eq!(usage.total_input(), 130_213);
///
/// let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
/// assert_eq!(price.cost_of(&usage), 50_900); // 50,900.25 microdollars
///
/// usage += Usage::anthropic(7, 130_208, 0, 40);
/// assert_eq!(usage.total_output(), 540);
/// ```
///
/// A response without usage is not a response with usage 0: the totals of the task are then unknown.
/// Count its tokens yourself, or leave the tokens of the event at 0 altogether, rather than report a part
/// as the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens neither read from nor written to a cache.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens without `reasoning`.
    pub output: u64,
    /// Output tokens of reasoning ("thinking"), if the provider counts them apart.
    pub reasoning: u64,
}

impl Usage {
    /// Usage as the Anthropic Messages API and Amazon Bedrock's Converse API report it.
    ///
    /// The arguments are disjoint, and `output_tokens` includes thinking.
    #[must_use]
    pub const fn anthropic(
        input_tokens: u64,
        cache_read_input_tokens: u64,
        cache_creation_input_tokens: u64,
        output_tokens: u64,
    ) -> Self {
        Self {
            input: input_tokens,
            cache_read: cache_read_input_tokens,
            cache_write: cache_creation_input_tokens,
            output: output_tokens,
            reasoning: 0,
        }
    }

    /// Usage as the OpenAI APIs and compatible ones report it: `prompt_tokens` with `cached_tokens` of its
    /// details, and `completion_tokens` with `reasoning_tokens`. The Responses API names the totals
    /// `input_tokens` and `output_tokens`.
    ///
    /// `cached_tokens` is a part of `prompt_tokens`, `reasoning_tokens` of `completion_tokens`. A part that
    /// exceeds its total counts as the total.
    ///
    /// ```
    /// use telemetry_model::Usage;
    ///
    /// let usage = Usage::openai(2_006, 1_920, 300, 256);
    /// let expected =
    ///     Usage { input: 86, cache_read: 1_920, output: 44, reasoning: 256, ..Usage::default() };
    /// assert_eq!(usage, expected);
    /// ```
    #[must_use]
    pub const fn openai(
        prompt_tokens: u64,
        cached_tokens: u64,
        completion_tokens: u64,
        reasoning_tokens: u64,
    ) -> Self {
        Self::of_totals(prompt_tokens, cached_tokens, 0, completion_tokens, reasoning_tokens)
    }

    /// Usage as the Gemini API reports it in `usageMetadata`.
    ///
    /// `cached_content_token_count` is a part of `prompt_token_count`; `thoughts_token_count` is apart from
    /// `candidates_token_count`. Add `toolUsePromptTokenCount`, if there is one, to `prompt_token_count`.
    #[must_use]
    pub const fn gemini(
        prompt_token_count: u64,
        cached_content_token_count: u64,
        candidates_token_count: u64,
        thoughts_token_count: u64,
    ) -> Self {
        let output = candidates_token_count.saturating_add(thoughts_token_count);
        Self::of_totals(
            prompt_token_count,
            cached_content_token_count,
            0,
            output,
            thoughts_token_count,
        )
    }

    /// Usage from totals and their parts, as in OpenTelemetry's conventions for generative AI:
    /// `input_tokens` includes both kinds of cached tokens, and `output_tokens` includes reasoning.
    ///
    /// Parts that exceed their total are cut to it, the tokens read from a cache last.
    #[must_use]
    pub const fn of_totals(
        input_tokens: u64,
        cache_read_tokens: u64,
        cache_write_tokens: u64,
        output_tokens: u64,
        reasoning_tokens: u64,
    ) -> Self {
        let cache_read = min(cache_read_tokens, input_tokens);
        let cache_write = min(cache_write_tokens, input_tokens - cache_read);
        let reasoning = min(reasoning_tokens, output_tokens);
        Self {
            input: input_tokens - cache_read - cache_write,
            cache_read,
            cache_write,
            output: output_tokens - reasoning,
            reasoning,
        }
    }

    /// All input that the model read, cached or not: `actual_input_tokens` of the event.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All output with reasoning: `actual_output_tokens` of the event.
    #[must_use]
    pub const fn total_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl<'a> Sum<&'a Self> for Usage {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.copied().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn usage(
        input: u64,
        cache_read: u64,
        cache_write: u64,
        output: u64,
        reasoning: u64,
    ) -> Usage {
        Usage { input, cache_read, cache_write, output, reasoning }
    }

    #[test]
    fn constructors_split_totals_into_disjoint_parts() {
        for (found, expected, input, output) in [
            (
                Usage::anthropic(5, 128_955, 1_253, 500),
                usage(5, 128_955, 1_253, 500, 0),
                130_213,
                500,
            ),
            (Usage::openai(2_006, 1_920, 300, 256), usage(86, 1_920, 0, 44, 256), 2_006, 300),
            (Usage::gemini(2_006, 1_920, 44, 256), usage(86, 1_920, 0, 44, 256), 2_006, 300),
            (Usage::of_totals(100, 60, 30, 20, 5), usage(10, 60, 30, 15, 5), 100, 20),
            // Parts above their totals.
            (Usage::openai(10, 11, 20, 21), usage(0, 10, 0, 0, 20), 10, 20),
            (Usage::of_totals(10, 6, 6, 0, 0), usage(0, 6, 4, 0, 0), 10, 0),
            (Usage::gemini(0, 0, u64::MAX, 1), usage(0, 0, 0, u64::MAX - 1, 1), 0, u64::MAX),
        ] {
            assert_eq!(found, expected);
            assert_eq!((found.total_input(), found.total_output()), (input, output));
        }
    }

    #[test]
    fn sums_saturate() {
        let mut sum = usage(1, 2, 3, 4, 5) + usage(10, 20, 30, 40, 50);
        assert_eq!(sum, usage(11, 22, 33, 44, 55));
        sum += usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(sum, usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX));
        assert_eq!((sum.total_input(), sum.total_output()), (u64::MAX, u64::MAX));
        let all = [usage(1, 0, 0, 0, 1), usage(2, 0, 0, 0, 2)];
        assert_eq!(all.iter().sum::<Usage>(), usage(3, 0, 0, 0, 3));
        assert_eq!(all.into_iter().sum::<Usage>(), usage(3, 0, 0, 0, 3));
    }
}
