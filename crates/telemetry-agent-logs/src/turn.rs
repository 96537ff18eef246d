//! Turns of an agent.

use std::{
    collections::BTreeMap,
    ops::{Add, AddAssign},
};

use serde::{Deserialize, Serialize};
use telemetry_model::{RepoSizeCategory, TaskType};

use crate::Gates;

/// One turn of an agent: from the prompt of a person to the stop.
///
/// Or a part of one, which a sub-agent or a compaction did, and which is in a separate file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// Identifies the turn among those of its harness, also in copies of the log. Empty for a part.
    pub key: String,
    /// The session that the turn, or the turn of this part, belongs to.
    pub session: String,
    /// True for a part: it belongs to the turn of `session` that was open when it started.
    pub is_part: bool,
    /// Name of the folder that the agent worked in, without its parents.
    pub project: Option<String>,
    /// Size of the repository whose root this folder is, when the log was read.
    pub repo_size: Option<RepoSizeCategory>,
    /// Unix milliseconds of the prompt.
    pub started: i64,
    /// Unix milliseconds of the last record.
    pub ended: i64,
    /// The duration that the log states; else it is the time from `started` to `ended`.
    pub duration_ms: Option<u64>,
    /// In the order of the log, each once.
    pub requests: Vec<Request>,
    /// Quality gates, by their commands.
    pub gates: Gates,
    /// End of the turn.
    pub end: End,
    /// Planning or code review, if the log says so.
    pub task_type: TaskType,
    /// Retries of requests that the log records.
    pub retries: u64,
    /// Compactions of the context.
    pub compactions: u64,
    /// Size of the context window in tokens, if the log states it.
    pub context_window: Option<u64>,
    /// Number of edits by extension of the file, in lower case, without a dot.
    pub edits: BTreeMap<String, u64>,
    /// Restrictions of the figures.
    pub notes: Notes,
}

/// One request to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Identifies the request in copies of the log, across files; empty if the log has no id.
    pub id: String,
    /// Name of the model as in the log; empty if the log does not say.
    pub model: String,
    /// Unix milliseconds.
    pub at: i64,
    /// Tokens.
    pub usage: Usage,
    /// Cost in microdollars: that of the log if it states one, later the one by the list of prices.
    pub cost_microdollars: Option<u64>,
    /// False for requests of sub-agents, compactions and other helpers.
    pub is_main_loop: bool,
}

/// Tokens of a request. Each token is in one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens neither read from nor written to a cache.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache, without those of `cache_write_1h`.
    pub cache_write: u64,
    /// Input tokens written to a cache with a lifetime of an hour, which cost more.
    pub cache_write_1h: u64,
    /// Output tokens without `reasoning`.
    pub output: u64,
    /// Output tokens of reasoning, if the log counts them apart.
    pub reasoning: u64,
}

impl Usage {
    /// All input tokens, which is the context of a request.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }

    /// All output tokens.
    #[must_use]
    pub const fn total_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }

    /// All tokens.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
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

/// End of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It has not ended, as far as the log shows. It counts as ended after an hour without records, or a
    /// [stop](crate::scan::State::stop).
    #[default]
    Open,
    /// As `Open`, and the last record is a call of a tool.
    OpenInToolCall,
    /// A prompt or the end of the session followed, but no mark of an end, as a reply that stops.
    Unmarked,
    /// The agent stopped after a reply.
    Stopped,
    /// A person interrupted it.
    Interrupted,
    /// The last request failed.
    Failed,
    /// The harness stopped it at its time limit.
    TimedOut,
    /// The last record is a call of a tool.
    InToolCall,
}

impl End {
    /// True if the turn has not ended, as far as the log shows.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::OpenInToolCall)
    }

    /// The end of a turn that nothing will follow.
    pub(crate) const fn closed(self) -> Self {
        match self {
            Self::Open => Self::Unmarked,
            Self::OpenInToolCall => Self::InToolCall,
            other => other,
        }
    }
}

/// Restrictions of the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// The version of the agent logs less output than it used: Claude Code before 2.1.98.
    pub is_undercounted: bool,
    /// The log shows work whose tokens it does not state, such as a compaction.
    pub has_unknown_usage: bool,
}
