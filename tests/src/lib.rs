//! Test support: configurations, a driver in virtual time, log subscribers.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/integration.md")]
mod integration {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/from-python.md")]
mod from_python {}

pub mod fuzz;
mod log;
mod memory;
mod random;
mod simulation;

use std::env;

use mosaicstack_telemetry::{
    TaskCompletionEvent, TelemetryConfig, TelemetryConfigBuilder, TelemetryHandle,
    model::EventBatch, transport::Response,
};
use uuid::Uuid;

pub use self::{
    log::Log,
    memory::{allocated, resident},
    random::Random,
    simulation::{Next, Sent, Simulation, now},
};

/// An API key that must appear in the `Authorization` header alone.
pub const KEY: &str = "5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2";

/// Instance id of the configurations of tests.
pub const INSTANCE: &str = "12345678-1234-1234-1234-123456789abc";

/// True if the environment sets `TELEMETRY_LONG_TESTS`: more cases, and the tests that take minutes.
#[must_use]
pub fn long_tests() -> bool {
    env::var_os("TELEMETRY_LONG_TESTS").is_some()
}

/// A configuration for the server at `url`, without jitter of the interval.
pub fn config(url: &str) -> TelemetryConfigBuilder {
    // Before the first client logs.
    log::keep_callsites_on();
    TelemetryConfig::builder()
        .server_url(url)
        .api_key(KEY)
        .instance_id(INSTANCE)
        .interval_jitter(false)
}

/// Tracks `count` events and returns their ids.
pub fn track(handle: &TelemetryHandle, count: usize) -> Vec<Uuid> {
    let track = |_| {
        let event = handle.event().build();
        let id = event.event_id;
        handle.track(event);
        id
    };
    (0..count).map(track).collect()
}

/// The events of a request body.
///
/// # Panics
///
/// The body is not a batch of valid events.
#[must_use]
pub fn events(body: &[u8]) -> Vec<TaskCompletionEvent> {
    let events = EventBatch::from_json(body).expect("a batch");
    events.into_iter().map(|event| event.expect("a valid event")).collect()
}

/// A response with an empty body.
///
/// # Panics
///
/// The status is not valid.
#[must_use]
pub fn status(status: u16) -> Response {
    http::Response::builder().status(status).body(Vec::new()).expect("a valid status")
}
