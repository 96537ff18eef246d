use telemetry_model::TaskType;

use super::*;
use crate::Gates;

#[test]
fn fixtures_give_what_the_server_sent() {
    for (name, end, duration, requests, expected) in [
        (PASS, End::Stopped, 371, 3, usage(4269, 633, 144, 18)),
        (FAIL, End::Stopped, 295, 2, usage(2740, 211, 92, 9)),
        (INTERRUPTED, End::Interrupted, 5890, 1, usage(1317, 0, 44, 3)),
        (V146, End::Interrupted, 10, 1, usage(12757, 3584, 18, 63)),
    ] {
        let found = read_fixture(name);
        let turn = &found.turns[0];
        assert_eq!(turn.end, end, "{name}");
        assert_eq!(turn.duration_ms, Some(duration), "{name}");
        assert_eq!(turn.requests.len(), requests, "{name}");
        assert_eq!(total([turn]), expected, "{name}");
        assert_eq!(turn.context_window, Some(258_400), "{name}");
        assert_eq!(turn.project.as_deref(), Some("demo"), "{name}");
        assert_eq!(found.bad_lines, 0, "{name}");
    }
}

#[test]
fn turn_of_a_current_version_is_read_in_full() {
    let found = read_fixture(FAIL);
    let [turn] = &*found.turns else { panic!("{found:#?}") };
    assert_eq!(
        turn.key,
        "01a21901-e054-7763-948e-f704db15e853/01a21901-e065-7661-b763-83c27a119ce5"
    );
    assert_eq!(turn.session, "01a21901-e054-7763-948e-f704db15e853");
    assert_eq!((turn.started, turn.ended), (1_795_715_883_117, 1_795_715_883_407));
    assert!(!turn.is_part);
    assert_eq!(turn.notes, crate::Notes::default());
    let [first, second] = &*turn.requests else { panic!("{turn:#?}") };
    assert_eq!(first.id, "01a21901-e065-7661-b763-83c27a119ce5/resp_1");
    assert_eq!(first.model, "gpt-5-codex");
    assert_eq!((first.at, second.at), (1_795_715_883_152, 1_795_715_883_405));
    assert!(first.is_main_loop);
    let mut gates = Gates::default();
    gates.record("npm test", 1);
    assert_eq!(turn.gates, gates);
}

#[test]
fn every_split_of_a_fixture_finds_the_same() {
    for name in FIXTURES {
        assert_every_split_finds_the_same(&std::fs::read(fixture(name)).unwrap());
    }
    let all: Vec<u8> =
        [PASS, FAIL].iter().flat_map(|it| std::fs::read(fixture(it)).unwrap()).collect();
    assert_every_split_finds_the_same(&all);
}

#[test]
fn checkpoint_holds_no_id() {
    let mut found = Found::default();
    let next = Codex.read(&fixture(PASS), &Checkpoint::default(), &mut found).unwrap();
    assert!(next.offset > 0);
    assert!(!next.before.contains("01a21901"), "{}", next.before);
    let mut again = Found::default();
    assert_eq!(Codex.read(&fixture(PASS), &next, &mut again).unwrap(), next);
    assert_eq!(again, found);
}

#[test]
fn legacy_counts_give_no_figures() {
    let found = read_fixture(LEGACY);
    let [turn] = &*found.turns else { panic!("{found:#?}") };
    assert!(turn.requests.is_empty());
    assert!(turn.notes.has_unknown_usage);
    assert_eq!(turn.key, "test-legacy-session/#0");
}

#[test]
fn null_info_says_nothing() {
    let found = read_fixture(NULL_INFO);
    let [turn] = &*found.turns else { panic!("{found:#?}") };
    assert_eq!(total([turn]), usage(1211, 10880, 54, 128));
    assert_eq!(turn.requests.len(), 1);
    assert!(!turn.notes.has_unknown_usage);
    assert_eq!(turn.key, "test-ratelimit-session/#0");
    assert!(read(&(meta("s", "") + &event(1, "token_count", r#","info":null"#))).is_empty());
}

#[test]
fn turns_of_old_versions_start_with_prompts() {
    let log = meta("s", "")
        + &line(1, "turn_context", r#"{"model":"one","cwd":"C:\\work\\other"}"#)
        + &event(1, "user_message", r#","message":"x","kind":"user_instructions""#)
        + &event(2, "user_message", r#","message":"x","kind":"plain""#)
        + &count(3, [100, 0, 10, 0], [100, 0, 10, 0])
        + &line(4, "turn_context", r#"{"model":"two"}"#)
        + &event(5, "user_message", r#","message":"x""#)
        + &item(6, "function_call", r#","call_id":"a","name":"shell","arguments":"{}""#)
        + &count(7, [300, 0, 30, 0], [200, 0, 20, 0])
        + &event(8, "user_message", r#","message":"x""#)
        + &count(9, [600, 0, 60, 0], [300, 0, 30, 0]);
    let turns = read(&log);
    let seen: Vec<_> =
        turns.iter().map(|it| (&*it.key, it.end, it.requests[0].usage.input)).collect();
    assert_eq!(
        seen,
        [("s/#0", End::Unmarked, 100), ("s/#1", End::InToolCall, 200), ("s/#2", End::Open, 300),]
    );
    assert_eq!(turns[0].requests[0].model, "one");
    assert_eq!(turns[1].requests[0].model, "two");
    assert_eq!(turns[0].project.as_deref(), Some("other"));
    assert_eq!(turns[0].ended - turns[0].started, 2000);
    assert_eq!(turns[1].ended - turns[1].started, 2000);
}

#[test]
fn prompt_within_a_turn_steers_it() {
    let log = meta("s", "")
        + &event(1, "user_message", r#","message":"x""#)
        + &start(1, "t")
        + &count(2, [100, 0, 10, 0], [100, 0, 10, 0])
        + &event(3, "user_message", r#","message":"x""#)
        + &complete(4, "t");
    let turn = read_one(&log);
    assert_eq!((&*turn.key, turn.end), ("s/t", End::Stopped));
    assert_eq!(turn.started, 1_795_687_201_000);
}

#[test]
fn ends_are_told_apart() {
    let failed = r#","turn_id":"t","error":{"codex_error_info":"usage_limit_exceeded"}"#;
    let interrupted = r#","turn_id":"t","reason":"interrupted","duration_ms":7"#;
    let error = event(3, "error", r#","message":"x","codex_error_info":"other""#);
    let other_error = event(3, "error", r#","codex_error_info":"thread_rollback_failed""#);
    for (lines, end) in [
        (complete(3, "t"), End::Stopped),
        (event(3, "task_complete", failed), End::Failed),
        (event(3, "turn_aborted", interrupted), End::Interrupted),
        (event(3, "turn_aborted", r#","reason":"replaced""#), End::Interrupted),
        (error.clone() + &complete(4, "t"), End::Failed),
        (other_error + &complete(4, "t"), End::Stopped),
        (error.clone() + &count(4, [3, 0, 3, 0], [1, 0, 1, 0]) + &complete(4, "t"), End::Stopped),
        (error + &start(4, "u"), End::Failed),
        (start(4, "u"), End::Unmarked),
        (complete(3, "another"), End::Open),
        (String::new(), End::Open),
    ] {
        let log = meta("s", "") + &start(1, "t") + &count(2, [2, 0, 2, 0], [2, 0, 2, 0]) + &lines;
        assert_eq!(read(&log)[0].end, end, "{lines}");
    }
}

#[test]
fn task_types_are_those_that_the_log_states() {
    let plan = r#","turn_id":"t","collaboration_mode_kind":"plan""#;
    let context = r#"{"turn_id":"t","collaboration_mode":{"mode":"plan"}}"#;
    let reviewed = r#","turn_id":"t","item":{"type":"EnteredReviewMode","id":"i"}"#;
    for (lines, expected) in [
        (start(1, "t"), TaskType::Unknown),
        (event(1, "task_started", plan), TaskType::Planning),
        (start(1, "t") + &line(2, "turn_context", context), TaskType::Planning),
        (line(1, "turn_context", context) + &start(2, "t"), TaskType::Planning),
        (start(1, "t") + &event(2, "entered_review_mode", ""), TaskType::CodeReview),
        (event(1, "entered_review_mode", "") + &start(2, "t"), TaskType::CodeReview),
        (start(1, "t") + &event(2, "item_completed", reviewed), TaskType::CodeReview),
    ] {
        assert_eq!(read_one(&(meta("s", "") + &lines)).task_type, expected, "{lines}");
    }
    let default = r#","turn_id":"u","collaboration_mode_kind":"default""#;
    let log = meta("s", "") + &event(1, "task_started", plan) + &complete(2, "t");
    let turns = read(&(log + &event(3, "task_started", default)));
    assert_eq!(turns[1].task_type, TaskType::Unknown);
}

#[test]
fn retries_and_models_of_later_requests_are_kept() {
    let log = meta("s", "")
        + &start(1, "t")
        + &line(1, "turn_context", r#"{"turn_id":"t","model":"one"}"#)
        + &count(2, [100, 0, 10, 0], [100, 0, 10, 0])
        + &event(3, "stream_error", r#","message":"x""#)
        + &event(3, "thread_settings_applied", r#","thread_settings":{"model":"two"}"#)
        + &count(4, [200, 0, 20, 0], [100, 0, 10, 0]);
    let turn = read_one(&log);
    assert_eq!(turn.retries, 1);
    let models: Vec<_> = turn.requests.iter().map(|request| &*request.model).collect();
    assert_eq!(models, ["one", "two"]);
}

#[test]
fn service_tier_of_a_request_is_told_by_its_model() {
    let settings = |second, tier: &str| {
        let fields = format!(r#","thread_settings":{{"model":"gpt-5.5","service_tier":{tier}}}"#);
        event(second, "thread_settings_applied", &fields)
    };
    let log = ["\"default\"", "\"fast\"", "\"priority\"", "\"flex\"", "null"]
        .iter()
        .zip(1..)
        .map(|(tier, at)| settings(at, tier) + &record(at, "s", "t", &at.to_string(), [1, 0, 0, 0]))
        .collect::<String>();
    let turn = read_one(&(meta("s", "") + &start(0, "t") + &log));
    let models: Vec<_> = turn.requests.iter().map(|it| &*it.model).collect();
    assert_eq!(models, ["gpt-5.5", "gpt-5.5-fast", "gpt-5.5-fast", "gpt-5.5-flex", "gpt-5.5"]);
}

#[test]
fn fields_of_another_type_do_not_lose_a_record() {
    let log = meta("s", r#","source":7,"git":[],"forked_from_id":null"#)
        + &line(1, "turn_context", r#"{"model":{"name":"x"},"cwd":["a"],"turn_id":3}"#)
        + &event(2, "task_started", r#","turn_id":"t","model_context_window":"big""#)
        + &event(
            3,
            "token_count",
            r#","info":{"total_token_usage":{"input_tokens":5,"cached_input_tokens":null,"output_tokens":"x"},"last_token_usage":[],"model_context_window":{}},"rate_limits":0"#,
        )
        + &event(4, "task_complete", r#","turn_id":"t","duration_ms":"long","error":null"#);
    let turn = read_one(&log);
    assert_eq!(total([&turn]), usage(5, 0, 0, 0));
    assert_eq!((turn.end, turn.duration_ms, turn.context_window), (End::Stopped, None, None));
}

#[test]
fn key_of_a_turn_stays_once_it_has_a_request() {
    let prompt = meta("s", "") + &event(1, "user_message", "");
    let counted = prompt.clone() + &count(2, [9, 0, 1, 0], [9, 0, 1, 0]);
    for (log, key) in [
        (counted.clone() + &complete(3, "t"), "s/#0"),
        (counted + &record(3, "s", "t", "r", [9, 0, 1, 0]) + &complete(4, "t"), "s/#0"),
        (prompt + &record(2, "s", "t", "r", [9, 0, 1, 0]) + &complete(3, "t"), "s/t"),
    ] {
        for end in log.match_indices('\n').map(|(at, _)| at + 1) {
            let (found, _) = read_from(&log.as_bytes()[..end], &Checkpoint::default());
            for turn in found.turns.iter().filter(|turn| !turn.requests.is_empty()) {
                assert_eq!(turn.key, key, "{}", &log[..end]);
            }
        }
        assert_eq!(read_one(&log).key, key);
    }
}

proptest::proptest! {
    #[test]
    fn damaged_log_is_read_as_far_as_possible(
        fixture_at in 0..FIXTURES.len(),
        damages in proptest::collection::vec((0.0..1.0f64, proptest::num::u8::ANY), 1..30),
    ) {
        let mut text = std::fs::read(fixture(FIXTURES[fixture_at])).unwrap();
        for (at, byte) in damages {
            let at = (text.len() as f64 * at) as usize;
            text[at] = byte;
        }
        let (whole, checkpoint) = read_from(&text, &Checkpoint::default());
        let (again, _) = read_from(&text, &checkpoint);
        proptest::prop_assert_eq!(again.turns.last(), whole.turns.last());
    }
}
