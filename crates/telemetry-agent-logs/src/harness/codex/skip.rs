//! Lines, and parts of them, that need not be parsed.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem::Finder;

/// The longest head of a line that is looked at, in bytes.
const MAX_HEAD: usize = 512;

/// Kinds of records, and of their payloads, that say nothing about a turn. They are most of the bytes of a log.
const OTHER_KINDS: [&str; 2] = ["world_state", "retained_context"];
const OTHER_ITEMS: [&str; 6] =
    ["message", "reasoning", "web_search_call", "ghost_snapshot", "agent_message", "compaction"];
const OTHER_EVENTS: [&str; 6] = [
    "agent_message",
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "mcp_tool_call_end",
    "web_search_end",
    "image_generation_end",
];
const OUTPUTS: [&str; 2] = ["function_call_output", "custom_tool_call_output"];

/// The first keys of a line, in the order in which Codex writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) timestamp: &'a str,
    pub(super) kind: &'a str,
    /// The type of the payload; empty for kinds of records without types.
    pub(super) item: &'a str,
    /// The line from the payload on. It ends with that of the record.
    rest: &'a [u8],
    /// The same behind the type.
    fields: &'a [u8],
}

/// Facts from the head of a line that is not parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped<'a> {
    /// The id of a call, and the start of the text that its tool returned, escaped as in JSON.
    pub(super) output: Option<(&'a str, &'a [u8])>,
}

impl<'a> Head<'a> {
    /// `None` if the line is not written as Codex does.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let (timestamp, rest) = string(line.strip_prefix(br#"{"timestamp":"#)?)?;
        let rest = match rest.strip_prefix(br#","ordinal":"#) {
            Some(rest) => rest.get(rest.iter().position(|byte| !byte.is_ascii_digit())?..)?,
            None => rest,
        };
        let (kind, rest) = string(rest.strip_prefix(br#","type":"#)?)?;
        let rest = rest.strip_prefix(br#","payload":"#)?;
        let (item, fields) = match kind {
            "event_msg" | "response_item" => string(rest.strip_prefix(br#"{"type":"#)?)?,
            _ => ("", rest),
        };
        Some(Self { timestamp, kind, item, rest, fields })
    }

    /// `None` if the line has to be parsed: it holds more than one record, or one that is needed.
    pub(super) fn skipped(&self) -> Option<Skipped<'a>> {
        let item = self.item;
        let is_output = self.kind == "response_item" && OUTPUTS.contains(&item);
        let output = is_output.then(|| returned(self.fields)).flatten();
        let is_skipped = match self.kind {
            "event_msg" => OTHER_EVENTS.contains(&item),
            "response_item" => output.is_some() || OTHER_ITEMS.contains(&item),
            kind => OTHER_KINDS.contains(&kind),
        };
        (is_skipped && self.is_alone()).then_some(Skipped { output })
    }

    /// The payload of a `token_count` that states a total and the context window.
    pub(super) fn total(&self) -> Option<&'a [u8]> {
        const START: &[u8] = br#","info":{"total_token_usage":{"input_tokens":"#;
        static WINDOW: LazyLock<Finder<'_>> =
            LazyLock::new(|| Finder::new(br#","model_context_window":"#));

        let is_number = |json: Option<&[u8]>| json?.first()?.is_ascii_digit().then_some(());
        if (self.kind, self.item) != ("event_msg", "token_count") {
            return None;
        }
        is_number(self.fields.strip_prefix(START))?;
        let at = WINDOW.find(self.fields)?;
        is_number(self.fields.get(at + WINDOW.needle().len()..))?;
        self.rest.strip_suffix(b"}").filter(|_| self.is_alone())
    }

    /// True if the line has no other record. An unescaped `"timestamp"` is the key of one, or of something unknown.
    fn is_alone(&self) -> bool {
        static TIMESTAMP: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(br#""timestamp""#));

        self.rest.ends_with(b"}") && TIMESTAMP.find(self.rest).is_none()
    }

    /// The payload, with an empty text in place of the output of a command, which is most of its bytes. It is no JSON
    /// if the line is more than one record.
    pub(super) fn payload(&self) -> Option<Cow<'a, [u8]>> {
        let payload = self.rest.strip_suffix(b"}").filter(|it| it.starts_with(b"{"))?;
        let has_output = matches!(self.item, "item_completed" | "exec_command_end");
        Some(if has_output { without_output(payload) } else { payload.into() })
    }
}

fn without_output(payload: &[u8]) -> Cow<'_, [u8]> {
    const END: &[u8] = br#"","exit_code":"#;
    static START: LazyLock<Finder<'_>> =
        LazyLock::new(|| Finder::new(br#","aggregated_output":""#));
    static NEXT: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(br#"",""#));

    let Some(from) = START.find(payload).map(|at| at + START.needle().len()) else {
        return payload.into();
    };
    // The first `","` has the end of the text: the quotes within are escaped.
    match NEXT.find(&payload[from..]).map(|at| payload.split_at(from + at)) {
        Some((_, rest)) if rest.starts_with(END) => [&payload[..from], rest].concat().into(),
        _ => payload.into(),
    }
}

/// The id of the call and the text in the fields of an output.
fn returned(fields: &[u8]) -> Option<(&str, &[u8])> {
    let fields = match fields.strip_prefix(br#","id":"#) {
        Some(id) => string(id)?.1,
        None => fields,
    };
    let (call, fields) = string(fields.strip_prefix(br#","call_id":"#)?)?;
    let text = fields.strip_prefix(br#","output":""#)?;
    // A text that is an object has the status at its end.
    (!text.starts_with(b"{")).then_some((call, text))
}

/// Splits off a short string without escapes.
fn string(json: &[u8]) -> Option<(&str, &[u8])> {
    let text = json.strip_prefix(b"\"")?;
    let len = memchr::memchr2(b'"', b'\\', text.get(..MAX_HEAD.min(text.len()))?)?;
    let rest = text.get(len..)?.strip_prefix(b"\"")?;
    Some((std::str::from_utf8(text.get(..len)?).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(line: &str) -> Option<Skipped<'_>> {
        Head::of(line.as_bytes())?.skipped()
    }

    #[test]
    fn only_what_is_known_from_the_head_is_skipped() {
        let line = |rest: &str| format!(r#"{{"timestamp":"2026-01-01T00:00:00Z",{rest}"#);
        for (rest, output) in [
            (r#""type":"world_state","payload":{"state":{}}}"#, None),
            (r#""ordinal":12,"type":"world_state","payload":{}}"#, None),
            (r#""type":"response_item","payload":{"type":"message","a":"\"timestamp\""}}"#, None),
            (r#""type":"event_msg","payload":{"type":"agent_message","message":"x"}}"#, None),
            (
                r#""type":"response_item","payload":{"type":"function_call_output","id":"i","call_id":"c","output":"x"}}"#,
                Some(("c", &br#"x"}}"#[..])),
            ),
        ] {
            let line = line(rest);
            let head = Head::of(line.as_bytes()).unwrap();
            assert_eq!(head.timestamp, "2026-01-01T00:00:00Z");
            assert_eq!(head.skipped(), Some(Skipped { output }), "{line}");
            assert_eq!(skipped(&(line.clone() + &line)), None);
        }
        for rest in [
            r#""type":"session_meta","payload":{}}"#,
            r#""type":"world_statement","payload":{}}"#,
            r#""type":"response_item","payload":{"type":"messages"}}"#,
            r#""type":"event_msg","payload":{"type":"message"}}"#,
            r#""type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":["x"]}}"#,
            r#""type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":"{\"a\":1}"}}"#,
            r#""payload":{"type":"message"},"type":"response_item"}"#,
            r#""type":"response_item","payload":{"type":"message""#,
        ] {
            assert_eq!(skipped(&line(rest)), None, "{rest}");
        }
        assert_eq!(skipped(""), None);
    }

    #[test]
    fn only_the_text_of_an_output_is_left_out() {
        for (line, expected) in [
            (r#"{"a":1,"aggregated_output":"x\"y\",","exit_code":1}"#, None),
            (
                r#"{"a":1,"aggregated_output":"x\",\"exit_code\":2","exit_code":1}"#,
                Some(r#"{"a":1,"aggregated_output":"","exit_code":1}"#),
            ),
            (
                r#"{"a":1,"aggregated_output":"","exit_code":1}"#,
                Some(r#"{"a":1,"aggregated_output":"","exit_code":1}"#),
            ),
            (r#"{"a":1,"aggregated_output":"x","b":"","exit_code":1}"#, None),
            (r#"{"a":1,"aggregated_output":null,"exit_code":1}"#, None),
            (r#"{"a":1,"aggregated_output":"x"#, None),
        ] {
            let shortened = without_output(line.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shortened), expected.unwrap_or(line));
        }
    }
}
