//! The tour.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Output, Stdio},
};

use mosaicstack_telemetry::transport::{Request, Transport, UreqTransport};

use crate::{example, example_to, stderr};

/// The number behind a name in the output.
fn counter(output: &Output, name: &str) -> String {
    let lines = lines(output);
    let line = lines.iter().find_map(|line| line.trim_start().strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {output:?}")).trim().to_owned()
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

#[test]
fn tour_reports_800_runs_and_prints_predictions() {
    let output = example("tour").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for name in ["tracked", "delivered", "stored by collector"] {
        assert_eq!(counter(&output, name), "800");
    }
    for name in ["rejected", "evicted", "dropped", "pending"] {
        assert_eq!(counter(&output, name), "0");
    }
    assert_eq!(counter(&output, "balanced"), "yes");
    let lines = lines(&output);
    let model = lines.iter().position(|line| line == "gpt-5-2025-08-07, by openai").unwrap();
    let row: Vec<&str> = lines[model + 1].split_whitespace().collect();
    // Computed from the data by another program, with linear interpolation.
    let expected = "medium 2.39M 7.06M 5.7k 14k 1.75 3.81 37 % 400 high";
    assert_eq!(row.join(" "), expected);
}

#[test]
fn tour_keeps_the_collector_and_its_page_until_the_input_ends() {
    let mut tour = example("tour");
    tour.arg("--keep").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut tour = tour.spawn().unwrap();
    let mut lines = BufReader::new(tour.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("page of the collector: ")).unwrap();
    let url = line.split_once(": ").unwrap().1;
    let mut request = Request::default();
    *request.uri_mut() = url.parse().unwrap();
    request.headers_mut().insert("accept", "text/html".parse().unwrap());
    let page = UreqTransport::new().send(request).unwrap();
    let html = String::from_utf8_lossy(page.body());
    assert!(html.contains("800 tasks"), "{html}");
    assert_eq!(tour.try_wait().unwrap(), None);
    drop(tour.stdin.take());
    assert!(tour.wait().unwrap().success());

    let elsewhere = example_to("tour", "http://127.0.0.1:1").arg("--keep").output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(stderr(&elsewhere).contains("unset MOSAIC_TELEMETRY_SERVER_URL"), "{elsewhere:?}");
}

#[cfg(feature = "spool")]
#[test]
fn tour_survives_its_reporting_process() {
    let output = example("tour").arg("--kill").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = lines(&output);
    assert!(lines[1].ends_with("the collector has 400 events"), "{lines:?}");
    let recovered = lines[2].strip_prefix("next process: recovered ").unwrap();
    let (recovered, delivered) = recovered.split_once(", delivered ").unwrap();
    assert!(recovered == delivered && recovered.parse::<u32>().unwrap() >= 400, "{lines:?}");
    assert!(lines[3].starts_with("the collector has 800 events, each once"), "{lines:?}");
}

#[test]
fn tour_of_another_file_skips_unreadable_lines() {
    const RUN: &str = r#"{"task": "t", "repo": "r", "language": "rust", "model": "m", "provider": "openai", "resolved": true, "submitted": true, "api_calls": 3, "tokens_in": 1000, "tokens_out": 500, "cost_usd": 0.25, "tool_seconds": 1.5}"#;
    let path = env::temp_dir().join(format!("tour-{}.jsonl", std::process::id()));
    fs::write(&path, format!("{RUN}\nnot a run\n\n{{\"model\": 7}}\n{RUN}\n")).unwrap();
    let output = example("tour").arg(&path).output().unwrap();
    fs::remove_file(path).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(counter(&output, "delivered"), "2");
    let errors = stderr(&output);
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("line 2: expected"), "{errors:?}");
    assert!(errors[1].starts_with("line 4: invalid type"), "{errors:?}");
}

#[test]
fn tour_without_server_exits_with_its_pending_events() {
    let output = example_to("tour", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&*counter(&output, "delivered"), &*counter(&output, "pending")), ("0", "800"));
    let last = lines(&output).pop().unwrap();
    assert_eq!(last, "800 events are pending: not accepted by http://127.0.0.1:1");
}

#[test]
fn tour_with_invalid_configuration_or_file_exits_with_its_errors() {
    let secret = "hunter2hunter2";
    let mut tour = example_to("tour", "http://example.com");
    let output = tour.env("MOSAIC_TELEMETRY_API_KEY", secret).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("server_url: expected https") && text.contains("api_key: expected 64"));
    assert!(!text.contains(secret), "{text}");

    let output = example("tour").arg("no such file").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.starts_with("cannot read no such file: "), "{text}");
}
