use std::{fs, io::Write};

use proptest::prelude::*;

use super::*;
use crate::harness::testing::{Folder, HOME};

fn fixture() -> PathBuf {
    Path::new(HOME).join(".aider/analytics.jsonl")
}

fn read(path: &Path, from: &Checkpoint) -> (Found, Checkpoint) {
    let mut found = Found::default();
    let checkpoint = Aider.read(path, from, &mut found).unwrap();
    (found, checkpoint)
}

fn found(text: &str) -> Found {
    read(&Folder::new().write("a.jsonl", text), &Checkpoint::default()).0
}

fn start(time: u64) -> String {
    format!("{{\"event\": \"message_send_starting\", \"properties\": {{}}, \"time\": {time}}}\n")
}

fn send(time: u64, model: &str, tokens: u64) -> String {
    format!(
        "{{\"event\": \"message_send\", \"properties\": {{\"main_model\": \"{model}\", \
         \"prompt_tokens\": {tokens}, \"completion_tokens\": 7, \"cost\": 0.5, \
         \"total_cost\": 1.25}}, \"user_id\": \"x\", \"time\": {time}}}\n"
    )
}

#[test]
fn each_message_is_a_turn() {
    let (found, _) = read(&fixture(), &Checkpoint::default());
    assert_eq!(found.bad_lines, 0);
    let mut usage = Usage::default();
    let mut millis = 0;
    let with_reply: Vec<_> = found.turns.iter().filter(|it| !it.requests.is_empty()).collect();
    for turn in &with_reply {
        assert_eq!((turn.requests.len(), turn.end), (1, End::Stopped));
        usage += turn.requests[0].usage;
        millis += turn.ended - turn.started;
    }
    assert_eq!((found.turns.len(), with_reply.len()), (160, 107));
    assert_eq!((usage.input, usage.output, millis), (2_484_349, 45_772, 2_614_000));
    let mut keys: Vec<_> = found.turns.iter().map(|turn| &turn.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), found.turns.len());
}

#[test]
fn recorded_cost_that_bills_cached_tokens_twice_is_left_out() {
    let found = found(&(start(10) + &send(12, "gpt-5", 100)));
    let request = &found.turns[0].requests[0];
    assert_eq!((request.cost_microdollars, request.usage.total_input()), (None, 100));
    assert_eq!((&*request.model, request.at, request.usage.output), ("gpt-5", 12_000, 7));
    assert_eq!((found.turns[0].started, found.turns[0].ended), (10_000, 12_000));
}

#[test]
fn model_of_its_vendor_has_the_name_that_the_vendor_gives_it() {
    for (logged, expected) in [
        ("gpt-5", "gpt-5"),
        ("openai/gpt-5.2", "gpt-5.2"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("mistral/codestral-latest", "codestral-latest"),
        ("openai/REDACTED", "openai/REDACTED"),
        ("azure/gpt-5", "azure/gpt-5"),
        ("openrouter/openai/gpt-5", "openrouter/openai/gpt-5"),
    ] {
        let turn = &found(&(start(10) + &send(12, logged, 100))).turns[0];
        assert_eq!(turn.requests[0].model, expected);
        // A part of the id of the event, which stays.
        assert_eq!(turn.key, format!("12:{logged}:100:7:1.25:0"));
    }
}

#[test]
fn message_without_reply_has_unknown_usage() {
    let found = found(&(start(10) + &start(20) + &send(21, "a", 1) + &start(30)));
    let ends: Vec<_> = found.turns.iter().map(|turn| (turn.started, turn.end)).collect();
    let expected = [(10_000, End::Unmarked), (20_000, End::Stopped), (30_000, End::Open)];
    assert_eq!(ends, expected);
    let unknown: Vec<_> = found.turns.iter().map(|it| it.notes.has_unknown_usage).collect();
    assert_eq!(unknown, [true, false, true]);
}

#[test]
fn messages_of_two_programs_at_once_are_both_counted() {
    let log = start(10) + &start(11) + &send(12, "a", 1) + &send(14, "b", 2);
    let found = found(&log);
    let inputs: u64 = found.turns.iter().flat_map(|it| &it.requests).map(|it| it.usage.input).sum();
    assert_eq!(inputs, 3);
    assert_eq!(found.turns[2].started, 14_000);
}

#[test]
fn equal_messages_of_a_second_have_keys_of_their_own_and_copies_have_the_same() {
    let twice = start(10) + &send(10, "a", 1) + &start(10) + &send(10, "a", 1);
    let keys = |text: &str| -> Vec<String> {
        found(text).turns.into_iter().map(|turn| turn.key).collect()
    };
    let first = keys(&twice);
    assert_ne!(first[0], first[1]);
    let later = keys(&(start(3) + &send(4, "b", 5) + &twice));
    assert_eq!(first, later[1..]);
}

#[test]
fn fields_of_other_types_do_not_lose_a_message() {
    let trimmed = "\"[trimmed for fixture]\"";
    let log = start(10)
        + &send(12, "a", 1).replace(": 12}", &format!(": {trimmed}}}"))
        + &start(20).replace("20", trimmed)
        + &send(22, "a", 1).replace(": 7", ": null")
        + &start(30).replace("{}", "[]")
        + &send(33, "a", 1).replace("\"a\"", "{\"name\": 1}");
    let found = found(&log);
    let times: Vec<_> = found.turns.iter().map(|it| (it.started, it.ended)).collect();
    assert_eq!(times, [(10_000, 10_000), (22_000, 22_000), (30_000, 33_000)]);
    assert_eq!((found.turns[1].requests[0].usage.output, found.bad_lines), (0, 0));
    assert_eq!(found.turns[2].requests[0].model, "");
}

#[test]
fn bad_lines_are_counted_and_two_records_on_a_line_are_read() {
    let log = format!(
        "\u{feff}{}{}\r\n\0\0{{\"event\n{}",
        start(1).trim_end(),
        send(2, "a", 1).trim_end(),
        start(3)
    );
    let found = found(&(log + "[]]\n\"text\"\n"));
    assert_eq!((found.turns.len(), found.bad_lines), (2, 3));
}

/// Reads a log that grows by parts, and from each checkpoint the whole: nothing may be lost or found twice.
fn assert_read_in_parts<'a>(text: &'a [u8], parts: impl Iterator<Item = &'a [u8]>) {
    let folder = Folder::new();
    let (log, growing) = (folder.write("a.jsonl", text), folder.write("b.jsonl", ""));
    let (whole, last) = read(&log, &Checkpoint::default());
    let mut file = fs::OpenOptions::new().append(true).open(&growing).unwrap();
    for part in parts {
        file.write_all(part).unwrap();
        let (before, checkpoint) = read(&growing, &Checkpoint::default());
        let (after, end_of_log) = read(&log, &checkpoint);
        let closed = before.turns.len().saturating_sub(1);
        let turns: Vec<_> = before.turns.into_iter().take(closed).chain(after.turns).collect();
        assert_eq!(turns, whole.turns);
        assert_eq!(end_of_log, last);
    }
    assert_eq!(read(&growing, &Checkpoint::default()), (whole, last));
}

#[test]
fn reading_in_parts_finds_the_same_turns() {
    let log = start(10)
        + &send(10, "a", 1)
        + &start(10)
        + &send(10, "a", 1)
        + start(10).trim_end()
        + start(11).trim_end()
        + &send(10, "a", 1)
        + &send(10, "a", 1)
        + &start(12);
    assert_read_in_parts(log.as_bytes(), log.as_bytes().chunks(1));
    let text = fs::read(fixture()).unwrap();
    assert_read_in_parts(&text, text.chunks(701));
}

#[test]
fn roots_are_files() {
    let mut environment = Environment { home: "/home/a".into(), ..Environment::default() };
    let usual = PathBuf::from("/home/a/.aider/analytics.jsonl");
    assert_eq!(Aider.roots(&environment), std::slice::from_ref(&usual));
    environment.variables.insert("AIDER_ANALYTICS_LOG".into(), "/logs/aider.log".into());
    assert_eq!(Aider.roots(&environment), [PathBuf::from("/logs/aider.log"), usual.clone()]);
    environment.variables.insert("AIDER_ANALYTICS_LOG".into(), usual.to_str().unwrap().into());
    assert_eq!(Aider.roots(&environment), [usual]);
    for (path, expected) in [("", true), ("a/b.jsonl", true), (".aider.conf.yml", false)] {
        assert_eq!(Aider.is_log(Path::new(path)), expected, "{path}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(at in 0_usize..400, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut text = (start(10) + &send(12, "a", 1) + &start(13)).into_bytes();
        let at = at.min(text.len());
        text.splice(at..(at + bytes.len()).min(text.len()), bytes);
        read(&Folder::new().write("a.jsonl", text), &Checkpoint::default());
    }
}
