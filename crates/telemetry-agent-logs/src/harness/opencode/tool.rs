//! Calls of tools: commands with their exit status, and edits of files.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    Turn,
    harness::lenient::{Raw, number, parsed},
    paths::{count_edit, count_patch},
};

/// A call of a tool.
pub(super) struct Tool<'a> {
    pub(super) name: Raw<'a>,
    pub(super) state: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StateRecord<'a> {
    #[serde(borrow)]
    status: Raw<'a>,
    input: Raw<'a>,
    metadata: Raw<'a>,
    structured: Raw<'a>,
    time: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputRecord<'a> {
    #[serde(borrow)]
    command: Raw<'a>,
    #[serde(rename = "filePath")]
    file_path: Raw<'a>,
    path: Raw<'a>,
    #[serde(rename = "patchText")]
    patch: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetadataRecord<'a> {
    #[serde(borrow)]
    exit: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TimeRecord<'a> {
    #[serde(borrow)]
    end: Raw<'a>,
}

impl Tool<'_> {
    /// Adds the gate or the edits of the call to a turn.
    pub(super) fn record(&self, turn: &mut Turn) {
        let state = parsed::<StateRecord<'_>>(self.state).unwrap_or_default();
        let end = parsed::<TimeRecord<'_>>(state.time).and_then(|time| number(time.end));
        turn.ended = turn.ended.max(end.unwrap_or(i64::MIN));
        if parsed::<&str>(state.status) != Some("completed") {
            return;
        }
        let input = parsed::<InputRecord<'_>>(state.input).unwrap_or_default();
        match parsed(self.name) {
            Some("bash" | "shell") => {
                let metadata = parsed::<MetadataRecord<'_>>(state.metadata.or(state.structured))
                    .unwrap_or_default();
                // A command in the background has no status, and neither has one that was stopped.
                if let (Some(command), Some(exit)) =
                    (parsed::<Cow<'_, str>>(input.command), number(metadata.exit))
                {
                    turn.gates.record(&command, exit);
                }
            }
            Some("edit" | "multiedit" | "write") => {
                if let Some(path) = parsed::<Cow<'_, str>>(input.file_path.or(input.path)) {
                    count_edit(&mut turn.edits, &path);
                }
            }
            Some("apply_patch" | "patch") => {
                let patch = parsed::<Cow<'_, str>>(input.patch).unwrap_or_default();
                count_patch(&mut turn.edits, &patch);
            }
            _ => {}
        }
    }
}
