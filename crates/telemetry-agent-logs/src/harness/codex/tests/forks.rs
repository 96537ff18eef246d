use super::*;

// Made at 10:00:00 and later on the day of the lines.
const PARENT: &str = "01a21700-0000-7000-8000-000000000001";
const PARENT_TURN: &str = "01a21700-1000-7000-8000-000000000002";
const FORK: &str = "01a21800-0000-7000-8000-000000000003";
const FORK_TURN: &str = "01a21800-0001-7000-8000-000000000004";

/// The lines of the other session as a fork has them: with its ids, and with timestamps of the copy.
fn copy(turn: &str) -> String {
    meta(PARENT, "")
        + &start(0, turn)
        + &event(0, "user_message", r#","message":"x""#)
        + &count(0, [5000, 0, 50, 0], [5000, 0, 50, 0])
        + &count(0, [9000, 4000, 90, 0], [4000, 4000, 40, 0])
        + &complete(0, turn)
}

#[test]
fn fork_does_not_replay_its_parent() {
    let forked = format!(r#","forked_from_id":"{PARENT}""#);
    for (fork, fields, parent_turn, turn) in [
        (FORK, &*forked, PARENT_TURN, FORK_TURN),
        // Without `forked_from_id`, and without ids that tell the time.
        (FORK, "", PARENT_TURN, FORK_TURN),
        ("fork", &*forked, "1", "2"),
        ("fork", "", "1", "2"),
    ] {
        let log = meta(fork, fields)
            + &copy(parent_turn)
            + &start(1, turn)
            + &count(5, [9000, 4000, 90, 0], [4000, 4000, 40, 0])
            + &count(9, [9500, 4100, 95, 0], [500, 100, 5, 0])
            + &complete(10, turn);
        let found = read_one(&log);
        assert_eq!(found.key, format!("{fork}/{turn}"));
        assert_eq!(total([&found]), usage(400, 100, 5, 0), "{log}");
        assert!(!found.is_part && !found.notes.has_unknown_usage);
    }
}

#[test]
fn fork_of_an_old_version_does_not_replay_its_parent() {
    let log = meta("fork", r#","forked_from_id":"parent""#)
        + &meta("parent", "")
        + &event(0, "user_message", r#","message":"x""#)
        + &count(0, [5000, 0, 50, 0], [5000, 0, 50, 0])
        + &event(0, "user_message", r#","message":"x""#)
        + &count(0, [9000, 4000, 90, 0], [4000, 4000, 40, 0])
        + &event(7, "user_message", r#","message":"x""#)
        + &count(9, [9500, 4100, 95, 0], [500, 100, 5, 0]);
    let turn = read_one(&log);
    assert_eq!(turn.key, "fork/#2");
    assert_eq!(total([&turn]), usage(400, 100, 5, 0));
}

#[test]
fn records_of_another_session_are_not_counted() {
    let log = meta(FORK, &format!(r#","forked_from_id":"{PARENT}""#))
        + &record(0, PARENT, PARENT_TURN, "a", [5000, 0, 50, 0])
        + &start(1, FORK_TURN)
        + &record(2, PARENT, PARENT_TURN, "b", [5000, 0, 50, 0])
        + &record(3, FORK, FORK_TURN, "c", [100, 0, 10, 0]);
    assert_eq!(total(&read(&log)), usage(100, 0, 10, 0));
}

#[test]
fn sub_agents_are_parts_of_the_session_of_the_person() {
    let spawn =
        r#","source":{"subagent":{"thread_spawn":{"parent_thread_id":"parent","depth":1}}}"#;
    for (fields, parent) in [
        (r#","parent_thread_id":"parent""#, "parent"),
        (r#","parent_thread_id":"middle","session_id":"root""#, "root"),
        (spawn, "parent"),
        (r#","source":{"subagent":"review"},"forked_from_id":"parent""#, "parent"),
        (r#","source":{"subagent":"review"}"#, FORK),
        (r#","thread_source":"subagent","session_id":"root""#, "root"),
    ] {
        let log = meta(FORK, fields)
            + &start(1, FORK_TURN)
            + &record(3, FORK, FORK_TURN, "c", [100, 0, 10, 0])
            + &complete(4, FORK_TURN);
        let turn = read_one(&log);
        assert!(turn.is_part && turn.key.is_empty(), "{fields}");
        assert_eq!(turn.session, parent, "{fields}");
        assert!(!turn.requests[0].is_main_loop, "{fields}");
    }
    for fields in [r#","source":"cli""#, r#","source":"exec","thread_source":"user""#] {
        let turn = read_one(&(meta(FORK, fields) + &start(1, FORK_TURN)));
        assert!(!turn.is_part && turn.session == FORK, "{fields}");
    }
}

#[test]
fn session_that_the_log_does_not_name_is_that_of_the_file() {
    let turn = read_one(&start(1, "t"));
    assert_eq!(turn.key, "by-name/t");
    for (name, session) in [
        (
            "rollout-2026-11-26T17-58-01-01a21901-da55-7f82-a60e-894754c0e78d.jsonl",
            "01a21901-da55-7f82-a60e-894754c0e78d",
        ),
        (
            "rollout-2026-11-26T17-58-01-01a21901-da55-7f82-a60e-894754c0e78d.jsonl.zst",
            "01a21901-da55-7f82-a60e-894754c0e78d",
        ),
        ("notes.jsonl", "notes"),
        (
            "notés-é-0123456789-0123456789-0123456789.jsonl",
            "notés-é-0123456789-0123456789-0123456789",
        ),
    ] {
        assert_eq!(session_of(name), session);
    }
}

#[test]
fn roots_and_logs_are_those_of_codex() {
    let mut environment = Environment { home: "/home/a".into(), ..Environment::default() };
    let roots = |it: &Environment| Codex.roots(it);
    let at =
        |home: &str| [Path::new(home).join("sessions"), Path::new(home).join("archived_sessions")];
    assert_eq!(roots(&environment), at("/home/a/.codex"));
    environment.variables.insert("CODEX_HOME".into(), "/b".into());
    assert_eq!(roots(&environment), at("/b"));
    for (path, is_log) in [
        ("2026/11/26/rollout-a.jsonl", true),
        ("rollout-a.jsonl.zst", cfg!(feature = "zstd")),
        ("rollout-a.json", false),
        ("rollout-a.jsonl.tmp", false),
        ("", false),
    ] {
        assert_eq!(Codex.is_log(Path::new(path)), is_log, "{path}");
    }
}
