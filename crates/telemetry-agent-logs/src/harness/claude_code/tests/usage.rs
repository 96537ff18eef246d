use serde_json::{Value, json};

use super::{prompt, record, reply, reply_with, turn, turns, usage};
use crate::Usage;

fn changed(mut record: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        match record.pointer_mut(pointer) {
            Some(field) => *field = value.clone(),
            None => record[&pointer[1..]] = value.clone(),
        }
    }
    record
}

#[test]
fn first_streamed_line_does_not_win() {
    for outputs in [[1, 1, 500], [500, 1, 1], [1, 500, 2]] {
        let mut records = vec![prompt(0)];
        records.extend(outputs.map(|output| reply(1, "msg", output, Value::Null)));
        let turn = turn(&records);
        assert_eq!(turn.requests.len(), 1, "{outputs:?}");
        assert_eq!(turn.requests[0].usage.total(), 510, "{outputs:?}");
    }
}

#[test]
fn message_without_request_id_counts_once() {
    let without =
        |output| changed(reply(1, "msg", output, Value::Null), &[("/requestId", Value::Null)]);
    let turn = turn(&[prompt(0), without(1), without(7), without(7)]);
    assert_eq!(turn.requests.len(), 1);
    assert_eq!((turn.requests[0].id.as_str(), turn.requests[0].usage.output), ("msg", 7));
}

#[test]
fn request_without_message_id_counts_once() {
    let without =
        |output| changed(reply(1, "msg", output, Value::Null), &[("/message/id", Value::Null)]);
    let turn = turn(&[prompt(0), without(1), without(7)]);
    assert_eq!(turn.requests.len(), 1);
    assert_eq!((turn.requests[0].id.as_str(), turn.requests[0].usage.output), ("req-msg", 7));
}

#[test]
fn messages_of_a_gateway_with_one_id_count_each() {
    let message = |second, input, request: Value| {
        let usage = json!({ "input_tokens": input, "output_tokens": 3 });
        let message = reply_with(second, "gateway", usage, Value::Null);
        changed(message, &[("/requestId", request)])
    };
    for [first, second] in [[Value::Null, Value::Null], [json!("req-1"), json!("req-2")]] {
        let turn = turn(&[
            prompt(0),
            message(1, 10, first.clone()),
            message(2, 10, first),
            message(3, 25, second.clone()),
            message(4, 25, second),
        ]);
        let inputs: Vec<_> = turn.requests.iter().map(|request| request.usage.input).collect();
        assert_eq!(inputs, [10, 25]);
    }
}

#[test]
fn placeholder_usage_is_flagged_and_not_invented() {
    for (version, expected) in [
        ("2.1.38", true),
        ("2.1.97", true),
        ("1.0.128", true),
        ("2.1.98", false),
        ("2.1.220", false),
        ("2.2.0", false),
        ("10.0.0-beta.1", false),
        ("2.1", false),
        ("[trimmed for fixture]", false),
        ("", false),
    ] {
        let reply = changed(reply(1, "msg", 1, Value::Null), &[("/version", json!(version))]);
        let turn = turn(&[prompt(0), reply]);
        assert_eq!(turn.notes.is_undercounted, expected, "{version}");
        assert_eq!(turn.requests[0].usage.output, 1);
    }
}

#[test]
fn message_replayed_by_a_side_question_counts_for_its_parent() {
    let main = reply(1, "msg", 50, json!("end_turn"));
    let replay = changed(
        main.clone(),
        &[
            ("/isSidechain", json!(true)),
            ("/requestId", json!("req-other")),
            ("/message/usage/output_tokens", json!(60)),
        ],
    );
    let own = changed(reply(3, "msg-own", 5, json!("end_turn")), &[("/isSidechain", json!(true))]);
    for records in
        [[prompt(0), main.clone(), replay.clone(), own.clone()], [prompt(0), replay, main, own]]
    {
        let requests = turn(&records).requests;
        let found: Vec<_> =
            requests.iter().map(|it| (it.id.as_str(), it.usage.output, it.is_main_loop)).collect();
        assert_eq!(found, [("msg", 50, true), ("msg-own", 5, false)]);
    }
}

#[test]
fn inline_sub_agents_are_counted_as_helpers() {
    let side = |record| changed(record, &[("/isSidechain", json!(true))]);
    let turn = turn(&[
        prompt(0),
        side(prompt(1)),
        side(reply(2, "msg-side", 20, json!("end_turn"))),
        reply(3, "msg", 30, Value::Null),
    ]);
    let found: Vec<_> = turn.requests.iter().map(|it| (it.usage.output, it.is_main_loop)).collect();
    assert_eq!(found, [(20, false), (30, true)]);
}

#[test]
fn nested_progress_of_sub_agents_is_not_counted() {
    let nested = reply(1, "msg-nested", 100, Value::Null);
    let progress =
        record("progress", 1, json!({ "data": { "type": "agent_progress", "message": nested } }));
    let found = turn(&[prompt(0), reply(1, "msg", 2, Value::Null), progress]);
    assert_eq!(usage([&found]).output, 2);
}

#[test]
fn cache_of_an_hour_is_counted_apart() {
    let written = |total: Value, details: Value| {
        let usage = json!({
            "input_tokens": 1,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": total,
            "cache_creation": details,
        });
        let usage = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests[0].usage;
        (usage.cache_write, usage.cache_write_1h)
    };
    let details = |minutes, hour| json!({ "ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour });
    for (total, details, expected) in [
        (json!(100), Value::Null, (100, 0)),
        (json!(100), details(22, 78), (22, 78)),
        (json!(100), details(0, 100), (0, 100)),
        (Value::Null, details(22, 78), (22, 78)),
        (json!(100), json!("[trimmed for fixture]"), (100, 0)),
    ] {
        assert_eq!(written(total.clone(), details.clone()), expected, "{total} {details}");
    }
}

fn iteration(kind: &str, model: Value, input: u64, cached: u64, output: u64) -> Value {
    json!({
        "type": kind,
        "model": model,
        "input_tokens": input,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    })
}

#[test]
fn advisor_is_counted_at_its_own_model() {
    let usage = json!({
        "input_tokens": 3,
        "cache_read_input_tokens": 300,
        "output_tokens": 50,
        "iterations": [
            iteration("message", Value::Null, 1, 100, 20),
            iteration("advisor_message", json!("claude-opus-5"), 1000, 0, 70),
            iteration("message", Value::Null, 2, 200, 30),
        ],
    });
    let requests = turn(&[prompt(0), reply_with(1, "msg", usage, json!("end_turn"))]).requests;
    let found: Vec<_> = requests
        .iter()
        .map(|it| (it.id.as_str(), it.model.as_str(), it.usage.total(), it.is_main_loop))
        .collect();
    assert_eq!(
        found,
        [
            ("msg:0", "claude-sonnet-5", 121, true),
            ("msg:advisor:1", "claude-opus-5", 1070, false),
            ("msg", "claude-sonnet-5", 232, true),
        ]
    );
}

#[test]
fn fast_request_is_told_by_its_model() {
    for (speed, model) in [
        (json!("fast"), "claude-sonnet-5-fast"),
        (json!("standard"), "claude-sonnet-5"),
        (Value::Null, "claude-sonnet-5"),
    ] {
        let usage = json!({ "input_tokens": 1, "speed": speed });
        let requests = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests;
        assert_eq!(requests[0].model, model);
    }
}

#[test]
fn utilization_is_of_one_request_and_not_of_all() {
    let twice = json!({
        "input_tokens": 4,
        "cache_read_input_tokens": 543_544,
        "output_tokens": 30,
        "iterations": [
            iteration("message", Value::Null, 2, 270_024, 10),
            iteration("message", Value::Null, 2, 273_520, 20),
        ],
    });
    let turn = turn(&[
        prompt(0),
        reply(1, "msg-1", 5, Value::Null),
        reply_with(2, "msg-2", twice, json!("end_turn")),
    ]);
    let last = turn.requests.iter().rfind(|request| request.is_main_loop).unwrap();
    assert_eq!(last.usage.total_input(), 273_522);
    assert_eq!(usage([&turn]).total_input(), 10 + 543_548);
}

#[test]
fn iterations_that_are_in_the_usage_are_not_added() {
    for iterations in [
        json!([iteration("message", Value::Null, 10, 0, 50)]),
        // A request that was refused, and the one that another model answered.
        json!([
            iteration("message", json!("claude-fable-5"), 10, 0, 50),
            iteration("fallback_message", json!("claude-sonnet-5"), 10, 0, 50),
        ]),
        // Their sum is not the usage, which is what the provider states.
        json!([
            iteration("message", Value::Null, 1, 0, 5),
            iteration("message", Value::Null, 2, 0, 6)
        ]),
        json!([]),
        json!("[trimmed for fixture]"),
        json!(null),
    ] {
        let usage = json!({ "input_tokens": 10, "output_tokens": 50, "iterations": iterations });
        let requests = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests;
        assert_eq!(requests.len(), 1, "{iterations}");
        assert_eq!(requests[0].usage.total(), 60, "{iterations}");
    }
}

#[test]
fn compaction_by_the_server_is_added() {
    let usage = json!({
        "input_tokens": 23_000,
        "output_tokens": 1000,
        "iterations": [
            iteration("compaction", Value::Null, 180_000, 0, 3500),
            iteration("message", Value::Null, 23_000, 0, 1000),
        ],
    });
    let requests = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests;
    let found: Vec<_> = requests.iter().map(|it| (it.usage.total(), it.is_main_loop)).collect();
    assert_eq!(found, [(183_500, false), (24_000, true)]);
}

#[test]
fn thinking_is_a_part_of_the_output() {
    for (thinking, expected) in
        [(json!(30), (20, 30)), (json!(80), (0, 50)), (Value::Null, (50, 0))]
    {
        let usage = json!({
            "input_tokens": 10,
            "output_tokens": 50,
            "output_tokens_details": { "thinking_tokens": thinking },
        });
        let usage = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests[0].usage;
        assert_eq!((usage.output, usage.reasoning), expected, "{thinking}");
    }
}

#[test]
fn local_notices_are_no_requests() {
    let notice = changed(
        reply(1, "msg", 9, json!("stop_sequence")),
        &[("/message/model", json!("<synthetic>"))],
    );
    let found = turns(&[prompt(0), notice]);
    assert_eq!(usage(&found), Usage::default());
}

#[test]
fn numbers_that_are_none_count_nothing() {
    for value in
        [json!("5"), json!(-5), json!(0.5), json!({}), json!([5]), json!(true), Value::Null]
    {
        let usage = json!({ "input_tokens": value, "output_tokens": 3 });
        let requests = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]).requests;
        assert_eq!((requests[0].usage.input, requests[0].usage.output), (0, 3), "{value}");
    }
}

#[test]
fn numbers_that_are_too_large_do_not_overflow() {
    let usage = json!({
        "input_tokens": u64::MAX,
        "output_tokens": u64::MAX,
        "cache_creation_input_tokens": u64::MAX,
        "iterations": [iteration("advisor_message", json!("claude-opus-5"), u64::MAX, 9, u64::MAX)],
    });
    let turn = turn(&[prompt(0), reply_with(1, "msg", usage, Value::Null)]);
    assert_eq!(super::usage([&turn]).total(), u64::MAX);
}
