//! Logs of lines, made for a case each.

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn found(lines: &[String]) -> Found {
    let log = Log::new("session-a.jsonl", (lines.join("\n") + "\n").as_bytes());
    read(&log.path, &Checkpoint::default()).0
}

fn turns(lines: &[String]) -> Vec<Turn> {
    let found = found(lines);
    assert_eq!(found.bad_lines, 0);
    found.turns
}

fn ends(lines: &[String]) -> Vec<End> {
    turns(lines).iter().map(|turn| turn.end).collect()
}

fn head() -> String {
    r#"{"sessionId":"s","projectHash":"h","kind":"main"}"#.into()
}

fn at(second: u64) -> String {
    format!("\"timestamp\":\"2026-01-01T00:00:{second:02}.000Z\"")
}

fn user(id: &str, second: u64) -> String {
    format!(r#"{{"id":"{id}",{},"type":"user","content":[{{"text":"Do it."}}]}}"#, at(second))
}

/// A reply with an input of 100 tokens, 10 of them cached.
fn reply(id: &str, second: u64, output: u64) -> String {
    let total = 100 + output;
    format!(
        r#"{{"id":"{id}",{},"type":"gemini","content":"Yes.","model":"m","tokens":{{"input":100,"output":{output},"cached":10,"thoughts":0,"tool":0,"total":{total}}}}}"#,
        at(second)
    )
}

fn with_call(reply: &str, call: &str) -> String {
    reply.replace(r#""model""#, &format!(r#""toolCalls":[{call}],"model""#))
}

fn shell(id: &str, command: &str, status: &str, output: &str) -> String {
    let args = format!(r#"{{"command":"{command}"}}"#);
    let result = format!(r#"[{{"functionResponse":{{"response":{{"output":"{output}"}}}}}}]"#);
    format!(
        r#"{{"id":"{id}","name":"run_shell_command","args":{args},"status":"{status}","result":{result}}}"#
    )
}

fn notice(role: &str, text: &str) -> String {
    format!(r#"{{"id":"n",{},"type":"{role}","content":"{text}"}}"#, at(50))
}

#[test]
fn message_written_again_counts_once_with_its_last_figures() {
    let without_tokens = r#"{"id":"r","type":"gemini","content":"Y","model":"m","tokens":null}"#;
    let lines = [head(), user("u", 1), without_tokens.into(), reply("r", 2, 9), reply("r", 2, 5)];
    let all = turns(&lines);
    assert_eq!((all.len(), all[0].requests.len()), (1, 1));
    assert_eq!(usage(&all[0]).total(), 105);
    let lines = [head(), user("u", 1), reply("r", 2, 5), without_tokens.into()];
    assert_eq!(usage(&turns(&lines)[0]).total(), 105);
}

#[test]
fn rewound_messages_stay_spent() {
    let rewind = r#"{"$rewindTo":"u"}"#;
    let lines =
        [head(), user("u", 1), reply("r", 2, 5), rewind.into(), user("v", 3), reply("q", 4, 7)];
    let all = turns(&lines);
    assert_eq!(all.iter().map(|turn| usage(turn).total()).collect::<Vec<_>>(), [105, 107]);
    assert_eq!(ends(&lines[..4]), [End::Stopped]);
}

#[test]
fn history_that_is_set_again_is_not_counted_again() {
    let set = format!(r#"{{"$set":{{"messages":[{},{}]}}}}"#, user("u", 1), reply("r", 2, 5));
    let lines =
        [head(), user("u", 1), reply("r", 2, 5), set.clone(), user("v", 3), set, reply("q", 4, 7)];
    let all = turns(&lines);
    assert_eq!(all.iter().map(|turn| usage(turn).total()).collect::<Vec<_>>(), [105, 107]);
}

#[test]
fn thoughts_and_tokens_of_tools_are_apart_unless_the_total_says_otherwise() {
    for (tokens, expected) in [
        // input, cache_read, output, reasoning
        (
            r#"{"input":100,"output":20,"cached":60,"thoughts":7,"tool":5,"total":132}"#,
            [45, 60, 20, 7],
        ),
        (r#"{"input":100,"output":20,"cached":60,"thoughts":7,"tool":5}"#, [45, 60, 20, 7]),
        (
            r#"{"input":100,"output":20,"cached":60,"thoughts":7,"tool":0,"total":120}"#,
            [40, 60, 13, 7],
        ),
        (
            r#"{"input":100,"output":20,"cached":60,"thoughts":7,"tool":5,"total":127}"#,
            [40, 60, 20, 7],
        ),
        (
            r#"{"input":100,"output":20,"cached":60,"thoughts":7,"tool":5,"total":125}"#,
            [45, 60, 13, 7],
        ),
        (r#"{"input":100,"output":20,"cached":160,"total":"[trimmed]"}"#, [0, 100, 20, 0]),
    ] {
        let line = format!(r#"{{"id":"r","type":"gemini","content":"Y","tokens":{tokens}}}"#);
        let usage = usage(&turns(&[user("u", 1), line])[0]);
        let found = [usage.input, usage.cache_read, usage.output, usage.reasoning];
        assert_eq!(found, expected, "{tokens}");
    }
}

#[test]
fn end_is_that_of_the_last_message() {
    let call = shell("c", "ls", "success", "");
    let cancelled = with_call(&reply("r", 2, 5), &shell("c", "ls", "cancelled", ""));
    let next = user("v", 59);
    for (lines, expected) in [
        (vec![user("u", 1)], End::Open),
        (vec![user("u", 1), reply("r", 2, 5)], End::Open),
        (vec![user("u", 1), next.clone()], End::Unmarked),
        (vec![user("u", 1), reply("r", 2, 5), next.clone()], End::Stopped),
        (vec![user("u", 1), with_call(&reply("r", 2, 5), &call), next.clone()], End::InToolCall),
        (vec![user("u", 1), cancelled], End::Interrupted),
        (vec![user("u", 1), notice("info", "Request cancelled."), next.clone()], End::Interrupted),
        (vec![user("u", 1), notice("error", "[API Error: quota]")], End::Failed),
        (
            vec![user("u", 1), notice("error", "[API Error: x]"), reply("r", 2, 5), next.clone()],
            End::Stopped,
        ),
        (
            vec![user("u", 1), reply("r", 2, 5), notice("error", "Unknown command"), next],
            End::Stopped,
        ),
    ] {
        assert_eq!(ends(&lines)[0], expected, "{lines:?}");
    }
}

#[test]
fn exit_status_is_read_from_the_end_of_a_whole_output() {
    let pid = r"\nProcess Group PGID: 1";
    let marked = |it: &str| format!(r"<untrusted_context>\n{it}\n</untrusted_context>");
    for (status, output, expected) in [
        ("success", format!("Output: ok{pid}"), Some(Status::Passed)),
        ("success", format!(r"Output: a\nb\nExit Code: 101{pid}"), Some(Status::Failed)),
        (
            "success",
            format!(r"Output: Exit Code: 1\nok\nBackground PIDs: 3{pid}"),
            Some(Status::Passed),
        ),
        (
            "success",
            r"Command: x\nStdout: y\nExit Code: 0\nSignal: (none)".into(),
            Some(Status::Passed),
        ),
        // As of 0.61.
        ("success", marked(&format!("Output: ok{pid}")), Some(Status::Passed)),
        ("success", marked(&format!(r"Output: a\nExit Code: 3{pid}")), Some(Status::Failed)),
        ("success", marked(&format!(r"Output: (empty)\nSignal: 9{pid}")), None),
        // Truncated, killed, not started, stopped, not on its own.
        ("success", "Output: ok".into(), None),
        ("success", format!("... [truncated]{pid}"), None),
        ("success", format!(r"Output: ok\nSignal: 9{pid}"), None),
        ("success", format!(r"Output: (empty)\nError: spawn{pid}"), None),
        ("success", format!(r"Output: x\nExit Code: 127{pid}"), None),
        ("cancelled", format!("Output: ok{pid}"), None),
        ("error", format!("Output: ok{pid}"), None),
    ] {
        let call = shell("c", "cargo test", status, &output);
        let turn = &turns(&[user("u", 1), with_call(&reply("r", 2, 5), &call)])[0];
        assert_eq!(turn.gates.last(), expected, "{status}: {output}");
    }
}

#[test]
fn call_that_is_written_again_is_one_run() {
    let fail =
        shell("c", "cargo test", "success", r"Output: x\nExit Code: 1\nProcess Group PGID: 1");
    let lint = shell("d", "cargo clippy", "success", r"Output: x\nProcess Group PGID: 1");
    let masked = shell("c", "cargo test", "success", r"Output: x\nProcess Group PGID: 1");
    let edit =
        r#"{"id":"e","name":"write_file","args":{"file_path":"C:\\a\\b.Py"},"status":"success"}"#;
    let lines = [
        user("u", 1),
        with_call(&reply("r", 2, 5), &fail),
        with_call(&reply("r", 2, 5), &format!("{fail},{lint},{edit}")),
        with_call(&reply("r", 2, 5), &format!("{masked},{lint},{edit}")),
    ];
    let turn = &turns(&lines)[0];
    assert_eq!((turn.gates.run(), turn.gates.failed()), (vec![Lint, Test], vec![Test]));
    assert_eq!(turn.edits.iter().map(|(it, n)| (&**it, *n)).collect::<Vec<_>>(), [("py", 1)]);
}

#[test]
fn text_of_the_program_itself_is_no_prompt() {
    let own = |text: &str| user("o", 3).replace("Do it.", text);
    let result = user("o", 3).replace(r#"{"text":"Do it."}"#, r#"{"functionResponse":{"id":"c"}}"#);
    for line in [own("Please continue."), own("<state_snapshot>x"), result] {
        let lines = [user("u", 1), reply("r", 2, 5), line, reply("q", 4, 7)];
        let all = turns(&lines);
        assert_eq!((all.len(), usage(&all[0]).total()), (1, 212), "{lines:?}");
    }
    let lines = [user("u", 1), reply("r", 2, 5), own("What is a functionResponse?")];
    assert_eq!(turns(&lines).len(), 2);
}

#[test]
fn compression_has_unknown_usage() {
    let text = "IMPORTANT: A compressed context will be sent for future messages.";
    let turn = &turns(&[user("u", 1), reply("r", 2, 5), notice("info", text)])[0];
    assert_eq!((turn.compactions, turn.notes.has_unknown_usage), (1, true));
}

#[test]
fn fields_of_other_types_do_not_lose_a_message() {
    let trimmed = "[trimmed for fixture]";
    let lines = [
        user("u", 1),
        reply("r", 2, 5).replace("2026-01-01T00:00:02.000Z", trimmed),
        reply("q", 3, 7).replace(r#""Yes.""#, r#"{"a":1}"#).replace(r#""m""#, "3"),
        with_call(
            &reply("p", 4, 9),
            &format!(r#""{trimmed}",{{"args":"{trimmed}","result":[1]}}"#),
        ),
    ];
    let turn = &turns(&lines)[0];
    assert_eq!(usage(turn).total(), 321);
    assert_eq!(turn.requests[0].at, turn.started);
}

#[test]
fn bad_lines_are_counted_and_two_records_on_a_line_are_read() {
    let two = user("u", 1) + &reply("r", 2, 5);
    let found = found(&[format!("\u{feff}{}\r", head()), two, "{\"id\":\0".into(), "\0".into()]);
    assert_eq!((found.turns.len(), found.bad_lines), (1, 1));
    assert_eq!((usage(&found.turns[0]).total(), &*found.turns[0].session), (105, "s"));
}

#[test]
fn reading_in_parts_finds_the_same_turns() {
    let call = shell("c", "cargo test", "success", r"Output: x\nProcess Group PGID: 1");
    let lines = [
        head(),
        user("u", 1),
        reply("r", 2, 5),
        with_call(&reply("r", 2, 6), &call),
        r#"{"$rewindTo":"r"}"#.into(),
        reply("q", 4, 7) + &user("v", 5) + &reply("p", 6, 8) + &user("w", 7),
        user("x", 8).replace("2026", "x"),
        reply("o", 9, 1).replace("2026", "x"),
        notice("info", "Request cancelled."),
    ];
    let text = lines.join("\n") + "\n";
    let log = Log::new("session-a.jsonl", text.as_bytes());
    let (whole, last) = read(&log.path, &Checkpoint::default());
    assert_eq!(whole.turns.len(), 5);
    let growing = Log::new("session-a.jsonl", b"");
    let mut file = fs::OpenOptions::new().append(true).open(&growing.path).unwrap();
    for (at, byte) in text.bytes().enumerate() {
        let (before, checkpoint) = read(&growing.path, &Checkpoint::default());
        assert!(!checkpoint.before.contains("\"s\""), "no id of a session in the state");
        let (after, end_of_log) = read(&log.path, &checkpoint);
        let closed = before.turns.len().saturating_sub(1);
        let turns: Vec<_> = before.turns.into_iter().take(closed).chain(after.turns).collect();
        assert_eq!(turns, whole.turns, "at {at}");
        assert_eq!(end_of_log, last, "at {at}");
        file.write_all(&[byte]).unwrap();
    }
    assert_eq!(read(&growing.path, &Checkpoint::default()), (whole, last));
}

proptest! {
    #[test]
    fn no_bytes_panic(at in 0_usize..800, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let call = shell("c", "cargo test", "success", r"Output: x\nProcess Group PGID: 1");
        let lines = [head(), user("u", 1), with_call(&reply("r", 2, 6), &call), user("v", 5)];
        let mut text = (lines.join("\n") + "\n").into_bytes();
        let at = at.min(text.len());
        text.splice(at..(at + bytes.len()).min(text.len()), bytes);
        for name in ["session-a.jsonl", "session-a.json"] {
            read(&Log::new(name, &text).path, &Checkpoint::default());
        }
    }
}
