use serde_json::{Value, json};

use super::{call, prompt, record, result, turn};
use crate::harness::claude_code::{
    record::Record,
    tools::{Calls, Done},
};

/// Effect of a call with its result.
fn done(call: Value, result: Value) -> Option<Done> {
    let (call, result) = (call.to_string(), result.to_string());
    let call: Record<'_> = serde_json::from_str(&call).unwrap();
    let result: Record<'_> = serde_json::from_str(&result).unwrap();
    let mut calls = Calls::default();
    calls.start(&call.blocks()[0]);
    calls.end(&result.blocks()[0], &result)
}

fn status(input: Value, is_error: bool, content: Value, details: Value) -> Option<i64> {
    let mut result = result(2, "c", is_error, content);
    result["toolUseResult"] = details;
    match done(call(1, "c", "Bash", input), result)? {
        Done::Command { command, status } => {
            assert_eq!(command, "cargo test");
            Some(status)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn status_of_a_command_is_what_its_result_says() {
    let blocks = |text: &str| json!([{ "type": "text", "text": text }]);
    let killed = "Exit code 143\nCommand timed out after 2m 0s";
    let background = "Command running in background with ID: b1";
    for (is_error, content, details, expected) in [
        (false, json!("ok"), json!({ "stdout": "ok", "interrupted": false }), Some(0)),
        (false, json!(""), Value::Null, Some(0)),
        (true, json!("Exit code 101\ntext"), json!("Error: Exit code 101\ntext"), Some(101)),
        (true, blocks("Exit code 2"), Value::Null, Some(2)),
        (true, json!("Exit code 0"), Value::Null, None),
        (true, json!("The user doesn't want to proceed with this tool use."), Value::Null, None),
        (true, json!("text Exit code 1"), Value::Null, None),
        (true, json!(killed), Value::Null, None),
        (true, json!("Exit code 137\ntext"), json!({ "interrupted": true }), None),
        (false, json!(background), json!({ "backgroundTaskId": "b1" }), None),
        (false, json!(background), Value::Null, None),
        (false, json!("ok"), json!({ "backgroundTaskId": "b1" }), None),
    ] {
        let input = json!({ "command": "cargo test" });
        let found = status(input, is_error, content.clone(), details.clone());
        assert_eq!(found, expected, "{content} {details}");
    }
    let input = json!({ "command": "cargo test", "run_in_background": true });
    assert_eq!(status(input, false, json!("ok"), Value::Null), None);
}

#[test]
fn result_belongs_to_the_call_with_its_id() {
    let call = call(1, "c", "Bash", json!({ "command": "cargo test" }));
    assert_eq!(done(call, result(2, "other", false, json!("ok"))), None);
}

#[test]
fn edits_are_counted_by_extension_if_they_were_made() {
    for (tool, input, is_error, expected) in [
        ("Edit", json!({ "file_path": "/a/b.RS" }), false, Some("rs")),
        ("Write", json!({ "file_path": r"C:\a.b\c.py" }), false, Some("py")),
        ("MultiEdit", json!({ "file_path": "/a/b.test.tsx" }), false, Some("tsx")),
        ("NotebookEdit", json!({ "notebook_path": "/a/b.ipynb" }), false, Some("ipynb")),
        ("Edit", json!({ "file_path": "/a/b.rs" }), true, None),
        ("Edit", json!({ "file_path": "/a.b/Makefile" }), false, None),
        ("Edit", json!({ "file_path": "/a/.gitignore" }), false, None),
        ("Edit", json!({ "file_path": "/a/b.a name of a person" }), false, None),
        ("Edit", json!({}), false, None),
        ("Edit", json!("text"), false, None),
        ("Read", json!({ "file_path": "/a/b.rs" }), false, None),
    ] {
        let records = [
            prompt(0),
            call(1, "c", tool, input.clone()),
            result(2, "c", is_error, json!("text")),
            // Results are sometimes logged twice.
            result(2, "c", is_error, json!("text")),
        ];
        let expected: Vec<_> = expected.into_iter().map(|it| (it.to_owned(), 1)).collect();
        let found: Vec<_> = turn(&records).edits.into_iter().collect();
        assert_eq!(found, expected, "{tool} {input}");
    }
}

#[test]
fn results_after_a_turn_do_not_reach_the_next() {
    let edit = call(1, "c", "Edit", json!({ "file_path": "/a/b.rs" }));
    let records = [prompt(0), edit, prompt(2), result(3, "c", false, json!("text"))];
    let turns = super::turns(&records);
    assert!(turns.iter().all(|turn| turn.edits.is_empty()));
    let unknown = record("user", 4, json!({ "message": "text", "toolUseResult": 5 }));
    assert_eq!(super::turns(&[prompt(0), unknown]).len(), 1);
}
