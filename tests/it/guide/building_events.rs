//! Building events.

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, EventBuilder, Harness, Outcome, Provider, Quality,
    QualityGate, RepoSizeCategory, TaskType, Tokens,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

type Setter = fn(EventBuilder) -> EventBuilder;

fn json_of(builder: EventBuilder) -> Value {
    serde_json::to_value(builder.build()).expect("plain data")
}

/// With a fixed id and time.
fn builder() -> EventBuilder {
    EventBuilder::new(Uuid::from_u128(7))
        .event_id(Uuid::from_u128(8))
        .timestamp(OffsetDateTime::UNIX_EPOCH)
}

#[test]
fn each_setter_sets_its_fields_alone() {
    use QualityGate::{Build, Coverage, Lint, Test};
    let cases: [(Setter, Value); 16] = [
        (|it| it.task_type(TaskType::Testing), json!({"task_type": "testing"})),
        (|it| it.model("m"), json!({"model": "m"})),
        (|it| it.provider(Provider::Ollama), json!({"provider": "ollama"})),
        (|it| it.harness(Harness::ClaudeCode), json!({"harness": "claude_code"})),
        (|it| it.complexity(Complexity::High), json!({"complexity": "high"})),
        (|it| it.outcome(Outcome::Success), json!({"outcome": "success"})),
        (|it| it.duration_ms(45_000), json!({"task_duration_ms": 45_000})),
        (
            |it| {
                it.tokens(Tokens {
                    estimated_in: 105_000,
                    estimated_out: 45_000,
                    actual_in: 112_340,
                    actual_out: 38_760,
                })
            },
            json!({"estimated_input_tokens": 105_000, "estimated_output_tokens": 45_000,
                   "actual_input_tokens": 112_340, "actual_output_tokens": 38_760}),
        ),
        (
            |it| it.cost(Cost { estimated: 630_000, actual: 919_200 }),
            json!({"estimated_cost_usd_micros": 630_000, "actual_cost_usd_micros": 919_200}),
        ),
        (
            |it| {
                it.quality(Quality {
                    passed: false,
                    gates_run: vec![Build, Lint, Test, Coverage],
                    gates_failed: vec![Coverage],
                })
            },
            json!({"quality_gates_run": ["build", "lint", "test", "coverage"],
                   "quality_gates_failed": ["coverage"]}),
        ),
        (
            |it| it.context(ContextWindow { compactions: 2, rotations: 1, utilization: 0.5 }),
            json!({"context_compactions": 2, "context_rotations": 1,
                   "context_utilization_final": 0.5}),
        ),
        (|it| it.language("python"), json!({"language": "python"})),
        (|it| it.repo_size(RepoSizeCategory::Medium), json!({"repo_size_category": "medium"})),
        (|it| it.retry_count(2), json!({"retry_count": 2})),
        (|it| it.event_id(Uuid::max()), json!({"event_id": Uuid::max()})),
        (
            |it| it.timestamp(OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_500)),
            json!({"timestamp": "1970-01-01T00:00:01.500Z"}),
        ),
    ];
    for (setter, fields) in cases {
        let mut expected = json_of(builder());
        for (field, value) in fields.as_object().expect("fields") {
            assert_ne!(&expected[field], value, "{field} has that value by default");
            expected[field] = value.clone();
        }
        assert_eq!(json_of(setter(builder())), expected);
    }
}

#[test]
fn optional_fields_have_the_documented_defaults() {
    let event = builder().build();
    assert_eq!((event.language, event.repo_size_category, event.retry_count), (None, None, 0));
    assert_eq!(json_of(builder())["schema_version"], "1.0");
}

#[test]
fn listed_gates_are_those_of_the_guide() {
    let gates: Vec<_> = QualityGate::LISTED.iter().map(QualityGate::as_str).collect();
    assert_eq!(gates, ["build", "lint", "test", "coverage", "typecheck", "security"]);
}
