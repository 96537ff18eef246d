//! Usage in the JSON of a provider's response.

use serde_json::Value;

use super::Usage;

/// Places of the usage: of responses, of parts of streams (`message`, `response`), and the usage itself.
const PLACES: [&str; 5] = ["/usage", "/usageMetadata", "/message/usage", "/response/usage", ""];

impl Usage {
    /// Reads the usage from a provider's response, from a part of its stream, or from the usage itself.
    /// `None` if there is none: the usage is then unknown, not 0.
    ///
    /// Recognizes, by the names of the counts, the formats of Anthropic (Messages), OpenAI (Chat
    /// Completions, Responses) and the many compatible APIs, Google (Gemini), Amazon (Bedrock Converse)
    /// and Ollama. Counts that are absent or no integers are 0.
    ///
    /// The counts in a stream are cumulative, so combine those of its parts with [`max`](Self::max).
    ///
    /// ```
    /// use serde_json::json;
    /// use telemetry_model::Usage;
    ///
    /// let stream = [
    ///     json!({"type": "message_start", "message": {"usage": {
    ///         "input_tokens": 5, "cache_read_input_tokens": 128_955, "output_tokens": 1,
    ///     }}}),
    ///     json!({"type": "content_block_delta"}),
    ///     json!({"type": "message_delta", "usage": {"output_tokens": 500}}),
    /// ];
    /// let usage = stream.iter().filter_map(Usage::from_response).reduce(Usage::max);
    /// assert_eq!(usage, Some(Usage::anthropic(5, 128_955, 0, 500)));
    /// ```
    #[must_use]
    pub fn from_response(response: &Value) -> Option<Self> {
        PLACES.iter().filter_map(|place| response.pointer(place)).find_map(read)
    }

    /// Combines two parts of one stream: the larger count of each kind.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }
}

fn read(usage: &Value) -> Option<Usage> {
    let has = |names: [&str; 2]| names.iter().any(|name| usage[*name].is_u64());
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    if has(["prompt_tokens", "completion_tokens"]) {
        let (prompt, mut completion) = (count("/prompt_tokens"), count("/completion_tokens"));
        let reasoning = count("/completion_tokens_details/reasoning_tokens");
        // xAI counts reasoning apart, which the total tells.
        let apart = prompt.saturating_add(completion).saturating_add(reasoning);
        if reasoning > 0 && count("/total_tokens") == apart {
            completion = completion.saturating_add(reasoning);
        }
        let cache_read = count("/prompt_tokens_details/cached_tokens");
        let cache_write = count("/prompt_tokens_details/cache_write_tokens");
        return Some(Usage::of_totals(prompt, cache_read, cache_write, completion, reasoning));
    }
    if has(["input_tokens", "output_tokens"]) {
        let (input, output) = (count("/input_tokens"), count("/output_tokens"));
        if usage["input_tokens_details"].is_object() {
            let cache_read = count("/input_tokens_details/cached_tokens");
            let cache_write = count("/input_tokens_details/cache_write_tokens");
            let reasoning = count("/output_tokens_details/reasoning_tokens");
            return Some(Usage::of_totals(input, cache_read, cache_write, output, reasoning));
        }
        let cache_read = count("/cache_read_input_tokens");
        let cache_write = count("/cache_creation_input_tokens");
        let reasoning = count("/output_tokens_details/thinking_tokens").min(output);
        let usage = Usage::anthropic(input, cache_read, cache_write, output - reasoning);
        return Some(Usage { reasoning, ..usage });
    }
    if has(["promptTokenCount", "candidatesTokenCount"]) {
        let prompt = count("/promptTokenCount").saturating_add(count("/toolUsePromptTokenCount"));
        let cached = count("/cachedContentTokenCount");
        let (output, thoughts) = (count("/candidatesTokenCount"), count("/thoughtsTokenCount"));
        return Some(Usage::gemini(prompt, cached, output, thoughts));
    }
    if has(["inputTokens", "outputTokens"]) {
        let (cache_read, cache_write) =
            (count("/cacheReadInputTokens"), count("/cacheWriteInputTokens"));
        let (input, output) = (count("/inputTokens"), count("/outputTokens"));
        return Some(Usage::anthropic(input, cache_read, cache_write, output));
    }
    has(["prompt_eval_count", "eval_count"])
        .then(|| Usage::openai(count("/prompt_eval_count"), 0, count("/eval_count"), 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_is_read_in_the_format_of_each_provider() {
        for (name, response, expected) in [
            (
                "Anthropic",
                json!({"usage": {
                    "input_tokens": 5, "cache_creation_input_tokens": 1_253,
                    "cache_read_input_tokens": 128_955, "output_tokens": 500,
                    "output_tokens_details": {"thinking_tokens": 100},
                }}),
                Usage { reasoning: 100, ..Usage::anthropic(5, 128_955, 1_253, 400) },
            ),
            (
                "OpenAI, Chat Completions",
                json!({"usage": {
                    "prompt_tokens": 2_006, "completion_tokens": 300, "total_tokens": 2_306,
                    "prompt_tokens_details": {"cached_tokens": 1_920, "cache_write_tokens": 6},
                    "completion_tokens_details": {"reasoning_tokens": 256},
                }}),
                Usage::of_totals(2_006, 1_920, 6, 300, 256),
            ),
            (
                "xAI",
                json!({"usage": {
                    "prompt_tokens": 2_006, "completion_tokens": 44, "total_tokens": 2_306,
                    "completion_tokens_details": {"reasoning_tokens": 256},
                }}),
                Usage::openai(2_006, 0, 300, 256),
            ),
            (
                "OpenAI, Responses, in a stream",
                json!({"type": "response.completed", "response": {"usage": {
                    "input_tokens": 2_006, "input_tokens_details": {"cached_tokens": 1_920},
                    "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 256},
                }}}),
                Usage::openai(2_006, 1_920, 300, 256),
            ),
            (
                "Gemini",
                json!({"usageMetadata": {
                    "promptTokenCount": 2_000, "toolUsePromptTokenCount": 6,
                    "cachedContentTokenCount": 1_920, "candidatesTokenCount": 44,
                    "thoughtsTokenCount": 256, "totalTokenCount": 2_306,
                }}),
                Usage::gemini(2_006, 1_920, 44, 256),
            ),
            (
                "Bedrock",
                json!({"usage": {
                    "inputTokens": 5, "outputTokens": 500, "cacheReadInputTokens": 7,
                    "cacheWriteInputTokens": 8,
                }}),
                Usage::anthropic(5, 7, 8, 500),
            ),
            (
                "Ollama",
                json!({"prompt_eval_count": 26, "eval_count": 290}),
                Usage::openai(26, 0, 290, 0),
            ),
            ("the usage itself", json!({"input_tokens": 1}), Usage::anthropic(1, 0, 0, 0)),
        ] {
            assert_eq!(Usage::from_response(&response), Some(expected), "{name}");
        }
    }

    #[test]
    fn response_without_usage_has_unknown_usage() {
        for response in [
            json!(null),
            json!("usage"),
            json!([1]),
            json!({"usage": null, "choices": []}),
            json!({"usage": {"input_tokens": "5"}}),
            json!({"usage": {"input_tokens": -5, "seconds": 3}}),
        ] {
            assert_eq!(Usage::from_response(&response), None, "{response}");
        }
    }

    #[test]
    fn max_keeps_the_larger_count_of_each_kind() {
        let start = Usage { input: 5, cache_read: 9, cache_write: 2, output: 1, reasoning: 0 };
        let end = Usage { input: 0, cache_read: 9, cache_write: 3, output: 7, reasoning: 4 };
        let expected = Usage { input: 5, cache_read: 9, cache_write: 3, output: 7, reasoning: 4 };
        assert_eq!(start.max(end), expected);
        assert_eq!(end.max(start), expected);
    }
}
