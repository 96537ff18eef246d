//! Requests byte by byte.

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, EventBuilder, Harness, Outcome, Provider, Quality,
    QualityGate, TaskCompletionEvent, TaskType, TelemetryClient, Tokens,
};
use telemetry_tests::{KEY, config};
use time::{Duration, OffsetDateTime};
use uuid::{Uuid, uuid};

use crate::{
    guide::guide_queries,
    security::servers::{Server, answer},
};

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

/// The first example of the Python SDK's guide.
pub(crate) fn guide_event() -> TaskCompletionEvent {
    EventBuilder::new(INSTANCE)
        .event_id(uuid!("00000000-0000-4000-8000-000000000001"))
        .timestamp(OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_771_133_345_123))
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
        let server = Server::answering(move |_| answer("200 OK", response));
        let url = format!("{}/gateway/", server.url());
        let client = TelemetryClient::start(config(&url).build().unwrap());
        if authorization.is_some() {
            client.track(guide_event());
            client.track(guide_event());
            assert_eq!(client.stop().delivered, 2);
        } else {
            client.predictions().refresh(&guide_queries()).unwrap();
        }
        let [request] = &server.received()[..] else { panic!("one request") };
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let (line, headers) = head.split_once("\r\n").unwrap();
        assert_eq!((line, body), (&*format!("POST {path} HTTP/1.1"), expected));
        let mut headers: Vec<&str> = headers.lines().collect();
        headers.sort_unstable();
        let (length, host) = (format!("content-length: {}", body.len()), server.url());
        let host = host.replace("http://", "host: ");
        let others = [&*length, "content-type: application/json", &host, AGENT];
        let expected = ["accept: application/json"].into_iter().chain(authorization);
        assert!(
            headers.iter().eq(expected.chain(others).collect::<Vec<_>>().iter()),
            "{headers:?}"
        );
    }
}

#[test]
fn privacy_page_describes_every_field_with_a_valid_example() {
    let page = include_str!("../../docs/privacy.md");
    let (_, rest) = page.split_once("```json\n").expect("an example");
    let (example, _) = rest.split_once("\n```").expect("the end of the example");
    let event = TaskCompletionEvent::from_json(example.as_bytes()).expect("a valid event");
    assert_eq!(serde_json::to_string(&event).expect("JSON"), example);
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(example).expect("an object");
    for field in fields.keys() {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}
