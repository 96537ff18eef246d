//! A handle whose events tests read back.

use std::time::Instant;

use telemetry_model::TaskCompletionEvent;

use crate::{
    TelemetryConfig, clock,
    handle::TelemetryHandle,
    submitter::{Action, Start, Submitter},
};

pub(crate) fn recorder(clock: fn() -> Instant) -> (TelemetryHandle, Submitter) {
    let config = TelemetryConfig::builder()
        .server_url("https://example.com")
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc");
    let start = Start { now: clock::now(), seed: 7 };
    let (submitter, handle) = Submitter::with_clock(&config.build().unwrap(), start, clock, || {});
    (handle, submitter)
}

pub(crate) fn reported(submitter: &mut Submitter) -> Vec<TaskCompletionEvent> {
    submitter.flush(clock::now());
    let Action::Send(_, delivery) = submitter.poll(clock::now()) else { return Vec::new() };
    delivery.events().cloned().collect()
}
