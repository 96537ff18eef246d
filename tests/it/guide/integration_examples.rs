//! Integration examples: a service, and a script.

use mosaicstack_telemetry::{
    Complexity, ConfigError, ContextWindow, Cost, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskType, TelemetryClient, TelemetryConfig, TelemetryHandle, Tokens,
};
use telemetry_tests::{INSTANCE, KEY};
use tokio::task;

use super::{API_KEY, INSTANCE_ID, SERVER_URL, async_client, said_alone};
use crate::blocking::collector;

/// The endpoint `POST /tasks/complete`, with words and numbers of its caller.
fn complete_task(telemetry: &TelemetryHandle, [task, model, outcome]: [&str; 3], micros: u64) {
    let passed = outcome == "success";
    let event = telemetry
        .event()
        .task_type(task)
        .model(model)
        .outcome(outcome)
        .cost(Cost { actual: micros, ..Cost::default() })
        .quality(Quality { passed, gates_run: vec![QualityGate::Build], ..Quality::default() });
    telemetry.track(event.build());
}

#[tokio::test]
async fn service_reports_known_and_unknown_words() {
    let collector = collector();
    let telemetry = async_client(&collector);
    for words in [["implementation", "m", "success"], ["gardening", "m", "rained off"]] {
        let handle = telemetry.handle();
        task::spawn(async move { complete_task(&handle, words, 919_200) }).await.unwrap();
    }
    telemetry.stop().await;
    let [known, unknown] = &collector.events()[..] else { panic!("two events") };
    assert_eq!(known.task_type, TaskType::Implementation);
    assert_eq!((&known.outcome, known.quality_gate_passed), (&Outcome::Success, true));
    assert_eq!(known.actual_cost_usd_micros, 919_200);
    assert_eq!(unknown.task_type.as_str(), "gardening");
    assert_eq!((unknown.outcome.as_str(), unknown.quality_gate_passed), ("rained off", false));
}

/// The script; returns its output.
fn script() -> Result<String, ConfigError> {
    let client = TelemetryClient::start(TelemetryConfig::from_env()?);
    let event = client
        .event()
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::Aider)
        .complexity(Complexity::Medium)
        .outcome("success")
        .tokens(Tokens { actual_in: 4_500, actual_out: 1_800, ..Tokens::default() })
        .context(ContextWindow { utilization: 0.35, ..ContextWindow::default() })
        .repo_size(RepoSizeCategory::Medium)
        .build();
    let output = format!("Tracked task: {}", event.event_id);
    client.track(event);
    Ok(output) // dropping the client delivers the event
}

#[test]
fn script_configured_by_its_environment_reports_as_it_ends() {
    let test = concat!(module_path!(), "::script_configured_by_its_environment_reports_as_it_ends");
    let collector = collector();
    let variables = [(SERVER_URL, collector.url()), (API_KEY, KEY), (INSTANCE_ID, INSTANCE)];
    if said_alone(test, &variables).is_none() {
        assert!(script().unwrap().starts_with("Tracked task: "));
        return;
    }
    let [event] = &collector.events()[..] else { panic!("one event") };
    assert_eq!(event.instance_id.to_string(), INSTANCE);
    assert_eq!((event.actual_input_tokens, event.context_utilization_final), (4_500, 0.35));
    assert_eq!(event.repo_size_category, Some(RepoSizeCategory::Medium));
}
