use serde_json::json;

use super::{
    layouts, read,
    store::{Layout, Store, assistant, user},
    turns, usage,
};
use crate::{End, Usage};

#[test]
fn usage_of_the_database_is_not_zero() {
    let messages = [
        user(1000),
        assistant(2000, [800, 30, 10, 200, 7], "tool-calls"),
        assistant(4000, [200, 25, 5, 1300, 0], "stop"),
    ];
    let expected = Usage {
        input: 1000,
        output: 55,
        reasoning: 15,
        cache_read: 1500,
        cache_write: 7,
        ..Usage::default()
    };
    let files = turns(&Store::with(Layout::Files, &messages));
    for layout in layouts() {
        let turns = turns(&Store::with(layout, &messages));
        assert_eq!(usage(&turns[0]), expected, "{layout:?}");
        assert_eq!(turns[0].requests[0].cost_microdollars, Some(250_000));
        assert_eq!(turns, files, "{layout:?}");
    }
}

#[test]
fn stored_cost_of_zero_is_not_free() {
    let cost = |tokens, cost| {
        let message = assistant(2000, tokens, "stop").with("cost", cost);
        let turns = turns(&Store::with(Layout::Files, &[user(1000), message]));
        turns[0].requests.first().map(|request| request.cost_microdollars)
    };
    assert_eq!(cost([100, 10, 0, 0, 0], json!(0)), Some(None));
    assert_eq!(cost([100, 10, 0, 0, 0], json!(0.0)), Some(None));
    assert_eq!(cost([100, 10, 0, 0, 0], json!(0.0042)), Some(Some(4200)));
    assert_eq!(cost([0, 0, 0, 0, 0], json!(0.0042)), Some(Some(4200)));
    assert_eq!(cost([0, 0, 0, 0, 0], json!(0)), None);
    assert_eq!(cost([100, 10, 0, 0, 0], json!({"input": 24, "output": 8})), Some(None));
}

#[test]
fn reasoning_in_output_is_not_counted_twice() {
    for (total, output, cost) in [
        // Output with the reasoning, as the total of the provider shows.
        (json!(1050), 40, None),
        // The same, for providers whose total is without the cache.
        (json!(850), 40, None),
        (json!(1060), 50, Some(250_000)),
        (json!(0), 50, Some(250_000)),
        (json!(null), 50, Some(250_000)),
    ] {
        let mut message = assistant(2000, [800, 50, 10, 200, 0], "stop");
        message.value["tokens"]["total"] = total.clone();
        let turns = turns(&Store::with(Layout::Files, &[user(1000), message]));
        let request = &turns[0].requests[0];
        assert_eq!((request.usage.output, request.usage.reasoning), (output, 10), "{total}");
        assert_eq!(request.cost_microdollars, cost, "{total}");
    }
}

#[test]
fn message_with_several_steps_has_the_tokens_of_each() {
    let finish = |tokens: [u64; 2], cost: f64, reason: &str| {
        let [input, output] = tokens;
        let tokens = json!({"input": input, "output": output, "reasoning": 0, "cache": {"read": 0, "write": 0}});
        json!({"type": "step-finish", "reason": reason, "cost": cost, "tokens": tokens})
    };
    let message = assistant(2000, [300, 30, 0, 0, 0], "stop")
        .with("finish", json!(null))
        .with("cost", json!(0.3))
        .part(json!({"type": "step-start"}))
        .tool("read", json!({"filePath": "/a"}), json!({}))
        .part(finish([100, 10], 0.1, "tool-calls"))
        .part(json!({"type": "step-start"}))
        .part(finish([300, 30], 0.2, "stop"));
    for layout in layouts().into_iter().filter(|layout| *layout != Layout::Second) {
        let turns = turns(&Store::with(layout, &[user(1000), message.clone()]));
        assert_eq!(usage(&turns[0]), Usage { input: 400, output: 40, ..Usage::default() });
        let costs: Vec<_> =
            turns[0].requests.iter().map(|request| request.cost_microdollars).collect();
        assert_eq!(costs, [Some(100_000), Some(200_000)]);
        assert_ne!(turns[0].requests[0].id, turns[0].requests[1].id);
        assert_eq!(turns[0].end, End::Stopped);
    }
}

#[test]
fn fields_of_unexpected_types_do_not_lose_the_message() {
    let message = assistant(2000, [100, 10, 0, 0, 0], "stop")
        .with("path", json!("C:\\Users\\user\\project"))
        .with("mode", json!(["chat"]))
        .with("finish", json!({"unified": "stop"}))
        .with("error", json!(null))
        .with("model", json!(7));
    let store = Store::with(Layout::Files, &[user(1000), message]);
    let found = read(&store.logs()[0]);
    assert_eq!(found.turns[0].project.as_deref(), Some("project"));
    assert_eq!(usage(&found.turns[0]).total(), 110);
    assert_eq!(found.bad_lines, 0);
}

#[test]
fn field_of_any_other_type_loses_itself_only() {
    let message =
        || {
            assistant(2000, [100, 10, 0, 0, 0], "stop")
                .with("error", json!({"name": "APIError"}))
                .tool("bash", json!({"command": "ls"}), json!({"exit": 0}))
        };
    let keys: Vec<_> = message().value.as_object().unwrap().keys().cloned().collect();
    let values = [
        json!(null),
        json!("[trimmed for fixture]"),
        json!(-1.5),
        json!(1e300),
        json!([[]]),
        json!({"a": 1}),
    ];
    for key in keys.into_iter().filter(|key| key != "id" && key != "role" && key != "tokens") {
        for value in &values {
            let store = Store::with(Layout::Files, &[user(1000)]);
            let changed = message().with(&key, value.clone());
            store.write("storage/message/ses_1/msg_2000.json", &changed.value);
            store
                .write("storage/part/msg_2000/prt_0.json", &json!({"type": value, "state": value}));
            store.write(
                "storage/part/msg_2000/prt_1.json",
                &json!({"type": "tool", "tool": "bash", "state": {"input": value}}),
            );
            let found = read(&store.logs()[0]);
            assert_eq!(usage(&found.turns[0]).total(), 110, "{key}: {value}");
            assert_eq!((found.turns.len(), found.bad_lines), (1, 0), "{key}: {value}");
        }
    }
}

#[test]
fn numbers_that_are_too_large_do_not_overflow() {
    let reply = |at| assistant(at, [1 << 60; 5], "tool-calls");
    let reply = |at| reply(at).with("retry", json!({"attempt": 1e300})).with("cost", json!(1e300));
    let messages: Vec<_> = [user(0)].into_iter().chain((1..6).map(reply)).collect();
    for layout in layouts() {
        let turn = turns(&Store::with(layout, &messages)).remove(0);
        assert_eq!((usage(&turn).total(), turn.retries), (u64::MAX, u64::MAX), "{layout:?}");
    }
}
