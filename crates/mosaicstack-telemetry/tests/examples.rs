//! The examples as programs, with their arguments, output and events.
#![cfg(feature = "ureq")]

#[cfg(all(feature = "hyper", unix))]
#[path = "examples/service.rs"]
mod service;
#[path = "examples/tour.rs"]
mod tour;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{self, Child, Command, Output, Stdio},
};

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, EventBuilder, Harness, Outcome, Provider, Quality,
    QualityGate, RepoSizeCategory, TaskCompletionEvent, TaskType, Tokens,
    transport::{Request, Transport, UreqTransport},
};
use serde_json::{Value, json};
use telemetry_collector::{Collector, ResponseTemplate};

/// An example, which cargo builds with the tests of its package. Its environment has no
/// configuration.
fn example(name: &str) -> Command {
    let test = env::current_exe().expect("the path of this program");
    let build = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let path = build.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "run all tests of the package: that builds its examples");
    let mut example = Command::new(path);
    for name in ["SERVER_URL", "API_KEY", "INSTANCE_ID", "ENABLED", "SPOOL_DIR"] {
        example.env_remove(format!("MOSAIC_TELEMETRY_{name}"));
    }
    example.env_remove("DO_NOT_TRACK");
    example
}

/// An example that reports to the server at `url`.
fn example_to(name: &str, url: &str) -> Command {
    let mut example = example(name);
    example
        .env("MOSAIC_TELEMETRY_SERVER_URL", url)
        .env("MOSAIC_TELEMETRY_API_KEY", "a".repeat(64))
        .env("MOSAIC_TELEMETRY_INSTANCE_ID", "12345678-1234-1234-1234-123456789abc");
    example
}

/// Output of an example that succeeds.
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of counters; what is neither delivered nor dropped is pending.
fn counters(tracked: u64, delivered: u64, dropped: u64) -> String {
    let pending = tracked - delivered - dropped;
    format!(
        "tracked {tracked}, delivered {delivered}, rejected 0, evicted 0, dropped {dropped}, \
         pending {pending}"
    )
}

#[test]
fn cli_reports_its_task() {
    let collector = Collector::start().unwrap();
    let lines = lines(&mut example_to("cli", collector.url()));
    let events = collector.events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(lines, [format!("Tracked task: {}", event.event_id), counters(1, 1, 0)]);
    let expected = EventBuilder::new(event.instance_id)
        .event_id(event.event_id)
        .timestamp(event.timestamp)
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::Aider)
        .complexity(Complexity::Medium)
        .outcome(Outcome::Success)
        .duration_ms(event.task_duration_ms)
        .tokens(Tokens {
            estimated_in: 5_000,
            estimated_out: 2_000,
            actual_in: 4_500,
            actual_out: 1_800,
        })
        .cost(Cost { estimated: 50_000, actual: 48_000 })
        .quality(Quality {
            passed: true,
            gates_run: vec![QualityGate::Build, QualityGate::Lint, QualityGate::Test],
            ..Quality::default()
        })
        .context(ContextWindow { utilization: 0.35, ..ContextWindow::default() })
        .language("python")
        .repo_size(RepoSizeCategory::Medium);
    assert_eq!(*event, expected.build());
}

/// Starts the agent, which is to exit with `code`, calls `running` after its first request, and returns
/// its report.
fn agent(argument: &str, code: i32, running: impl FnOnce(&Child)) -> TaskCompletionEvent {
    let collector = Collector::start().expect("a collector");
    let mut agent = example_to("agent", collector.url());
    let mut agent = agent.arg(argument).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(agent.stdout.take().expect("it is piped"))
        .lines()
        .map(|line| line.expect("text"));
    assert_eq!(lines.next().as_deref(), Some("running read_file"));
    running(&agent);
    assert_eq!(lines.last(), Some(counters(1, 1, 0)));
    assert_eq!(agent.wait().expect("it ends").code(), Some(code));
    let [event] = collector.events().try_into().expect("one event");
    event
}

#[test]
fn agent_reports_usage_cost_and_outcome_of_all_requests() {
    for (argument, code, outcome, tokens, cost) in [
        ("", 0, Outcome::Success, (389_386, 740), 577_174),
        ("fail", 1, Outcome::Failure, (128_960, 200), 486_596),
    ] {
        let event = agent(argument, code, |_| ());
        assert_eq!(event.outcome, outcome, "{argument}");
        assert_eq!((event.actual_input_tokens, event.actual_output_tokens), tokens, "{argument}");
        assert_eq!(event.actual_cost_usd_micros, cost, "{argument}");
        assert_eq!(event.model, "claude-sonnet-4-5-20250929");
    }
}

#[cfg(unix)]
#[test]
fn agent_that_is_interrupted_reports_what_it_had_done() {
    let event = agent("hang", 130, |agent| {
        let interrupt = || Command::new("kill").args(["-INT", &agent.id().to_string()]).status();
        interrupt().expect("kill runs");
    });
    assert_eq!(event.outcome, Outcome::Partial);
}

#[test]
fn cli_without_configuration_runs_silently_and_with_half_of_it_says_what_is_missing() {
    for (variable, missing) in
        [(None, None), (Some("API_KEY"), Some("MOSAIC_TELEMETRY_SERVER_URL"))]
    {
        let mut cli = example("cli");
        cli.envs(variable.map(|name| (format!("MOSAIC_TELEMETRY_{name}"), "a".repeat(64))));
        let output = cli.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Tracked task: "), "{text}");
        assert!(text.trim_end().ends_with(&counters(1, 0, 1)), "{text}");
        let printed = stderr(&output);
        assert!(missing.map_or(printed.is_empty(), |it| printed.contains(it)), "{printed}");
    }
}

#[test]
fn cli_exits_though_the_server_never_responds() {
    let collector = Collector::start().unwrap();
    collector.script([
        ResponseTemplate::hang(),
        ResponseTemplate::hang(),
        ResponseTemplate::hang(),
    ]);
    let lines = lines(&mut example_to("cli", collector.url()));
    assert_eq!(lines[1], counters(1, 0, 0));
}

#[test]
fn budget_chooses_a_model_by_predictions() {
    // Computed from the data by another program, with linear interpolation.
    const CLAUDE: &str = "claude-sonnet-4-5-20250929: p90 of 100 runs is $16.64";
    const GPT: &str = "gpt-5-2025-08-07: p90 of 100 runs is $4.14";
    let (gpt_cost, claude_cost) = (
        "gpt-5-2025-08-07: cost $1.52, estimated $1.74",
        "claude-sonnet-4-5-20250929: cost $3.62, estimated $10.57",
    );
    for (budget, expected, events) in [
        (None, &[CLAUDE, GPT, gpt_cost][..], 201),
        (Some("20"), &[CLAUDE, claude_cost], 201),
        (Some("1"), &[CLAUDE, GPT, "no model fits the budget of $1.00"], 200),
    ] {
        let mut lines = lines(example("budget").args(budget));
        assert_eq!(lines.pop(), Some(counters(events, events, 0)));
        assert_eq!(lines, expected);
    }
}

/// A response to one query.
fn prediction(cost: &Value, sample_size: u64, confidence: &str) -> ResponseTemplate {
    let tokens = |median: u64| json!({"p10": 1, "p25": 2, "median": median, "p75": 4, "p90": 5});
    let prediction = json!({
        "input_tokens": tokens(105_000),
        "output_tokens": tokens(45_000),
        "cost_usd_micros": cost,
        "duration_ms": {"median": 45_000},
    });
    let metadata = json!({"sample_size": sample_size, "confidence": confidence});
    let body = json!({"results": [{"prediction": prediction, "metadata": metadata}]});
    ResponseTemplate::normal().body(body.to_string())
}

#[test]
fn budget_reports_the_prediction_as_its_estimate() {
    for (cost, sample_size, confidence, expected) in [
        (json!({"median": 630_000, "p90": 4_990_000}), 42, "medium", "p90 of 42 runs is $4.99"),
        (json!({"median": 630_000}), 100, "high", "median of 100 runs is $0.63"),
    ] {
        let collector = Collector::start().unwrap();
        collector.script([prediction(&cost, sample_size, confidence)]);
        let lines = lines(&mut example_to("budget", collector.url()));
        let first = format!("claude-sonnet-4-5-20250929: {expected}");
        let second = "claude-sonnet-4-5-20250929: cost $3.62, estimated $0.63";
        assert_eq!(lines[..2], [&first, second]);
        let event = collector.events().pop().unwrap();
        assert_eq!(event.outcome, Outcome::Success);
        let tokens = (event.estimated_input_tokens, event.actual_input_tokens);
        assert_eq!(tokens, (105_000, 1_193_569));
        let tokens = (event.estimated_output_tokens, event.actual_output_tokens);
        assert_eq!(tokens, (45_000, 2_507));
        // 1,193,569 x 3 + 2,507 x 15
        let costs = (event.estimated_cost_usd_micros, event.actual_cost_usd_micros);
        assert_eq!(costs, (630_000, 3_618_312));
    }
}

#[test]
fn budget_without_predictions_uses_list_prices() {
    let collector = Collector::start().unwrap();
    let failure = "no predictions: the server answered 500 Internal Server Error: scripted";
    for reason in ["no data", "confidence low", failure] {
        if reason == failure {
            collector.script([ResponseTemplate::status(500), ResponseTemplate::status(500)]);
        }
        let expected = [
            format!("claude-sonnet-4-5-20250929: {reason}, list price $6.30"),
            format!("gpt-5-2025-08-07: {reason}, list price $2.70"),
            "gpt-5-2025-08-07: cost $1.52, estimated $2.70".to_owned(),
        ];
        assert_eq!(lines(&mut example_to("budget", collector.url()))[..3], expected);
        let event = collector.events().pop().unwrap();
        let tokens = (event.estimated_input_tokens, event.estimated_output_tokens);
        assert_eq!((tokens, event.estimated_cost_usd_micros), ((2_000_000, 20_000), 2_700_000));
    }
    assert_eq!(collector.totals().accepted, 3);
}

#[test]
fn custom_transport_writes_batches_that_the_server_accepts() {
    let path = env::temp_dir().join(format!("custom-transport-{}.jsonl", process::id()));
    // As after a full disk or a crash: the next batch begins another line.
    let torn = r#"{"events":[{"event_id":"#;
    fs::write(&path, torn).unwrap();
    for batches in 2..=3 {
        let lines = lines(example("custom_transport").arg(&path));
        let written = format!("lines in {}: {batches}", path.display());
        assert_eq!(lines, [counters(3, 3, 0), written]);
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    assert!(!text.contains(&"a".repeat(64)), "the API key is in the file");

    let collector = Collector::start().unwrap();
    for line in text.strip_prefix(torn).unwrap().trim_start().lines() {
        let mut request = Request::new(line.to_owned().into());
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
fn dry_run_logs_the_line_of_its_documentation() {
    let head = include_str!("../examples/dry_run.rs");
    let documented = head.lines().find_map(|line| line.strip_prefix("//! [DRY RUN]")).unwrap();
    let lines = lines(&mut example("dry_run"));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "prediction: confidence none");
    assert!(lines[1].ends_with(&format!("INFO mosaicstack_telemetry: [DRY RUN]{documented}")));
    assert_eq!(lines[2], counters(2, 0, 2));
    assert_eq!(lines[3], "2 events were logged instead of sent");
}
