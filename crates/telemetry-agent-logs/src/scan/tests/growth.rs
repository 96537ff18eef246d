//! Logs of all harnesses that grow.

use serde_json::json;

use super::*;
use crate::{HARNESSES, harness::testing::HOME};

/// Time of a scan: after the last log, so that no turn is open.
const LATE: i64 = 2_000_000_000_000;

/// Logs of lines, of each harness and version.
pub(super) const LOGS: [&str; 8] = [
    ".aider/analytics.jsonl",
    ".claude/projects/kinds/ses_stage0_small.jsonl",
    ".claude/projects/streamed/491e126e-1e71-469c-ade2-fcc8af567c74.jsonl",
    ".codex/archived_sessions/rollout-2025-10-31T17-00-00-test-ratelimit-session.jsonl",
    ".codex/sessions/2026/08/03/rollout-2026-08-03T10-48-56-019fc8be-3658-7ca3-9e29-000000000000.jsonl",
    ".codex/sessions/2026/11/26/rollout-2026-11-26T17-58-01-01a21901-da55-7f82-a60e-894754c0e78d.jsonl",
    ".gemini/tmp/sample-app/chats/session-2026-04-29T21-39-00000001.jsonl",
    ".gemini/tmp/sample-app/chats/11111111-1111-4111-8111-111111111111/22222222-2222-4222-8222-222222222222.jsonl",
];

impl Home {
    pub(super) fn scan_all(&self, state: &mut State) -> Scan {
        let price = |_: &Provider, _: &str, _: i64, usage: &Usage| Some(usage.total());
        let options = Options {
            harnesses: HARNESSES,
            environment: &self.environment,
            price: &price,
            now: LATE,
            threads: 1,
        };
        scan(&options, state)
    }

    /// Checks that a scan which goes on from a state finds what one of everything finds, and returns that.
    pub(super) fn check(&self, state: &mut State, when: &str) -> Scan {
        let (last, whole) = (self.scan_all(state), self.scan_all(&mut State::default()));
        assert_eq!(last.tasks, whole.tasks, "{when}");
        assert_eq!(last.without_usage, whole.without_usage, "{when}");
        whole
    }
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(HOME).join(name)).unwrap()
}

/// The files of a harness in an order in which it may write them.
pub(super) fn files(folder: &str) -> Vec<String> {
    let files = walkdir::WalkDir::new(Path::new(HOME).join(folder)).into_iter().flatten();
    let files = files.filter(|it| it.file_type().is_file());
    let mut files: Vec<_> = files
        .map(|it| it.path().strip_prefix(HOME).unwrap().to_str().unwrap().to_owned())
        .collect();
    // opencode writes a session, and a message when its parts are complete.
    files
        .sort_by_cached_key(|it| (!it.contains("/session/"), it.contains("/message/"), it.clone()));
    files
}

/// Ends of the parts in which a file is written: within and around each line, and all of a document.
fn cuts(bytes: &[u8]) -> Vec<usize> {
    let mut cuts = vec![bytes.len() / 2, bytes.len()];
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        cuts.extend([(start + end) / 2, end, end + 1]);
        start = end + 1;
    }
    cuts.sort_unstable();
    cuts
}

#[test]
fn scan_after_each_part_of_the_logs_of_each_harness_equals_one_of_all() {
    for folder in [".aider", ".claude", ".codex", ".gemini", ".local"] {
        let (home, mut state) = (Home::new(), State::default());
        for name in files(folder) {
            let bytes = fixture(&name);
            for cut in cuts(&bytes) {
                home.write(&name, &bytes[..cut]);
                home.scan_all(&mut state);
            }
            home.check(&mut state, &name);
        }
        assert!(!home.check(&mut state, folder).tasks.is_empty(), "{folder}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn session_has_its_turns_while_it_is_compressed_and_when_it_goes_on() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    let (plain, (home, mut state)) = (LOGS[5], (Home::new(), State::default()));
    let (text, compressed) = (fixture(plain), format!("{plain}.zst"));
    let bytes = compress_to_vec(&text[..], CompressionLevel::Fastest);
    home.write(plain, &text);
    let expected = home.scan_all(&mut state).tasks;
    let mut check = |step: &str| {
        let scan = home.scan_all(&mut state);
        assert_eq!((&scan.tasks, scan.unreadable.len()), (&expected, 0), "{step}");
    };
    home.write(&compressed, &bytes[..bytes.len() / 2]);
    check("half compressed");
    home.write(&compressed, &bytes);
    check("compressed");
    fs::remove_file(home.path(plain)).unwrap();
    check("removed");
    home.write(plain, &text);
    check("decompressed");
    fs::remove_file(home.path(&compressed)).unwrap();
    check("plain");
    home.write(&compressed, &bytes);
    check("compressed again");
    fs::remove_file(home.path(plain)).unwrap();
    check("removed again");
    for end in (0..bytes.len()).rev().step_by(97) {
        home.write(&compressed, &bytes[..end]);
        let scan = home.scan_all(&mut State::default());
        assert_eq!((scan.tasks.len(), scan.unreadable.len()), (0, end.min(1)), "{end}");
    }
}

#[test]
fn scan_of_many_turns_goes_on_at_the_last_one() {
    const AT: &str = "2026-11-26T10:00:00.000Z";
    let turns = [
        (
            ".aider/analytics.jsonl",
            json!([
                { "event": "message_send_starting", "time": 5 },
                { "event": "message_send", "time": 5, "properties": { "prompt_tokens": 1 } },
            ]),
        ),
        (
            ".claude/projects/p/s.jsonl",
            json!([
                { "type": "user", "uuid": "u#", "timestamp": AT, "message": { "content": "Text." } },
                { "type": "assistant", "timestamp": AT, "message": {
                    "id": "msg#", "stop_reason": "end_turn", "usage": { "input_tokens": 1 } } },
            ]),
        ),
        (
            ".codex/sessions/rollout-s.jsonl",
            json!([
                { "timestamp": AT, "type": "event_msg", "payload": { "type": "task_started", "turn_id": "t#" } },
                { "timestamp": AT, "type": "token_usage_record", "payload": {
                    "turn_id": "t#", "response_id": "r#", "usage": { "input_tokens": 1 } } },
                { "timestamp": AT, "type": "event_msg", "payload": { "type": "task_complete", "turn_id": "t#" } },
            ]),
        ),
        (
            ".gemini/tmp/p/chats/session-s.jsonl",
            json!([
                { "id": "u#", "type": "user", "timestamp": AT, "content": "Text." },
                { "id": "g#", "type": "gemini", "timestamp": AT, "content": "Text.", "tokens": { "input": 1 } },
            ]),
        ),
    ];
    for (name, turn) in turns {
        let turn: String =
            turn.as_array().unwrap().iter().map(|line| format!("{line}\n")).collect();
        let text: String = (0..4_000).map(|at| turn.replace('#', &format!("{at:09}"))).collect();
        let (home, mut state) = (Home::new(), State::default());
        home.write(name, text.as_bytes());
        assert_eq!(home.scan_all(&mut state).tasks.len(), 4_000, "{name}");
        let checkpoint = state.logs.into_values().next().unwrap().checkpoint;
        let rest = text.len() as u64 - checkpoint.offset;
        assert_eq!(
            (rest, checkpoint.before.len() < 200),
            ((text.len() / 4_000) as u64, true),
            "{checkpoint:?}"
        );
    }
}
