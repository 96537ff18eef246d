//! Tokens and cost.

use std::fmt::Write;

use serde::Deserialize;

use crate::{
    Request, Usage,
    harness::lenient::{Raw, parsed},
};

/// Tokens as the log states them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    input: u64,
    output: u64,
    reasoning: u64,
    cache_read: u64,
    cache_write: u64,
    total: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokensRecord<'a> {
    #[serde(borrow)]
    input: Raw<'a>,
    output: Raw<'a>,
    reasoning: Raw<'a>,
    total: Raw<'a>,
    cache: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CacheRecord<'a> {
    #[serde(borrow)]
    read: Raw<'a>,
    write: Raw<'a>,
}

/// Tokens and cost of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) tokens: Tokens,
    cost_microdollars: Option<u64>,
}

impl Figures {
    pub(super) fn new(tokens: Raw<'_>, cost: Raw<'_>) -> Self {
        let record = parsed::<TokensRecord<'_>>(tokens).unwrap_or_default();
        let cache = parsed::<CacheRecord<'_>>(record.cache).unwrap_or_default();
        let tokens = Tokens {
            input: count(record.input),
            output: count(record.output),
            reasoning: count(record.reasoning),
            cache_read: count(cache.read),
            cache_write: count(cache.write),
            total: count(record.total),
        };
        // An object with several costs does not say their unit.
        let dollars = parsed::<f64>(cost).filter(|dollars| *dollars >= 0.0);
        Self { tokens, cost_microdollars: dollars.map(|dollars| (dollars * 1e6).round() as u64) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.cost_microdollars.unwrap_or(0) == 0
    }

    /// A request with these figures.
    pub(super) fn request(&self, id: String, model: &str, at: i64, is_main_loop: bool) -> Request {
        let Tokens { input, output, reasoning, cache_read, cache_write, .. } = self.tokens;
        let is_included = self.tokens.has_reasoning_in_output();
        let output = if is_included { output.saturating_sub(reasoning) } else { output };
        let usage = Usage { input, cache_read, cache_write, cache_write_1h: 0, output, reasoning };
        // 0 is the cost of a subscription, or of a model whose price opencode does not know.
        let is_known = !is_included && (self.cost_microdollars != Some(0) || usage.total() == 0);
        let cost_microdollars = self.cost_microdollars.filter(|_| is_known);
        Request { id, model: model.to_owned(), at, usage, cost_microdollars, is_main_loop }
    }
}

fn count(raw: Raw<'_>) -> u64 {
    // A cast of a float saturates: there is no negative count.
    parsed::<f64>(raw).map_or(0, |count| count as u64)
}

impl Tokens {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if the output includes the reasoning, as older versions had it for some providers. Their cost has the
    /// reasoning twice.
    ///
    /// Only the total shows it. Versions that do not state one are taken at their word.
    fn has_reasoning_in_output(&self) -> bool {
        let both = self.input.saturating_add(self.output);
        let all = both.saturating_add(self.cache_read).saturating_add(self.cache_write);
        self.reasoning > 0 && self.reasoning <= self.output && [both, all].contains(&self.total)
    }

    /// Appends the tokens to a key, without the total, which is not in all copies.
    pub(super) fn write_to(&self, key: &mut String) {
        let Self { input, output, reasoning, cache_read, cache_write, .. } = self;
        let _ = write!(key, "/{input}/{output}/{reasoning}/{cache_read}/{cache_write}");
    }
}
