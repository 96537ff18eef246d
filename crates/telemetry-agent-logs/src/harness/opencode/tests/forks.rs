use std::collections::BTreeSet;

use serde_json::json;

use super::{
    layouts,
    store::{Layout, Message, Store, assistant, user},
    turns, usage,
};
use crate::Turn;
#[cfg(feature = "opencode-db")]
use crate::{Checkpoint, Found, Harness, harness::opencode::Opencode};

fn history() -> Vec<Message> {
    vec![
        user(1000),
        assistant(2000, [800, 30, 10, 200, 0], "tool-calls"),
        assistant(4000, [200, 25, 5, 1300, 0], "stop"),
        user(10_000),
        assistant(11_000, [100, 5, 0, 0, 0], "stop"),
    ]
}

/// The messages under new ids, as a fork has them.
fn copies(messages: &[Message], name: &str) -> Vec<Message> {
    let copy =
        |message: &Message| message.clone().with("id", json!(format!("{}_{name}", message.id())));
    messages.iter().map(copy).collect()
}

/// The sum of all tokens of turns and requests that are not copies.
fn total(turns: &[Turn]) -> u64 {
    let requests = turns.iter().flat_map(|turn| &turn.requests);
    let mut seen = BTreeSet::new();
    requests.filter(|request| seen.insert(&request.id)).map(|request| request.usage.total()).sum()
}

#[test]
fn copies_in_a_fork_have_the_keys_and_ids_of_their_origins() {
    for layout in layouts() {
        let store = Store::with(layout, &history());
        store.session("ses_2", None);
        store.add("ses_2", &copies(&history()[..3], "fork"));
        store.add("ses_2", &[user(20_000), assistant(21_000, [7, 1, 0, 0, 0], "stop")]);
        let turns = turns(&store);
        assert_eq!(turns.len(), 4, "{layout:?}");
        assert_eq!(turns[2].key, turns[0].key, "{layout:?}");
        assert_eq!(turns[2].requests, turns[0].requests, "{layout:?}");
        let keys: BTreeSet<_> = turns.iter().map(|turn| &turn.key).collect();
        assert_eq!(keys.len(), 3, "{layout:?}");
        assert_eq!(total(&turns), 1040 + 1530 + 105 + 8, "{layout:?}");
    }
}

#[test]
fn copy_that_ends_within_a_turn_has_its_key() {
    let store = Store::with(Layout::Files, &history());
    store.session("ses_2", None);
    store.add("ses_2", &copies(&history()[..2], "fork"));
    let turns = turns(&store);
    assert_eq!(turns[2].key, turns[0].key);
    assert_eq!(total(&turns), 1040 + 1530 + 105);
}

#[test]
fn turns_at_other_times_or_with_other_tokens_have_other_keys() {
    let turns = |prompt, reply, tokens| {
        turns(&Store::with(Layout::Files, &[user(prompt), assistant(reply, tokens, "stop")]))
    };
    let key = |prompt, reply, tokens| turns(prompt, reply, tokens)[0].key.clone();
    let keys = [
        key(1000, 2000, [1, 2, 0, 0, 0]),
        key(1001, 2000, [1, 2, 0, 0, 0]),
        key(1000, 2001, [1, 2, 0, 0, 0]),
        key(1000, 2000, [1, 3, 0, 0, 0]),
        key(1000, 2000, [1, 2, 0, 0, 1]),
    ];
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[cfg(feature = "opencode-db")]
#[test]
fn migrated_session_is_counted_once() {
    let store = Store::with(Layout::Second, &history());
    let connection = store.connect();
    connection
        .execute("INSERT INTO session VALUES ('ses_1', NULL, '/home/user/project', 1)", [])
        .unwrap();
    for message in &history() {
        let values = rusqlite::params![
            message.id(),
            message.value["time"]["created"].as_i64(),
            message.value.to_string()
        ];
        connection.execute("INSERT INTO message VALUES (?1, 'ses_1', ?2, ?2, ?3)", values).unwrap();
    }
    store.add("ses_1", &[user(20_000), assistant(21_000, [7, 1, 0, 0, 0], "stop")]);
    let found = turns(&store);
    assert_eq!(found.len(), 3);
    assert_eq!(total(&found), 1040 + 1530 + 105 + 8);

    let before = turns(&Store::with(Layout::Files, &history()));
    assert_eq!(found[..2], before[..], "the keys are those of the files");
}

#[cfg(feature = "opencode-db")]
#[test]
fn session_that_a_version_writes_to_both_tables_is_counted_once() {
    let store = Store::with(Layout::First, &history());
    // The events of the second tables are a moment later.
    store.add_row("ses_1", "msg_1", "user", 1001, &json!({"time": {"created": 1001}}));
    let reply = json!({"time": {"created": 2001, "completed": 3001}, "tokens": {"input": 800}, "finish": "stop"});
    store.add_row("ses_1", "msg_2", "assistant", 2001, &reply);
    store.add_row("ses_1", "msg_3", "user", 90_000, &json!({"time": {"created": 90_000}}));
    let log = &store.logs()[0];
    let mut found = Found::default();
    let checkpoint = Opencode.read(log, &Checkpoint::default(), &mut found).unwrap();
    assert_eq!(found.turns, turns(&Store::with(Layout::Files, &history())));

    store.add("ses_1", &[user(20_000)]);
    let mut later = Found::default();
    Opencode.read(log, &checkpoint, &mut later).unwrap();
    assert_eq!(later.turns.iter().map(|turn| turn.started).collect::<Vec<_>>(), [20_000]);
    let changes =
        "DELETE FROM message WHERE id = 'msg_20000'; UPDATE message SET time_updated = 99999";
    store.connect().execute_batch(changes).unwrap();
    let mut later = Found::default();
    Opencode.read(log, &checkpoint, &mut later).unwrap();
    assert_eq!(later.turns, []);
}

#[test]
fn session_of_a_sub_agent_is_a_part_of_the_session_of_a_person() {
    for layout in layouts() {
        let store = Store::with(layout, &history()[..3]);
        store.session("ses_2", Some("ses_1"));
        store.add(
            "ses_2",
            &copies(&[user(2500), assistant(2600, [400, 7, 0, 0, 0], "stop")], "child"),
        );
        store.session("ses_3", Some("ses_2"));
        store.add(
            "ses_3",
            &copies(&[user(2700), assistant(2800, [40, 8, 0, 0, 0], "stop")], "grandchild"),
        );
        let turns = turns(&store);
        assert_eq!(turns.len(), 3, "{layout:?}");
        assert!(!turns[0].is_part && turns[0].requests[0].is_main_loop);
        assert_eq!(
            usage(&turns[0]).total(),
            1040 + 1530,
            "the parent does not have the tokens of its children"
        );
        for (turn, total) in [(&turns[1], 407), (&turns[2], 48)] {
            assert!(turn.is_part && !turn.requests[0].is_main_loop, "{layout:?}");
            assert_eq!((turn.session.as_str(), turn.key.as_str()), ("ses_1", ""), "{layout:?}");
            assert_eq!(usage(turn).total(), total);
        }
    }
}
