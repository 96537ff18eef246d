//! Figures of tokens.

use serde::{Deserialize, Serialize};

use crate::{
    Usage,
    harness::lenient::{Number, Raw, parsed},
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

impl Figures {
    /// Reads an object; `None` if it states neither input nor output.
    pub(super) fn parse(raw: Raw<'_>) -> Option<Self> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Fields {
            input_tokens: Number,
            cached_input_tokens: Number,
            cache_write_input_tokens: Number,
            output_tokens: Number,
            reasoning_output_tokens: Number,
            total_tokens: Number,
        }

        let fields: Fields = parsed(raw)?;
        if fields.input_tokens.whole().is_none() && fields.output_tokens.whole().is_none() {
            return None;
        }
        Some(Self {
            input: fields.input_tokens.count(),
            cache_read: fields.cached_input_tokens.count(),
            cache_write: fields.cache_write_input_tokens.count(),
            output: fields.output_tokens.count(),
            reasoning: fields.reasoning_output_tokens.count(),
            total: fields.total_tokens.count(),
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
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) total: Option<Figures>,
    pub(super) last: Option<Figures>,
    pub(super) window: Option<u64>,
}

impl Info {
    /// `None` if there is no object.
    pub(super) fn parse(raw: Raw<'_>) -> Option<Self> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Fields<'a> {
            #[serde(borrow)]
            total_token_usage: Raw<'a>,
            last_token_usage: Raw<'a>,
            model_context_window: Number,
        }

        let fields: Fields<'_> = parsed(raw)?;
        Some(Self {
            total: Figures::parse(fields.total_token_usage),
            last: Figures::parse(fields.last_token_usage),
            window: fields.model_context_window.positive(),
        })
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
    let Some(total) = info.total else { return Count::Unknown };
    let earlier = last_total.replace(total);
    if total.is_empty() || earlier == Some(total) {
        return Count::Nothing;
    }
    let added = total.since(&earlier.unwrap_or_default());
    match info.last.filter(|last| !last.is_empty()) {
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
