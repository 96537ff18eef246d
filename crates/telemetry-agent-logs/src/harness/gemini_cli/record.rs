//! Records of a log, and what is taken from their parts.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    Usage,
    harness::lenient::{Raw, parsed},
};

/// The head of a file, a message, or the end of messages that were taken back.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Record<'a> {
    #[serde(borrow, rename = "$rewindTo")]
    pub(super) rewind_to: Raw<'a>,
    pub(super) session_id: Raw<'a>,
    pub(super) kind: Raw<'a>,
    pub(super) messages: Raw<'a>,
    pub(super) id: Raw<'a>,
    pub(super) timestamp: Raw<'a>,
    #[serde(rename = "type")]
    pub(super) role: Raw<'a>,
    pub(super) content: Raw<'a>,
    pub(super) tokens: Raw<'a>,
    pub(super) model: Raw<'a>,
    pub(super) tool_calls: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    pub(super) name: Raw<'a>,
    pub(super) status: Raw<'a>,
    pub(super) timestamp: Raw<'a>,
    pub(super) args: Raw<'a>,
    pub(super) result: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Args<'a> {
    #[serde(borrow)]
    pub(super) command: Raw<'a>,
    pub(super) file_path: Raw<'a>,
    pub(super) is_background: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts(#[serde(borrow)] Vec<Part<'a>>),
    Part(#[serde(borrow)] Part<'a>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    function_response: Option<IgnoredAny>,
}

/// The text of a message; `None` if it is the result of a tool, or of an unknown form.
pub(super) fn text(content: Raw<'_>) -> Option<String> {
    let parts = match parsed::<Content<'_>>(content)? {
        Content::Text(text) => return Some(text.into_owned()),
        Content::Parts(parts) => parts,
        Content::Part(part) => vec![part],
    };
    if parts.iter().any(|part| part.function_response.is_some()) {
        return None;
    }
    Some(parts.into_iter().filter_map(|part| part.text).collect())
}

/// True if a message of the user is a prompt, and not text that the program sends by itself.
pub(super) fn is_prompt(content: Raw<'_>) -> bool {
    const OWN: [&str; 4] =
        ["Please continue.", "System: Please continue.", "<state_snapshot>", "<session_context>"];
    let Some(raw) = content.map(RawValue::get) else { return true };
    // Attachments are large. Only parts of results, and the program's own texts need a look.
    let may_be_own = OWN.iter().any(|own| raw.contains(own));
    if !may_be_own && !raw.contains("functionResponse") {
        return true;
    }
    let text = text(content);
    text.is_some_and(|text| !OWN.iter().any(|own| text.trim_start().starts_with(own)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens<'a> {
    #[serde(borrow)]
    input: Raw<'a>,
    output: Raw<'a>,
    cached: Raw<'a>,
    thoughts: Raw<'a>,
    tool: Raw<'a>,
    total: Raw<'a>,
}

/// The tokens of a request; `None` if the message has none.
///
/// `input` includes `cached`. `thoughts` and `tool`, the input from tools of the server, are counted apart, unless
/// `total` says that they are in the others.
pub(super) fn usage(tokens: Raw<'_>) -> Option<Usage> {
    let tokens = parsed::<Tokens<'_>>(tokens)?;
    let count = |value| parsed::<u64>(value).unwrap_or_default();
    let (input, output, total) = (count(tokens.input), count(tokens.output), count(tokens.total));
    let (thoughts, tool) = (count(tokens.thoughts), count(tokens.tool));
    let beyond = total.saturating_sub(input.saturating_add(output));
    let is_total = total > 0 && total >= input.saturating_add(output);
    let apart = thoughts.saturating_add(tool);
    let (is_thoughts_in_output, is_tool_in_input) = match beyond {
        _ if !is_total || beyond == apart => (false, false),
        beyond if beyond == thoughts => (false, true),
        beyond if beyond == tool => (true, false),
        0 => (true, true),
        _ => (false, false),
    };
    let input = if is_tool_in_input { input } else { input.saturating_add(tool) };
    let cached = count(tokens.cached).min(input);
    let usage = Usage {
        input: input - cached,
        cache_read: cached,
        output: if is_thoughts_in_output { output.saturating_sub(thoughts) } else { output },
        reasoning: thoughts,
        ..Usage::default()
    };
    (usage.total() > 0).then_some(usage)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultPart<'a> {
    #[serde(borrow)]
    function_response: FunctionResponse<'a>,
}

#[derive(Deserialize)]
struct FunctionResponse<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    output: Cow<'a, str>,
}

/// The exit status of a shell command by the text of its result, if the text is whole.
pub(super) fn exit_status(result: Raw<'_>, is_success: bool) -> Option<i64> {
    let part = match parsed::<Vec<&RawValue>>(result) {
        Some(parts) => parts.first().copied(),
        None => result,
    };
    let response = parsed::<ResultPart<'_>>(part)?.function_response.response;
    // Newer versions mark the text as not trusted.
    let marked = response.output.strip_prefix("<untrusted_context>\n");
    let marked = marked.and_then(|it| it.strip_suffix("\n</untrusted_context>"));
    status_line(marked.unwrap_or(&response.output), is_success)
}

fn status_line(output: &str, is_success: bool) -> Option<i64> {
    let mut is_whole = false;
    for line in output.rsplit('\n') {
        match line.split_once(": ") {
            Some(("Process Group PGID", _)) => is_whole = true,
            Some(("Background PIDs", _) | ("Signal", "(none)")) => {}
            Some(("Exit Code", status)) => return status.trim().parse().ok(),
            // It was killed, or did not start.
            Some(("Signal" | "Error", _)) => return None,
            _ => break,
        }
    }
    // Newer versions write the status only if it is not 0.
    (is_whole && is_success && output.starts_with("Output: ")).then_some(0)
}
