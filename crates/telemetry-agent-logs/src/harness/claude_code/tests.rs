mod commands;
mod files;
mod incremental;
mod turns;
mod usage;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::ClaudeCode;
use crate::{
    Checkpoint, Found, Harness, Turn, Usage,
    harness::testing::{Folder, HOME},
};

fn read(path: &Path, from: &Checkpoint) -> (Found, Checkpoint) {
    let mut found = Found::default();
    let checkpoint = ClaudeCode.read(path, from, &mut found).unwrap();
    (found, checkpoint)
}

fn read_all(path: &Path) -> Found {
    read(path, &Checkpoint::default()).0
}

fn fixture(name: &str) -> PathBuf {
    Path::new(HOME).join(".claude/projects").join(name)
}

fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().flat_map(|record| format!("{record}\n").into_bytes()).collect()
}

/// The turns of a log of a session with the id `s`.
fn turns(records: &[Value]) -> Vec<Turn> {
    let found = read_all(&Folder::new().write("s.jsonl", lines(records)));
    assert_eq!(found.bad_lines, 0);
    found.turns
}

fn turn(records: &[Value]) -> Turn {
    let mut turns = turns(records);
    assert_eq!(turns.len(), 1, "{turns:?}");
    turns.remove(0)
}

fn usage<'a>(turns: impl IntoIterator<Item = &'a Turn>) -> Usage {
    let requests = turns.into_iter().flat_map(|turn| &turn.requests);
    requests.fold(Usage::default(), |sum, request| sum + request.usage)
}

/// A record with the fields that all records of a session have, and others.
fn record(kind: &str, second: u32, others: Value) -> Value {
    let mut record = json!({
        "type": kind,
        "uuid": format!("{kind}-{second}"),
        "timestamp": format!("2026-11-26T10:00:{second:02}.000Z"),
        "sessionId": "s",
        "cwd": "/home/user/project",
        "version": "2.1.220",
        "isSidechain": false,
    });
    record.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    record
}

fn prompt(second: u32) -> Value {
    user(second, json!("Text."))
}

fn user(second: u32, content: Value) -> Value {
    record("user", second, json!({ "message": { "role": "user", "content": content } }))
}

/// A reply with these tokens of output and 10 of input.
fn reply(second: u32, id: &str, output: u64, stop: Value) -> Value {
    let usage = json!({ "input_tokens": 10, "output_tokens": output });
    reply_with(second, id, usage, stop)
}

fn reply_with(second: u32, id: &str, usage: Value, stop: Value) -> Value {
    let message = json!({
        "id": id,
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{ "type": "text", "text": "Text." }],
        "stop_reason": stop,
        "usage": usage,
    });
    record("assistant", second, json!({ "message": message, "requestId": format!("req-{id}") }))
}

fn call(second: u32, id: &str, tool: &str, input: Value) -> Value {
    let mut record = reply(second, &format!("msg-{id}"), 1, json!("tool_use"));
    record["message"]["content"] =
        json!([{ "type": "tool_use", "id": id, "name": tool, "input": input }]);
    record
}

fn result(second: u32, id: &str, is_error: bool, content: Value) -> Value {
    user(
        second,
        json!([{ "type": "tool_result", "tool_use_id": id, "is_error": is_error, "content": content }]),
    )
}
