use std::path::PathBuf;

use super::*;
use crate::{End, Turn, Usage, harness::testing::HOME};

mod commands;
mod faults;
mod forks;
mod turns;

const PASS: &str =
    "sessions/2026/11/26/rollout-2026-11-26T17-58-01-01a21901-da55-7f82-a60e-894754c0e78d.jsonl";
const FAIL: &str =
    "sessions/2026/11/26/rollout-2026-11-26T17-58-03-01a21901-e054-7763-948e-f704db15e853.jsonl";
const INTERRUPTED: &str =
    "sessions/2026/11/26/rollout-2026-11-26T17-57-36-01a21901-76cf-7190-a393-88644261fcda.jsonl";
const V146: &str =
    "sessions/2026/08/03/rollout-2026-08-03T10-48-56-019fc8be-3658-7ca3-9e29-000000000000.jsonl";
const NULL_INFO: &str =
    "archived_sessions/rollout-2025-10-31T17-00-00-test-ratelimit-session.jsonl";
const LEGACY: &str = "archived_sessions/rollout-2025-10-30T10-00-00-test-legacy-session.jsonl";
const FIXTURES: [&str; 6] = [PASS, FAIL, INTERRUPTED, V146, NULL_INFO, LEGACY];

fn fixture(name: &str) -> PathBuf {
    Path::new(HOME).join(".codex").join(name)
}

fn read_fixture(name: &str) -> Found {
    let mut found = Found::default();
    Codex.read(&fixture(name), &Checkpoint::default(), &mut found).unwrap();
    found
}

/// Reads a text from a checkpoint on.
fn read_from(text: &[u8], from: &Checkpoint) -> (Found, Checkpoint) {
    let mut found = Found::default();
    let start = usize::try_from(from.offset).unwrap();
    let session = reader::identify(&text[..start], "by-name").unwrap();
    let next = reader::read(&text[start..], from, session, "by-name", &mut found).unwrap();
    (found, next)
}

fn read(text: &str) -> Vec<Turn> {
    let (found, _) = read_from(text.as_bytes(), &Checkpoint::default());
    assert_eq!(found.bad_lines, 0);
    assert_every_split_finds_the_same(text.as_bytes());
    found.turns
}

/// The only turn of a text.
fn read_one(text: &str) -> Turn {
    let mut turns = read(text);
    assert_eq!(turns.len(), 1, "{turns:#?}");
    turns.remove(0)
}

/// A scan of any part of a text, and one of the rest, find what one of the whole finds.
fn assert_every_split_finds_the_same(text: &[u8]) {
    let (whole, _) = read_from(text, &Checkpoint::default());
    for split in 0..=text.len() {
        let is_near_line = text[split.saturating_sub(2)..].iter().take(3).any(|b| *b == b'\n');
        if is_near_line || split % 97 == 0 {
            let (first, checkpoint) = read_from(&text[..split], &Checkpoint::default());
            let mut turns = first.turns;
            turns.pop();
            turns.extend(read_from(text, &checkpoint).0.turns);
            assert_eq!(turns, whole.turns, "split at {split}");
        }
    }
}

/// Sum of the tokens of turns.
fn total<'a>(turns: impl IntoIterator<Item = &'a Turn>) -> Usage {
    let requests = turns.into_iter().flat_map(|turn| &turn.requests);
    requests.fold(Usage::default(), |sum, request| sum + request.usage)
}

fn usage(input: u64, cache_read: u64, output: u64, reasoning: u64) -> Usage {
    Usage { input, cache_read, output, reasoning, ..Usage::default() }
}

/// A line of a log.
fn line(second: u32, kind: &str, payload: &str) -> String {
    let (minute, second) = (second / 60, second % 60);
    format!(
        r#"{{"timestamp":"2026-11-26T10:{minute:02}:{second:02}.000Z","type":"{kind}","payload":{payload}}}"#
    ) + "\n"
}

fn event(second: u32, kind: &str, fields: &str) -> String {
    line(second, "event_msg", &format!(r#"{{"type":"{kind}"{fields}}}"#))
}

fn item(second: u32, kind: &str, fields: &str) -> String {
    line(second, "response_item", &format!(r#"{{"type":"{kind}"{fields}}}"#))
}

fn meta(id: &str, fields: &str) -> String {
    line(0, "session_meta", &format!(r#"{{"id":"{id}","cwd":"/home/me/demo"{fields}}}"#))
}

fn start(second: u32, turn: &str) -> String {
    event(second, "task_started", &format!(r#","turn_id":"{turn}""#))
}

fn complete(second: u32, turn: &str) -> String {
    event(second, "task_complete", &format!(r#","turn_id":"{turn}""#))
}

/// Figures as in a log: input, cached, output, reasoning.
fn figures([input, cached, output, reasoning]: [u64; 4]) -> String {
    let total = input + output;
    format!(
        r#"{{"input_tokens":{input},"cached_input_tokens":{cached},"output_tokens":{output},"reasoning_output_tokens":{reasoning},"total_tokens":{total}}}"#
    )
}

fn count(second: u32, total: [u64; 4], last: [u64; 4]) -> String {
    let (total, last) = (figures(total), figures(last));
    let info = format!(
        r#","info":{{"total_token_usage":{total},"last_token_usage":{last},"model_context_window":1000}}"#
    );
    event(second, "token_count", &info)
}

fn record(second: u32, thread: &str, turn: &str, response: &str, usage: [u64; 4]) -> String {
    let usage = figures(usage);
    let record = format!(
        r#"{{"thread_id":"{thread}","turn_id":"{turn}","response_id":"{response}","usage":{usage}}}"#
    );
    line(second, "token_usage_record", &record)
}
