//! Instructions of `track` on the calling thread. `cargo test --release -p telemetry-steps` counts them;
//! a debug build passes without.
//!
//! The counts depend on compiler, allocator and C library, so they are those of one platform.

use std::{
    env,
    error::Error,
    process::{Command, ExitCode},
    time::Duration,
};

use mosaicstack_telemetry::{
    Complexity, ConfigError, ContextWindow, Cost, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskCompletionEvent, TaskType, TelemetryClient, TelemetryConfig,
    TelemetryHandle, Tokens,
    transport::{Request, Response, TransportError},
};
use telemetry_steps::{begin, count, region};

/// Names and instructions.
const EXPECTED: [(&str, u64); 3] =
    [("track", 601), ("build and track", 2_801), ("track on a full queue", 955)];

/// Tolerance in percent.
const MARGIN: u64 = 10;

/// Calls whose median is taken.
const CALLS: usize = 21;

/// Calls before, for what is initialized once.
const WARM_UP: usize = 100;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("counted") {
        return calls().map(|()| ExitCode::SUCCESS);
    }
    let is_known = cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"));
    if cfg!(debug_assertions) || !is_known {
        return Ok(ExitCode::SUCCESS);
    }
    let mut counts = count(Command::new(env::current_exe()?).arg("counted"))?;
    assert_eq!(counts.len(), CALLS * EXPECTED.len());
    let mut is_right = true;
    for (counts, (name, expected)) in counts.chunks_mut(CALLS).zip(EXPECTED) {
        counts.sort_unstable();
        let counted = counts[CALLS / 2];
        eprintln!("{name}: {counted} instructions, expected {expected}");
        is_right &= counted.abs_diff(expected) * 100 <= expected * MARGIN;
    }
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The regions of the counted program, [`CALLS`] for each of [`EXPECTED`].
fn calls() -> Result<(), Box<dyn Error>> {
    let clients = [client(10_000)?, client(10)?];
    let [roomy, full] = clients.each_ref().map(TelemetryClient::handle);
    for handle in [&roomy, &full] {
        (0..WARM_UP).for_each(|_| handle.track(event(handle)));
    }
    begin()?;
    track(&roomy)?;
    for _ in 0..CALLS {
        region(|| roomy.track(event(&roomy)))?;
    }
    track(&full)?;
    Ok(())
}

fn track(handle: &TelemetryHandle) -> Result<(), String> {
    for _ in 0..CALLS {
        let event = event(handle);
        region(|| handle.track(event))?;
    }
    Ok(())
}

fn client(max_queue_size: usize) -> Result<TelemetryClient, ConfigError> {
    let config = TelemetryConfig::builder()
        .server_url("http://127.0.0.1:1")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .submit_interval(Duration::from_secs(3_600))
        .early_flush(false)
        .max_queue_size(max_queue_size)
        .build()?;
    let accept = |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) };
    Ok(TelemetryClient::with_transport(config, accept))
}

/// An event with every field.
fn event(handle: &TelemetryHandle) -> TaskCompletionEvent {
    handle
        .event()
        .task_type(TaskType::Implementation)
        .model("claude-sonnet-4-5-20250929")
        .provider(Provider::Anthropic)
        .harness(Harness::ClaudeCode)
        .complexity(Complexity::High)
        .outcome(Outcome::Success)
        .duration(Duration::from_secs(45))
        .tokens(Tokens { actual_in: 112_340, actual_out: 38_760, ..Tokens::default() })
        .cost(Cost { actual: 919_200, ..Cost::default() })
        .quality(Quality {
            passed: true,
            gates_run: vec![QualityGate::Build, QualityGate::Test],
            ..Quality::default()
        })
        .context(ContextWindow { compactions: 2, utilization: 0.72, ..ContextWindow::default() })
        .language("rust")
        .repo_size(RepoSizeCategory::Medium)
        .build()
}
