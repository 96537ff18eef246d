//! The service, with the requests of its documentation.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use mosaicstack_telemetry::{
    Outcome, TaskType,
    http::{HeaderName, HeaderValue},
    transport::{Request, Response, Transport, UreqTransport},
};
use serde_json::{Value, json};
use telemetry_collector::{Collector, ResponseTemplate};

use crate::{counters, example, example_to};

const SOURCE: &str = include_str!("../../examples/service.rs");

/// Far beyond the duration of any test.
const AMPLE: Duration = Duration::from_secs(60);

/// A running service; killed if a test fails.
struct Service {
    child: Child,
    stdout: mpsc::Receiver<String>,
    url: String,
}

impl Service {
    /// Returns when it listens.
    fn start(mut command: Command) -> Self {
        let command = command.arg("0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let pipe = child.stdout.take().expect("piped");
        let (line, stdout) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|it| line.send(it))
        });
        let mut service = Self { child, stdout, url: String::new() };
        let first = service.stdout.recv_timeout(AMPLE).expect("a first line");
        service.url = first.strip_prefix("listening on ").expect("its address").to_owned();
        service
    }

    /// Sends the request of a `curl` line to this service.
    fn curl(&self, line: &[String]) -> Response {
        let mut request = Request::default();
        let mut words = line.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-d" => {
                    *request.method_mut() = "POST".parse().expect("a method");
                    *request.body_mut() = words.next().expect("a body").clone().into();
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
        UreqTransport::new().send(request).expect("the service responds")
    }

    /// Sends a signal, checks the exit and the last line, and returns stderr.
    fn end(mut self, signal: &str, counters: &str) -> String {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        assert_eq!(self.stdout.recv_timeout(AMPLE).expect("the counters"), counters);
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("piped");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = self.child.wait().expect("the service exits");
        assert!(status.success(), "{status}: {stderr}");
        stderr
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Arguments of the `curl` lines of the documentation: reporting a task, and a prediction.
fn curl_lines() -> [Vec<String>; 2] {
    let head = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let head: String = head.map(|line| format!("{line}\n")).collect();
    let lines: Vec<_> = head.split("\n curl ").skip(1).map(words).collect();
    lines.try_into().expect("two of them")
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

#[test]
fn service_answers_its_curl_lines_and_a_signal_delivers_pending_events() {
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
        // Takes connections in order: it has this one when it answers the next.
        let mut slow = TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
        slow.write_all(b"GET /predictions HTTP/1.1\r\nhost: ").unwrap();
        assert_eq!(service.curl(&ask).status(), 200);
        assert_eq!(collector.totals().received, 0, "the event is pending");

        service.end(signal, &counters(1, 1, 0));
        let events = collector.events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.task_type, TaskType::Implementation);
        assert_eq!((event.actual_input_tokens, event.actual_output_tokens), (112_340, 38_760));
        assert_eq!((event.actual_cost_usd_micros, event.task_duration_ms), (919_200, 45_000));
        assert_eq!((&event.outcome, event.quality_gate_passed), (&Outcome::Success, true));

        // Once more: now there is data.
        let service = Service::start(example_to("service", collector.url()));
        let prediction = body(&service.curl(&ask));
        assert_eq!(prediction["prediction"]["cost_usd_micros"]["median"], 919_200.0);
        assert_eq!(prediction["metadata"]["sample_size"], 1);
    }
}

#[test]
fn service_passes_failures_of_predictions_on_and_still_reports() {
    let collector = Collector::start().unwrap();
    collector.script([
        ResponseTemplate::status(404),
        ResponseTemplate::status(503).header("retry-after", "60"),
    ]);
    let [report, ask] = curl_lines();
    let service = Service::start(example_to("service", collector.url()));
    for (answer, status) in [("404 Not Found", 502), ("503 Service Unavailable", 503)] {
        let refused = service.curl(&ask);
        assert_eq!(refused.status(), status);
        let reason = format!("no predictions: the server answered {answer}: scripted");
        assert_eq!(body(&refused), json!({"error": reason}));
    }
    let paused = service.curl(&ask);
    assert_eq!(paused.status(), 503);
    let reason = body(&paused)["error"].to_string();
    assert!(reason.contains("no predictions: the server asked to wait"), "{reason}");
    assert_eq!(service.curl(&report).status(), 200);
    service.end("-TERM", &counters(1, 1, 0));
}

#[test]
fn service_with_invalid_configuration_runs_without_telemetry() {
    let secret = "hunter2hunter2";
    let mut command = example("service");
    command.env("MOSAIC_TELEMETRY_API_KEY", secret);
    let service = Service::start(command);
    let [report, ask] = curl_lines();
    assert_eq!(service.curl(&report).status(), 200);
    assert_eq!(body(&service.curl(&ask))["prediction"], Value::Null);
    let warning = service.end("-TERM", &counters(1, 0, 1));
    assert!(warning.contains("telemetry is disabled"), "{warning}");
    assert!(warning.contains("api_key: expected 64") && !warning.contains(secret), "{warning}");
}
