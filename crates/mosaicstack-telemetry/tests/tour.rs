//! The tour, as a person runs it.
#![cfg(feature = "ureq")]

mod common;

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output},
};

use telemetry_collector::Collector;

use self::common::{example, example_to};

fn tour() -> Command {
    example("tour")
}

fn tour_to(url: &str) -> Command {
    example_to("tour", url)
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(line.chars().count() <= 80, "too wide: {line}");
        assert!(!line.contains(char::is_control), "for terminals only: {line:?}");
    }
    lines
}

/// A line of the books.
fn book(output: &Output, name: &str) -> String {
    let line = lines(output).into_iter().find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {output:?}"));
    line.trim_start().trim_start_matches(name).trim().to_owned()
}

fn runs_file(name: &str, text: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("tour-{}-{name}.jsonl", std::process::id()));
    fs::write(&path, text).expect("the temporary folder can be written to");
    path
}

const RUN: &str = r#"{"task": "t", "repo": "r", "language": "rust", "model": "m", "provider": "openai", "resolved": true, "submitted": true, "api_calls": 3, "tokens_in": 1000, "tokens_out": 500, "cost_usd": 0.25, "tool_seconds": 1.5}"#;

#[test]
fn it_reports_800_runs_and_prints_predictions() {
    let output = tour().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for name in ["tracked", "delivered", "stored by collector"] {
        assert_eq!(book(&output, name), "800");
    }
    for name in ["rejected", "evicted", "dropped", "pending"] {
        assert_eq!(book(&output, name), "0");
    }
    assert_eq!(book(&output, "balanced"), "yes");
    let lines = lines(&output);
    let model = lines.iter().position(|line| line == "gpt-5-2025-08-07, by openai").unwrap();
    let row: Vec<&str> = lines[model + 1].split_whitespace().collect();
    // Computed from the data by another program, with linear interpolation.
    assert_eq!(
        row,
        ["medium", "2.39M", "7.06M", "5.7k", "14k", "1.75", "3.81", "37", "%", "400", "high"]
    );
}

#[test]
fn it_reports_to_the_server_of_the_environment() {
    let collector = Collector::start().unwrap();
    let output = tour_to(collector.url()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(book(&output, "stored by collector"), "800");
    let totals = collector.totals();
    assert_eq!((totals.accepted, totals.rejected, totals.duplicates), (800, 0, 0));
}

#[test]
fn it_takes_another_file_and_skips_what_is_no_run() {
    let path = runs_file("other", &format!("{RUN}\nnot a run\n\n{{\"model\": 7}}\n{RUN}\n"));
    let output = tour().arg(&path).output().unwrap();
    fs::remove_file(path).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(book(&output, "delivered"), "2");
    let faults = String::from_utf8(output.stderr).unwrap();
    let faults: Vec<&str> = faults.lines().collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("line 2: expected"), "{faults:?}");
    assert!(faults[1].starts_with("line 4: invalid type"), "{faults:?}");
}

#[test]
fn a_server_that_is_not_there_is_said_and_counted() {
    let output = tour_to("http://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((book(&output, "delivered"), book(&output, "pending")), ("0".into(), "800".into()));
    let last = lines(&output).pop().unwrap();
    assert_eq!(last, "800 events are pending: not accepted by http://127.0.0.1:1");
}

#[test]
fn what_it_cannot_begin_with_is_said() {
    let secret = "hunter2hunter2";
    let mut tour = tour_to("http://example.com");
    let output = tour.env("MOSAIC_TELEMETRY_API_KEY", secret).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("server_url: expected https") && said.contains("api_key: expected 64"));
    assert!(!said.contains(secret), "{said}");

    let output = self::tour().arg("no such file").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("cannot read no such file: "), "{said}");
}
