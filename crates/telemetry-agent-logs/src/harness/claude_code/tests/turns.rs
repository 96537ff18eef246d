use serde_json::{Value, json};
use telemetry_model::TaskType;

use super::{call, prompt, record, reply, result, turn, turns, user};
use crate::End;

fn with(mut record: Value, field: &str, value: Value) -> Value {
    record[field] = value;
    record
}

/// The end of a turn, once at the end of the log and once before a prompt.
fn ends(records: &[Value]) -> (End, End) {
    let mut records = [&[prompt(0)], records].concat();
    let open = turn(&records).end;
    records.push(prompt(50));
    let turns = turns(&records);
    assert_eq!(turns.len(), 2);
    (open, turns[0].end)
}

#[test]
fn end_in_a_tool_call_is_no_success() {
    let call = || call(1, "c", "Bash", json!({}));
    assert_eq!(ends(&[call()]), (End::OpenInToolCall, End::InToolCall));
    assert_eq!(
        ends(&[call(), result(2, "c", false, json!("ok"))]),
        (End::OpenInToolCall, End::InToolCall)
    );
    let mut ended = call();
    ended["message"]["stop_reason"] = json!("end_turn");
    assert_eq!(ends(&[ended]), (End::OpenInToolCall, End::InToolCall));
}

#[test]
fn preamble_is_no_end_of_a_turn() {
    for (reason, expected) in [
        (json!("end_turn"), (End::Stopped, End::Stopped)),
        (json!("stop_sequence"), (End::Stopped, End::Stopped)),
        (json!("max_tokens"), (End::Stopped, End::Stopped)),
        (json!("refusal"), (End::Stopped, End::Stopped)),
        (json!("tool_use"), (End::OpenInToolCall, End::InToolCall)),
        (json!("pause_turn"), (End::Open, End::Unmarked)),
        (json!("[trimmed for fixture]"), (End::Open, End::Unmarked)),
    ] {
        assert_eq!(ends(&[reply(1, "msg", 5, reason.clone())]), expected, "{reason}");
    }
}

#[test]
fn reply_without_stop_reason_waits_for_the_next_prompt() {
    let reply = || reply(1, "msg", 5, Value::Null);
    assert_eq!(ends(&[reply()]), (End::Open, End::Unmarked));
    let marks = [
        ("turn_duration", json!({ "durationMs": 5 }), End::Stopped),
        ("stop_hook_summary", json!({ "hookErrors": [] }), End::Stopped),
        ("stop_hook_summary", json!({ "hookErrors": ["text"] }), End::Open),
        ("informational", json!({}), End::Open),
    ];
    for (subtype, fields, expected) in marks {
        let mark = with(record("system", 2, fields), "subtype", json!(subtype));
        assert_eq!(ends(&[reply(), mark.clone()]).0, expected, "{mark}");
        assert_eq!(
            ends(&[call(1, "c", "Bash", json!({})), mark.clone()]).0,
            End::OpenInToolCall,
            "{mark}"
        );
    }
}

#[test]
fn interrupt_ends_a_turn_until_the_agent_goes_on() {
    for text in ["[Request interrupted by user]", "[Request interrupted by user for tool use]"] {
        for content in [json!(text), json!([{ "type": "text", "text": text }])] {
            let interrupt = user(3, content);
            let expected = (End::Interrupted, End::Interrupted);
            assert_eq!(ends(&[call(1, "c", "Bash", json!({})), interrupt.clone()]), expected);
            let goes_on = reply(4, "msg", 5, json!("end_turn"));
            assert_eq!(ends(&[interrupt, goes_on]).0, End::Stopped);
        }
    }
}

#[test]
fn api_error_fails_a_turn_until_the_agent_goes_on() {
    let mut error =
        with(reply(1, "msg-e", 0, json!("stop_sequence")), "isApiErrorMessage", json!(true));
    error["message"]["model"] = json!("<synthetic>");
    assert_eq!(ends(&[error.clone()]), (End::Failed, End::Failed));
    assert_eq!(ends(&[error, reply(2, "msg", 5, json!("end_turn"))]).0, End::Stopped);
}

#[test]
fn records_that_no_person_wrote_start_no_turn() {
    let texts = [
        "<local-command-stdout>Text.</local-command-stdout>",
        "<local-command-caveat>Text.</local-command-caveat>",
        "<system-reminder>\nText.\n</system-reminder>",
        "<task-notification>\nText.\n</task-notification>",
        "<bash-input>ls</bash-input>",
        "<bash-stdout>Text.</bash-stdout>",
        "This session is being continued from a previous conversation that ran out of context.",
    ];
    let mut hidden: Vec<_> = texts.map(|text| user(2, json!(text))).into();
    hidden.extend(
        ["isMeta", "isCompactSummary", "isVisibleInTranscriptOnly", "isSidechain"]
            .map(|flag| with(prompt(2), flag, json!(true))),
    );
    hidden.extend([
        result(2, "c", false, json!("ok")),
        user(2, json!([{ "type": "text", "text": "<system-reminder>Text.</system-reminder>" }])),
        user(2, json!([])),
        user(2, json!(5)),
        user(2, Value::Null),
        with(prompt(0), "timestamp", json!("2026-11-26T10:00:02.000Z")),
    ]);
    for record in hidden {
        let turn = turn(&[
            prompt(0),
            reply(1, "a", 5, Value::Null),
            record.clone(),
            reply(3, "b", 6, Value::Null),
        ]);
        assert_eq!(turn.requests.len(), 2, "{record}");
    }
}

#[test]
fn prompts_of_persons_start_turns() {
    for content in [
        json!("Text."),
        json!([{ "type": "text", "text": "Text." }]),
        json!([{ "type": "image", "source": {} }, { "type": "text", "text": "Text." }]),
        json!([{ "type": "text", "text": "<ide_opened_file>x</ide_opened_file>" }, { "type": "text", "text": "Text." }]),
        json!("[trimmed for fixture]"),
    ] {
        let turns = turns(&[prompt(0), reply(1, "a", 5, Value::Null), user(2, content.clone())]);
        assert_eq!(turns.len(), 2, "{content}");
        assert_eq!(turns[1].key, "user-2");
    }
}

#[test]
fn slash_command_starts_a_turn_if_the_agent_works_on_it() {
    let command = |name: &str| {
        let text =
            format!("<command-message>x</command-message>\n<command-name>/{name}</command-name>");
        user(2, json!(text))
    };
    let before = [prompt(0), reply(1, "a", 5, Value::Null)];
    let output = user(3, json!("<local-command-stdout>Text.</local-command-stdout>"));
    let after = reply(4, "b", 6, json!("end_turn"));
    let local = [&before[..], &[command("model"), output.clone(), after.clone()]].concat();
    assert_eq!(turn(&local).requests.len(), 2);
    for (name, expected) in [
        ("make-list", TaskType::Unknown),
        ("review", TaskType::CodeReview),
        ("plugin:code-review", TaskType::CodeReview),
    ] {
        let expanded = with(prompt(3), "isMeta", json!(true));
        let turns = turns(&[&before[..], &[command(name), expanded, after.clone()]].concat());
        assert_eq!(turns.len(), 2, "{name}");
        assert_eq!((turns[1].key.as_str(), turns[1].started), ("user-2", 1_795_687_202_000));
        assert_eq!(turns[1].task_type, expected, "{name}");
    }
    for (name, expected) in
        [("exit", End::Unmarked), ("clear", End::Unmarked), ("model", End::Open)]
    {
        let content = format!("<command-name>/{name}</command-name>");
        let system = record("system", 2, json!({ "subtype": "local_command", "content": content }));
        for last in [command(name), system] {
            assert_eq!(turn(&[&before[..], &[last]].concat()).end, expected, "{name}");
        }
    }
}

#[test]
fn queued_prompt_starts_a_turn_only_if_the_agent_has_stopped() {
    let queued = |mode: &str| {
        let attachment =
            json!({ "type": "queued_command", "commandMode": mode, "prompt": "Text." });
        record("attachment", 3, json!({ "attachment": attachment }))
    };
    let stopped = || reply(1, "a", 5, json!("end_turn"));
    let working = || call(1, "c", "Bash", json!({}));
    for (before, mode, expected) in [
        (stopped(), "prompt", 2),
        (stopped(), "task-notification", 1),
        (reply(1, "a", 5, Value::Null), "prompt", 2),
        (working(), "prompt", 1),
    ] {
        let turns =
            turns(&[prompt(0), before.clone(), queued(mode), reply(4, "b", 6, Value::Null)]);
        assert_eq!(turns.len(), expected, "{before} {mode}");
        assert_eq!(turns.last().unwrap().requests.last().unwrap().id, "req-b");
    }
}

#[test]
fn plan_mode_is_planning_until_the_plan_is_carried_out() {
    let planning = || with(prompt(0), "permissionMode", json!("plan"));
    let plan = || [call(1, "p", "ExitPlanMode", json!({})), result(2, "p", false, json!("ok"))];
    let edit = || {
        [call(3, "e", "Edit", json!({ "file_path": "/a.rs" })), result(4, "e", false, json!("ok"))]
    };
    let task = |records: &[&[Value]]| turn(&records.concat()).task_type;
    assert_eq!(task(&[&[planning()], &plan()]), TaskType::Planning);
    assert_eq!(task(&[&[planning()], &edit(), &plan()]), TaskType::Planning);
    assert_eq!(task(&[&[planning()], &plan(), &edit()]), TaskType::Unknown);
    assert_eq!(task(&[&[prompt(0)], &plan()]), TaskType::Unknown);
}

#[test]
fn system_records_give_duration_retries_and_compactions() {
    let system = |second, subtype: &str, fields| {
        with(record("system", second, fields), "subtype", json!(subtype))
    };
    let turn = turn(&[
        prompt(0),
        system(1, "api_error", json!({ "retryAttempt": 1, "maxRetries": 10 })),
        system(2, "api_error", json!({ "retryAttempt": 2, "maxRetries": 10 })),
        system(3, "compact_boundary", json!({ "compactMetadata": { "trigger": "auto" } })),
        reply(4, "a", 5, json!("end_turn")),
        system(5, "turn_duration", json!({ "durationMs": 3000 })),
        reply(6, "b", 5, json!("end_turn")),
        system(7, "turn_duration", json!({ "durationMs": 500 })),
        system(9, "local_command", json!({ "content": "<command-name>/model</command-name>" })),
    ]);
    assert_eq!((turn.retries, turn.compactions, turn.duration_ms), (2, 1, Some(3500)));
    assert_eq!(turn.ended - turn.started, 7000);
    assert!(turn.notes.has_unknown_usage);
}

#[test]
fn several_sessions_in_a_file_are_told_by_turns() {
    let other = |record| with(record, "sessionId", json!("other"));
    let turns = turns(&[
        prompt(0),
        reply(1, "a", 5, json!("end_turn")),
        other(prompt(2)),
        reply(3, "b", 6, json!("end_turn")),
        other(reply(4, "c", 7, json!("end_turn"))),
    ]);
    let found: Vec<_> = turns.iter().map(|it| (it.session.as_str(), it.requests.len())).collect();
    assert_eq!(found, [("s", 1), ("other", 2)]);
}

#[test]
fn copy_under_a_new_session_has_the_same_keys() {
    let records =
        [prompt(0), reply(1, "a", 5, json!("end_turn")), prompt(2), reply(3, "b", 6, Value::Null)];
    let copies = records.clone().map(|record| with(record, "sessionId", json!("copy")));
    let keys = |records: &[Value]| -> Vec<_> {
        let turns = turns(records);
        turns
            .into_iter()
            .map(|it| (it.key, it.requests.into_iter().map(|it| it.id).collect::<Vec<_>>()))
            .collect()
    };
    assert_eq!(keys(&records), keys(&copies));
}

#[test]
fn project_is_the_last_component_of_any_systems_path() {
    for (cwd, expected) in [
        (json!("/home/user/project"), Some("project")),
        (json!("/home/user/project/"), Some("project")),
        (json!(r"C:\Users\user\project"), Some("project")),
        (json!(r"\\wsl$\home\project\"), Some("project")),
        (json!("/"), None),
        (json!(r"C:\"), None),
        (json!(""), None),
        (json!(5), None),
    ] {
        assert_eq!(
            turn(&[with(prompt(0), "cwd", cwd.clone())]).project.as_deref(),
            expected,
            "{cwd}"
        );
    }
}
