//! The service, with the requests that its head comment shows.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    Complexity, Harness, Outcome, Provider, QualityGate, Request, Response, TaskType, Transport,
    UreqTransport,
    reexport::http::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use telemetry_collector::{Answer, Collector};

use crate::common::{example, example_to};

const SOURCE: &str = include_str!("../../examples/service.rs");

/// Only a service that is broken is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service; killed should a test fail.
struct Service {
    child: Child,
    /// The lines of its stdout.
    said: mpsc::Receiver<String>,
    url: String,
}

impl Service {
    /// Returns when it listens.
    fn start(mut command: Command) -> Self {
        let command = command.arg("0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let stdout = child.stdout.take().expect("piped");
        let (line, said) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|it| line.send(it))
        });
        let mut service = Self { child, said, url: String::new() };
        let first = service.said.recv_timeout(PATIENCE).expect("the service says something");
        service.url = first.strip_prefix("listening on ").expect("its address").to_owned();
        service
    }

    /// Sends what a `curl` line does, to this service.
    fn curl(&self, line: &[String]) -> Response {
        let mut request = Request::default();
        let mut words = line.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-d" => {
                    *request.method_mut() = "POST".parse().expect("a method");
                    *request.body_mut() = words.next().expect("a body").clone().into_bytes();
                }
                "-H" => {
                    let header = words.next().expect("a header");
                    let (name, value) = header.split_once(": ").expect("name and value");
                    let name: HeaderName = name.parse().expect("a name");
                    request.headers_mut().insert(name, HeaderValue::from_str(value).expect("text"));
                }
                url => {
                    let path = url.strip_prefix("http://127.0.0.1:3000").expect("the default port");
                    *request.uri_mut() = format!("{}{path}", self.url).parse().expect("a URL");
                }
            }
        }
        UreqTransport::new().send(request).expect("the service answers")
    }

    /// Sends it a signal, and returns how it ended and the last that it said, on stdout and stderr.
    fn end(mut self, signal: &str) -> (ExitStatus, String, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        let last = self.said.recv_timeout(PATIENCE).expect("the books");
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("piped");
        pipe.read_to_string(&mut stderr).expect("text");
        (self.child.wait().expect("it ends"), last, stderr)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The arguments of the `curl` lines in the head comment: reporting a task, and asking.
fn curl_lines() -> [Vec<String>; 2] {
    let head = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let head: String = head.map(|line| format!("{line}\n")).collect();
    let mut lines = head.split("\n curl ").skip(1).map(words);
    let both = [lines.next().expect("two of them"), lines.next().expect("two of them")];
    assert_eq!(lines.next(), None);
    both
}

/// The words up to the end of a command; single quotes keep one together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for char in text.chars() {
        match char {
            '\'' => quoted = !quoted,
            ' ' | '\n' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(char),
        }
        if char == '\n' && !quoted {
            break;
        }
    }
    words
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn books(delivered: u64, dropped: u64) -> String {
    let tracked = delivered + dropped;
    format!(
        "tracked {tracked}, delivered {delivered}, rejected 0, evicted 0, dropped {dropped}, pending 0"
    )
}

#[test]
fn the_curl_lines_work_and_a_signal_delivers_what_is_pending() {
    assert!(SOURCE.contains("Ok(3000)"), "the default port is that of the curl lines");
    let [report, ask] = curl_lines();
    for signal in ["-TERM", "-INT"] {
        let collector = Collector::start().unwrap();
        let service = Service::start(example_to("service", collector.url()));

        let tracked = service.curl(&report);
        assert_eq!(tracked.status(), 200);
        assert_eq!(body(&tracked), json!({"status": "tracked"}));
        let prediction = service.curl(&ask);
        assert_eq!(prediction.status(), 200);
        assert_eq!(body(&prediction)["prediction"], Value::Null);
        assert_eq!(body(&prediction)["metadata"]["confidence"], "none");
        assert_eq!(collector.totals().received, 0, "it is pending");

        let (status, last, _) = service.end(signal);
        assert!(status.success(), "{status}");
        assert_eq!(last, books(1, 0));
        let events = collector.events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.task_type, TaskType::Implementation);
        assert_eq!(event.model, "claude-sonnet-4-5-20250929");
        assert_eq!(event.provider, Provider::Anthropic);
        assert_eq!(event.harness, Harness::ClaudeCode);
        assert_eq!(event.complexity, Complexity::Medium);
        assert_eq!((event.actual_input_tokens, event.actual_output_tokens), (112_340, 38_760));
        assert_eq!((event.actual_cost_usd_micros, event.task_duration_ms), (919_200, 45_000));
        assert_eq!(event.outcome, Outcome::Success);
        assert!(event.quality_gate_passed);
        assert_eq!(event.quality_gates_run, [QualityGate::Build, QualityGate::Test]);
    }
}

#[test]
fn a_prediction_is_passed_on() {
    let collector = Collector::start().unwrap();
    let [report, ask] = curl_lines();
    let service = Service::start(example_to("service", collector.url()));
    service.curl(&report);
    service.end("-TERM");

    let service = Service::start(example_to("service", collector.url()));
    let prediction = body(&service.curl(&ask));
    assert_eq!(prediction["prediction"]["cost_usd_micros"]["median"], 919_200.0);
    assert_eq!(prediction["metadata"]["sample_size"], 1);
}

#[test]
fn a_prediction_that_fails_is_said_and_nothing_else_is_lost() {
    let collector = Collector::start().unwrap();
    collector.script([Answer::status(404), Answer::status(503).header("retry-after", "60")]);
    let [report, ask] = curl_lines();
    let service = Service::start(example_to("service", collector.url()));

    for (answer, status) in [(404, 502), (503, 503)] {
        let refused = service.curl(&ask);
        assert_eq!(refused.status(), status);
        let reason = format!("no predictions: the server answered {answer}");
        assert_eq!(body(&refused), json!({"error": reason}));
    }
    let paused = service.curl(&ask);
    assert_eq!(paused.status(), 503);
    let reason = body(&paused)["error"].to_string();
    assert!(reason.contains("no predictions: the server asked to wait"), "{reason}");

    assert_eq!(service.curl(&report).status(), 200);
    let (status, last, _) = service.end("-TERM");
    assert!(status.success(), "{status}");
    assert_eq!(last, books(1, 0));
}

#[test]
fn a_client_that_never_finishes_its_request_costs_no_event() {
    let collector = Collector::start().unwrap();
    let [report, _] = curl_lines();
    let service = Service::start(example_to("service", collector.url()));
    let address = service.url.trim_start_matches("http://");
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"GET /predictions HTTP/1.1\r\nhost: ").unwrap();
    // Connections are taken in their order, so the slow one has been, when this is answered.
    assert_eq!(service.curl(&report).status(), 200);
    let (status, last, _) = service.end("-TERM");
    assert!(status.success(), "{status}");
    assert_eq!(last, books(1, 0));
    assert_eq!(collector.totals().accepted, 1);
}

#[test]
fn a_service_runs_without_telemetry() {
    let secret = "hunter2hunter2";
    let mut command = example("service");
    command.env("MOSAIC_TELEMETRY_API_KEY", secret);
    let service = Service::start(command);
    let [report, ask] = curl_lines();
    assert_eq!(service.curl(&report).status(), 200);
    assert_eq!(body(&service.curl(&ask))["prediction"], Value::Null);
    let (status, last, warning) = service.end("-TERM");
    assert!(status.success(), "{status}");
    assert_eq!(last, books(0, 1));
    assert!(warning.contains("telemetry is disabled"), "{warning}");
    assert!(warning.contains("api_key: expected 64") && !warning.contains(secret), "{warning}");
}
