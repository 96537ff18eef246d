use telemetry_model::QualityGate::{Lint, Test};

use super::*;
use crate::{
    End, Status, Usage,
    harness::testing::{Folder, HOME},
};

mod lines;

/// A fixture below the root.
const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/chats/\
                   session-2025-10-01T08-00-33333333.json";

fn read(path: &Path, from: &Checkpoint) -> (Found, Checkpoint) {
    let mut found = Found::default();
    let checkpoint = GeminiCli.read(path, from, &mut found).unwrap();
    (found, checkpoint)
}

fn fixture_path(path: &str) -> PathBuf {
    Path::new(HOME).join(".gemini/tmp").join(path)
}

fn fixture(path: &str) -> Vec<Turn> {
    let (found, _) = read(&fixture_path(path), &Checkpoint::default());
    assert_eq!(found.bad_lines, 0, "{path}");
    found.turns
}

fn usage(turn: &Turn) -> Usage {
    turn.requests.iter().fold(Usage::default(), |sum, request| sum + request.usage)
}

/// A file in a folder `app/chats`, all removed at the end.
struct Log {
    _folder: Folder,
    path: PathBuf,
}

impl Log {
    fn new(name: &str, text: &[u8]) -> Self {
        let folder = Folder::new();
        let path = folder.write(&format!("app/chats/{name}"), text);
        Self { _folder: folder, path }
    }

    fn write(&self, text: &[u8]) {
        fs::write(&self.path, text).unwrap();
    }
}

#[test]
fn cached_tokens_are_a_part_of_the_input() {
    let turns = fixture("sample-app/chats/session-2026-04-29T21-39-00000001.jsonl");
    let [turn] = &*turns else { panic!("{turns:?}") };
    let expected = Usage { input: 12_422, cache_read: 11_502, output: 228, ..Usage::default() };
    assert_eq!(usage(turn), expected);
    assert_eq!(usage(turn).total(), 11_936 + 12_216);
    assert_eq!((&*turn.key, &*turn.session), ("g-user-1", "gemini_stage0_jsonl"));
    assert_eq!(turn.project.as_deref(), Some("Sample-App"));
    assert_eq!((turn.started, turn.ended), (1_777_498_773_155, 1_777_498_785_996));
    assert_eq!(turn.requests[1].model, "gemini-3-flash-preview");
    assert_eq!((turn.end, turn.is_part), (End::Open, false));
}

#[test]
fn document_of_an_older_version_is_read() {
    let turns = fixture(OLD);
    let [fix, stop] = &*turns else { panic!("{turns:?}") };
    let expected = Usage {
        input: 1000 + 600 + 25,
        cache_read: 9000,
        output: 100,
        reasoning: 110,
        ..Usage::default()
    };
    assert_eq!(usage(fix), expected);
    assert_eq!(usage(fix).total(), 5150 + 5685);
    assert_eq!((fix.end, fix.project.as_deref()), (End::Stopped, None));
    assert_eq!((fix.gates.failed(), fix.gates.last()), (vec![Test], Some(Status::Failed)));
    assert_eq!(fix.edits.iter().map(|(it, n)| (&**it, *n)).collect::<Vec<_>>(), [("rs", 1)]);
    assert_eq!((stop.end, stop.requests.len()), (End::Interrupted, 0));
}

#[test]
fn document_that_is_rewritten_has_its_closed_turns_once() {
    let text = fs::read(fixture_path(OLD)).unwrap();
    let log = Log::new("session-a.json", &text);
    let (whole, checkpoint) = read(&log.path, &Checkpoint::default());
    let (again, same) = read(&log.path, &checkpoint);
    assert_eq!((&again.turns[..], &same), (&whole.turns[1..], &checkpoint));
    // Half written.
    for end in (0..text.len()).step_by(101) {
        log.write(&text[..end]);
        let (half, before) = read(&log.path, &Checkpoint::default());
        assert_eq!((half.turns, half.bad_lines, &before), (vec![], 1, &Checkpoint::default()));
        let (half, after) = read(&log.path, &checkpoint);
        assert_eq!((half.turns, &after), (vec![], &checkpoint));
    }
    log.write(&[b"\xEF\xBB\xBF", &text[..]].concat());
    assert_eq!(read(&log.path, &Checkpoint::default()).0, whole);
}

#[test]
fn document_has_turns_of_a_clock_that_went_back() {
    let prompt = |id: &str, minute: u32| {
        format!(r#"{{"id":"{id}","type":"user","timestamp":"2025-10-01T08:{minute:02}:00Z"}}"#)
    };
    let document = |messages: &[String]| format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    let messages = [prompt("a", 1), prompt("b", 9), prompt("c", 5)];
    let log = Log::new("session-a.json", document(&messages[..2]).as_bytes());
    let (_, checkpoint) = read(&log.path, &Checkpoint::default());
    log.write(document(&messages).as_bytes());
    let keys = read(&log.path, &checkpoint).0.turns.into_iter().map(|turn| turn.key);
    assert_eq!(keys.collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn sub_agent_is_a_part_of_the_session_of_its_folder() {
    let session = "11111111-1111-4111-8111-111111111111";
    let path = format!("sample-app/chats/{session}/22222222-2222-4222-8222-222222222222.jsonl");
    let turns = fixture(&path);
    let [part] = &*turns else { panic!("{turns:?}") };
    assert_eq!((part.is_part, &*part.session, &*part.key), (true, session, ""));
    assert_eq!(part.project.as_deref(), Some("Sample-App"));
    assert!(!part.requests[0].is_main_loop);
    assert_eq!(usage(part).total(), 950);
}

#[test]
fn unreadable_file_does_not_fail_the_others() {
    let good = Log::new("session-a.jsonl", b"{\"id\":\"a\",\"type\":\"user\"}\n");
    let bad = Log::new("session-b.json", b"[[[");
    let mut found = Found::default();
    GeminiCli.read(&bad.path, &Checkpoint::default(), &mut found).unwrap();
    let missing = good.path.with_file_name("session-c.jsonl");
    assert!(GeminiCli.read(&missing, &Checkpoint::default(), &mut found).is_err());
    GeminiCli.read(&good.path, &Checkpoint::default(), &mut found).unwrap();
    assert_eq!((found.turns.len(), found.bad_lines), (1, 1));
}

#[test]
fn roots_and_logs_are_those_of_the_program() {
    let mut environment = Environment { home: "/home/a".into(), ..Environment::default() };
    assert_eq!(GeminiCli.roots(&environment), [PathBuf::from("/home/a/.gemini/tmp")]);
    environment.variables.insert("GEMINI_CLI_HOME".into(), "/b".into());
    assert_eq!(GeminiCli.roots(&environment), [PathBuf::from("/b/.gemini/tmp")]);
    for (path, expected) in [
        ("", true),
        ("app/chats/session-2026-01-01T00-00-a.jsonl", true),
        ("app/chats/session-2026-01-01T00-00-a.json", true),
        ("chats/session-a.jsonl", true),
        ("app/chats/parent/agent.jsonl", true),
        ("app/chats/parent/agent.json", false),
        ("app/chats/other.json", false),
        ("app/chats/session-a.jsonl.bak", false),
        ("app/logs.json", false),
        ("app/tool-outputs/session-a.jsonl", false),
    ] {
        assert_eq!(GeminiCli.is_log(Path::new(path)), expected, "{path}");
    }
}
