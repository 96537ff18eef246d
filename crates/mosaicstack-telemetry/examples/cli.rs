//! A command-line tool that reports its task, however the task ends, and leaves in time.
//!
//! ```text
//! cargo run -p telemetry-collector     # in another terminal: prints three exports, repeat them here
//! cargo run --example cli
//! ```
//!
//! Without those exports it does its work all the same, and says that nothing is reported.
#![expect(clippy::print_stdout, reason = "it says what it did")]

use std::{error::Error, io, process::ExitCode, time::Duration};

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskType, TelemetryClient, TelemetryConfig, Tokens,
};

fn main() -> ExitCode {
    // What the SDK has to say goes to stderr: a missing API key, say, or a server that is away.
    tracing_subscriber::fmt().with_writer(io::stderr).init();

    // Telemetry that is misconfigured is turned off, and is no reason not to work.
    let config = TelemetryConfig::builder()
        .with_env()
        .shutdown_timeout(Duration::from_secs(2)) // nobody waits longer for telemetry
        .build_or_disabled();
    let client = TelemetryClient::start(config);

    let result = run_coding_task(&client);

    // Before `main` returns: what is queued is delivered now or never.
    println!("{}", client.stop());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_coding_task(client: &TelemetryClient) -> Result<(), Box<dyn Error>> {
    let event = client
        .event()
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::Aider)
        .complexity(Complexity::Medium)
        .language("python")
        .repo_size(RepoSizeCategory::Medium);
    let mut task = client.begin(event); // the clock is running

    let usage = ask_the_model()?; // returning here, or a panic, reports a failure

    task.record(|event| {
        event
            .tokens(Tokens {
                estimated_in: 5_000,
                estimated_out: 2_000,
                actual_in: usage.input_tokens,
                actual_out: usage.output_tokens,
            })
            .cost(Cost { estimated: 50_000, actual: usage.cost_usd_micros })
            .quality(Quality {
                passed: true,
                gates_run: vec![QualityGate::Build, QualityGate::Lint, QualityGate::Test],
                ..Quality::default()
            })
            .context(ContextWindow { utilization: 0.35, ..ContextWindow::default() })
    });
    let id = task.finish(Outcome::Success);
    println!("Tracked task: {id}");
    Ok(())
}

struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    cost_usd_micros: u64,
}

/// Stands for the work; yours may fail.
fn ask_the_model() -> io::Result<Usage> {
    Ok(Usage { input_tokens: 4_500, output_tokens: 1_800, cost_usd_micros: 48_000 })
}
