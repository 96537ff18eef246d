//! Requests byte by byte, read from a bare socket.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, EventBuilder, Harness, Outcome, Provider, Quality,
    QualityGate, TaskCompletionEvent, TaskType, TelemetryClient, Tokens,
};
use telemetry_tests::{KEY, config};
use time::{Duration, OffsetDateTime};
use uuid::{Uuid, uuid};

use crate::{blocking::AMPLE, guide::guide_queries};

const INSTANCE: Uuid = uuid!("a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d");

/// The example of the Python SDK's guide, in the order of the schema.
const GUIDE_EVENT: &str = concat!(
    r#"{"instance_id":"a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d","#,
    r#""event_id":"00000000-0000-4000-8000-000000000001","#,
    r#""schema_version":"1.0","#,
    r#""timestamp":"2026-02-15T05:29:05.123Z","#,
    r#""task_duration_ms":45000,"#,
    r#""task_type":"implementation","#,
    r#""complexity":"medium","#,
    r#""harness":"claude_code","#,
    r#""model":"claude-sonnet-4-5-20250929","#,
    r#""provider":"anthropic","#,
    r#""estimated_input_tokens":105000,"#,
    r#""estimated_output_tokens":45000,"#,
    r#""actual_input_tokens":112340,"#,
    r#""actual_output_tokens":38760,"#,
    r#""estimated_cost_usd_micros":630000,"#,
    r#""actual_cost_usd_micros":919200,"#,
    r#""quality_gate_passed":true,"#,
    r#""quality_gates_run":["build","lint","test","typecheck"],"#,
    r#""quality_gates_failed":[],"#,
    r#""context_compactions":2,"#,
    r#""context_rotations":0,"#,
    r#""context_utilization_final":0.72,"#,
    r#""outcome":"success","#,
    r#""retry_count":0,"#,
    r#""language":"typescript","#,
    r#""repo_size_category":null}"#,
);

const AGENT: &str = concat!("user-agent: mosaicstack-telemetry-rust/", env!("CARGO_PKG_VERSION"));

/// A request with sorted headers.
struct Raw {
    line: String,
    headers: Vec<String>,
    body: String,
}

/// Reads one request and responds with `body`.
fn server(body: &'static str) -> (String, JoinHandle<Raw>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let host = listener.local_addr().expect("a bound socket").to_string();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client connects");
        stream.set_read_timeout(Some(AMPLE)).expect("a valid time-out");
        let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reading.read_line(&mut line).expect("the head is text");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let line = lines.remove(0);
        let mut headers: Vec<String> = lines.iter().map(|line| lower_name(line)).collect();
        headers.sort();
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut bytes = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        reading.read_exact(&mut bytes).expect("the body is complete");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).expect("the client reads");
        Raw { line, headers, body: String::from_utf8(bytes).expect("the body is text") }
    });
    (host, serving)
}

fn lower_name(header: &str) -> String {
    let (name, value) = header.split_once(':').expect("a header has a colon");
    format!("{}:{value}", name.to_lowercase())
}

fn at() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_771_133_345_123)
}

/// The first example of the Python SDK's guide.
pub(crate) fn guide_event() -> TaskCompletionEvent {
    EventBuilder::new(INSTANCE)
        .event_id(uuid!("00000000-0000-4000-8000-000000000001"))
        .timestamp(at())
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::ClaudeCode)
        .complexity(Complexity::Medium)
        .outcome(Outcome::Success)
        .duration_ms(45_000)
        .tokens(Tokens {
            estimated_in: 105_000,
            estimated_out: 45_000,
            actual_in: 112_340,
            actual_out: 38_760,
        })
        .cost(Cost { estimated: 630_000, actual: 919_200 })
        .quality(Quality {
            passed: true,
            gates_run: vec![
                QualityGate::Build,
                QualityGate::Lint,
                QualityGate::Test,
                QualityGate::Typecheck,
            ],
            ..Quality::default()
        })
        .context(ContextWindow { compactions: 2, rotations: 0, utilization: 0.72 })
        .language("typescript")
        .build()
}

#[test]
fn event_is_written_and_read_in_the_documented_form() {
    assert_eq!(serde_json::to_string(&guide_event()).unwrap(), GUIDE_EVENT);
    let read = TaskCompletionEvent::from_json(GUIDE_EVENT.as_bytes());
    assert_eq!(read, Ok(guide_event()));
}

#[test]
fn requests_have_the_documented_bytes_and_headers() {
    let events = format!("{{\"events\":[{GUIDE_EVENT},{GUIDE_EVENT}]}}");
    let queries = concat!(
        r#"{"queries":[{"task_type":"implementation","model":"claude-sonnet-4-5-20250929","#,
        r#""provider":"anthropic","complexity":"medium"},"#,
        r#"{"task_type":"testing","model":"claude-haiku-4-5-20251001","#,
        r#""provider":"anthropic","complexity":"low"}]}"#,
    );
    let authorization = format!("authorization: Bearer {KEY}");
    let receipt = r#"{"accepted":2,"rejected":0,"results":[]}"#;
    let predictions = r#"{"results":[{"prediction":null},{"prediction":null}]}"#;
    for (path, response, expected, authorization) in [
        ("/gateway/v1/events/batch", receipt, &*events, Some(&*authorization)),
        // An empty body accepts all events.
        ("/gateway/v1/events/batch", "", &events, Some(&authorization)),
        // Predictions need no key.
        ("/gateway/v1/predictions/batch", predictions, queries, None),
    ] {
        let (host, serving) = server(response);
        let url = format!("http://{host}/gateway/");
        let client = TelemetryClient::start(config(&url).build().unwrap());
        if authorization.is_some() {
            client.track(guide_event());
            client.track(guide_event());
            assert_eq!(client.stop().delivered, 2);
        } else {
            client.predictions().refresh(&guide_queries()).unwrap();
        }
        let Raw { line, headers, body } = serving.join().unwrap();
        assert_eq!((line, &*body), (format!("POST {path} HTTP/1.1"), expected));
        let (length, host) = (format!("content-length: {}", body.len()), format!("host: {host}"));
        let names = ["content-type: application/json", &host, AGENT];
        let expected = ["accept: application/json"].into_iter().chain(authorization);
        assert!(headers.iter().eq(expected.chain([&*length]).chain(names)), "{headers:?}");
    }
}
