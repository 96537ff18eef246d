//! Lines, and parts of them, that need not be parsed.

use std::borrow::Cow;

/// The longest head of a line that is looked at, in bytes.
const MAX_HEAD: usize = 512;

/// Kinds of records, and of their payloads, that say nothing about a turn. They are most of the bytes of a log.
const OTHER_KINDS: [&[u8]; 2] = [b"world_state", b"retained_context"];
const OTHER_ITEMS: [&[u8]; 6] = [
    b"message",
    b"reasoning",
    b"web_search_call",
    b"ghost_snapshot",
    b"agent_message",
    b"compaction",
];
const OTHER_EVENTS: [&[u8]; 6] = [
    b"agent_message",
    b"agent_reasoning",
    b"agent_reasoning_raw_content",
    b"mcp_tool_call_end",
    b"web_search_end",
    b"image_generation_end",
];
const OUTPUTS: [&[u8]; 2] = [b"function_call_output", b"custom_tool_call_output"];

/// Facts from the head of a line that is not parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped<'a> {
    pub(super) timestamp: &'a str,
    /// The id of a call, and the start of the text that its tool returned, escaped as in JSON.
    pub(super) output: Option<(&'a str, &'a [u8])>,
}

/// Looks at the head of a line. `None` if it has to be parsed: it holds more than one record, or one that is needed, or
/// it is not written as Codex does.
pub(super) fn skipped(line: &[u8]) -> Option<Skipped<'_>> {
    let (timestamp, rest) = string(line.strip_prefix(br#"{"timestamp":"#)?)?;
    let rest = match rest.strip_prefix(br#","ordinal":"#) {
        Some(rest) => rest.get(rest.iter().position(|byte| !byte.is_ascii_digit())?..)?,
        None => rest,
    };
    let (kind, rest) = string(rest.strip_prefix(br#","type":"#)?)?;
    let payload = || string(rest.strip_prefix(br#","payload":{"type":"#)?);
    let mut output = None;
    let is_skipped = match kind.as_bytes() {
        b"event_msg" => OTHER_EVENTS.contains(&payload()?.0.as_bytes()),
        b"response_item" => {
            let (item, rest) = payload()?;
            output = OUTPUTS.contains(&item.as_bytes()).then(|| returned(rest)).flatten();
            output.is_some() || OTHER_ITEMS.contains(&item.as_bytes())
        }
        kind => OTHER_KINDS.contains(&kind),
    };
    // An unescaped `"timestamp"` is the key of another record on the line, or of something unknown.
    let is_one = || line.ends_with(b"}") && memchr::memmem::find(rest, br#""timestamp""#).is_none();
    (is_skipped && is_one()).then_some(Skipped { timestamp, output })
}

/// The line with an empty text in place of the output of a command, which is most of its bytes.
pub(super) fn without_output(line: &[u8]) -> Cow<'_, [u8]> {
    const START: &[u8] = br#","aggregated_output":""#;
    const END: &[u8] = br#"","exit_code":"#;

    let Some(from) = memchr::memmem::find(line, START).map(|at| at + START.len()) else {
        return line.into();
    };
    // The first `","` has the end of the text: the quotes within are escaped.
    match memchr::memmem::find(&line[from..], br#"",""#).map(|at| line.split_at(from + at)) {
        Some((_, rest)) if rest.starts_with(END) => [&line[..from], rest].concat().into(),
        _ => line.into(),
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
            let expected = Skipped { timestamp: "2026-01-01T00:00:00Z", output };
            assert_eq!(skipped(line.as_bytes()), Some(expected), "{line}");
            assert_eq!(skipped((line.clone() + &line).as_bytes()), None);
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
            assert_eq!(skipped(line(rest).as_bytes()), None, "{rest}");
        }
        assert_eq!(skipped(b""), None);
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
