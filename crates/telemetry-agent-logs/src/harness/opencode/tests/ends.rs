use serde_json::json;
use telemetry_model::TaskType;

use super::{
    layouts,
    store::{Layout, Message, Store, assistant, user},
    turns, usage,
};
use crate::{End, Gates, Turn};

const TOKENS: [u64; 5] = [100, 10, 0, 0, 0];

fn error(name: &str) -> Message {
    let error = json!({"name": name, "data": {"message": "text"}});
    assistant(2000, TOKENS, "stop").with("finish", json!(null)).with("error", error)
}

fn call(status: &str) -> Message {
    let state = json!({"status": status, "input": {"command": "ls"}, "time": {"start": 2500}});
    assistant(2000, TOKENS, "tool-calls")
        .part(json!({"type": "tool", "tool": "bash", "state": state}))
}

#[test]
fn last_reply_tells_how_a_turn_ends() {
    let running = assistant(2000, TOKENS, "stop")
        .with("time", json!({"created": 2000}))
        .with("finish", json!(null));
    let unfinished = assistant(2000, TOKENS, "stop").with("finish", json!(null));
    for (name, reply, last, followed) in [
        ("stop", assistant(2000, TOKENS, "stop"), End::Stopped, End::Stopped),
        ("length", assistant(2000, TOKENS, "length"), End::Stopped, End::Stopped),
        ("error", assistant(2000, TOKENS, "error"), End::Failed, End::Failed),
        ("unknown", assistant(2000, TOKENS, "unknown"), End::Open, End::Unmarked),
        ("aborted", error("MessageAbortedError"), End::Interrupted, End::Interrupted),
        ("API error", error("APIError"), End::Failed, End::Failed),
        ("call", call("completed"), End::OpenInToolCall, End::InToolCall),
        ("running call", call("running"), End::OpenInToolCall, End::InToolCall),
        (
            "stop with a call",
            call("completed").with("finish", json!("stop")),
            End::OpenInToolCall,
            End::InToolCall,
        ),
        ("running", running, End::Open, End::Unmarked),
        ("unfinished", unfinished, End::Open, End::Unmarked),
    ] {
        for layout in layouts() {
            let mut messages = vec![user(1000), reply.clone()];
            let ends = |messages: &[Message]| {
                turns(&Store::with(layout, messages))
                    .iter()
                    .map(|turn| turn.end)
                    .collect::<Vec<_>>()
            };
            assert_eq!(ends(&messages), [last], "{name}, {layout:?}");
            messages.push(user(9000));
            assert_eq!(ends(&messages), [followed, End::Open], "{name}, {layout:?}");
        }
    }
}

#[cfg(feature = "opencode-db")]
#[test]
fn idle_session_of_the_second_tables_ends_the_turn() {
    for (outcome, end) in
        [("succeeded", End::Stopped), ("failed", End::Failed), ("interrupted", End::Interrupted)]
    {
        let store = Store::with(Layout::Second, &[user(1000), call("completed")]);
        store.add_row(
            "ses_1",
            "msg_idle",
            "idle",
            5000,
            &json!({"time": {"created": 5000}, "outcome": outcome}),
        );
        let turn = &turns(&store)[0];
        assert_eq!((turn.end, turn.ended), (end, 5000), "{outcome}");
    }
}

fn compaction(at: i64, is_automatic: bool, has_replay: bool) -> [Message; 2] {
    let part = json!({"type": "compaction", "auto": is_automatic, "overflow": has_replay});
    let summary = assistant(at + 100, [5000, 50, 0, 0, 0], "stop").with("summary", json!(true));
    [user(at).only(part), summary]
}

fn ends(turns: &[Turn]) -> Vec<(bool, u64, u64, End)> {
    turns
        .iter()
        .map(|turn| (turn.is_part, turn.compactions, usage(turn).total(), turn.end))
        .collect()
}

#[test]
fn automatic_compaction_does_not_end_the_turn() {
    for layout in
        [Layout::Files, Layout::First].into_iter().filter(|layout| layouts().contains(layout))
    {
        let [order, summary] = compaction(4000, true, false);
        let go_on = user(6000).only(json!({"type": "text", "text": "text", "synthetic": true}));
        let messages =
            [user(1000), call("completed"), order, summary, go_on, assistant(7000, TOKENS, "stop")];
        let turns = turns(&Store::with(layout, &messages));
        assert_eq!(ends(&turns), [(false, 1, 110 + 5050 + 110, End::Stopped)], "{layout:?}");
        let is_main_loop: Vec<_> =
            turns[0].requests.iter().map(|request| request.is_main_loop).collect();
        assert_eq!(is_main_loop, [true, false, true]);
    }
}

#[test]
fn prompt_that_is_repeated_after_a_compaction_is_no_new_turn() {
    let [order, summary] = compaction(4000, true, true);
    let messages = [
        user(1000),
        call("completed"),
        order,
        summary,
        user(6000),
        assistant(7000, TOKENS, "stop"),
    ];
    let turns = turns(&Store::with(Layout::Files, &messages));
    assert_eq!(ends(&turns), [(false, 1, 110 + 5050 + 110, End::Stopped)]);
}

#[test]
fn compaction_after_the_end_of_a_turn_is_a_part() {
    let [order, summary] = compaction(4000, false, false);
    let messages = [user(1000), assistant(2000, TOKENS, "stop"), order, summary, user(9000)];
    let turns = turns(&Store::with(Layout::Files, &messages));
    let expected =
        [(false, 0, 110, End::Stopped), (true, 1, 5050, End::Stopped), (false, 0, 0, End::Open)];
    assert_eq!(ends(&turns), expected);
    assert_eq!(turns[1].session, turns[0].session);
}

#[cfg(feature = "opencode-db")]
#[test]
fn compaction_of_the_second_tables_has_its_tokens() {
    let store = Store::with(Layout::Second, &[user(1000), call("completed")]);
    let mut data = json!({"status": "completed", "reason": "auto", "model": {"id": "model-1"}, "cost": 0.1,
        "tokens": {"input": 5000, "output": 50}, "time": {"created": 4000}});
    store.add_row("ses_1", "msg_4000", "compaction", 4000, &data);
    data["tokens"] = json!(null);
    store.add_row("ses_1", "msg_5000", "compaction", 5000, &data);
    let turns = turns(&store);
    assert_eq!(ends(&turns), [(false, 2, 110 + 5050, End::Open)]);
    assert!(turns[0].notes.has_unknown_usage);
}

#[test]
fn turn_has_edits_gates_retries_and_its_kind() {
    let mut gates = Gates::default();
    gates.record("cargo test", 1);
    let patch = "*** Begin Patch\n*** Update File: src/a.rs\n+*** Add File: no.py\n*** Add File: b.TOML\n*** End Patch";
    for layout in layouts() {
        let reply = assistant(2000, TOKENS, "tool-calls")
            .with("agent", json!("plan"))
            .tool("bash", json!({"command": "cargo test"}), json!({"exit": 1}))
            .tool("bash", json!({"command": "cargo clippy"}), json!({"exit": null}))
            .tool("write", json!({"filePath": "C:\\project\\a.rs", "content": "text"}), json!({}))
            .tool("edit", json!({"filePath": "/project/.gitignore"}), json!({}))
            .tool("apply_patch", json!({"patchText": patch}), json!({}));
        let reply = if layout == Layout::Second {
            reply.with("retry", json!({"attempt": 1}))
        } else {
            reply.part(json!({"type": "retry", "attempt": 1}))
        };
        let turn = turns(&Store::with(layout, &[user(1000), reply])).remove(0);
        assert_eq!(turn.gates, gates, "{layout:?}");
        assert_eq!(
            turn.edits.into_iter().collect::<Vec<_>>(),
            [("rs".to_owned(), 2), ("toml".to_owned(), 1)]
        );
        assert_eq!((turn.retries, turn.task_type), (1, TaskType::Planning));
        assert_eq!((turn.started, turn.ended), (1000, 3000));
        assert_eq!(turn.project.as_deref(), Some("project"));
    }
}
