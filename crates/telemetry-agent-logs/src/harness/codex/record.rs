//! Records of a rollout, as far as they are needed. A field of another type than expected counts as absent.

use serde::Deserialize;

use super::usage::{Info, Tokens};
use crate::harness::lenient::{Number, Object, Raw, Text};

/// A line of a log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) payload: Raw<'a>,
}

/// The type of an event, or of an item of the conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
}

/// A `token_usage_record`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageRecord<'a> {
    #[serde(borrow)]
    pub(super) model: Text<'a>,
    pub(super) response_id: Text<'a>,
    pub(super) thread_id: Text<'a>,
    pub(super) turn_id: Text<'a>,
    pub(super) usage: Object<Tokens>,
}

/// A `token_count`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenCount {
    pub(super) info: Object<Info>,
}

/// An item of the conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) action: Raw<'a>,
    pub(super) arguments: Raw<'a>,
    pub(super) call_id: Text<'a>,
    pub(super) id: Text<'a>,
    pub(super) input: Raw<'a>,
    pub(super) name: Text<'a>,
    pub(super) output: Raw<'a>,
}

/// An `item_completed`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Completed<'a> {
    #[serde(borrow)]
    pub(super) item: Object<CompletedItem<'a>>,
    pub(super) turn_id: Text<'a>,
}

/// An item of current versions, which takes the place of several events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompletedItem<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) changes: Raw<'a>,
    pub(super) command: Raw<'a>,
    pub(super) exit_code: Number,
    pub(super) id: Text<'a>,
    pub(super) status: Text<'a>,
}

/// The fields of all other payloads, which are few.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) call_id: Text<'a>,
    pub(super) collaboration_mode_kind: Text<'a>,
    pub(super) compaction_response_id: Text<'a>,
    pub(super) cwd: Text<'a>,
    pub(super) forked_from_id: Text<'a>,
    pub(super) id: Text<'a>,
    #[serde(rename = "kind")]
    pub(super) message_kind: Text<'a>,
    pub(super) model: Text<'a>,
    pub(super) parent_thread_id: Text<'a>,
    pub(super) service_tier: Text<'a>,
    pub(super) session_id: Text<'a>,
    pub(super) thread_source: Text<'a>,
    pub(super) turn_id: Text<'a>,
    pub(super) duration_ms: Number,
    pub(super) exit_code: Number,
    pub(super) model_context_window: Number,
    pub(super) changes: Raw<'a>,
    pub(super) codex_error_info: Raw<'a>,
    pub(super) collaboration_mode: Raw<'a>,
    pub(super) command: Raw<'a>,
    pub(super) error: Raw<'a>,
    pub(super) source: Raw<'a>,
    pub(super) success: Raw<'a>,
    pub(super) thread_settings: Object<Box<Self>>,
}
