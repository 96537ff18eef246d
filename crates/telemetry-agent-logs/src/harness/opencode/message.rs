//! Records of messages and of their parts.

use serde::Deserialize;

use super::{tool::Tool, usage::Figures};
use crate::{
    End,
    harness::lenient::{Raw, number, parsed},
};

/// A message of the files and the first tables, which has a role; or one of the second tables.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageRecord<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    role: Raw<'a>,
    time: Raw<'a>,
    agent: Raw<'a>,
    mode: Raw<'a>,
    #[serde(rename = "modelID")]
    model_id: Raw<'a>,
    model: Raw<'a>,
    path: Raw<'a>,
    summary: Raw<'a>,
    cost: Raw<'a>,
    tokens: Raw<'a>,
    finish: Raw<'a>,
    error: Raw<'a>,
    retry: Raw<'a>,
    content: Raw<'a>,
    status: Raw<'a>,
    reason: Raw<'a>,
    outcome: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TimeRecord<'a> {
    #[serde(borrow)]
    created: Raw<'a>,
    completed: Raw<'a>,
}

/// The objects `model`, `path`, `error` and `retry`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DetailsRecord<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(rename = "modelID")]
    model_id: Raw<'a>,
    cwd: Raw<'a>,
    name: Raw<'a>,
    #[serde(rename = "type")]
    kind: Raw<'a>,
    attempt: Raw<'a>,
}

fn details(raw: Raw<'_>) -> DetailsRecord<'_> {
    parsed(raw).unwrap_or_default()
}

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message of a user. Its parts tell whether a person wrote it.
    User,
    /// A text of opencode that the agent goes on with.
    Synthetic,
    /// A reply, or the summary of a compaction.
    Assistant,
    /// A compaction with its request, in the second tables; true if no person asked for it.
    Compaction(bool),
    /// The agent stopped.
    Idle(End),
    /// Nothing of a turn.
    Other,
}

/// A message without its parts.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// Unix milliseconds.
    pub(super) created: i64,
    pub(super) completed: Option<i64>,
    pub(super) model: String,
    /// Folder that the agent worked in.
    pub(super) folder: Option<String>,
    pub(super) figures: Figures,
    pub(super) is_summary: bool,
    pub(super) is_planning: bool,
    pub(super) finish: Option<String>,
    /// End by an error.
    pub(super) error: Option<End>,
    pub(super) retries: u64,
}

impl<'a> MessageRecord<'a> {
    /// The message. `kind` is that of the second tables, and `created` is for a record that does not state it.
    pub(super) fn message(&self, kind: Option<&str>, created: i64) -> Message {
        let time = parsed::<TimeRecord<'_>>(self.time).unwrap_or_default();
        let model = details(self.model);
        let agent = parsed::<&str>(self.agent).or_else(|| parsed(self.mode));
        let created = number(time.created).unwrap_or(created);
        let is_done = matches!(parsed(self.status), Some("completed" | "failed"));
        Message {
            kind: self.kind(kind.or_else(|| parsed(self.role))),
            created,
            completed: number(time.completed).or_else(|| is_done.then_some(created)),
            model: parsed::<String>(self.model_id.or(model.model_id).or(model.id))
                .unwrap_or_default(),
            folder: parsed::<String>(details(self.path).cwd)
                .or_else(|| parsed::<String>(self.path)),
            figures: Figures::new(self.tokens, self.cost),
            is_summary: parsed(self.summary) == Some(true),
            is_planning: agent == Some("plan"),
            finish: parsed(self.finish),
            error: self.error.map(|_| self.end_by_error()),
            retries: number(details(self.retry).attempt)
                .map_or(0, |attempts| attempts.max(0).unsigned_abs()),
        }
    }

    fn kind(&self, kind: Option<&str>) -> Kind {
        match kind {
            Some("user") => Kind::User,
            Some("synthetic") => Kind::Synthetic,
            Some("assistant") => Kind::Assistant,
            Some("compaction") => Kind::Compaction(parsed(self.reason) == Some("auto")),
            Some("idle") => Kind::Idle(match parsed(self.outcome) {
                Some("succeeded") => End::Stopped,
                Some("interrupted") => End::Interrupted,
                _ => End::Failed,
            }),
            _ => Kind::Other,
        }
    }

    fn end_by_error(&self) -> End {
        let error = details(self.error);
        match parsed(error.name.or(error.kind)) {
            Some("MessageAbortedError" | "aborted") => End::Interrupted,
            _ => End::Failed,
        }
    }

    /// The content, which a message of the second tables has in place of parts.
    #[cfg(feature = "opencode-db")]
    pub(super) fn content(&self) -> impl Iterator<Item = PartRecord<'a>> {
        let items = parsed::<Vec<Raw<'_>>>(self.content).unwrap_or_default();
        items.into_iter().filter_map(parsed)
    }
}

/// A part of a message, or an item of its content.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PartRecord<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    synthetic: Raw<'a>,
    auto: Raw<'a>,
    overflow: Raw<'a>,
    reason: Raw<'a>,
    cost: Raw<'a>,
    tokens: Raw<'a>,
    tool: Raw<'a>,
    name: Raw<'a>,
    state: Raw<'a>,
}

/// Contents of a part.
pub(super) enum Part<'a> {
    /// A text; true if no person wrote it.
    Text(bool),
    Tool(Tool<'a>),
    /// The start of a request, of which older versions have several in a message.
    Start,
    /// The end of a request: its figures and why it ended.
    Finish(Figures, Option<String>),
    /// The order of a compaction.
    Compaction {
        /// No person gave the order.
        is_automatic: bool,
        /// The prompt was too long, so that it is repeated after the compaction.
        has_replay: bool,
    },
    /// A request that failed and was sent again.
    Retry,
    /// A file, a reference and other things that a person adds to a prompt.
    Attachment,
    /// Nothing of a prompt.
    Marker,
}

impl<'a> PartRecord<'a> {
    pub(super) fn part(&self) -> Part<'a> {
        match parsed(self.kind) {
            Some("text") => Part::Text(parsed(self.synthetic) == Some(true)),
            Some("tool") => Part::Tool(Tool { name: self.tool.or(self.name), state: self.state }),
            Some("step-start") => Part::Start,
            Some("step-finish") => {
                Part::Finish(Figures::new(self.tokens, self.cost), parsed::<String>(self.reason))
            }
            Some("compaction") => Part::Compaction {
                is_automatic: parsed(self.auto) == Some(true),
                has_replay: parsed(self.overflow) == Some(true),
            },
            Some("retry") => Part::Retry,
            Some("agent" | "file" | "subtask") => Part::Attachment,
            _ => Part::Marker,
        }
    }
}
