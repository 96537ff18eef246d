//! The examples but for the tour, as a person runs them.
#![cfg(feature = "ureq")]

mod common;
#[cfg(all(feature = "hyper", unix))]
#[path = "examples/service.rs"]
mod service;

use std::{
    env, fs,
    path::Path,
    process::{self, Command, Output},
};

use mosaicstack_telemetry::{
    Complexity, Harness, Outcome, Provider, QualityGate, RepoSizeCategory, Request, TaskType,
    Transport, UreqTransport,
};
use serde_json::json;
use telemetry_collector::{Answer, Collector};

use self::common::{example, example_to};

/// What an example that ends well prints.
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_cli_reports_its_task() {
    let collector = Collector::start().unwrap();
    let lines = lines(&mut example_to("cli", collector.url()));
    let events = collector.events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        lines,
        [
            format!("Tracked task: {}", event.event_id),
            "tracked 1, delivered 1, rejected 0, evicted 0, dropped 0, pending 0".to_owned()
        ]
    );
    assert_eq!(event.task_type, TaskType::Implementation);
    assert_eq!(event.model, "claude-sonnet-4-5-20250929");
    assert_eq!(event.provider, Provider::Anthropic);
    assert_eq!(event.harness, Harness::Aider);
    assert_eq!(event.complexity, Complexity::Medium);
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!((event.estimated_input_tokens, event.actual_input_tokens), (5_000, 4_500));
    assert_eq!((event.estimated_output_tokens, event.actual_output_tokens), (2_000, 1_800));
    assert_eq!((event.estimated_cost_usd_micros, event.actual_cost_usd_micros), (50_000, 48_000));
    let gates = [QualityGate::Build, QualityGate::Lint, QualityGate::Test];
    assert_eq!(event.quality_gates_run, gates);
    assert!(event.quality_gate_passed);
    assert_eq!(event.context_utilization_final, 0.35);
    assert_eq!(event.language.as_deref(), Some("python"));
    assert_eq!(event.repo_size_category, Some(RepoSizeCategory::Medium));
}

#[test]
fn the_cli_works_without_telemetry() {
    let output = example("cli").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Tracked task: "), "{said}");
    assert!(
        said.ends_with("tracked 1, delivered 0, rejected 0, evicted 0, dropped 1, pending 0\n")
    );
    let warning = stderr(&output);
    assert!(warning.contains("telemetry is disabled"), "{warning}");
    assert!(warning.contains("MOSAIC_TELEMETRY_API_KEY"), "{warning}");
}

#[test]
fn the_cli_leaves_a_server_that_never_answers() {
    let collector = Collector::start().unwrap();
    collector.script([Answer::never(), Answer::never(), Answer::never()]);
    let lines = lines(&mut example_to("cli", collector.url()));
    assert_eq!(lines[1], "tracked 1, delivered 0, rejected 0, evicted 0, dropped 0, pending 1");
}

#[test]
fn a_budget_is_kept_by_what_real_runs_cost() {
    // Computed from the data by another program, with linear interpolation.
    const CLAUDE: &str = "claude-sonnet-4-5-20250929: p90 of 100 runs is $16.64";
    const GPT: &str = "gpt-5-2025-08-07: p90 of 100 runs is $4.14";
    let books = |events: u64| {
        format!("tracked {events}, delivered {events}, rejected 0, evicted 0, dropped 0, pending 0")
    };
    assert_eq!(
        lines(&mut example("budget")),
        [CLAUDE, GPT, "gpt-5-2025-08-07: cost $1.52, estimated $1.74", &books(201)]
    );
    assert_eq!(
        lines(example("budget").arg("20")),
        [CLAUDE, "claude-sonnet-4-5-20250929: cost $3.62, estimated $10.57", &books(201)]
    );
    assert_eq!(
        lines(example("budget").arg("1")),
        [CLAUDE, GPT, "no model fits the budget of $1.00", &books(200)]
    );
}

/// An answer to one query.
fn prediction(cost: &serde_json::Value, sample_size: u64, confidence: &str) -> Answer {
    let tokens = |median: u64| json!({"p10": 1, "p25": 2, "median": median, "p75": 4, "p90": 5});
    let prediction = json!({
        "input_tokens": tokens(105_000),
        "output_tokens": tokens(45_000),
        "cost_usd_micros": cost,
        "duration_ms": {"median": 45_000},
    });
    let metadata = json!({"sample_size": sample_size, "confidence": confidence});
    let answer = json!({"results": [{"prediction": prediction, "metadata": metadata}]});
    Answer::normal().body(answer.to_string())
}

#[test]
fn a_prediction_is_reported_as_what_was_expected() {
    let collector = Collector::start().unwrap();
    let cost = json!({"median": 630_000, "p90": 4_990_000});
    collector.script([prediction(&cost, 42, "medium")]);
    let lines = lines(&mut example_to("budget", collector.url()));
    let first = "claude-sonnet-4-5-20250929: p90 of 42 runs is $4.99";
    let second = "claude-sonnet-4-5-20250929: cost $3.62, estimated $0.63";
    assert_eq!(lines[..2], [first, second]);

    let event = collector.events().pop().unwrap();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!((event.estimated_input_tokens, event.actual_input_tokens), (105_000, 1_193_569));
    assert_eq!((event.estimated_output_tokens, event.actual_output_tokens), (45_000, 2_507));
    // 1,193,569 x 3 + 2,507 x 15
    assert_eq!(event.actual_cost_usd_micros, 3_618_312);
    assert_eq!(event.estimated_cost_usd_micros, 630_000);
}

#[test]
fn the_median_will_do_where_the_server_has_no_p90() {
    let collector = Collector::start().unwrap();
    collector.script([prediction(&json!({"median": 630_000}), 100, "high")]);
    let lines = lines(&mut example_to("budget", collector.url()));
    assert_eq!(lines[0], "claude-sonnet-4-5-20250929: median of 100 runs is $0.63");
}

#[test]
fn without_predictions_the_list_prices_decide() {
    let collector = Collector::start().unwrap();
    let decision = |doubt: &str| {
        [
            format!("claude-sonnet-4-5-20250929: {doubt}, list price $6.30"),
            format!("gpt-5-2025-08-07: {doubt}, list price $2.70"),
            "gpt-5-2025-08-07: cost $1.52, estimated $2.70".to_owned(),
        ]
    };
    let budget = || lines(&mut example_to("budget", collector.url()));
    assert_eq!(budget()[..3], decision("no data"));
    let event = collector.events().pop().unwrap();
    assert_eq!((event.estimated_input_tokens, event.estimated_output_tokens), (2_000_000, 20_000));
    assert_eq!(event.estimated_cost_usd_micros, 2_700_000);

    assert_eq!(budget()[..3], decision("confidence low"));

    collector.script([Answer::status(500), Answer::status(500)]);
    assert_eq!(budget()[..3], decision("no predictions: the server answered 500"));
    assert_eq!(collector.totals().accepted, 3);
}

#[test]
fn a_file_gets_what_the_server_takes() {
    let path = env::temp_dir().join(format!("custom-transport-{}.jsonl", process::id()));
    for batches in 1..=2 {
        let lines = lines(example("custom_transport").arg(&path));
        let books = "tracked 3, delivered 3, rejected 0, evicted 0, dropped 0, pending 0";
        assert_eq!(lines, [books, &format!("batches in {}: {batches}", path.display())]);
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    assert!(!text.contains(&"a".repeat(64)), "the API key is in the file");

    let collector = Collector::start().unwrap();
    for line in text.lines() {
        let mut request = Request::new(line.into());
        *request.method_mut() = "POST".parse().unwrap();
        *request.uri_mut() = format!("{}/v1/events/batch", collector.url()).parse().unwrap();
        assert_eq!(UreqTransport::new().send(request).unwrap().status(), 200);
    }
    assert_eq!((collector.totals().accepted, collector.totals().rejected), (6, 0));
    let task_types: Vec<_> = collector.events().into_iter().map(|it| it.task_type).collect();
    let three = [TaskType::Planning, TaskType::Implementation, TaskType::Testing];
    assert_eq!(task_types, [three.clone(), three].concat());
}

#[test]
fn a_file_of_its_own_is_named() {
    let lines = lines(&mut example("custom_transport"));
    let path = lines[1].trim_start_matches("batches in ").trim_end_matches(": 1");
    assert!(Path::new(path).exists(), "{lines:?}");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_dry_run_logs_what_its_head_promises() {
    let head = include_str!("../examples/dry_run.rs");
    let promised = head.lines().find_map(|line| line.strip_prefix("//! [DRY RUN]")).unwrap();
    let lines = lines(&mut example("dry_run"));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "prediction: confidence none");
    assert!(lines[1].ends_with(&format!("INFO mosaicstack_telemetry: [DRY RUN]{promised}")));
    assert_eq!(lines[2], "tracked 2, delivered 0, rejected 0, evicted 0, dropped 2, pending 0");
    assert_eq!(lines[3], "2 events were logged instead of sent");
}
