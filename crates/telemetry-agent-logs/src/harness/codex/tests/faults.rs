use super::*;

#[test]
fn repeated_token_count_is_counted_once() {
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [100, 40, 10, 4], [100, 40, 10, 4])
        + &count(3, [100, 40, 10, 4], [100, 40, 10, 4])
        + &count(4, [300, 90, 30, 9], [200, 50, 20, 5])
        + &complete(5, "t")
        + &start(6, "u")
        // The rate limits changed, and the last request is an estimate now.
        + &count(7, [300, 90, 30, 9], [77, 0, 0, 0])
        + &count(8, [400, 90, 40, 9], [100, 0, 10, 0]);
    let turns = read(&log);
    assert_eq!(total(&turns[..1]), usage(210, 90, 21, 9));
    assert_eq!(total(&turns[1..]), usage(100, 0, 10, 0));
    assert_eq!(turns[0].requests.len(), 2);
}

#[test]
fn usage_of_a_compaction_is_counted_or_noted() {
    let compaction = |response: &str| {
        line(4, "compacted", &format!(r#"{{"message":""{response}}}"#))
            + &event(4, "context_compacted", "")
    };
    let log = meta("s", "") + &start(1, "t") + &count(2, [100, 0, 10, 0], [100, 0, 10, 0]);
    let turn = read_one(&(log + &compaction("")));
    assert!(turn.notes.has_unknown_usage);

    let log = meta("s", "")
        + &start(1, "t")
        + &record(2, "s", "t", "one", [100, 0, 10, 0])
        + &record(3, "s", "t", "two", [5000, 0, 50, 0])
        + &compaction(
            r#","compaction_response_id":"two","latest_token_usage_record":{"response_id":"two"}"#,
        );
    let turn = read_one(&log);
    assert!(!turn.notes.has_unknown_usage);
    assert_eq!(total([&turn]), usage(5100, 0, 60, 0));
    let is_main_loop: Vec<_> = turn.requests.iter().map(|it| it.is_main_loop).collect();
    assert_eq!(is_main_loop, [true, false]);
}

#[test]
fn turn_without_records_of_usage_goes_on_from_the_totals_of_one_with_them() {
    let recorded = meta("s", "")
        + &start(1, "t")
        + &record(2, "s", "t", "one", [100, 40, 10, 4])
        + &count(2, [100, 40, 10, 4], [100, 40, 10, 4])
        + &record(3, "s", "t", "two", [200, 50, 20, 5])
        + &count(3, [300, 90, 30, 9], [200, 50, 20, 5]);
    for (end, expected) in [
        (complete(4, "t"), End::Stopped),
        (event(4, "error", ""), End::Failed),
        // The request was repeated.
        (event(4, "error", "") + &count(5, [300, 90, 31, 9], [0, 0, 1, 0]), End::Unmarked),
    ] {
        let turns = read(&(recorded.clone() + &end + &start(6, "u")));
        assert_eq!((turns[0].end, turns[0].context_window), (expected, Some(1000)), "{end}");
        assert_eq!(total(&turns[..1]), usage(210, 90, 21, 9));
    }
    let later = start(6, "u")
        + &event(
            7,
            "token_count",
            r#","info":{"total_token_usage":{"input_tokens":450,"output_tokens":37,"cached_input_tokens":90,"reasoning_output_tokens":9}}"#,
        );
    let turns = read(&(recorded + &complete(4, "t") + &later));
    assert_eq!(total(&turns[1..]), usage(150, 0, 7, 0));
}

#[test]
fn compaction_that_is_logged_twice_is_counted_once() {
    assert_eq!(read_fixture(V146).turns[0].compactions, 1);
    let log = meta("s", "")
        + &start(1, "t")
        + &line(2, "compacted", r#"{"message":""}"#)
        + &event(2, "context_compacted", "")
        + &event(3, "context_compacted", "")
        + &line(3, "compacted", r#"{"message":""}"#);
    assert_eq!(read_one(&log).compactions, 2);
}

#[test]
fn cached_tokens_are_a_part_of_the_input() {
    let log = meta("s", "") + &start(1, "t") + &count(2, [1000, 900, 10, 0], [1000, 900, 10, 0]);
    let usage = total(&read(&log));
    assert_eq!((usage.input, usage.cache_read, usage.total_input()), (100, 900, 1000));

    let written =
        figures([1000, 600, 10, 0]).replacen('{', r#"{"cache_write_input_tokens":300,"#, 1);
    let log = meta("s", "")
        + &line(1, "token_usage_record", &format!(r#"{{"turn_id":"t","usage":{written}}}"#));
    let usage = total(&read(&log));
    assert_eq!((usage.input, usage.cache_read, usage.cache_write), (100, 600, 300));
}

#[test]
fn reasoning_tokens_are_a_part_of_the_output() {
    let log = meta("s", "") + &start(1, "t") + &count(2, [1000, 0, 81, 63], [1000, 0, 81, 63]);
    let usage = total(&read(&log));
    assert_eq!((usage.output, usage.reasoning, usage.total_output()), (18, 63, 81));
}

#[test]
fn context_is_that_of_the_last_request_not_the_total() {
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [700, 0, 10, 0], [700, 0, 10, 0])
        + &count(3, [1500, 700, 20, 0], [800, 700, 10, 0]);
    let turn = read_one(&log);
    assert_eq!(turn.requests.last().unwrap().usage.total_input(), 800);
    assert_eq!(turn.context_window, Some(1000));
}

#[cfg(feature = "zstd")]
#[test]
fn compressed_session_is_read_unless_the_plain_one_is_there() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    let folder = crate::harness::testing::Folder::new();
    let text: Vec<u8> =
        [PASS, FAIL].iter().flat_map(|it| std::fs::read(fixture(it)).unwrap()).collect();
    let (expected, last) = read_from(&text, &Checkpoint::default());
    let (first, second) = text.split_at(5000);
    let mut frames = compress_to_vec(first, CompressionLevel::Fastest);
    frames.extend(compress_to_vec(second, CompressionLevel::Fastest));
    let compressed = folder.write("rollout-a.jsonl.zst", frames);

    let read = |from: &Checkpoint| {
        let mut found = Found::default();
        let next = Codex.read(&compressed, from, &mut found).unwrap();
        (found, next)
    };
    assert_eq!(read(&Checkpoint::default()), (expected.clone(), last.clone()));
    assert_eq!(read(&last).0.turns, expected.turns[1..]);
    folder.write("rollout-a.jsonl", text);
    assert_eq!(read(&Checkpoint::default()), (Found::default(), Checkpoint::default()));
}

#[test]
fn torn_line_does_not_lose_the_record_behind_it() {
    let log = meta("s", "") + &start(1, "t");
    let count = count(2, [100, 0, 10, 0], [100, 0, 10, 0]);
    let torn = r#"{"timestamp":"2026-11-26T10:00:02.000Z","type":"response_item","payload":{"type":"message","con"#;
    let two = complete(3, "t").trim_end().to_owned() + &start(4, "u");
    for (lines, bad_lines) in [
        (torn.to_owned() + &count + &two, 1),
        (torn.to_owned() + "\n" + &count + &two, 1),
        (count.clone() + "\0\0\n" + &two.trim_end().replace('\n', "\r\n") + "\0\0\r\n", 0),
        (count.trim_end().to_owned() + "\0\0" + &two, 1),
        (count.clone() + "no JSON\n" + &two, 1),
    ] {
        let text = log.clone() + &lines;
        let (found, _) = read_from(text.as_bytes(), &Checkpoint::default());
        assert_eq!(found.bad_lines, bad_lines, "{lines}");
        let ends: Vec<_> = found.turns.iter().map(|turn| turn.end).collect();
        assert_eq!(ends, [End::Stopped, End::Open], "{lines}");
        assert_eq!(total(&found.turns), usage(100, 0, 10, 0), "{lines}");
    }
}

#[test]
fn line_without_a_break_is_not_read_yet() {
    let log = meta("s", "") + &start(1, "t") + &count(2, [100, 0, 10, 0], [100, 0, 10, 0]);
    let (found, checkpoint) = read_from(log.trim_end().as_bytes(), &Checkpoint::default());
    assert!(found.turns[0].requests.is_empty());
    let (found, _) = read_from(log.as_bytes(), &checkpoint);
    assert_eq!(total(&found.turns), usage(100, 0, 10, 0));
}

#[test]
fn cumulative_usage_is_counted_by_its_difference() {
    let count = |second, total| {
        event(
            second,
            "token_count",
            &format!(r#","info":{{"total_token_usage":{}}}"#, figures(total)),
        )
    };
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [100, 40, 10, 4])
        + &complete(3, "t")
        + &start(4, "u")
        + &count(5, [100, 40, 10, 4])
        + &count(6, [350, 140, 30, 6]);
    let turns = read(&log);
    assert_eq!(total(&turns[..1]), usage(60, 40, 6, 4));
    assert_eq!(total(&turns[1..]), usage(150, 100, 18, 2));

    let turn = read_one(
        &(meta("s", "") + &start(1, "t") + &count(2, [9, 0, 9, 0]) + &count(3, [5, 0, 5, 0])),
    );
    assert_eq!(total([&turn]), usage(9, 0, 9, 0));
    assert!(turn.notes.has_unknown_usage);
}

#[test]
fn total_that_the_context_window_overwrites_is_no_usage() {
    let overflow = r#","info":{"total_token_usage":{"input_tokens":0,"cached_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0,"total_tokens":1000},"last_token_usage":{"input_tokens":0,"output_tokens":0,"total_tokens":90},"model_context_window":1000}"#;
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [900, 0, 10, 0], [900, 0, 10, 0])
        + &event(3, "token_count", overflow)
        + &event(4, "token_count", overflow)
        + &count(5, [200, 0, 20, 0], [200, 0, 20, 0]);
    let turn = read_one(&log);
    assert_eq!(total([&turn]), usage(1100, 0, 30, 0));
    assert_eq!(turn.requests.len(), 2);
    assert!(!turn.notes.has_unknown_usage);
}

#[test]
fn first_total_of_a_resumed_session_counts_the_last_request() {
    let log = meta("s", "") + &start(1, "t") + &count(2, [9100, 0, 910, 0], [100, 0, 10, 0]);
    assert_eq!(total(&read(&log)), usage(100, 0, 10, 0));
}

#[test]
fn total_that_falls_counts_the_last_request() {
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [3000, 0, 30, 0], [3000, 0, 30, 0])
        + &count(3, [2500, 0, 20, 0], [100, 0, 10, 0]);
    assert_eq!(total(&read(&log)), usage(3100, 0, 40, 0));
}

#[test]
fn total_that_jumps_is_noted() {
    let log = meta("s", "")
        + &start(1, "t")
        + &count(2, [100, 0, 10, 0], [100, 0, 10, 0])
        + &count(3, [900, 0, 90, 0], [100, 0, 10, 0]);
    let turn = read_one(&log);
    assert_eq!(total([&turn]), usage(200, 0, 20, 0));
    assert!(turn.notes.has_unknown_usage);
}

#[test]
fn two_kinds_of_usage_are_not_added() {
    let log = meta("s", "")
        + &start(1, "t")
        + &record(2, "s", "t", "one", [100, 0, 10, 0])
        + &record(2, "s", "t", "one", [100, 0, 10, 0])
        + &count(2, [100, 0, 10, 0], [100, 0, 10, 0])
        + &record(3, "s", "t", "two", [200, 0, 20, 0])
        + &record(3, "s", "t", "two", [150, 0, 20, 0])
        + &count(3, [300, 0, 30, 0], [200, 0, 20, 0])
        + &complete(4, "t")
        // A turn of an older version, which has the totals only.
        + &start(5, "u")
        + &count(6, [400, 0, 40, 0], [100, 0, 10, 0]);
    let turns = read(&log);
    assert_eq!(total(&turns[..1]), usage(300, 0, 30, 0));
    assert_eq!(total(&turns[1..]), usage(100, 0, 10, 0));
}
