//! Logs of all harnesses that grow, with and without damage.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::*;
use crate::{HARNESSES, harness::testing::HOME};

/// Time of a scan: after the last log, so that no turn is open.
const LATE: i64 = 2_000_000_000_000;

/// Logs of lines, of each harness and version.
const LOGS: [&str; 8] = [
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
    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn scan_all(&self, state: &mut State) -> Scan {
        let price = |_: &Provider, _: &str, _: i64, usage: &Usage| Some(usage.total());
        let options = Options {
            harnesses: HARNESSES,
            environment: &self.0,
            price: &price,
            now: LATE,
            threads: 1,
        };
        scan(&options, state)
    }

    /// Checks that a scan which goes on from a state finds what one of everything finds, and returns that.
    fn check(&self, state: &mut State, when: &str) -> Scan {
        let (last, whole) = (self.scan_all(state), self.scan_all(&mut State::default()));
        assert_eq!(last.tasks, whole.tasks, "{when}");
        assert_eq!(last.without_usage, whole.without_usage, "{when}");
        whole
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(HOME).join(name)).unwrap()
}

/// The files of a harness in an order in which it may write them.
fn files(folder: &str) -> Vec<String> {
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
                home.put(&name, &bytes[..cut]);
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
    home.put(plain, &text);
    let expected = home.scan_all(&mut state).tasks;
    let mut check = |step: &str| {
        let scan = home.scan_all(&mut state);
        assert_eq!((&scan.tasks, scan.unreadable.len()), (&expected, 0), "{step}");
    };
    home.put(&compressed, &bytes[..bytes.len() / 2]);
    check("half compressed");
    home.put(&compressed, &bytes);
    check("compressed");
    fs::remove_file(home.path(plain)).unwrap();
    check("removed");
    home.put(plain, &text);
    check("decompressed");
    fs::remove_file(home.path(&compressed)).unwrap();
    check("plain");
    home.put(&compressed, &bytes);
    check("compressed again");
    fs::remove_file(home.path(plain)).unwrap();
    check("removed again");
    for end in (0..bytes.len()).rev().step_by(97) {
        home.put(&compressed, &bytes[..end]);
        let scan = home.scan_all(&mut State::default());
        assert_eq!((scan.tasks.len(), scan.unreadable.len()), (0, end.min(1)), "{end}");
    }
}

/// Damage of a line.
#[derive(Clone, Debug)]
enum Damage {
    Drop,
    Repeat,
    /// Exchange with another line.
    Swap(Index),
    /// The rest of the line is missing, or its break too.
    Cut(Index, bool),
    /// Bytes before and behind the line.
    Wrap(&'static [u8], &'static [u8]),
    /// Another value in the place of one.
    Value(Index, Value),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || {
        prop::sample::select(vec![
            &b""[..],
            b"\0\0\0",
            b"\xEF\xBB\xBF",
            b"\r",
            b"\xFF",
            b"\xE2\x80\xA8",
            b"{",
        ])
    };
    let value = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!("7"),
        json!(-7),
        json!(7.5),
        json!(1e300),
        json!(u64::MAX),
        json!([{}]),
        json!({}),
        json!(""),
    ]);
    prop_oneof![
        Just(Damage::Drop),
        Just(Damage::Repeat),
        any::<Index>().prop_map(Damage::Swap),
        (any::<Index>(), any::<bool>()).prop_map(|(at, joins)| Damage::Cut(at, joins)),
        (bytes(), bytes()).prop_map(|(before, behind)| Damage::Wrap(before, behind)),
        (any::<Index>(), value).prop_map(|(at, value)| Damage::Value(at, value)),
    ]
}

impl Damage {
    fn apply(&self, lines: &mut Vec<Vec<u8>>, at: usize) {
        match self {
            Self::Drop => drop(lines.remove(at)),
            Self::Repeat => lines.insert(at, lines[at].clone()),
            Self::Swap(other) => {
                let other = other.index(lines.len());
                lines.swap(at, other);
            }
            Self::Cut(rest, joins) => {
                let rest = rest.index(lines[at].len());
                lines[at].truncate(rest);
                if !joins {
                    lines[at].push(b'\n');
                }
            }
            Self::Wrap(before, behind) => {
                let line = lines[at].strip_suffix(b"\n").unwrap_or(&lines[at]);
                lines[at] = [before, line, behind, b"\n"].concat();
            }
            Self::Value(place, value) => {
                let Ok(mut line) = serde_json::from_slice::<Value>(&lines[at]) else { return };
                let mut places = Vec::new();
                collect(&line, String::new(), &mut places);
                *line.pointer_mut(&places[place.index(places.len())]).unwrap() = value.clone();
                lines[at] = line.to_string().into_bytes();
                lines[at].push(b'\n');
            }
        }
    }
}

/// The pointers of a value and of all in it.
fn collect(value: &Value, pointer: String, places: &mut Vec<String>) {
    let below = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, it)| collect(it, below(key), places))
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, it)| collect(it, below(&at.to_string()), places));
        }
        _ => {}
    }
    places.push(pointer);
}

/// Sum of all tokens.
fn total(scan: &Scan) -> u64 {
    scan.tasks.iter().fold(0, |sum, it| it.usage.total().saturating_add(sum))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_log_that_grows_gives_what_a_scan_of_all_gives(
        log in 0..LOGS.len(),
        damages in prop::collection::vec((damage(), any::<Index>()), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let name = LOGS[log];
        let home = Home::new();
        home.put(name, &fixture(name));
        let undamaged = home.scan_all(&mut State::default());
        let mut lines: Vec<_> = fixture(name).split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
        for (damage, at) in &damages {
            if !lines.is_empty() {
                let at = at.index(lines.len());
                damage.apply(&mut lines, at);
            }
        }
        let text = lines.concat();
        let mut state = State::default();
        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        for cut in cuts {
            home.put(name, &text[..cut]);
            home.scan_all(&mut state);
        }
        home.put(name, &text);
        let whole = home.check(&mut state, name);
        prop_assert!(whole.unreadable.is_empty());
        prop_assert_eq!(&home.scan_all(&mut state).tasks, &whole.tasks);
        // aider has no ids: what is written twice was sent twice.
        let may_grow = |it: &Damage| match it {
            Damage::Value(..) | Damage::Swap(_) => true,
            Damage::Repeat => log == 0,
            _ => false,
        };
        if !damages.iter().any(|(it, _)| may_grow(it)) {
            prop_assert!(total(&whole) <= total(&undamaged));
        }
    }
    #[test]
    fn damaged_document_fails_no_scan(
        at in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut documents = files(".local");
        documents.extend(files(".gemini").into_iter().filter(|it| it.ends_with(".json")));
        let home = Home::new();
        for name in &documents {
            home.put(name, &fixture(name));
        }
        let undamaged = home.scan_all(&mut State::default());
        let name = &documents[at.index(documents.len())];
        let mut parts = vec![fixture(name)];
        for damage in &damages {
            if !parts.is_empty() {
                damage.apply(&mut parts, 0);
            }
        }
        home.put(name, &parts.concat());
        let scan = home.scan_all(&mut State::default());
        prop_assert!(scan.unreadable.is_empty());
        if !damages.iter().any(|it| matches!(it, Damage::Value(..))) {
            prop_assert!(total(&scan) <= total(&undamaged));
        }
    }
}
