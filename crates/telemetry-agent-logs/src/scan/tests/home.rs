//! A scan of a home folder with logs of all harnesses.

use super::*;
use crate::{HARNESSES, harness::testing::HOME};

/// By harness: tasks, input tokens and output tokens.
///
/// The tokens are those that the tests of the readers expect of each log, added up.
const EXPECTED: [(&str, usize, u64, u64); 5] = [
    // 53 messages more have no reply.
    ("aider", 107, 2_484_349, 45_772),
    // 1 + 2 turns and 2 parts of a session that has no log (streamed), 1 (kinds), 1 of replies without a prompt (nested).
    (
        "claude_code",
        7,
        25_353 + 454_704 + 313_135 + 169_910 + 10 + 745,
        13 + 1586 + 33 + 6 + 5 + 250,
    ),
    // 3 of 0.171, 1 of 0.146, 1 of 0.53; the one of 0.50 has no tokens.
    ("codex", 5, 4902 + 2951 + 1317 + 16_341 + 12_091, 162 + 101 + 47 + 81 + 182),
    // 1 in lines, 1 in a document, 1 of a sub-agent of a session that has no log.
    ("gemini_cli", 3, 23_924 + 10_625 + 900, 228 + 210 + 50),
    ("opencode", 1, 120, 16),
];

fn scan_home(state: &mut State) -> Scan {
    let environment = Environment { home: HOME.into(), ..Environment::default() };
    let price = |_: &Provider, _: &str, _: i64, usage: &Usage| Some(usage.total());
    let options = Options {
        harnesses: HARNESSES,
        environment: &environment,
        price: &price,
        // After the last log.
        now: 2_000_000_000_000,
        threads: 2,
    };
    scan(&options, state)
}

#[test]
fn home_folder_with_logs_of_all_harnesses_is_scanned() {
    let mut state = State::default();
    let scan = scan_home(&mut state);
    assert!(scan.unreadable.is_empty() && scan.open.is_empty(), "{scan:?}");
    assert_eq!((scan.bad_lines, scan.logs), (0, 19));
    let found = HARNESSES.iter().map(|harness| {
        let harness = harness.harness();
        let tasks = scan.tasks.iter().filter(|task| task.labels.harness == harness);
        let usage = tasks.clone().fold(Usage::default(), |sum, task| sum + task.usage);
        (harness.to_string(), tasks.count(), usage.total_input(), usage.total_output())
    });
    let expected = EXPECTED.map(|(name, tasks, input, output)| (name.into(), tasks, input, output));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(scan_home(&mut state).tasks, scan.tasks);
}

#[test]
fn logs_of_windows_are_found_below_another_root() {
    let mut home = Home::new();
    let user = "mnt/c/Users/Some User";
    let prompt = r#"{"type":"user","uuid":"u","cwd":"C:\\Users\\Some User\\shop","message":{"content":"Text."}}"#;
    let reply = r#"{"type":"assistant","message":{"id":"msg_1","usage":{"input_tokens":5}}}"#;
    let name = format!("{user}/.claude/projects/C--Users-Some-User-shop/s.jsonl");
    home.write(&name, format!("\u{feff}{prompt}\r\n{reply}\r\n").as_bytes());
    let meta = r#"{"type":"session_meta","payload":{"id":"t","cwd":"\\\\?\\C:\\work\\demo"}}"#;
    let usage =
        r#"{"type":"token_usage_record","payload":{"turn_id":"1","usage":{"input_tokens":7}}}"#;
    let name = format!("{user}/.codex/sessions/rollout-t.jsonl");
    home.write(&name, format!("{meta}\r\n{usage}\r\n").as_bytes());
    assert!(home.scan_all(&mut State::default()).tasks.is_empty());
    home.environment.home = home.path(user);
    let scan = home.scan_all(&mut State::default());
    let mut found: Vec<_> = scan
        .tasks
        .iter()
        .map(|it| (it.labels.project.as_deref().unwrap(), it.usage.input))
        .collect();
    found.sort_unstable();
    assert_eq!((found, scan.bad_lines), (vec![("demo", 7), ("shop", 5)], 0));
}
