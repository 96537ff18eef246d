//! Runs the example program `validate`.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    process::{Command, Output, Stdio},
    thread,
};

use telemetry_model::MAX_EVENT_BYTES;

const EVENTS: &str = include_str!("../examples/data/events.jsonl");

/// The example, which cargo builds together with the tests of its package.
fn validate() -> Command {
    let test = env::current_exe().expect("path of the test");
    let build = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = build.join("examples").join(format!("validate{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "run all tests of the package: that builds its examples");
    Command::new(path)
}

/// Runs the example with `input` and returns its exit code and the lines of its report.
fn run(input: impl Into<Vec<u8>>) -> (Option<i32>, Vec<String>) {
    let mut child =
        validate().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the example runs");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.into());
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the example ends");
    writer.join().expect("no panic").expect("the example reads all input");
    (output.status.code(), lines(&output))
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn example_events_are_valid() {
    let report = "events: 20, valid: 20, invalid: 0, errors: 0";
    assert_eq!(run(EVENTS), (Some(0), vec![report.into()]));
}

#[test]
fn every_violation_is_reported_with_its_line() {
    let line = EVENTS.lines().next().unwrap();
    let (head, tail) = line.split_at(1);
    let unknown = |keys: usize| -> String {
        let keys: String = (0..keys).map(|index| format!("\"k{index}\":0,")).collect();
        format!("{head}{keys}{tail}")
    };
    let long = format!("{line}{}", " ".repeat(3 * MAX_EVENT_BYTES));
    let longest = format!("{line}{}", " ".repeat(MAX_EVENT_BYTES - line.len()));
    let mut input = Vec::new();
    for part in [
        line.as_bytes(),
        &line.as_bytes()[..100],
        b"  \t\r",
        unknown(2).as_bytes(),
        b"{\"\xff\":0}",
        long.as_bytes(),
        longest.as_bytes(),
        b"\xef\xbb\xbf{}",
        unknown(102).as_bytes(),
    ] {
        input.extend_from_slice(part);
        input.push(b'\n');
    }
    input.extend_from_slice(format!("{line}\r").as_bytes());
    let (code, lines) = run(input);
    assert_eq!(code, Some(1));
    assert_eq!(
        lines[..6],
        [
            "line 2: the document: expected valid JSON, found: EOF while parsing a string at column \
             100",
            "line 4: /k0: expected no such key in schema 1.0",
            "line 4: /k1: expected no such key in schema 1.0",
            "line 5: the document: expected valid JSON, found: invalid unicode code point at column 3",
            &format!("line 6: the document: expected at most 65536 bytes, found {}", long.len()),
            "line 8: the document: expected JSON, found a byte order mark",
        ]
    );
    assert_eq!(lines[6..].len(), 102);
    assert_eq!(
        lines[106..],
        ["line 9: and 2 more", "events: 9, valid: 3, invalid: 6, errors: 108"]
    );
}

#[test]
fn files_are_named_and_read_in_order() {
    let path = env::temp_dir().join(format!("validate-{}.jsonl", std::process::id()));
    fs::write(&path, "[]\n").unwrap();
    let (name, input) = (path.to_str().unwrap(), fs::File::open(&path).unwrap());
    let output = validate().args([name, "no such file", "-"]).stdin(input).output().unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("failed to open no such file: "));
    let message = "line 1: the document: expected an object, found an array";
    let report = "events: 2, valid: 0, invalid: 2, errors: 2".to_owned();
    assert_eq!(lines(&output), [format!("{name}: {message}"), format!("-: {message}"), report]);
}

#[test]
fn closed_output_ends_the_program_without_error() {
    let mut child = validate()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    // More than pipes buffer.
    let written = stdin.write_all("{}\n".repeat(100_000).as_bytes());
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(stdin);
    let output = child.wait_with_output().expect("the example ends");
    assert_eq!((output.status.code(), output.stderr), (Some(1), Vec::new()));
}
