//! A command-line tool that reports its task on success, error and panic. It waits at most a second for
//! a server that is away.
//!
//! ```text
//! cargo run -p telemetry-collector     # in another terminal; run the printed exports here
//! cargo run --example cli
//! ```
//!
//! Without the exports, the tool runs without telemetry.
#![expect(clippy::print_stdout, reason = "command-line output")]

use std::{error::Error, io, process::ExitCode};

use mosaicstack_telemetry::{
    Complexity, ContextWindow, Cost, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskType, TelemetryClient, TelemetryConfig, Tokens,
};

fn main() -> ExitCode {
    // Shows the client's warnings, for example about events that were not delivered.
    tracing_subscriber::fmt().with_writer(io::stderr).init();

    // Off without variables in the environment. If they are invalid, the tool still runs.
    let config = TelemetryConfig::builder().short_lived().with_env().build_if_set();
    let config = config.unwrap_or_else(|error| {
        eprintln!("telemetry is disabled: {error}");
        TelemetryConfig::disabled()
    });
    let client = TelemetryClient::start(config);

    let result = run_coding_task(&client);

    // Deliver queued events before the process exits.
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
    let mut task = client.begin(event); // starts the timer

    let usage = ask_the_model()?; // an error or panic here reports a failure

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

/// Placeholder for a call that may fail.
fn ask_the_model() -> io::Result<Usage> {
    Ok(Usage { input_tokens: 4_500, output_tokens: 1_800, cost_usd_micros: 48_000 })
}
