//! The example `validate`, as a person runs it.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
};

use telemetry_model::{MAX_EVENT_BYTES, TaskCompletionEvent};

const EVENTS: &str = include_str!("../examples/data/events.jsonl");

/// The example, which cargo builds together with the tests of its package.
fn validate() -> Command {
    let test = env::current_exe().expect("a test knows where it is");
    let build = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = build.join("examples").join(format!("validate{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "run all tests of the package: that builds its examples");
    Command::new(path)
}

/// What comes of `input`: the exit code and the lines of the report.
fn checked(input: impl Into<Vec<u8>>) -> (Option<i32>, Vec<String>) {
    let mut child = validate()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.into());
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the example ends");
    writer.join().expect("no panic").expect("the example reads all");
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), lines(&output))
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn good(count: usize) -> String {
    EVENTS.lines().cycle().take(count).map(|line| format!("{line}\n")).collect()
}

fn sum(events: usize, bad: usize, errors: usize) -> String {
    format!("events: {events}, good: {}, bad: {bad}, errors: {errors}", events - bad)
}

#[test]
fn the_events_of_the_project_are_good() {
    assert_eq!(EVENTS.lines().count(), 20);
    for line in EVENTS.lines() {
        let event = TaskCompletionEvent::from_json(line.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line, "as the crate writes them");
    }
}

#[test]
fn good_lines_are_good() {
    assert_eq!(checked(good(3)), (Some(0), vec![sum(3, 0, 0)]));
    assert_eq!(checked(good(1_000)), (Some(0), vec![sum(1_000, 0, 0)]));
    assert_eq!(checked(""), (Some(0), vec![sum(0, 0, 0)]));
}

#[test]
fn each_fault_is_named_with_line_place_and_reason() {
    let line = EVENTS.lines().next().unwrap();
    let negative = line.replace("\"actual_output_tokens\":", "\"actual_output_tokens\":-");
    let unknown = line.replacen('{', "{\"colour\":\"red\",", 1);
    let uuid = line.replace("12345678-1234", "12345678_1234");
    let truncated = &line[..100];
    assert_eq!(checked(format!("{line}\n{negative}")).0, Some(1));
    let (code, lines) = checked([line, &negative, &unknown, "", &uuid, truncated, line].join("\n"));
    assert_eq!(code, Some(1));
    assert!(
        lines[0].starts_with("line 2: /actual_output_tokens: expected an integer from 0 to ")
            && lines[0].contains(", found -"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "line 3: /colour: expected no such key in schema 1.0");
    assert!(lines[2].starts_with("line 5: /instance_id: expected a UUID such as "), "{lines:?}");
    assert!(lines[2].ends_with(", found \"12345678_1234-1234-1234-123456789abc\""), "{lines:?}");
    assert_eq!(
        lines[3],
        "line 6: the document: expected valid JSON, found: EOF while parsing a string at column 100"
    );
    assert_eq!(lines[4..], [sum(6, 4, 4)]);
}

#[test]
fn all_faults_of_a_line_are_counted() {
    let keys: Vec<String> = (0..200).map(|index| format!("\"k{index}\":0")).collect();
    let (code, lines) = checked(format!("{{{}}}", keys.join(",")));
    assert_eq!((code, lines.len()), (Some(1), 102));
    assert_eq!(lines[100..], ["line 1: and 123 more".to_owned(), sum(1, 1, 223)]);
}

#[test]
fn whatever_stands_in_a_line_the_next_one_is_checked() {
    let line = EVENTS.lines().next().unwrap();
    let mut input = line.replacen("gpt", "gp\u{fffd}", 1).into_bytes();
    let bad_text = line.replacen("\"provider\":\"", "\"provider\":\"@", 1).into_bytes();
    let at = bad_text.iter().position(|&byte| byte == b'@').unwrap();
    for part in [&b"\n"[..], &bad_text[..at], b"\xff", &bad_text[at + 1..]] {
        input.extend_from_slice(part);
    }
    let long = "x".repeat(3 * MAX_EVENT_BYTES + 7);
    let exact = format!("{line}{}", " ".repeat(MAX_EVENT_BYTES - line.len()));
    let escape = line.replacen('{', r#"{"\u001b[2J":1,"#, 1);
    for part in ["", "  \t\r", &long, &exact, &format!("{exact} "), "[]", "\u{feff}{}", &escape] {
        input.extend_from_slice(b"\n");
        input.extend_from_slice(part.as_bytes());
    }
    input.extend_from_slice(format!("\n{line}\r\n").as_bytes());
    let (code, lines) = checked(input);
    assert_eq!(code, Some(1));
    assert!(
        lines[0].starts_with("line 2: the document: expected valid JSON, found: invalid unicode")
    );
    assert_eq!(
        lines[1..],
        [
            format!("line 5: the document: expected at most 65536 bytes, found {}", long.len()),
            "line 7: the document: expected at most 65536 bytes, found 65537".to_owned(),
            "line 8: the document: expected an object, found an array".to_owned(),
            "line 9: the document: expected JSON, found a byte order mark".to_owned(),
            "line 10: /\\u{1b}[2J: expected no such key in schema 1.0".to_owned(),
            sum(9, 6, 6),
        ]
    );
}

#[test]
fn files_are_named() {
    let path = env::temp_dir().join(format!("validate-{}.jsonl", std::process::id()));
    fs::write(&path, "{}").unwrap();
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/events.jsonl");
    let run = |files: &[&PathBuf]| {
        validate().args(files).stdin(Stdio::null()).output().expect("the example runs")
    };
    let output = run(&[&data]);
    assert_eq!((output.status.code(), lines(&output)), (Some(0), vec![sum(20, 0, 0)]));
    let output = run(&[&data, &path]);
    let missing = run(&[&data, &PathBuf::from("no such file"), &path]);
    fs::remove_file(&path).unwrap();
    for (output, code) in [(&output, 1), (&missing, 2)] {
        assert_eq!(output.status.code(), Some(code));
        let lines = lines(output);
        let first =
            format!("{}: line 1: /instance_id: expected this key, found none", path.display());
        assert_eq!((&lines[0], &lines[23]), (&first, &sum(21, 1, 23)));
    }
    assert!(output.stderr.is_empty());
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.starts_with("cannot read no such file: "), "{said}");
}

#[test]
fn a_hyphen_is_the_standard_input() {
    let path = env::temp_dir().join(format!("validate-stdin-{}.jsonl", std::process::id()));
    fs::write(&path, "[]\n").unwrap();
    let run = |files: &[&str]| {
        let input = fs::File::open(&path).expect("it was written");
        let output = validate().args(files).stdin(input).output().expect("the example runs");
        lines(&output)
    };
    let (alone, named) = (run(&[]), run(&["examples/data/events.jsonl", "-"]));
    fs::remove_file(&path).unwrap();
    let error = "line 1: the document: expected an object, found an array";
    assert_eq!(alone, [error.to_owned(), sum(1, 1, 1)]);
    assert_eq!(named, [format!("-: {error}"), sum(21, 1, 1)]);
}

#[test]
fn a_byte_order_mark_is_named() {
    let error = "line 1: the document: expected JSON, found a byte order mark";
    let (code, lines) = checked(format!("\u{feff}{}", good(2)));
    assert_eq!((code, lines), (Some(1), vec![error.to_owned(), sum(2, 1, 1)]));
}

/// Feeds more than pipes hold to an example that nobody listens to: its exit code, what it says, and
/// how the feeding ended.
fn unheard(stdout: Stdio) -> (Option<i32>, String, Option<ErrorKind>) {
    let mut child = validate()
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    let written = stdin.write_all("{}\n".repeat(100_000).as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the example ends");
    let said = String::from_utf8(output.stderr).expect("text");
    (output.status.code(), said, written.err().map(|error| error.kind()))
}

#[test]
fn if_nobody_reads_on_it_ends() {
    let stopped = Some(ErrorKind::BrokenPipe);
    assert_eq!(unheard(Stdio::piped()), (Some(1), String::new(), stopped));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told() {
    let full = || fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let (code, said, stopped) = unheard(full().into());
    assert_eq!((code, stopped), (Some(2), Some(ErrorKind::BrokenPipe)));
    assert!(
        said.starts_with("cannot write what is found: ") && said.lines().count() == 1,
        "{said}"
    );
    // All good, so the sum alone is lost.
    let output = validate().stdin(Stdio::null()).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
