use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    super::commands::{Outcome, command, outcome},
    *,
};
use crate::{
    Gates,
    paths::{count_edit, count_patch},
};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn gates(runs: &[(&str, i64)]) -> Gates {
    let mut gates = Gates::default();
    runs.iter().for_each(|(command, status)| gates.record(command, *status));
    gates
}

#[test]
fn command_is_the_script_of_a_shell_or_quoted_arguments() {
    for (json, expected) in [
        (r#""cargo test""#, Some("cargo test")),
        (r#"["/bin/bash","-lc","npm test"]"#, Some("npm test")),
        (r#"["powershell.exe","-NoProfile","-Command","npm test"]"#, Some("npm test")),
        (r#"["cargo","test","a b"]"#, Some("cargo test 'a b'")),
        (r#"["echo","x;cargo test"]"#, Some("echo 'x;cargo test'")),
        (r#"["python","-c","pytest"]"#, Some("python -c pytest")),
        ("7", None),
    ] {
        assert_eq!(command(Some(&raw(json))).as_deref(), expected, "{json}");
    }
}

#[test]
fn exit_status_is_read_from_all_forms_of_output() {
    for (json, expected) in [
        (
            r#""Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 1\nOutput:\nx""#,
            Outcome::Exited(1),
        ),
        (r#""Exit code: 101\nWall time: 2 seconds\nOutput:\nExit code: 0""#, Outcome::Exited(101)),
        (r#""Exit code: 3\r\nOutput:\r\n""#, Outcome::Exited(3)),
        (r#""Wall time: 2 seconds\nOutput:\nExit code: 0""#, Outcome::Unknown),
        (r#""{\"output\":\"Exit code: 7\",\"metadata\":{\"exit_code\":2}}""#, Outcome::Exited(2)),
        (r#"{"content":"Exit code: 4\nOutput:\n","success":false}"#, Outcome::Exited(4)),
        (r#"[{"type":"input_text","text":"Exit code: 5\nOutput:\n"}]"#, Outcome::Exited(5)),
        (r#""Process running with session ID 12\nOutput:\n""#, Outcome::Running("12".into())),
        (r#""aborted by user""#, Outcome::Unknown),
        (r#""""#, Outcome::Unknown),
        ("[]", Outcome::Unknown),
        ("12", Outcome::Unknown),
    ] {
        assert_eq!(outcome(Some(&raw(json))), expected, "{json}");
    }
}

fn call(id: &str, tool: &str, arguments: &str) -> String {
    let arguments = serde_json::to_string(arguments).unwrap();
    item(
        2,
        "function_call",
        &format!(r#","call_id":"{id}","name":"{tool}","arguments":{arguments}"#),
    )
}

fn output(id: &str, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    item(3, "function_call_output", &format!(r#","call_id":"{id}","output":{text}"#))
}

#[test]
fn commands_are_paired_with_their_outputs() {
    let test = r#"{"command":["bash","-lc","cargo test"]}"#;
    for (lines, runs) in [
        (
            call("a", "shell", test) + &output("a", "Exit code: 101\nOutput:\n"),
            &[("cargo test", 101)][..],
        ),
        (
            call("a", "exec_command", r#"{"cmd":"cargo test"}"#)
                + &output("a", "Process running with session ID 5\nOutput:\n")
                + &call("b", "write_stdin", r#"{"session_id":5,"chars":""}"#)
                + &output("b", "Process exited with code 0\nOutput:\n"),
            &[("cargo test", 0)],
        ),
        (call("a", "shell", test) + &output("b", "Exit code: 0\nOutput:\n"), &[]),
        (call("a", "other", test) + &output("a", "Exit code: 0\nOutput:\n"), &[]),
        (
            item(
                2,
                "local_shell_call",
                r#","call_id":"a","action":{"type":"exec","command":["cargo","test"]}"#,
            ) + &output("a", "Exit code: 0\nOutput:\n"),
            &[("cargo test", 0)],
        ),
    ] {
        let turn = read_one(&(meta("s", "") + &start(1, "t") + &lines));
        assert_eq!(turn.gates, gates(runs), "{lines}");
    }
}

#[test]
fn events_of_commands_state_their_exit_status() {
    let ended = |status: i64, turn: &str| {
        let fields = format!(
            r#","call_id":"a","turn_id":"{turn}","command":["bash","-lc","npm test"],"exit_code":{status}"#
        );
        event(3, "exec_command_end", &fields)
    };
    let completed = |status: i64, turn: &str| {
        let fields = format!(
            r#","turn_id":"{turn}","item":{{"type":"CommandExecution","id":"a","command":["bash","-lc","npm test"],"exit_code":{status}}}"#
        );
        event(3, "item_completed", &fields)
    };
    for (lines, runs) in [
        (ended(1, "t"), &[("npm test", 1)][..]),
        (completed(1, "t"), &[("npm test", 1)]),
        (completed(1, "t") + &ended(0, "t"), &[("npm test", 0)]),
        (completed(0, "t") + &completed(0, "earlier"), &[("npm test", 0)]),
        (complete(2, "t") + &completed(1, "t"), &[("npm test", 1)]),
    ] {
        let turn = read_one(&(meta("s", "") + &start(1, "t") + &lines));
        assert_eq!(turn.gates, gates(runs), "{lines}");
    }
}

#[test]
fn command_that_was_interrupted_or_did_not_run_is_no_gate() {
    for status in [-1, 126, 127] {
        let fields = format!(
            r#","item":{{"type":"CommandExecution","id":"a","command":"npm test","exit_code":{status}}}"#
        );
        let log = meta("s", "") + &start(1, "t") + &event(2, "item_completed", &fields);
        assert_eq!(read_one(&log).gates, Gates::default(), "{status}");
    }
    assert_eq!(read_fixture(INTERRUPTED).turns[0].gates, Gates::default());
}

const PATCH: &str = "*** Begin Patch\n*** Update File: src/a.rs\n@@\n-*** Add File: b.py\n*** Add File: C:\\x\\c.RS\n+1\n*** Delete File: Makefile\n*** End Patch";

#[test]
fn edits_are_counted_by_extension() {
    let mut edits = BTreeMap::new();
    count_patch(&mut edits, PATCH);
    for path in ["a.py", "/x.y/b", ".env", "c.some words", "d.", "e.tar.gz"] {
        count_edit(&mut edits, path);
    }
    assert_eq!(edits, [("gz".into(), 1), ("py".into(), 1), ("rs".into(), 2)].into());
}

#[test]
fn patch_that_was_applied_is_counted_once() {
    let patch = serde_json::to_string(PATCH).unwrap();
    let patch = item(
        2,
        "custom_tool_call",
        &format!(r#","call_id":"a","name":"apply_patch","input":{patch}"#),
    );
    let applied = |success| {
        event(
            3,
            "patch_apply_end",
            &format!(
                r#","call_id":"a","success":{success},"changes":{{"/w/a.rs":{{}},"/w/b.toml":{{}}}}"#
            ),
        )
    };
    let changed = |status| {
        event(
            3,
            "item_completed",
            &format!(
                r#","item":{{"type":"FileChange","id":"a","status":"{status}","changes":{{"/w/a.rs":{{}}}}}}"#
            ),
        )
    };
    let worked = output(
        "a",
        r#"{"output":"Success. Updated the following files:\nM a","metadata":{"exit_code":0}}"#,
    );
    let failed = output("a", "apply_patch verification failed: x");
    for (lines, expected) in [
        (patch.clone() + &worked, &[("rs", 2)][..]),
        (patch.clone() + &failed, &[]),
        (patch.clone() + &applied(true) + &worked, &[("rs", 1), ("toml", 1)]),
        (patch.clone() + &applied(false) + &failed, &[]),
        (patch.clone() + &changed("completed") + &worked, &[("rs", 1)]),
        (changed("failed"), &[]),
    ] {
        let turn = read_one(&(meta("s", "") + &start(1, "t") + &lines));
        let expected = expected.iter().map(|(it, count)| ((*it).to_owned(), *count)).collect();
        assert_eq!(turn.edits, expected, "{lines}");
    }
}
