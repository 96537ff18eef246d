mod damage;
mod growth;
mod home;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    process,
};

use telemetry_model::Provider;

use super::*;
use crate::{
    Usage,
    harness::testing::{Folder, Scripted},
};

const NOW: i64 = 10_000_000;

/// A home folder.
struct Home {
    environment: Environment,
    folder: Folder,
}

impl Home {
    fn new() -> Self {
        let folder = Folder::new();
        let environment = Environment { home: folder.0.clone(), ..Environment::default() };
        Self { environment, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.folder.write(name, text);
    }

    fn append(&self, name: &str, text: &str) {
        let file = OpenOptions::new().append(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn scan(&self, state: &mut State) -> Scan {
        self.scan_at(NOW, state)
    }

    fn scan_at(&self, now: i64, state: &mut State) -> Scan {
        let price = |_: &Provider, _: &str, _: i64, usage: &Usage| Some(usage.input);
        let options = Options {
            harnesses: &[&Scripted],
            environment: &self.environment,
            price: &price,
            now,
            threads: 2,
        };
        scan(&options, state)
    }
}

/// The time and the input tokens of each task.
fn tasks(tasks: &[Arc<Task>]) -> Vec<(i64, u64)> {
    tasks.iter().map(|it| (it.started, it.usage.input)).collect()
}

#[test]
fn second_scan_finds_the_same_and_reads_nothing() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\nturn b 200 6\n");
    let mut state = State::default();
    let first = home.scan(&mut state);
    assert_eq!(tasks(&first.tasks), [(100, 5), (200, 6)]);
    let second = home.scan(&mut state);
    assert_eq!(second.tasks, first.tasks);
    // What has not changed is not opened: the same size and time hide other contents.
    let times = fs::metadata(home.path("a.log")).unwrap().modified().unwrap();
    let file = OpenOptions::new().write(true).open(home.path("a.log")).unwrap();
    (&file).write_all(b"turn a 100 9").unwrap();
    file.set_modified(times).unwrap();
    assert_eq!(home.scan(&mut state).tasks, first.tasks);
}

#[test]
fn scan_after_each_byte_equals_one_at_the_end() {
    let text = "turn a 100 5\nturn b 200 6\nturn c 9999999 7 open\n";
    let other = "turn b 200 6\nturn d 300 1\n";
    let (whole, parts) = (Home::new(), Home::new());
    whole.write("a.log", text);
    whole.write("b.log", other);
    let expected = whole.scan(&mut State::default());
    let mut state = State::default();
    parts.write("a.log", "");
    parts.write("b.log", "");
    for at in 0..text.len() {
        parts.append("a.log", &text[at..=at]);
        parts.scan(&mut state);
    }
    parts.append("b.log", other);
    let last = parts.scan(&mut state);
    assert_eq!(last.tasks, expected.tasks);
    assert_eq!(tasks(&last.tasks), [(100, 5), (200, 6), (300, 1)]);
    assert_eq!((last.open, last.without_usage), (expected.open, 1));
}

#[test]
fn file_that_was_rewritten_cut_or_moved_is_read_again() {
    type Change = fn(&Home, &str);
    type Tasks = &'static [(i64, u64)];
    let changes: [(&str, Change, Tasks); 5] = [
        (
            "rewritten",
            |it, _| it.write("a.log", "turn x 900 9\nturn b 200 6\n"),
            &[(200, 6), (900, 9)],
        ),
        (
            "rewritten behind what is compared at the start",
            |it, head| it.write("a.log", format!("{head}turn x 900 9\nturn c 300 7\n")),
            &[(100, 5), (300, 7), (900, 9)],
        ),
        ("cut", |it, _| it.write("a.log", "turn a 100 5\n"), &[(100, 5)]),
        (
            "moved",
            |it, _| fs::rename(it.path("a.log"), it.path("z.log")).unwrap(),
            &[(100, 5), (200, 6), (300, 7)],
        ),
        ("removed", |it, _| fs::remove_file(it.path("a.log")).unwrap(), &[]),
    ];
    let head = format!("turn a 100 5\n{}\n", " ".repeat(5_000));
    for (name, change, expected) in changes {
        let home = Home::new();
        home.write("a.log", format!("{head}turn b 200 6\nturn c 300 7\n"));
        let mut state = State::default();
        home.scan(&mut state);
        change(&home, &head);
        let scan = home.scan(&mut state);
        assert_eq!(tasks(&scan.tasks), expected, "{name}");
    }
}

#[test]
fn copies_of_a_log_count_once() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\nturn b 200 6\n");
    home.write("b.log", "turn a 100 5\nturn b 200 6\nturn c 300 7\n");
    let mut state = State::default();
    let first = home.scan(&mut state);
    assert_eq!(tasks(&first.tasks), [(100, 5), (200, 6), (300, 7)]);
    home.write("c.log", "turn a 100 5\n");
    assert_eq!(home.scan(&mut state).tasks, first.tasks);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(home.path("a.log"), home.path("0.log")).unwrap();
        assert_eq!(home.scan(&mut state).tasks, first.tasks);
    }
}

#[test]
fn copy_of_a_part_of_a_turn_adds_what_it_lacks_and_stays_if_the_original_goes() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\n");
    home.write("z.log", "turn a 100 5 more\nturn b 200 6\n");
    let mut state = State::default();
    // The second request of the turn has 5 tokens too.
    assert_eq!(tasks(&home.scan(&mut state).tasks), [(100, 10), (200, 6)]);
    fs::remove_file(home.path("a.log")).unwrap();
    assert_eq!(tasks(&home.scan(&mut state).tasks), [(100, 10), (200, 6)]);
}

#[test]
fn copy_has_the_turns_that_its_original_does_not_have_any_more() {
    let all = [(100, 5), (200, 6), (300, 7)];
    for (name, rewritten, expected) in [
        ("cut", "turn a 100 5\n", &all[..]),
        (
            "rewritten",
            "turn x 900 9\nturn y 901 9\n",
            &[all[0], all[1], all[2], (900, 9), (901, 9)],
        ),
        ("empty", "", &all),
    ] {
        let home = Home::new();
        home.write("a.log", "turn a 100 5\nturn b 200 6\n");
        let mut state = State::default();
        home.scan(&mut state);
        // What both have counts for the one that was read in an earlier scan.
        home.write("0.log", "turn a 100 5\nturn b 200 6\nturn c 300 7\n");
        assert_eq!(tasks(&home.scan(&mut state).tasks), all);
        home.write("a.log", rewritten);
        let scan = home.scan(&mut state);
        assert_eq!(tasks(&scan.tasks), expected, "{name}");
        assert_eq!(home.scan(&mut state).tasks, scan.tasks, "{name}");
    }
}

#[test]
fn part_belongs_to_the_turn_that_was_open() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\nturn b 200 6\n");
    home.write("part.log", "part p 150 10\npart q 250 20\n");
    home.write("other.log", "part-of-none r 400 1\n");
    let scan = home.scan(&mut State::default());
    assert_eq!(tasks(&scan.tasks), [(100, 15), (200, 26), (400, 1)]);
    assert_eq!(scan.tasks[1].requests, 2);
}

#[test]
fn turn_is_open_while_a_part_of_it_is() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\n");
    home.write("part.log", "part p 150 10 open\n");
    home.write("other.log", "part-of-none r 400 1\n");
    home.write("third.log", "part-of-none s 500 1\n");
    let mut state = State::default();
    let scan = home.scan_at(200, &mut state);
    assert_eq!((tasks(&scan.open), scan.tasks.len()), (vec![(100, 15)], 2));
    assert_ne!(scan.tasks[0].id, scan.tasks[1].id);
    assert_eq!(home.scan_at(200 + 2 * SILENCE_MS, &mut state).tasks.len(), 3);
}

#[test]
fn open_turn_has_ended_when_its_agent_stopped_after_its_last_record() {
    for (session, at, expected) in
        [("session", 1_100, [1, 0]), ("session", 1_099, [0, 1]), ("another", 1_100, [0, 1])]
    {
        let home = Home::new();
        home.write("a.log", "turn a 100 5 open\n");
        let mut state = State::default();
        state.stop(session, at);
        let numbers = |scan: &Scan| [scan.tasks.len(), scan.open.len()];
        assert_eq!(numbers(&home.scan_at(1_200, &mut state)), expected, "{session} {at}");
        // It is remembered, and the next turn is open.
        home.append("a.log", "turn b 2000 6 open\n");
        let scan = home.scan_at(2_100, &mut state);
        assert_eq!(scan.open.last().unwrap().started, 2_000, "{session} {at}");
        assert_eq!(scan.tasks.len(), expected[0], "{session} {at}");
    }
}

#[test]
fn open_turn_has_ended_after_an_hour_of_silence() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5 open\n");
    let mut state = State::default();
    let ended = 100 + 1_000;
    let scan = home.scan_at(ended + SILENCE_MS - 1, &mut state);
    assert_eq!((scan.tasks.len(), scan.open.len()), (0, 1));
    let scan = home.scan_at(ended + SILENCE_MS, &mut state);
    assert_eq!((scan.tasks.len(), scan.open.len()), (1, 0));
    assert_eq!(scan.tasks[0].end, crate::End::Unmarked);
}

#[test]
fn file_that_fails_does_not_fail_the_scan() {
    let home = Home::new();
    home.write("a.log", "fail\n");
    home.write("b.log", "turn a 100 5\nno\n");
    let mut state = State::default();
    let scan = home.scan(&mut state);
    assert_eq!((tasks(&scan.tasks), scan.bad_lines), (vec![(100, 5)], 1));
    assert_eq!(scan.unreadable.len(), 1);
    assert_eq!(scan.unreadable[0].path, home.path("a.log"));
    home.write("a.log", "turn b 200 6\n");
    assert_eq!(tasks(&home.scan(&mut state).tasks), [(100, 5), (200, 6)]);
}

#[test]
fn file_that_fails_keeps_what_was_found_in_it_before() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\nturn b 200 6\n");
    home.write("z.log", "turn a 100 5\nturn c 300 7\n");
    let mut state = State::default();
    let before = home.scan(&mut state);
    home.append("a.log", "fail\n");
    for _ in 0..2 {
        let scan = home.scan(&mut state);
        assert_eq!((&scan.tasks, scan.unreadable.len()), (&before.tasks, 1));
    }
    home.write("a.log", "turn a 100 5\nturn b 200 6\nturn d 400 8\n");
    let scan = home.scan(&mut state);
    assert_eq!((tasks(&scan.tasks).len(), scan.unreadable.len()), (4, 0));
}

#[cfg(unix)]
#[test]
fn pipe_is_not_opened() {
    let home = Home::new();
    let made = process::Command::new("mkfifo").arg(home.path("a.log")).status().unwrap();
    assert!(made.success());
    home.write("b.log", "turn a 100 5\n");
    assert_eq!(tasks(&home.scan(&mut State::default()).tasks), [(100, 5)]);
}

#[test]
fn equal_labels_are_in_memory_once() {
    let home = Home::new();
    home.write("a.log", "turn a 100 5\nturn b 200 6\n");
    home.write("b.log", "turn c 300 7\n");
    let mut state = State::default();
    let first = home.scan(&mut state);
    let json = serde_json::to_string(&state).unwrap();
    let again = home.scan(&mut serde_json::from_str(&json).unwrap());
    assert_eq!(again.tasks, first.tasks);
    for scan in [first, again] {
        let labels: Vec<_> = scan.tasks.iter().map(|it| Arc::as_ptr(&it.labels)).collect();
        assert_eq!(labels, [labels[0]; 3]);
    }
}

#[test]
fn state_has_no_text_of_a_log() {
    let home = Home::new();
    home.write("a.log", "turn secret-key 100 5\n");
    let mut state = State::default();
    home.scan(&mut state);
    let json = serde_json::to_string(&state).unwrap();
    assert!(!json.contains("secret"), "{json}");
    let path = home.folder.0.to_string_lossy().into_owned();
    assert!(!json.contains(Path::new(&path).file_name().unwrap().to_str().unwrap()));
}
