use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::json;

use super::{
    super::Opencode,
    layouts, read,
    store::{Layout, Message, Store, assistant, user},
    turns,
};
use crate::{Checkpoint, Found, Harness, Turn};

fn messages() -> Vec<Message> {
    let unfinished = assistant(40_000, [3, 1, 0, 0, 0], "stop").with("finish", json!(null));
    vec![
        user(1000),
        assistant(2000, [800, 30, 10, 200, 0], "tool-calls").tool(
            "bash",
            json!({"command": "ls"}),
            json!({"exit": 0}),
        ),
        assistant(4000, [200, 25, 5, 1300, 0], "stop"),
        user(10_000),
        assistant(11_000, [100, 5, 0, 0, 0], "tool-calls"),
        user(20_000),
        assistant(21_000, [100, 6, 0, 0, 0], "stop"),
        user(30_000),
        unfinished,
        assistant(50_000, [4, 2, 0, 0, 0], "stop"),
    ]
}

/// Reads logs as they grow.
#[derive(Default)]
struct Scanner {
    checkpoints: BTreeMap<PathBuf, Checkpoint>,
    closed: Vec<Turn>,
    open: Vec<Turn>,
}

impl Scanner {
    fn scan(&mut self, store: &Store) {
        self.open.clear();
        for log in store.logs() {
            let checkpoint = self.checkpoints.entry(log.clone()).or_default();
            let mut found = Found::default();
            *checkpoint = Opencode.read(&log, checkpoint, &mut found).unwrap();
            for turn in found.turns {
                let turns = if turn.end.is_open() { &mut self.open } else { &mut self.closed };
                turns.push(turn);
            }
        }
    }

    fn turns(&self) -> Vec<Turn> {
        let mut turns = [&self.closed[..], &self.open].concat();
        turns.sort_by(|a, b| (&a.session, a.started).cmp(&(&b.session, b.started)));
        turns
    }
}

#[test]
fn scan_after_each_message_finds_what_one_scan_finds() {
    for layout in layouts() {
        let store = Store::new(layout);
        let mut scanner = Scanner::default();
        for session in ["ses_1", "ses_2"] {
            store.session(session, None);
        }
        for message in messages() {
            let running = match message.value["role"].as_str() {
                Some("assistant") => message
                    .clone()
                    .with("time", json!({"created": message.value["time"]["created"]})),
                _ => message.clone(),
            };
            for state in [running, message] {
                for session in ["ses_1", "ses_2"] {
                    let id = format!("{}_{session}", state.id());
                    store.add(session, &[state.clone().with("id", json!(id))]);
                    scanner.scan(&store);
                    let mut expected = turns(&store);
                    expected.sort_by(|a, b| (&a.session, a.started).cmp(&(&b.session, b.started)));
                    assert_eq!(scanner.turns(), expected, "{layout:?}");
                }
            }
        }
        assert_eq!(scanner.closed.len(), 8, "each is found once");
        let closed = scanner.closed.clone();
        scanner.scan(&store);
        assert_eq!(scanner.closed, closed);
    }
}

#[test]
fn scan_after_each_message_of_compactions_finds_what_one_scan_finds() {
    let compaction = |at, is_automatic| {
        let order = user(at).only(json!({"type": "compaction", "auto": is_automatic}));
        [order, assistant(at + 1, [5000, 50, 0, 0, 0], "stop").with("summary", json!(true))]
    };
    let go_on = |at| user(at).only(json!({"type": "text", "text": "text", "synthetic": true}));
    let mut messages = vec![user(1000), assistant(2000, [1, 2, 0, 0, 0], "tool-calls")];
    messages.extend(compaction(3000, true));
    messages.extend([go_on(4000), assistant(5000, [3, 4, 0, 0, 0], "stop")]);
    // After the end of a turn: automatic, and by a person.
    messages.extend(compaction(6000, true));
    messages.extend([go_on(7000), assistant(8000, [5, 6, 0, 0, 0], "stop")]);
    messages.extend(compaction(9000, false));
    messages.extend([user(10_000), assistant(11_000, [7, 8, 0, 0, 0], "stop")]);

    let store = Store::new(Layout::Files);
    store.session("ses_1", None);
    let mut scanner = Scanner::default();
    for message in &messages {
        store.add("ses_1", std::slice::from_ref(message));
        scanner.scan(&store);
        assert_eq!(scanner.turns(), turns(&store));
    }
    let is_part: Vec<_> = scanner.closed.iter().map(|turn| turn.is_part).collect();
    assert_eq!(is_part, [false, true, true, false]);
}

#[test]
fn change_of_a_session_shows_in_what_is_watched() {
    let store = Store::with(Layout::Files, &messages());
    let storage = store.root().join("storage");
    let log = &store.logs()[0];
    let watched = Opencode.watched(log);
    assert!(watched.contains(log));
    for path in ["message/ses_1", "message/ses_1/msg_50000.json", "part/msg_50000"] {
        assert!(watched.contains(&storage.join(path)), "{path}");
    }
    assert!(watched.len() < messages().len());

    let database = store.root().join("opencode.db");
    assert_eq!(Opencode.watched(&database), [database, store.root().join("opencode.db-wal")]);
}

#[cfg(feature = "opencode-db")]
#[test]
fn database_is_read_while_it_is_written_and_not_changed() {
    let store = Store::with(Layout::First, &messages());
    let database = store.root().join("opencode.db");
    let writer = store.connect();
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    store.add("ses_1", &[user(60_000), assistant(61_000, [9, 1, 0, 0, 0], "stop")]);
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM message").unwrap();
    let files =
        || [&database, &database.with_extension("db-wal")].map(|path| fs::read(path).unwrap());
    let before = files();

    assert_eq!(read(&database).turns.len(), 5);

    assert!(files() == before, "the files have not changed");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(read(&database).turns.len(), 0);
}

#[cfg(feature = "opencode-db")]
#[test]
fn damaged_database_is_an_error_without_turns() {
    let store = Store::with(Layout::First, &messages());
    let database = store.root().join("opencode.db");
    let bytes = fs::read(&database).unwrap();
    for (name, bytes) in [
        ("no.db", &b"not a database, but a text of some length"[..]),
        ("cut.db", &bytes[..bytes.len() / 2]),
    ] {
        let path = store.root().join(name);
        fs::write(&path, bytes).unwrap();
        let mut found = Found::default();
        assert!(Opencode.read(&path, &Checkpoint::default(), &mut found).is_err(), "{name}");
        assert_eq!(found, Found::default(), "{name}");
    }
    assert!(
        Opencode
            .read(&store.root().join("missing.db"), &Checkpoint::default(), &mut Found::default())
            .is_err()
    );

    let empty = store.root().join("empty.db");
    fs::write(&empty, b"").unwrap();
    assert_eq!(read(&empty), Found::default());
}

#[cfg(feature = "opencode-db")]
#[test]
fn locked_database_is_an_error() {
    let store = Store::with(Layout::First, &messages());
    let writer = store.connect();
    writer.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").unwrap();
    let mut found = Found::default();
    let error = Opencode.read(&store.logs()[0], &Checkpoint::default(), &mut found).unwrap_err();
    assert_eq!(error.to_string(), "database is locked");
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(read(&store.logs()[0]).turns.len(), 4);
}

#[test]
fn damaged_files_are_counted_and_passed_over() {
    let store = Store::with(Layout::Files, &messages());
    fs::write(store.root().join("storage/message/ses_1/msg_1.json"), "{\"role\":").unwrap();
    fs::write(store.root().join("storage/part/msg_2000/prt_9.json"), "").unwrap();
    let found = read(&store.logs()[0]);
    assert_eq!((found.turns.len(), found.bad_lines), (4, 2));

    fs::write(&store.logs()[0], "{").unwrap();
    let found = read(&store.logs()[0]);
    assert_eq!((found.turns.len(), found.bad_lines), (0, 1));
    fs::write(&store.logs()[0], "{\"id\": \"../../ses_1\"}").unwrap();
    assert_eq!(read(&store.logs()[0]), Found::default(), "ids lead nowhere else");
}
