//! What `track` and `build` do, region by region, for `tests/track.rs` to count.
//!
//! The regions, [`CALLS`] of each, in this order: `track` of an event that was built before, on a
//! queue with room; `build` and `track`, likewise; `track` of a built event on a full queue.

use std::{error::Error, time::Duration};

use mosaicstack_telemetry::{
    Complexity, ConfigError, ContextWindow, Cost, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskCompletionEvent, TaskType, TelemetryClient, TelemetryConfig,
    TelemetryHandle, Tokens,
    transport::{Request, Response, TransportError},
};
use telemetry_steps::{begin, region};

/// As many as the test expects.
const CALLS: usize = 21;

/// So many calls before, so that what is done once is done.
const WARM_UP: usize = 100;

fn client(places: usize) -> Result<TelemetryClient, ConfigError> {
    let config = TelemetryConfig::builder()
        .server_url("http://127.0.0.1:1")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .submit_interval(Duration::from_secs(3_600))
        .early_flush(false)
        .max_queue_size(places)
        .build()?;
    let accepting = |_: Request| -> Result<Response, TransportError> { Ok(Response::default()) };
    Ok(TelemetryClient::with_transport(config, accepting))
}

/// An event with all that can be said of a task.
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

fn track(handle: &TelemetryHandle) -> Result<(), String> {
    for _ in 0..CALLS {
        let event = event(handle);
        region(|| handle.track(event))?;
    }
    Ok(())
}

fn build_and_track(handle: &TelemetryHandle) -> Result<(), String> {
    for _ in 0..CALLS {
        region(|| handle.track(event(handle)))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (roomy, full) = (client(10_000)?, client(10)?);
    for handle in [roomy.handle(), full.handle()] {
        (0..WARM_UP).for_each(|_| handle.track(event(&handle)));
    }
    begin()?;
    track(&roomy.handle())?;
    build_and_track(&roomy.handle())?;
    track(&full.handle())?;
    Ok(())
}
