//! Figures of tokens.

use serde::{Deserialize, Serialize};

use crate::{
    Usage,
    harness::lenient::{Number, Object},
};

/// Tokens as in a log: cached tokens are part of the input, and those of reasoning are part of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
    pub(super) total: u64,
}

/// Figures as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    input_tokens: Number,
    cached_input_tokens: Number,
    cache_write_input_tokens: Number,
    output_tokens: Number,
    reasoning_output_tokens: Number,
    total_tokens: Number,
}

impl Figures {
    /// `None` if there is neither input nor output.
    pub(super) fn of(tokens: &Object<Tokens>) -> Option<Self> {
        let tokens = tokens.0.as_ref()?;
        if tokens.input_tokens.whole().is_none() && tokens.output_tokens.whole().is_none() {
            return None;
        }
        Some(Self {
            input: tokens.input_tokens.count(),
            cache_read: tokens.cached_input_tokens.count(),
            cache_write: tokens.cache_write_input_tokens.count(),
            output: tokens.output_tokens.count(),
            reasoning: tokens.reasoning_output_tokens.count(),
            total: tokens.total_tokens.count(),
        })
    }

    /// True if no token went in or out. Then a total is an estimate, such as the size of the context window.
    pub(super) const fn is_empty(&self) -> bool {
        self.input == 0 && self.output == 0
    }

    /// The difference to an earlier total; `None` if a figure went down.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            input: self.input.checked_sub(earlier.input)?,
            cache_read: self.cache_read.checked_sub(earlier.cache_read)?,
            cache_write: self.cache_write.checked_sub(earlier.cache_write)?,
            output: self.output.checked_sub(earlier.output)?,
            reasoning: self.reasoning.checked_sub(earlier.reasoning)?,
            total: self.total.saturating_sub(earlier.total),
        })
    }

    /// The same with each token in one field.
    pub(super) fn usage(&self) -> Usage {
        let cache_read = self.cache_read.min(self.input);
        let cache_write = self.cache_write.min(self.input - cache_read);
        let reasoning = self.reasoning.min(self.output);
        Usage {
            input: self.input - cache_read - cache_write,
            cache_read,
            cache_write,
            cache_write_1h: 0,
            output: self.output - reasoning,
            reasoning,
        }
    }
}

/// The `info` of a `token_count`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    total_token_usage: Object<Tokens>,
    last_token_usage: Object<Tokens>,
    pub(super) model_context_window: Number,
}

impl Info {
    /// The tokens of the last request.
    pub(super) fn last(&self) -> Option<Figures> {
        Figures::of(&self.last_token_usage)
    }
}

/// Contribution of a `token_count` to the usage of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Nothing: it repeats the total, or overwrites it.
    Nothing,
    /// A request.
    Request(Figures),
    /// A request, and tokens of others that the log does not state one by one.
    RequestAndGap(Figures),
    /// Tokens that are not stated.
    Unknown,
}

/// Compares a `token_count` with the last total, which is replaced.
pub(super) fn count(info: &Info, last_total: &mut Option<Figures>) -> Count {
    let Some(total) = Figures::of(&info.total_token_usage) else { return Count::Unknown };
    let earlier = last_total.replace(total);
    if total.is_empty() || earlier == Some(total) {
        return Count::Nothing;
    }
    let added = total.since(&earlier.unwrap_or_default());
    match info.last().filter(|last| !last.is_empty()) {
        // The last request is stated by itself: a total can start with what another session used.
        Some(last) if earlier.is_some_and(|total| !total.is_empty()) => match added {
            Some(added) if added.input > last.input || added.output > last.output => {
                Count::RequestAndGap(last)
            }
            _ => Count::Request(last),
        },
        Some(last) => Count::Request(last),
        None => match added {
            Some(added) if added.is_empty() => Count::Nothing,
            Some(added) => Count::Request(added),
            None => Count::Unknown,
        },
    }
}
