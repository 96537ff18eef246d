//! Records of a log, as far as they matter.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use crate::harness::lenient::{Content, Flag, List, Number, Object, Raw, Text, parsed};

/// A line of a log. Newer versions write more kinds than these fields are for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Record<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) subtype: Text<'a>,
    pub(super) uuid: Text<'a>,
    pub(super) timestamp: Text<'a>,
    pub(super) session_id: Text<'a>,
    pub(super) cwd: Text<'a>,
    pub(super) version: Text<'a>,
    pub(super) request_id: Text<'a>,
    pub(super) permission_mode: Text<'a>,
    pub(super) is_sidechain: Flag,
    pub(super) is_meta: Flag,
    pub(super) is_compact_summary: Flag,
    pub(super) is_visible_in_transcript_only: Flag,
    pub(super) is_api_error_message: Flag,
    pub(super) message: Object<Message<'a>>,
    pub(super) attachment: Object<Attachment<'a>>,
    pub(super) tool_use_result: Raw<'a>,
    /// Of a local command.
    pub(super) content: Raw<'a>,
    pub(super) duration_ms: Number,
    pub(super) retry_attempt: Number,
    pub(super) hook_errors: Raw<'a>,
    /// Only old versions write it.
    #[serde(rename = "costUSD")]
    pub(super) cost_usd: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) model: Text<'a>,
    pub(super) stop_reason: Text<'a>,
    pub(super) content: Content<'a, Block<'a>>,
    pub(super) usage: Object<Tokens<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) text: Raw<'a>,
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) input: Raw<'a>,
    pub(super) tool_use_id: Text<'a>,
    pub(super) is_error: Flag,
    pub(super) content: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Attachment<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) command_mode: Text<'a>,
    pub(super) prompt: Raw<'a>,
}

/// Usage of a message, or of one of its iterations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) model: Text<'a>,
    pub(super) speed: Text<'a>,
    pub(super) input_tokens: Number,
    pub(super) output_tokens: Number,
    pub(super) cache_read_input_tokens: Number,
    pub(super) cache_creation_input_tokens: Number,
    pub(super) cache_creation: Object<CacheCreation>,
    pub(super) output_tokens_details: Object<OutputDetails>,
    pub(super) iterations: List<Self>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CacheCreation {
    pub(super) ephemeral_5m_input_tokens: Number,
    pub(super) ephemeral_1h_input_tokens: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub(super) thinking_tokens: Number,
}

/// Input of a tool that runs a command or edits a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolInput<'a> {
    #[serde(borrow)]
    pub(super) command: Text<'a>,
    pub(super) run_in_background: Flag,
    pub(super) file_path: Text<'a>,
    pub(super) notebook_path: Text<'a>,
}

/// Details of the result of a command. Sub-agents' logs have none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CommandResult<'a> {
    #[serde(borrow)]
    pub(super) background_task_id: Text<'a>,
    pub(super) interrupted: Flag,
}

impl Record<'_> {
    /// False for a line that need not be parsed, as no record in it can matter.
    pub(super) fn may_matter(line: &[u8]) -> bool {
        const WORDS: [&[u8]; 5] =
            [b"\"user\"", b"\"assistant\"", b"\"usage\"", b"\"system\"", b"\"attachment\""];
        WORDS.iter().any(|word| memmem::find(line, word).is_some())
    }

    pub(super) fn blocks(&self) -> &[Block<'_>] {
        match &self.message.0 {
            Some(Message { content: Content::Blocks(blocks), .. }) => blocks,
            _ => &[],
        }
    }
}

/// The line with `\ufffd` in the place of each half of a surrogate pair. JavaScript writes them for a text that was cut,
/// and serde refuses them.
pub(super) fn without_half_pairs(line: &[u8]) -> Cow<'_, [u8]> {
    let half = |at: usize, digits: std::ops::RangeInclusive<u8>| {
        line.get(at..at + 4).is_some_and(|it| it.starts_with(br"\ud") && digits.contains(&it[3]))
    };
    let (mut repaired, mut end) = (Cow::Borrowed(line), 0);
    for at in memmem::find_iter(line, br"\ud") {
        let backslashes = line[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if at < end || backslashes % 2 == 1 || half(at, b'0'..=b'7') {
            // Of a pair, of a text with a backslash, or another character.
        } else if (half(at, b'8'..=b'9') || half(at, b'a'..=b'b')) && half(at + 6, b'c'..=b'f') {
            end = at + 12;
        } else if let Some(digits) = repaired.to_mut().get_mut(at + 2..at + 6) {
            digits.copy_from_slice(b"fffd");
        }
    }
    repaired
}

/// The object in a raw value; the default if it is none.
pub(super) fn object<'a, T: Deserialize<'a> + Default>(raw: Raw<'a>) -> T {
    parsed::<Object<T>>(raw).and_then(|object| object.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_surrogate_pair_is_replaced() {
        for (text, expected) in [
            (r"\ud83d", "\u{fffd}"),
            (r"a\udE00b", "a\u{fffd}b"),
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ud83d\ude00\ude00", "\u{1f600}\u{fffd}"),
            (r"\ud55c", "\u{d55c}"),
            (r"\\ud83d", r"\ud83d"),
            (r"\\\ud83d", "\\\u{fffd}"),
            ("\u{2028}", "\u{2028}"),
        ] {
            let line = format!("\"{text}\"");
            let found = serde_json::from_slice(&without_half_pairs(line.as_bytes()));
            assert_eq!(found.ok(), Some(expected.to_owned()), "{text}");
        }
        // Not the whole of an escape.
        assert_eq!(*without_half_pairs(br"\ud8"), *br"\ud8");
    }
}
