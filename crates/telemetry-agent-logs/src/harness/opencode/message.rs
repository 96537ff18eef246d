//! Records of messages and of their parts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{tool::Tool, usage::Figures};
use crate::End;

/// A field that is parsed when it is needed, so that one of an unexpected type does not lose the record.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The value of a field; `None` if it is missing or of another type.
pub(super) fn parsed<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A whole number, such as a time in Unix milliseconds.
pub(super) fn number(raw: Raw<'_>) -> Option<i64> {
    parsed::<f64>(raw).map(|number| number as i64)
}

pub(super) fn text(raw: Raw<'_>) -> Option<String> {
    parsed::<Cow<'_, str>>(raw).map(Cow::into_owned)
}

/// A message of the files and the first tables, which has a role; or one of the second tables.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageRecord<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    role: Raw<'a>,
    #[serde(borrow)]
    time: Raw<'a>,
    #[serde(borrow)]
    agent: Raw<'a>,
    #[serde(borrow)]
    mode: Raw<'a>,
    #[serde(borrow, rename = "modelID")]
    model_id: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    path: Raw<'a>,
    #[serde(borrow)]
    summary: Raw<'a>,
    #[serde(borrow)]
    cost: Raw<'a>,
    #[serde(borrow)]
    tokens: Raw<'a>,
    #[serde(borrow)]
    finish: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    retry: Raw<'a>,
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    reason: Raw<'a>,
    #[serde(borrow)]
    outcome: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TimeRecord<'a> {
    #[serde(borrow)]
    created: Raw<'a>,
    #[serde(borrow)]
    completed: Raw<'a>,
}

/// The objects `model`, `path`, `error` and `retry`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DetailsRecord<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow, rename = "modelID")]
    model_id: Raw<'a>,
    #[serde(borrow)]
    cwd: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    attempt: Raw<'a>,
}

fn details(raw: Raw<'_>) -> DetailsRecord<'_> {
    parsed(raw).unwrap_or_default()
}

/// What a message is.
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
    /// How an error ended it.
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
            model: text(self.model_id.or(model.model_id).or(model.id)).unwrap_or_default(),
            folder: text(details(self.path).cwd).or_else(|| text(self.path)),
            figures: Figures::new(self.tokens, self.cost),
            is_summary: parsed(self.summary) == Some(true),
            is_planning: agent == Some("plan"),
            finish: text(self.finish),
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
        let items = parsed::<Vec<&RawValue>>(self.content).unwrap_or_default();
        items.into_iter().filter_map(|item| parsed(Some(item)))
    }
}

/// A part of a message, or an item of its content.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PartRecord<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    synthetic: Raw<'a>,
    #[serde(borrow)]
    auto: Raw<'a>,
    #[serde(borrow)]
    overflow: Raw<'a>,
    #[serde(borrow)]
    reason: Raw<'a>,
    #[serde(borrow)]
    cost: Raw<'a>,
    #[serde(borrow)]
    tokens: Raw<'a>,
    #[serde(borrow)]
    tool: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    state: Raw<'a>,
}

/// What a part says.
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
                Part::Finish(Figures::new(self.tokens, self.cost), text(self.reason))
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
